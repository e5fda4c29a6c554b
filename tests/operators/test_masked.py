"""Operators seen through a mask of known pixels, against the explicit matrix with rows at zero."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from scipy.sparse import csc_array

from skdeconv.operators import (
    Composition,
    Convolution,
    Masked,
    SparseOperator,
    Unpooling,
    pool,
    zeros_for_nan,
)

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
few_examples = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def problems(draw):
    """Masked convolution, and the explicit matrix whose rows of unknown pixels are zero."""
    filters_shape = [draw(st.integers(1, most)) for most in (3, 3, 4, 4)]
    image_shape = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    filters = rng.standard_normal(filters_shape)
    known = rng.random((filters_shape[1], *image_shape)) < draw(st.sampled_from([0, 0.3, 0.8, 1]))
    matrix = known.reshape(-1, 1) * explicit_matrix(filters, image_shape)
    return Masked(Convolution(filters, image_shape), known), matrix, rng


def masked(dtype=np.float64):
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((3, 2, 3, 2)).astype(dtype)
    return Masked(Convolution(filters, (5, 6)), rng.random((2, 5, 6)) < 0.6)


@few_examples
@given(problems())
def test_all_products_are_those_of_the_matrix(problem):
    operator, matrix, rng = problem
    maps = rng.standard_normal((2, *operator.maps_shape))
    images = rng.standard_normal((2, *operator.images_shape))
    drawn, correlated = operator.forward(maps), operator.adjoint(images)
    assert_allclose(drawn.reshape(2, -1), maps.reshape(2, -1) @ matrix.T, atol=1e-12)
    assert_allclose(correlated.reshape(2, -1), images.reshape(2, -1) @ matrix, atol=1e-12)
    assert np.vdot(drawn, images) == pytest.approx(np.vdot(maps, correlated), abs=1e-10)
    index = rng.permutation(matrix.shape[1])[: len(matrix)]
    assert_array_equal(operator.atoms(index).toarray(), matrix[:, index])
    assert operator.norm() >= np.linalg.norm(matrix, 2) * (1 - 1e-12)


@each_dtype
def test_floating_types_are_kept(dtype):
    operator = masked(dtype)
    assert operator.dtype == dtype
    assert operator.forward(np.ones((1, *operator.maps_shape), dtype)).dtype == dtype
    assert operator.adjoint(np.ones((1, *operator.images_shape), dtype)).dtype == dtype
    atoms = operator.atoms(np.arange(5))
    assert atoms.dtype == dtype
    assert atoms.indices.dtype == atoms.indptr.dtype == np.int32


def test_arrays_of_the_operator_are_left_alone():
    class Kept(SparseOperator):
        def atoms(self, index):
            return self.matrix

    matrix = csc_array(np.arange(1.0, 7).reshape(2, 3))
    operator = Masked(Kept(matrix.copy(), (1, 1, 2), (1, 1, 3)), np.array([[[False, True]]]))
    assert_array_equal(operator.atoms(np.arange(3)).toarray(), [[0, 0, 0], [4, 5, 6]])
    maps, images = np.ones((1, 1, 1, 3)), np.ones((1, 1, 1, 2))
    operator.forward(maps)
    operator.adjoint(images)
    assert_array_equal(operator.operator.matrix.toarray(), matrix.toarray())
    assert_array_equal(images, np.ones((1, 1, 1, 2)))


@each_dtype
def test_a_mask_of_all_pixels_changes_no_bit(dtype):
    plain = masked(dtype).operator
    operator = Masked(plain, np.ones(plain.images_shape, bool))
    rng = np.random.default_rng(1)
    maps = rng.standard_normal((2, *plain.maps_shape)).astype(dtype)
    images = rng.standard_normal((2, *plain.images_shape)).astype(dtype)
    assert_array_equal(operator.forward(maps), plain.forward(maps))
    assert_array_equal(operator.adjoint(images), plain.adjoint(images))
    assert_array_equal(operator.atoms(np.arange(9)).data, plain.atoms(np.arange(9)).data)


@each_dtype
def test_a_mask_alone_stands_first_in_a_composition(dtype):
    lower = masked(dtype)
    rng = np.random.default_rng(1)
    upper = Convolution(rng.standard_normal((2, 1, 2, 2)).astype(dtype), (3, 4))
    switches = pool(rng.standard_normal((1, *lower.maps_shape)), (3, 2, 3))[1][0]
    parts = lower.operator, Unpooling(switches, (3, 2, 3), lower.maps_shape)
    upper = Convolution(upper.filters, parts[1].maps_shape[1:])
    links = Composition(Masked(None, lower.known), *parts, upper)
    whole = Masked(Composition(*parts, upper), lower.known)
    assert links.images_shape == whole.images_shape == lower.images_shape
    assert links.maps_shape == whole.maps_shape == upper.maps_shape
    maps = rng.standard_normal((2, *links.maps_shape)).astype(dtype)
    images = rng.standard_normal((2, *links.images_shape)).astype(dtype)
    assert links.forward(maps).dtype == links.adjoint(images).dtype == dtype
    assert_array_equal(links.forward(maps), whole.forward(maps))
    assert_array_equal(links.adjoint(images), whole.adjoint(images))
    assert links.norm() == whole.norm()
    index = np.arange(np.prod(links.maps_shape))
    atoms = links.atoms(index)
    assert atoms.dtype == dtype
    assert atoms.indices.dtype == np.int32
    assert_array_equal(atoms.toarray(), whole.atoms(index).toarray())
    unmasked = Composition(*parts, upper).atoms(index).toarray()
    assert_allclose(atoms.toarray(), lower.known.reshape(-1, 1) * unmasked, atol=1e-6)
    assert not atoms.toarray()[~lower.known.ravel()].any()


def test_a_mask_alone_is_a_diagonal_matrix():
    known = np.array([[[True, False], [True, True]]])
    operator = Masked(None, known)
    images = np.arange(1.0, 5).reshape(1, 1, 2, 2)
    assert operator.images_shape == operator.maps_shape == (1, 2, 2)
    assert_array_equal(operator.forward(images).ravel(), [1, 0, 3, 4])
    assert_array_equal(operator.adjoint(images).ravel(), [1, 0, 3, 4])
    atoms = operator.atoms(np.array([3, 1, 0]))
    assert_array_equal(atoms.toarray(), np.diag([1, 0, 1, 1])[:, [3, 1, 0]])
    assert atoms.indices.dtype == atoms.indptr.dtype == np.int32
    assert operator.norm() == 1


@pytest.mark.parametrize("operator", [masked(), Masked(None, masked().known)], ids=["F", "mask"])
def test_masked_operators_pickle(operator):
    copy = pickle.loads(pickle.dumps(operator))
    maps = np.ones((1, *operator.maps_shape))
    assert_array_equal(copy.forward(maps), operator.forward(maps))
    assert_array_equal(copy.atoms(np.arange(8)).data, operator.atoms(np.arange(8)).data)


def test_masks_of_another_shape_are_refused():
    operator = Convolution(np.ones((1, 2, 3, 3)), (5, 6))
    with pytest.raises(ValueError, match=r"known must be .* \(2, 5, 6\), got \(5, 6\)"):
        Masked(operator, np.ones((5, 6), bool))


@each_dtype
def test_zeros_stand_for_nan_and_nothing_else_changes(dtype):
    images = np.array([1, np.nan, np.inf, -0.0], dtype)
    filled = zeros_for_nan(images)
    assert filled.dtype == dtype
    assert_array_equal(filled, [1, 0, np.inf, 0])
    assert np.signbit(filled[3])
    assert np.isnan(images[1])
    assert zeros_for_nan(filled) is filled
