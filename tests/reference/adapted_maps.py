"""Operators for the inference of adaptive networks, images for them, and what maps must fulfil."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Lasso

from skdeconv.operators import Composition, Convolution, Unpooling, flat_switches, pool


def draw(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def unit(shape, seed=0):
    filters = draw(shape, seed)
    return filters / np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))


def one_layer(dtype, seed=0):
    return Convolution(unit((4, 1, 3, 3), seed).astype(dtype), (7, 8))


def colour(dtype, seed=0):
    return Convolution(unit((3, 3, 3, 2), seed).astype(dtype), (6, 5))


def signal(dtype, seed=0):
    return Convolution(unit((4, 1, 1, 5), seed).astype(dtype), (1, 40))


def two_layers(dtype, seed=0):
    lower = Convolution(unit((3, 1, 3, 3), seed).astype(dtype), (9, 8))
    switches = pool(draw((1, *lower.maps_shape), seed), (2, 2, 2))[1][0]
    pooled = Unpooling(switches, (2, 2, 2), lower.maps_shape)
    upper = Convolution(unit((4, 2, 3, 3), seed + 1).astype(dtype), pooled.maps_shape[1:])
    return Composition(lower, pooled, upper)


MAKERS = {"one layer": one_layer, "colour": colour, "signal": signal, "two layers": two_layers}


def image_for(operator, seed=5):
    """An image of the operator's dtype that few coefficients draw, but for noise."""
    rng = np.random.default_rng(seed)
    maps = rng.standard_normal((1, *operator.maps_shape))
    dtype = operator.adjoint(np.zeros((1, *operator.images_shape), np.float32)).dtype
    image = operator.forward((2 * maps * (rng.random(maps.shape) < 0.1)).astype(dtype))
    return (image + 0.1 * rng.standard_normal(image.shape)).astype(dtype)


def matrix_of(operator):
    return operator.atoms(np.arange(np.prod(operator.maps_shape))).toarray().astype(np.float64)


def lasso(matrix, image, weight):
    """Coefficients, and the least cost."""
    target = image.ravel().astype(np.float64)
    model = Lasso(1 / (weight * target.size), fit_intercept=False, tol=1e-12, max_iter=100_000)
    values = model.fit(matrix, target).coef_
    return values, cost_of(matrix, target, weight, values)


def cost_of(matrix, target, weight, values):
    return weight / 2 * ((target - matrix @ values) ** 2).sum() + np.abs(values).sum()


def assert_true_to_themselves(maps, operator, image, weight, shape):
    """Residual, cost, places and types are what they say."""
    dtype = image.dtype
    assert maps.values.dtype == dtype
    assert maps.index.shape == maps.values.shape
    assert maps.values.all()
    assert len(np.unique(maps.index)) == len(maps.index)
    dense = maps.dense(operator.maps_shape)
    assert dense.dtype == maps.residual.dtype == dtype
    assert np.count_nonzero(dense) == len(maps.index)
    residual = image - operator.forward(dense)
    assert_allclose(maps.residual, residual, atol=100 * np.finfo(dtype).eps * np.abs(image).max())
    cost = weight / 2 * (residual.astype(float) ** 2).sum() + np.abs(dense).sum(dtype=float)
    assert maps.cost == pytest.approx(cost, rel=1e-5 if dtype == np.float32 else 1e-12)
    # At most one coefficient in each block, and where its switch points.
    places = flat_switches(maps.switches, shape, operator.maps_shape)
    assert np.isin(maps.index, places).all()
    at_switches = Unpooling(maps.switches, shape, operator.maps_shape).adjoint(dense)
    assert np.count_nonzero(at_switches) == len(maps.index)
