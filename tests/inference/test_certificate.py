"""Lower bounds from residuals that are scaled locally: feasible, and tighter."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference.convolution import explicit_matrix

from skdeconv.inference import CoordinateDescent, Fista, PowerPenalty, Problem
from skdeconv.inference._certificate import dual_value, scaled_locally
from skdeconv.operators import Composition, Convolution, Masked

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHT = 4.0
each_kernels = pytest.mark.parametrize("kernels", ["compiled", "portable"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])


def make(kind, positive=False, dtype=np.float64):
    """Problem of two images, and the matrix of its operator."""
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((3, 2, 3, 4)).astype(dtype)
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    operator, known = Convolution(filters, (14, 15)), None
    matrix = explicit_matrix(filters, (14, 15))
    if kind == "masked":
        known = rng.random(operator.images_shape) < 0.7
        operator, matrix = Masked(operator, known), matrix * known.ravel()[:, None]
    if kind == "two layers":
        upper = rng.standard_normal((4, 3, 2, 2)).astype(dtype)
        operator = Composition(operator, Convolution(upper, operator.maps_shape[1:]))
        matrix = matrix @ explicit_matrix(upper, operator.operators[1].images_shape[1:])
    images = rng.standard_normal((2, *operator.images_shape)).astype(dtype)
    images = images if known is None else images * known
    return Problem(operator, images, PowerPenalty(1.0, positive), WEIGHT, known), matrix


@pytest.fixture(autouse=True)
def choose(request, monkeypatch):
    if "kernels" in request.fixturenames:
        kernels = request.getfixturevalue("kernels")
        if kernels == "compiled":
            pytest.importorskip("numba")
        monkeypatch.setenv("SKDECONV_KERNELS", kernels)


@each_kernels
@each_sign
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
@pytest.mark.parametrize("kind", ["convolution", "masked", "two layers"])
def test_bounds_are_those_of_feasible_points(kind, positive, dtype, kernels):
    problem, matrix = make(kind, positive, dtype)
    maps = CoordinateDescent().solve(problem, max_iter=2).maps
    residual = problem.residual(problem.dense_maps(maps))
    optimum = Fista().solve(make(kind, positive)[0], tol=1e-8, max_iter=20_000).cost
    score, _ = problem.best(residual)
    plain = dual_value(problem, residual, score.max(axis=(1, 2)))
    shrunk = scaled_locally(problem, residual, score)
    found, _ = problem.best(shrunk)
    bound = dual_value(problem, shrunk, found.max(axis=(1, 2)))
    assert (bound <= optimum * (1 + 1e-7)).all()
    if kind == "convolution":
        assert (bound > plain).all()
    # The bound is the dual objective of a multiple of the residual, in float64.
    for one in range(2):
        rest, image = (stack[one].ravel().astype(float) for stack in (shrunk, problem.images))
        inner = rest @ matrix
        most = WEIGHT * (inner if positive else np.abs(inner)).max()
        factors = np.linspace(0, 1 / most, 20_001)
        duals = WEIGHT * (factors * (rest @ image) - factors**2 / 2 * (rest @ rest))
        assert bound[one] <= duals.max() * (1 + 1e-7)
        assert bound[one] >= duals.max() * (1 - 1e-3)


@each_kernels
def test_pixels_are_divided_by_the_largest_violation_that_reaches_them(kernels):
    problem, _ = make("convolution")
    height, width = problem.operator.images_shape[1:]
    score = np.random.default_rng(1).random((2, height + 2, width + 3)) * 3
    before = score.copy()
    shrunk = scaled_locally(problem, problem.images, score)
    assert_array_equal(score, before)
    for y in range(height):
        for x in range(width):
            most = np.maximum(1, score[:, y : y + 3, x : x + 4].max(axis=(1, 2)))
            assert_array_equal(shrunk[:, :, y, x], problem.images[:, :, y, x] / most[:, None])
