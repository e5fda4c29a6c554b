"""Maps of images with missing pixels and their switches, against matrices without their rows."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.adapted_maps import unit
from reference.convolution import explicit_matrix
from sklearn.linear_model import Lasso

from skdeconv.inference import adapt, adapt_by_descent
from skdeconv.operators import Composition, Convolution, Masked, Unpooling, flat_switches, pool

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHT, FREE = 3.0, (1, 1, 1)
# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {"grey": ((4, 1, 3, 3), (9, 8)), "colour": ((3, 3, 3, 2), (6, 5))}


def explicit_unpooling(unpooling):
    matrix = np.zeros((np.prod(unpooling.images_shape), np.prod(unpooling.maps_shape)))
    matrix[unpooling.index.ravel(), np.arange(matrix.shape[1])] = 1
    return matrix


def one_layer(filters_shape, size):
    filters = unit(filters_shape)
    return Convolution(filters, size), explicit_matrix(filters, size)


def two_layers(filters_shape, size):
    lower, matrix = one_layer(filters_shape, size)
    rng = np.random.default_rng(1)
    switches = pool(rng.standard_normal((1, *lower.maps_shape)), (2, 2, 2))[1][0]
    pooled = Unpooling(switches, (2, 2, 2), lower.maps_shape)
    filters = unit((4, pooled.maps_shape[0], 3, 3), 2)
    upper = Convolution(filters, pooled.maps_shape[1:])
    matrix = matrix @ explicit_unpooling(pooled) @ explicit_matrix(filters, pooled.maps_shape[1:])
    return Composition(lower, pooled, upper), matrix


def problem(make, shapes, hole, seed=0):
    """An operator and its matrix, an image, which pixels are known, and the masked operator."""
    operator, matrix = make(*shapes)
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((1, *operator.maps_shape))
    image = operator.forward(2 * maps * (rng.random(maps.shape) < 0.1))
    image += 0.1 * rng.standard_normal(image.shape)
    known = np.ones(image.shape[1:], dtype=bool)
    if hole == "block":
        known[:, 1:5, 1:4] = False
    else:
        # Each channel by itself.
        known[rng.random(known.shape) < 0.3] = False
    return matrix, np.where(known, image, 0), known, Masked(operator, known)


each_problem = pytest.mark.parametrize(
    ("make", "shapes", "hole"),
    [(make, shapes, hole) for make in (one_layer, two_layers) for shapes in SHAPES.values()
     for hole in ("block", "pixels")],
    ids=[f"{make}-{shape}-{hole}" for make in ("one", "two") for shape in SHAPES
         for hole in ("block", "pixels")],
)  # fmt: skip


def least_cost(matrix, target):
    """Least cost over the coefficients of a matrix, by scikit-learn."""
    lasso = Lasso(1 / (WEIGHT * len(target)), fit_intercept=False, tol=1e-12, max_iter=100_000)
    values = lasso.fit(matrix, target).coef_
    return WEIGHT / 2 * np.sum((target - matrix @ values) ** 2) + np.abs(values).sum()


@each_problem
def test_descent_is_the_lasso_of_its_switches_over_known_pixels(make, shapes, hole):
    matrix, image, known, seen = problem(make, shapes, hole)
    maps = adapt_by_descent(seen, image, WEIGHT, (2, 2, 2), n_rounds=50)
    index = flat_switches(maps.switches, (2, 2, 2), seen.maps_shape).ravel()
    rows, target = matrix[known.ravel()], image[0][known]
    least = least_cost(rows[:, index], target)
    assert least * (1 - 1e-9) <= maps.cost <= least * (1 + 2e-3)
    dense = maps.dense(seen.maps_shape).ravel()
    assert np.isin(maps.index, index).all()
    error = target - rows @ dense
    assert maps.cost == pytest.approx(WEIGHT / 2 * error @ error + np.abs(dense).sum())
    assert_allclose(maps.residual[0][known], error, atol=1e-12)
    assert not maps.residual[0][~known].any()


@each_problem
@pytest.mark.parametrize("accelerated", [True, False], ids=["fista", "ista"])
def test_steps_reach_the_lasso_over_known_pixels(make, shapes, hole, accelerated):
    matrix, image, known, seen = problem(make, shapes, hole)
    n_steps = 200 if accelerated else 800
    maps = adapt(seen, image, WEIGHT, FREE, n_steps=n_steps, accelerated=accelerated)
    least = least_cost(matrix[known.ravel()], image[0][known])
    assert least * (1 - 1e-9) <= maps.cost <= least * (1 + 1e-4)


@each_problem
def test_what_reaches_no_known_pixel_is_zero(make, shapes, hole):
    matrix, image, known, seen = problem(make, shapes, hole)
    hidden = np.flatnonzero(~matrix[known.ravel()].any(axis=0))
    assert len(hidden) or hole == "pixels" or make is two_layers
    for shape in (FREE, (2, 2, 2)):
        for maps in (
            adapt_by_descent(seen, image, WEIGHT, shape),
            adapt(seen, image, WEIGHT, shape),
            adapt(seen, image, WEIGHT, shape, accelerated=False),
        ):
            assert len(maps.index)
            assert not np.isin(maps.index, hidden).any()


def test_steps_go_on_from_maps_of_a_masked_image():
    _, image, _, seen = problem(two_layers, SHAPES["grey"], "pixels")
    options = {"accelerated": False, "beta": 0.05}
    first = adapt(seen, image, WEIGHT, (2, 2, 2), n_steps=5, **options)
    again = adapt(
        seen, image, WEIGHT, (2, 2, 2), n_steps=5, init=replace(first, residual=None), **options
    )
    at_once = adapt(seen, image, WEIGHT, (2, 2, 2), n_steps=10, **options)
    assert_array_equal(again.index, at_once.index)
    assert_allclose(again.values, at_once.values, rtol=1e-10)
