"""Scores, dual norms and violations of the penalty, against loops and explicit matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from scipy.sparse import csr_array

from skdeconv import lam_min
from skdeconv.inference import PowerPenalty, dual_norms
from skdeconv.operators import Convolution

each_p = pytest.mark.parametrize("p", [0.3, 0.5, 0.8, 1.0])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
WEIGHT = 3.0


def make(n_samples=4, dtype=np.float64):
    """Unit filters in two channels, and images of noise, of which one is black."""
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((3, 2, 3, 2))
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    images = rng.standard_normal((n_samples, 2, 6, 5))
    images[-1] = 0
    return Convolution(filters.astype(dtype), (6, 5)), images.astype(dtype)


def sparse_maps(operator, n_samples, positive=False):
    """Maps of which one image's are empty, and a tenth of the others' are not zero."""
    rng = np.random.default_rng(1)
    maps = rng.standard_normal((n_samples, int(np.prod(operator.maps_shape))))
    maps *= rng.random(maps.shape) < 0.1
    maps[1] = 0
    return np.abs(maps) if positive else maps


def test_only_p_of_one_is_convex():
    assert PowerPenalty().is_convex
    assert PowerPenalty(1, positive=True).is_convex
    assert PowerPenalty(np.float32(1)).is_convex
    for p in (0.01, 0.5, np.nextafter(1, 0)):
        assert not PowerPenalty(p).is_convex


@each_sign
@each_p
def test_the_relaxed_penalty_is_convex_under_the_same_constraint(p, positive):
    assert PowerPenalty(p, positive).relaxed == PowerPenalty(1.0, positive)


@each_sign
@each_dtype
@each_p
def test_terms_add_up_to_the_value(p, dtype, positive):
    maps = sparse_maps(make()[0], 4, positive).astype(dtype)
    penalty = PowerPenalty(p, positive)
    terms = penalty.terms(maps)
    assert terms.shape == maps.shape
    assert terms.dtype == dtype
    for term, z in zip(terms.ravel(), maps.ravel(), strict=True):
        assert term == pytest.approx(abs(float(z)) ** p, rel=1e-6 if dtype == np.float32 else 1e-14)
    assert_allclose(penalty.value(maps), terms.sum(axis=1, dtype=np.float64), rtol=1e-14)
    assert not penalty.terms(np.zeros(3, dtype)).any()


@each_dtype
def test_score_is_the_modulus_unless_maps_are_positive(dtype):
    gradient = np.array([[-3.0, -0.0, 2.0]], dtype)
    for penalty, expected in (
        (PowerPenalty(0.5), [[3, 0, 2]]),
        (PowerPenalty(0.5, positive=True), [[-3, 0, 2]]),
    ):
        score = penalty.score(gradient)
        assert score.dtype == dtype
        assert_array_equal(score, expected)
    assert_array_equal(gradient, [[-3, 0, 2]])


@each_sign
@each_dtype
@each_p
def test_dual_norm_is_the_largest_product_with_an_atom(p, dtype, positive):
    operator, images = make(dtype=dtype)
    matrix = explicit_matrix(operator.filters, images.shape[2:])
    found = PowerPenalty(p, positive).dual_norm(WEIGHT * operator.adjoint(images))
    assert found.shape == (4,)
    tol = 1e-5 if dtype == np.float32 else 1e-12
    for norm, image in zip(found, images, strict=True):
        products = WEIGHT * matrix.T @ image.ravel().astype(np.float64)
        largest = max(product if positive else abs(product) for product in products)
        assert norm == pytest.approx(largest, rel=tol)
    assert found[-1] == 0
    assert (found[:-1] > 0).all()


def test_dual_norm_is_never_negative():
    gradient = np.array([[-2.0, -1.0], [-2.0, 0.5]])
    assert_array_equal(PowerPenalty(positive=True).dual_norm(gradient), [0, 0.5])
    assert_array_equal(PowerPenalty().dual_norm(gradient), [2, 2])
    assert_array_equal(PowerPenalty().dual_norm(np.empty((2, 0))), [0, 0])


@each_sign
@each_dtype
def test_one_over_the_dual_norm_is_lam_min(dtype, positive):
    operator, images = make(dtype=dtype)
    penalty = PowerPenalty(positive=positive)
    norms = penalty.dual_norm(operator.adjoint(images))
    filters, stack = np.moveaxis(operator.filters, 1, -1), np.moveaxis(images, 1, -1)
    least = lam_min(stack, filters, positive=positive)
    assert_allclose(least[:-1], 1 / norms[:-1], rtol=1e-6 if dtype == np.float32 else 1e-14)
    assert least[-1] == np.inf
    assert_allclose(dual_norms(images, operator.filters, penalty), norms, rtol=1e-6)


@each_sign
def test_dual_norms_of_images_with_missing_pixels_are_those_of_the_known_ones(positive):
    operator, images = make()
    matrix = explicit_matrix(operator.filters, images.shape[2:])
    images[np.random.default_rng(2).random(images.shape) < 0.3] = np.nan
    penalty = PowerPenalty(positive=positive)
    for norm, image in zip(dual_norms(images, operator.filters, penalty), images, strict=True):
        seen = ~np.isnan(image.ravel())
        products = matrix[seen].T @ image.ravel()[seen]
        assert norm == pytest.approx((products if positive else np.abs(products)).max(initial=0))


@each_sign
@each_p
def test_violation_is_the_largest_over_the_support(p, positive):
    operator, images = make()
    maps = sparse_maps(operator, 4, positive)
    matrix = explicit_matrix(operator.filters, images.shape[2:])
    residual = images.reshape(4, -1) - maps @ matrix.T
    gradient = (WEIGHT * residual @ matrix).reshape(4, *operator.maps_shape)
    expected = np.zeros(4)
    for i, k in np.ndindex(maps.shape):
        z = maps[i, k]
        if z != 0:
            wanted = p * abs(z) ** (p - 1) * (1 if z > 0 else -1)
            apart = abs(gradient.reshape(4, -1)[i, k] - wanted)
            expected[i] = max(expected[i], apart)
    found = PowerPenalty(p, positive).violation(csr_array(maps), gradient)
    assert found.dtype == np.float64
    assert_allclose(found, expected, rtol=1e-12)
    assert found[1] == 0
    assert (found[[0, 2, 3]] > 0).all()


@each_p
def test_stationary_maps_do_not_violate(p):
    maps = np.array([[0.0, 4.0, -0.25], [0.5, 0.0, 0.0]])
    # At zero the gradient may be anything.
    gradient, used = np.full(maps.shape, 7.0), maps != 0
    gradient[used] = p * np.abs(maps[used]) ** (p - 1) * np.sign(maps[used])
    assert_array_equal(PowerPenalty(p).violation(csr_array(maps), gradient), [0, 0])
    gradient[0, 2] += 0.125
    assert_allclose(PowerPenalty(p).violation(csr_array(maps), gradient), [0.125, 0], rtol=1e-14)


@each_p
def test_violation_of_empty_maps_is_zero(p):
    gradient = np.full((2, 3, 1, 2), 9.0)
    assert_array_equal(PowerPenalty(p).violation(csr_array((2, 6)), gradient), [0, 0])
