"""Compiled and portable kernels against explicit matrices and naive loops."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix

from skdeconv.operators import Convolution, Masked

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHT = 3.0
TOLERANCE = {np.float32: 3e-5, np.float64: 1e-11}
# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {
    "grey": ((3, 1, 7, 7), (9, 12)),
    "rows of two vectors": ((2, 2, 3, 11), (8, 15)),
    "signal": ((3, 2, 1, 20), (1, 50)),
    "column": ((2, 1, 9, 1), (40, 1)),
    "smaller than the filters": ((3, 1, 6, 5), (2, 3)),
    "wide": ((10, 1, 3, 3), (4, 120)),
    "single taps": ((2, 3, 1, 1), (5, 5)),
}
each_shape = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])


def make(shapes, dtype, seed=0, n_samples=3):
    """A convolution that lacks connections, its matrix, and images."""
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(shapes[0])
    filters[rng.random(shapes[0][:2]) < 0.3] = 0
    operator = Convolution(filters.astype(dtype), shapes[1])
    images = rng.standard_normal((n_samples, *operator.images_shape)).astype(dtype)
    return operator, explicit_matrix(filters, shapes[1]), images


def swept(matrix, image, values, chosen, slopes, positive, n_sweeps):
    """Coordinate descent by a loop over columns; returns all coefficients."""
    z = values.astype(np.float64).copy()
    rest = image.astype(np.float64) - matrix @ z
    for _ in range(n_sweeps):
        for i, slope in zip(chosen, slopes, strict=True):
            atom, norm = matrix[:, i], matrix[:, i] @ matrix[:, i]
            if norm > 0:
                goal = z[i] + atom @ rest / norm
                size = max((goal if positive else abs(goal)) - slope / (WEIGHT * norm), 0)
                rest += atom * (z[i] - np.sign(goal) * size)
                z[i] = np.sign(goal) * size
    return z, rest


@each_shape
@each_dtype
def test_inner_products(shapes, dtype, kernels):
    operator, matrix, images = make(shapes, dtype)
    every = images.reshape(3, -1) @ matrix
    found = operator.adjoint(images)
    assert found.dtype == dtype
    assert_allclose(found.reshape(3, -1), every, atol=TOLERANCE[dtype])
    for one in range(3):
        assert_array_equal(operator.adjoint(images[[one]])[0], found[one])


@pytest.mark.parametrize("n_filters", range(1, 11))
@each_dtype
@each_sign
def test_any_number_of_filters_with_all_channels(n_filters, dtype, positive, kernels):
    rng = np.random.default_rng(n_filters)
    filters = rng.standard_normal((n_filters, 2, 3, 5)).astype(dtype)
    operator, matrix = Convolution(filters, (4, 40)), explicit_matrix(filters, (4, 40))
    images = rng.standard_normal((2, *operator.images_shape)).astype(dtype)
    # Where the best score is negative, filters of zeros must not count.
    every = (images.reshape(2, -1) @ matrix).reshape(2, *operator.maps_shape)
    assert_allclose(operator.adjoint(images), every, atol=TOLERANCE[dtype])
    every = every if positive else np.abs(every)
    scores, chosen = operator.best(images, positive, np.isfinite)
    assert_allclose(scores, every.max(axis=1), atol=TOLERANCE[dtype])
    of_chosen = np.take_along_axis(every, chosen[:, None], axis=1)[:, 0]
    assert_allclose(of_chosen, scores, atol=TOLERANCE[dtype])


@each_dtype
def test_many_filters_correlate_alike(dtype, monkeypatch):
    pytest.importorskip("numba")
    # Few filters, then many of one and of several channels, and such that lack connections.
    for n_filters, n_channels, share in ((3, 2, 0), (50, 1, 0), (40, 9, 0), (50, 2, 0.2)):
        rng = np.random.default_rng(n_filters)
        filters = rng.standard_normal((n_filters, n_channels, 5, 6)).astype(dtype)
        filters[rng.random(filters.shape[:2]) < share] = 0
        operator, found = Convolution(filters, (4, 7)), []
        images = rng.standard_normal((2, *operator.images_shape)).astype(dtype)
        for kind in ("compiled", "portable"):
            monkeypatch.setenv("SKDECONV_KERNELS", kind)
            found.append(operator.adjoint(images))
            assert_array_equal(operator.adjoint(images[1:])[0], found[-1][1])
        assert_allclose(*found, atol=TOLERANCE[dtype])


@each_shape
@each_dtype
@each_sign
def test_the_best_filter_at_each_position(shapes, dtype, positive, kernels):
    operator, matrix, images = make(shapes, dtype)
    every = (images.reshape(3, -1) @ matrix).reshape(3, *operator.maps_shape)
    every = every if positive else np.abs(every)
    scores, chosen = operator.best(images, positive, lambda score: score > 1)
    assert scores.dtype == dtype
    assert_allclose(scores, every.max(axis=1), atol=TOLERANCE[dtype])
    wanted = scores > 1
    of_chosen = np.take_along_axis(every, chosen[:, None], axis=1)[:, 0]
    assert_allclose(of_chosen[wanted], scores[wanted], atol=TOLERANCE[dtype])
    for one in range(3):
        assert_array_equal(operator.best(images[[one]], positive, np.isfinite)[0][0], scores[one])


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("weighted", [False, True], ids=["equal", "slopes"])
@each_sign
@each_dtype
@each_shape
def test_sweeps(shapes, dtype, positive, weighted, masked, kernels):
    rng = np.random.default_rng(1)
    operator, matrix, images = make(shapes, dtype)
    if masked:
        known = rng.random(operator.images_shape) < 0.7
        operator, images = Masked(operator, known), images * known
        matrix = matrix * known.ravel()[:, None]
    size = matrix.shape[1]
    maps = rng.standard_normal((3, size)) * (rng.random((3, size)) < 0.3)
    maps[1] = 0
    maps = (np.abs(maps) if positive else maps).astype(dtype)
    # Zeros too, and no coefficient of the second image.
    chosen = [np.flatnonzero((one != 0) | (rng.random(size) < 0.1)) for one in maps]
    chosen[1] = chosen[1][:0]
    order = [
        one[np.argsort(one % (size // operator.maps_shape[0]), kind="stable")] for one in chosen
    ]
    index = np.concatenate([sample * size + one for sample, one in enumerate(order)])
    values = maps.ravel()[index]
    slopes = (0.5 + rng.random(len(index))).astype(dtype) if weighted else None
    residual = operator.residual(images, index, values)
    options = slopes, WEIGHT, positive, 3
    found, rest = operator.descend(images, residual, index, values, *options)
    assert found.dtype == rest.dtype == dtype
    first = 0
    for sample, one in enumerate(order):
        part = slice(first, first := first + len(one))
        steep = np.ones(len(one)) if slopes is None else slopes[part]
        image = images[sample].ravel()
        z, wanted = swept(matrix, image, maps[sample], one, steep, positive, 3)
        assert_allclose(residual[sample].ravel(), image - matrix @ maps[sample], atol=2e-5)
        assert_allclose(found[part], z[one], atol=10 * TOLERANCE[dtype])
        assert_allclose(rest[sample].ravel(), wanted, atol=10 * TOLERANCE[dtype])
        alone = images[[sample]], residual[[sample]], one, values[part]
        mine = None if slopes is None else slopes[part]
        again, left = operator.descend(*alone, mine, WEIGHT, positive, 3)
        assert_array_equal(again, found[part])
        assert_array_equal(left[0], rest[sample])


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    filters_shape=st.tuples(*(st.integers(1, n) for n in (4, 3, 9, 18))),
    image_shape=st.tuples(st.integers(1, 9), st.integers(1, 30)),
    seed=st.integers(0, 100),
)
def test_any_shape(filters_shape, image_shape, seed, kernels):
    operator, matrix, images = make((filters_shape, image_shape), np.float64, seed, 2)
    found = operator.adjoint(images)
    assert_allclose(found.reshape(2, -1), images.reshape(2, -1) @ matrix, atol=1e-11)
    index = np.arange(0, 2 * matrix.shape[1], 3)
    values = np.ones(len(index))
    maps = np.zeros(2 * matrix.shape[1])
    maps[index] = 1
    drawn = (maps.reshape(2, -1) @ matrix.T).reshape(images.shape)
    assert_allclose(operator.residual(images, index, values), images - drawn, atol=1e-11)


def test_long_work_is_divided(monkeypatch):
    fast = pytest.importorskip("skdeconv.kernels._compiled")
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")
    operator, matrix, images = make(SHAPES["grey"], np.float64)
    index = np.arange(0, 3 * matrix.shape[1], 2)
    sweep = operator.residual(images, index, np.zeros(len(index))), index, np.zeros(len(index))

    def everything():
        descended = operator.descend(images, *sweep, None, WEIGHT, False, 6)
        return operator.adjoint(images), *operator.best(images, False, np.isfinite), *descended

    expected = everything()
    calls, descend = [], fast._descent.descend
    monkeypatch.setattr(
        fast._descent, "descend", lambda *arguments: (calls.append(1), descend(*arguments))
    )
    monkeypatch.setattr(fast, "_WORK", 4 * len(index) * 49)
    for found, wanted in zip(everything(), expected, strict=True):
        assert_allclose(found, wanted, atol=1e-11)
    assert len(calls) == 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e-310])
def test_numbers_that_are_not_ordinary(bad, kernels):
    operator, matrix, images = make(SHAPES["grey"], np.float64, n_samples=1)
    images[0, 0, 4, 4] = bad
    reached = matrix[images[0].ravel().tolist().index(bad) if bad == bad else 4 * 12 + 4] != 0
    scores, _ = operator.best(images, False, np.isfinite)
    found = operator.adjoint(images).ravel()
    if bad == 1e-310:
        assert np.isfinite(scores).all()
        return
    assert not np.isfinite(found[reached]).any()
    assert np.isfinite(found[~reached]).sum() >= (~reached).sum() * 0.5
