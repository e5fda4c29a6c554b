"""The valid convolution against its explicit matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix

from skdeconv.operators import Convolution

# Filters (n_filters, n_channels, h, w) and image (height, width).
SHAPES = {
    "odd": ((3, 1, 3, 3), (8, 9)),
    "even": ((2, 1, 4, 2), (7, 6)),
    "rectangular": ((2, 1, 2, 5), (9, 7)),
    "colour": ((3, 3, 3, 2), (6, 7)),
    "row": ((4, 1, 1, 5), (1, 30)),
    "row over an image": ((2, 1, 1, 4), (6, 8)),
    "column": ((2, 2, 3, 1), (8, 3)),
    "larger than the image": ((2, 1, 5, 7), (3, 4)),
    "larger in one direction": ((2, 2, 5, 2), (3, 6)),
    "of the size of the image": ((2, 1, 4, 5), (4, 5)),
    "single pixel": ((2, 2, 1, 1), (4, 4)),
    "image of one pixel": ((2, 1, 3, 3), (1, 1)),
}
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])


def make(filters_shape, image_shape, dtype=np.float64, seed=0):
    """An operator with random filters, and its matrix."""
    filters = np.random.default_rng(seed).standard_normal(filters_shape).astype(dtype)
    return Convolution(filters, image_shape), explicit_matrix(filters, image_shape)


def draw(shape, dtype=np.float64, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tolerance(dtype):
    return 500 * np.finfo(dtype).eps


def assert_is_the_matrix(operator, matrix, dtype):
    n_samples, tol = 3, tolerance(dtype)
    maps = draw((n_samples, *operator.maps_shape), dtype)
    images = draw((n_samples, *operator.images_shape), dtype, seed=2)
    drawn, correlated = operator.forward(maps), operator.adjoint(images)
    assert drawn.dtype == correlated.dtype == dtype
    assert drawn.shape == images.shape
    assert correlated.shape == maps.shape
    assert_allclose(drawn.reshape(n_samples, -1), maps.reshape(n_samples, -1) @ matrix.T, atol=tol)
    assert_allclose(
        correlated.reshape(n_samples, -1), images.reshape(n_samples, -1) @ matrix, atol=tol
    )


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def shapes(request):
    return request.param


@each_dtype
def test_forward_and_adjoint_are_the_matrix_and_its_transpose(shapes, dtype):
    assert_is_the_matrix(*make(*shapes, dtype), dtype)


def test_matrix_has_the_announced_shape(shapes):
    operator, matrix = make(*shapes)
    assert matrix.shape == (np.prod(operator.images_shape), np.prod(operator.maps_shape))


@each_dtype
def test_atoms_are_columns_of_the_matrix(shapes, dtype):
    operator, matrix = make(*shapes, dtype)
    index = np.random.default_rng(3).permutation(matrix.shape[1])
    atoms = operator.atoms(index)
    assert atoms.dtype == dtype
    assert atoms.indices.dtype == atoms.indptr.dtype == np.int32
    assert_array_equal(atoms.toarray(), matrix[:, index].astype(dtype))


def test_chosen_atoms_may_be_one_twice_or_none():
    operator, matrix = make((3, 2, 3, 2), (6, 5))
    assert_array_equal(operator.atoms(np.array([17])).toarray(), matrix[:, [17]])
    assert_array_equal(operator.atoms(np.array([5, 5])).toarray(), matrix[:, [5, 5]])
    empty = operator.atoms(np.empty(0, dtype=np.int64))
    assert empty.shape == (60, 0)
    assert empty.indices.dtype == empty.indptr.dtype == np.int32


def test_atoms_leave_the_filters_alone():
    operator, _ = make((2, 1, 3, 3), (4, 4))
    before = operator.filters.copy()
    operator.atoms(np.arange(np.prod(operator.maps_shape)))
    assert_array_equal(operator.filters, before)


def test_inner_products_agree(shapes):
    operator, _ = make(*shapes)
    maps, images = draw((1, *operator.maps_shape)), draw((1, *operator.images_shape), seed=2)
    there = np.vdot(operator.forward(maps), images)
    back = np.vdot(maps, operator.adjoint(images))
    assert there == pytest.approx(back, rel=1e-12, abs=1e-12)


def test_norm_bounds_the_largest_singular_value(shapes):
    operator, matrix = make(*shapes)
    assert operator.norm() >= np.linalg.norm(matrix, 2) * (1 - 1e-12)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("size", [(3, 3), (4, 4), (1, 5)], ids=str)
def test_norm_is_not_far_above_the_largest_singular_value(n_channels, size):
    for seed in range(3):
        operator, matrix = make((3, n_channels, *size), (10, 9), seed=seed)
        true = np.linalg.norm(matrix, 2)
        assert true * (1 - 1e-12) <= operator.norm() < 2 * true


def test_norm_approaches_the_largest_singular_value():
    # The mean of three times three: at the frequency zero nothing is lost but the border.
    filters = np.full((1, 1, 3, 3), 1 / 9)
    true = np.linalg.norm(explicit_matrix(filters, (24, 24)), 2)
    bound = Convolution(filters, (24, 24)).norm()
    assert bound == pytest.approx(1, abs=1e-12)
    assert 0.98 < true <= bound


def test_norm_is_the_product_for_scaled_filters():
    operator, _ = make((3, 2, 3, 3), (8, 8))
    louder = Convolution(4 * operator.filters, (8, 8))
    assert louder.norm() == pytest.approx(4 * operator.norm(), rel=1e-12)
    assert Convolution(np.zeros((2, 3, 3, 3)), (8, 8)).norm() == 0
    assert Convolution(np.zeros((2, 1, 3, 3)), (8, 8)).norm() == 0


@each_dtype
def test_channels_that_a_filter_does_not_see_stay_empty(dtype):
    filters = draw((3, 3, 3, 3), dtype)
    filters[0, 1:] = 0
    filters[1, [0, 2]] = 0
    operator = Convolution(filters, (6, 7))
    assert_is_the_matrix(operator, explicit_matrix(filters, (6, 7)), dtype)
    maps = np.zeros((1, *operator.maps_shape), dtype)
    maps[:, 0] = 1
    drawn = operator.forward(maps)
    assert drawn[:, 0].any()
    assert not drawn[:, 1:].any()


def test_a_channel_without_filters_is_drawn_as_zeros():
    filters = draw((2, 3, 3, 3))
    filters[:, 1] = 0
    operator = Convolution(filters, (5, 6))
    assert not operator.forward(draw((2, *operator.maps_shape)))[:, 1].any()
    images = np.zeros((2, *operator.images_shape))
    images[:, 1] = 1
    assert not operator.adjoint(images).any()
    assert operator.norm() >= np.linalg.norm(explicit_matrix(filters, (5, 6)), 2) * (1 - 1e-12)


@each_dtype
@pytest.mark.parametrize("zeros", [[0], [1, 2], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("n_channels", [1, 2])
def test_filters_may_be_zero(n_channels, zeros, dtype):
    filters = draw((3, n_channels, 3, 2), dtype)
    filters[zeros] = 0
    operator, matrix = Convolution(filters, (5, 6)), explicit_matrix(filters, (5, 6))
    assert_is_the_matrix(operator, matrix, dtype)
    atoms = operator.atoms(np.arange(matrix.shape[1]))
    assert_array_equal(atoms.toarray(), matrix.astype(dtype))


def test_one_coefficient_draws_its_filter_where_it_stands():
    filters = draw((2, 1, 2, 3))
    operator = Convolution(filters, (6, 7))
    maps = np.zeros((1, *operator.maps_shape))
    maps[0, 1, 3, 4] = 2
    expected = np.zeros((6, 7))
    expected[2:4, 2:5] = 2 * filters[1, 0]
    assert_array_equal(operator.forward(maps)[0, 0], expected)


def test_an_empty_stack_gives_an_empty_stack():
    operator, _ = make((2, 1, 3, 3), (5, 5))
    assert operator.forward(np.zeros((0, *operator.maps_shape))).shape == (0, 1, 5, 5)
    assert operator.adjoint(np.zeros((0, 1, 5, 5))).shape == (0, *operator.maps_shape)


@each_dtype
@pytest.mark.parametrize("size", [(1, 64), (9, 11), (28, 28), (41, 37)], ids=str)
def test_an_image_does_not_depend_on_its_neighbours(size, dtype):
    h = min(size[0], 5)
    operator = Convolution(draw((7, 2, h, 5), dtype), size)
    maps, images = draw((5, *operator.maps_shape), dtype), draw((5, 2, *size), dtype)
    drawn, correlated = operator.forward(maps), operator.adjoint(images)
    for one in range(5):
        assert_array_equal(operator.forward(maps[one : one + 1])[0], drawn[one])
        assert_array_equal(operator.adjoint(images[one : one + 1])[0], correlated[one])


def test_filters_may_lie_in_any_order_in_memory():
    filters = draw((3, 3, 2, 4)).transpose(3, 1, 2, 0)
    assert_is_the_matrix(Convolution(filters, (5, 6)), explicit_matrix(filters, (5, 6)), np.float64)


@settings(max_examples=30, deadline=None, database=None)
@given(
    filters_shape=st.tuples(*(st.integers(1, n) for n in (3, 3, 5, 5))),
    image_shape=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 100),
)
def test_any_shape_and_dtype(filters_shape, image_shape, dtype, seed):
    operator, matrix = make(filters_shape, image_shape, dtype, seed)
    assert_is_the_matrix(operator, matrix, dtype)
    atoms = operator.atoms(np.arange(matrix.shape[1]))
    assert_array_equal(atoms.toarray(), matrix.astype(dtype))
    assert operator.norm() >= np.linalg.norm(matrix, 2) * (1 - 1e-12)
