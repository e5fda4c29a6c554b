"""Operators given as sparse matrices, and convolutions that are worth a sparse way."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from scipy.sparse import csc_array

from skdeconv.operators import Composition, Convolution, SparseOperator, Unpooling, pool

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
# Filters (n_filters, n_channels, h, w) large enough for sums over few coefficients, and an image.
LARGE = {
    "many filters": ((70, 20, 3, 3), (4, 5)),
    "many channels": ((30, 25, 7, 7), (5, 6)),
    "few filters": ((2, 60, 3, 3), (6, 5)),
    "colour": ((5, 3, 9, 8), (4, 11)),
    "signal": ((4, 40, 1, 6), (1, 20)),
    "column": ((3, 20, 9, 1), (12, 2)),
    "single pixels": ((4, 200, 1, 1), (3, 4)),
    "one filter": ((1, 5, 6, 7), (7, 6)),
}


def draw(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tolerance(dtype):
    return 2000 * np.finfo(dtype).eps


@pytest.fixture(scope="module", params=LARGE.values(), ids=LARGE.keys())
def large(request):
    """Filters, the shape of the images, and the explicit matrix."""
    filters_shape, image_shape = request.param
    filters = draw(filters_shape)
    return filters, image_shape, explicit_matrix(filters, image_shape)


def sparse_maps(n_nonzeros, maps_shape, dtype=np.float64, seed=1):
    """Maps of one image with a given number of coefficients that are not zero."""
    maps = np.zeros((1, *maps_shape), dtype)
    index = np.random.default_rng(seed).permutation(maps.size)[:n_nonzeros]
    maps.reshape(-1)[index] = draw(n_nonzeros, seed, dtype)
    return maps


def counts(operator):
    """Numbers of coefficients from none to all, most of them about where the way changes."""
    size = int(np.prod(operator.maps_shape))
    share = int(operator.filters[0].size / 16_000 * size)
    return sorted(
        {n for n in (0, 1, share - 1, share, share + 1, share + 2, size // 3, size) if n >= 0}
    )


@each_dtype
def test_few_and_many_coefficients_draw_what_the_matrix_says(large, dtype):
    filters, image_shape, matrix = large
    operator = Convolution(filters.astype(dtype), image_shape)
    for n in counts(operator):
        maps = sparse_maps(n, operator.maps_shape, dtype)
        image = operator.forward(maps)
        assert image.dtype == dtype
        assert_allclose(image.ravel(), matrix @ maps.ravel(), atol=tolerance(dtype))
        assert image.any() == (n > 0 and bool((matrix @ maps.ravel()).any()))


@each_dtype
def test_both_ways_draw_the_same(large, dtype):
    filters, image_shape, _ = large
    operators = [Convolution(filters.astype(dtype), image_shape) for _ in range(2)]
    # Never, and always.
    operators[0]._few, operators[1]._few = 0, 1
    for n in counts(operators[0]):
        maps = sparse_maps(n, operators[0].maps_shape, dtype)
        first, second = (one.forward(maps) for one in operators)
        assert first.dtype == second.dtype == dtype
        assert_allclose(first, second, atol=tolerance(dtype))


def test_one_coefficient_of_a_large_filter_at_every_corner(large):
    filters, image_shape, matrix = large
    operator = Convolution(filters, image_shape)
    for row in (0, -1):
        for column in (0, -1):
            for kernel in (0, -1):
                maps = np.zeros((1, *operator.maps_shape))
                maps[0, kernel, row, column] = 2
                assert_allclose(operator.forward(maps).ravel(), matrix @ maps.ravel(), atol=1e-12)


def test_a_stack_of_dense_and_sparse_maps(large):
    filters, image_shape, _ = large
    operator = Convolution(filters, image_shape)
    maps = np.concatenate([sparse_maps(n, operator.maps_shape) for n in counts(operator)])
    images = operator.forward(maps)
    for one in range(len(maps)):
        assert_array_equal(operator.forward(maps[one : one + 1])[0], images[one])


@each_dtype
def test_correlations_of_many_channels(large, dtype):
    filters, image_shape, matrix = large
    operator = Convolution(filters.astype(dtype), image_shape)
    images = draw((3, *operator.images_shape), 2, dtype)
    maps = operator.adjoint(images)
    assert maps.dtype == dtype
    assert_allclose(maps.reshape(3, -1), images.reshape(3, -1) @ matrix, atol=tolerance(dtype))
    # Image by image.
    alone = [operator.adjoint(images[one : one + 1])[0] for one in range(3)]
    assert_array_equal(alone, maps)


def test_filters_of_many_channels_may_see_few_of_them():
    filters = draw((4, 30, 4, 3))
    filters[0, 3:] = 0
    filters[1, ::2] = 0
    filters[3] = 0
    operator, matrix = Convolution(filters, (5, 4)), explicit_matrix(filters, (5, 4))
    for n in counts(operator):
        maps = sparse_maps(n, operator.maps_shape)
        assert_allclose(operator.forward(maps).ravel(), matrix @ maps.ravel(), atol=1e-11)
    images = draw((2, *operator.images_shape))
    correlated = operator.adjoint(images).reshape(2, -1)
    assert_allclose(correlated, images.reshape(2, -1) @ matrix, atol=1e-11)


def sparse(dtype=np.float64, seed=0):
    """An operator of some entries, and its matrix."""
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((2 * 3 * 4, 3 * 4 * 2)) * (rng.random((24, 24)) < 0.3)
    matrix = matrix[:, :18].astype(dtype)
    return SparseOperator(csc_array(matrix), (2, 3, 4), (3, 3, 2)), matrix


@each_dtype
def test_a_sparse_operator_is_its_matrix(dtype):
    operator, matrix = sparse(dtype)
    for n_samples in (1, 3):
        maps = draw((n_samples, *operator.maps_shape), 1, dtype)
        images = draw((n_samples, *operator.images_shape), 2, dtype)
        drawn, correlated = operator.forward(maps), operator.adjoint(images)
        assert drawn.dtype == correlated.dtype == dtype
        assert drawn.shape == images.shape
        assert correlated.shape == maps.shape
        expected = maps.reshape(n_samples, -1) @ matrix.T
        assert_allclose(drawn.reshape(n_samples, -1), expected, atol=tolerance(dtype))
        expected = images.reshape(n_samples, -1) @ matrix
        assert_allclose(correlated.reshape(n_samples, -1), expected, atol=tolerance(dtype))


@each_dtype
def test_atoms_of_a_sparse_operator(dtype):
    operator, matrix = sparse(dtype)
    for index in (np.random.default_rng(3).permutation(18), np.array([4, 4]), np.array([], int)):
        atoms = operator.atoms(index)
        assert atoms.dtype == dtype
        assert atoms.shape == (24, len(index))
        assert atoms.indices.dtype == atoms.indptr.dtype == np.int32
        assert_array_equal(atoms.toarray(), matrix[:, index])


@each_dtype
def test_norm_of_a_sparse_operator_bounds_the_largest_singular_value(dtype):
    for seed in range(10):
        operator, matrix = sparse(dtype, seed)
        true = np.linalg.norm(matrix.astype(np.float64), 2)
        # The sums of single precision are rounded.
        assert true * (1 - 1e-6) <= operator.norm() < 4 * true


def test_norm_of_a_sparse_operator_is_exact_for_one_row_of_signs_and_for_a_diagonal():
    row = csc_array(np.array([[1.0, -1.0, 1.0, -1.0]]))
    assert SparseOperator(row, (1, 1, 1), (1, 2, 2)).norm() == pytest.approx(2)
    diagonal = csc_array(np.diag([1.0, -3.0, 2.0]))
    assert SparseOperator(diagonal, (1, 1, 3), (3, 1, 1)).norm() == pytest.approx(3)


@each_dtype
def test_a_layer_with_its_switches_as_one_sparse_operator(dtype):
    convolution = Convolution(draw((4, 2, 3, 3), dtype=dtype), (6, 7))
    switches = pool(draw((1, *convolution.maps_shape)), (3, 2, 2))[1][0]
    layer = Composition(convolution, Unpooling(switches, (3, 2, 2), convolution.maps_shape))
    atoms = layer.atoms(np.arange(np.prod(layer.maps_shape)))
    operator = SparseOperator(atoms, layer.images_shape, layer.maps_shape)
    maps, images = draw((2, *layer.maps_shape), 1, dtype), draw((2, 2, 6, 7), 2, dtype)
    assert_allclose(operator.forward(maps), layer.forward(maps), atol=tolerance(dtype))
    assert_allclose(operator.adjoint(images), layer.adjoint(images), atol=tolerance(dtype))
    assert operator.norm() >= np.linalg.norm(atoms.toarray(), 2) * (1 - 1e-6)
    # It stands in a composition like the layer itself.
    upper = Convolution(draw((3, 2, 2, 2), 3, dtype), layer.maps_shape[1:])
    index = np.arange(np.prod(upper.maps_shape))
    both = [Composition(one, upper).atoms(index) for one in (operator, layer)]
    assert both[0].indices.dtype == np.int32
    assert both[0].dtype == dtype
    assert_allclose(both[0].toarray(), both[1].toarray(), atol=tolerance(dtype))
