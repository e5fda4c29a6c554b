"""Whole rounds in one call against scikit-learn's Lasso, and against rounds of single calls."""

import os
import signal
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from sklearn.linear_model import Lasso

from skdeconv.inference import CoordinateDescent, PowerPenalty, Problem
from skdeconv.inference._solver import iterate
from skdeconv.operators import Convolution, Masked

fast = pytest.importorskip("skdeconv.kernels._compiled")

WEIGHT, TOL = 4.0, 1e-5
# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {
    "grey": ((3, 1, 3, 4), (9, 12)),
    "channels": ((2, 2, 3, 3), (6, 7)),
    "signal": ((3, 2, 1, 9), (1, 40)),
    "column": ((2, 1, 5, 1), (30, 1)),
    "smaller than the filters": ((3, 1, 6, 5), (2, 3)),
    "wide": ((4, 1, 2, 2), (3, 120)),
}
each_shape = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")


def make(shapes, dtype=np.float64, n_samples=3, masked=False):
    """A convolution that lacks connections, its matrix, and images, one of them zero."""
    rng = np.random.default_rng(0)
    filters = rng.standard_normal(shapes[0])
    filters[rng.random(shapes[0][:2]) < 0.2] = 0
    operator, matrix = Convolution(filters.astype(dtype), shapes[1]), None
    matrix = explicit_matrix(filters, shapes[1])
    images = rng.standard_normal((n_samples, *operator.images_shape)).astype(dtype)
    images[1] = 0
    if masked:
        known = rng.random(operator.images_shape) < 0.7
        operator, images = Masked(operator, known), images * known
        matrix = matrix * known.ravel()[:, None]
    return operator, matrix, images


def solved(operator, images, index=(), values=(), positive=False, tol=TOL, max_iter=100):
    """Dense maps, and the rest of the result."""
    index, values = np.array(index, dtype=np.int64), np.array(values, dtype=images.dtype)
    options = WEIGHT, positive, tol, max_iter
    index, values, *numbers = operator.lasso(images, index, values, *options)
    maps = np.zeros((len(images), int(np.prod(operator.maps_shape))), images.dtype)
    maps.ravel()[index] = values
    return maps, *numbers


def cost_of(matrix, images, maps):
    rest = images.reshape(len(images), -1) - maps.astype(np.float64) @ matrix.T
    return WEIGHT / 2 * (rest**2).sum(axis=1) + np.abs(maps).sum(axis=1)


def optimum(matrix, image, positive):
    size = image.size
    model = Lasso(1 / (WEIGHT * size), fit_intercept=False, tol=1e-12, max_iter=10**6)
    return model.set_params(positive=positive).fit(matrix, image.ravel()).coef_


@each_shape
@each_sign
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
def test_optimum_is_that_of_scikit_learn(shapes, positive, masked):
    operator, matrix, images = make(shapes, masked=masked)
    maps, rounds, cost, gap = solved(operator, images, positive=positive)
    assert_allclose(cost, cost_of(matrix, images, maps), rtol=1e-10)
    best = np.array([optimum(matrix, image, positive) for image in images])
    lowest = cost_of(matrix, images, best)
    assert (gap <= TOL).all()
    assert (cost >= lowest * (1 - 1e-9)).all()
    assert (cost <= lowest * (1 + TOL)).all()
    assert rounds[1] == 0
    assert not maps[1].any()
    assert rounds[0] > 1
    if positive:
        assert (maps >= 0).all()


@each_shape
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
def test_every_image_as_if_alone(shapes, dtype):
    operator, _, images = make(shapes, dtype)
    every = solved(operator, images, tol=1e-3)
    assert every[0].dtype == dtype
    for i in range(len(images)):
        for found, one in zip(every, solved(operator, images[[i]], tol=1e-3), strict=True):
            assert_array_equal(found[[i]], one)


def by_column_and_row(index, operator):
    """Flat indices into a stack of maps, sorted by sample, column and row."""
    n_filters, height, width = operator.maps_shape
    sample, place = np.divmod(index, n_filters * height * width)
    y, x = np.divmod(place % (height * width), width)
    return index[np.lexsort((y, x, sample))]


@each_shape
def test_initial_maps(shapes):
    operator, matrix, images = make(shapes)
    maps, from_zero, *_ = solved(operator, images)
    index = by_column_and_row(np.flatnonzero(maps), operator)
    again, rounds, cost, gap = solved(operator, images, index, maps.ravel()[index])
    assert (cost <= cost_of(matrix, images, maps) * (1 + 1e-12)).all()
    assert_allclose(again, maps, atol=2e-3)
    # The lower bound of the last round is not given, so that there may be rounds for a new one.
    assert (rounds <= from_zero // 2).all()
    assert (gap <= TOL).all()
    # From worse maps, also of the image that is zero.
    rng = np.random.default_rng(1)
    index = np.flatnonzero(np.tile(matrix.any(axis=0), 3) & (rng.random(maps.size) < 0.2))
    index = by_column_and_row(index, operator)
    found, _, cost, _ = solved(operator, images, index, rng.standard_normal(len(index)))
    assert_allclose(cost, cost_of(matrix, images, found), rtol=1e-9, atol=1e-12)
    assert (cost <= cost_of(matrix, images, maps) * (1 + TOL) + 1e-9).all()


@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_limit_of_rounds(max_iter):
    operator, matrix, images = make(SHAPES["grey"])
    maps, rounds, cost, gap = solved(operator, images, tol=0, max_iter=max_iter)
    assert_array_equal(rounds[[0, 2]], max_iter)
    assert_allclose(cost, cost_of(matrix, images, maps), rtol=1e-10)
    best = np.array([optimum(matrix, image, False) for image in images])
    true = (cost - cost_of(matrix, images, best))[[0, 2]] / cost[[0, 2]]
    assert (true <= gap[[0, 2]]).all()


def test_long_work_is_divided(monkeypatch):
    operator, matrix, images = make(SHAPES["grey"])
    expected, *_ = solved(operator, images)
    calls, lasso = [], fast._lasso.lasso
    monkeypatch.setattr(fast._lasso, "lasso", lambda *some: (calls.append(1), lasso(*some))[1])
    # Few rounds a call.
    monkeypatch.setattr(fast, "_WORK", 400 * operator.bank.work(images))
    _, _, cost, gap = solved(operator, images)
    assert len(calls) > 2
    assert (gap <= TOL).all()
    assert_allclose(cost, cost_of(matrix, images, expected), rtol=2 * TOL)
    # A round that takes too long is divided by the solver.
    monkeypatch.setattr(fast, "_WORK", 3 * operator.bank.work(images))
    none = np.empty(0, np.int64), np.empty(0)
    assert operator.lasso(images, *none, WEIGHT, False, TOL, 10) is None
    result = CoordinateDescent().solve(Problem(operator, images, PowerPenalty(), WEIGHT), tol=TOL)
    assert_allclose(result.cost, cost, rtol=2 * TOL)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_numbers_that_are_not_ordinary_end(bad):
    operator, _, images = make(SHAPES["grey"])
    images[0, 0, 4, 4] = bad
    _, rounds, _, gap = solved(operator, images, max_iter=3)
    assert rounds[0] <= 3
    assert gap[2] <= 1


def test_ctrl_c_during_a_call():
    rng = np.random.default_rng(0)
    operator = Convolution(rng.standard_normal((16, 1, 5, 5)), (28, 28))
    images = rng.standard_normal((100, 1, 28, 28))
    solved(operator, images[:1], tol=0.1)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):  # Otherwise this would take half a minute.
        solved(operator, images, tol=1e-9, max_iter=200)


def test_filters_alike_on_single_pixels():
    rng = np.random.default_rng(0)
    filters = 2 + rng.standard_normal((60, 30, 1, 1))
    operator = Convolution(filters / np.sqrt((filters**2).sum(axis=1, keepdims=True)), (1, 1))
    images = rng.standard_normal((10, 30, 1, 1))
    solver, problem = CoordinateDescent(), Problem(operator, images, PowerPenalty(), 100.0)
    result = solver.solve(problem, tol=0.1, max_iter=50)
    slow = iterate(solver, solver.start(problem, None), len(problem), 0.1, 50)
    assert slow.converged.any()
    assert result.converged.sum() >= slow.converged.sum()


def test_no_images():
    operator, _, images = make(SHAPES["grey"])
    maps, *numbers = solved(operator, images[:0])
    assert maps.size == 0
    assert all(one.shape == (0,) for one in numbers)
    assert operator.adjoint(images[:0]).shape == (0, *operator.maps_shape)
