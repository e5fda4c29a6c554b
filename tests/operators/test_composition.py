"""Convolutions that follow each other, against the product of their explicit matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix

from skdeconv.operators import Convolution, compose

# Shapes (n_filters, n_channels, h, w) from the top down, and the image (height, width).
STACKS = {
    "two": ([(4, 3, 3, 2), (3, 1, 2, 4)], (5, 6)),
    "colour": ([(2, 2, 2, 3), (2, 3, 3, 1)], (4, 5)),
    "signal": ([(3, 2, 1, 4), (2, 1, 1, 3)], (1, 17)),
    "single pixels": ([(3, 2, 1, 1), (2, 2, 1, 1)], (3, 4)),
    "larger than the image": ([(2, 2, 4, 3), (2, 1, 5, 5)], (3, 2)),
    "three": ([(2, 3, 2, 2), (3, 2, 3, 1), (2, 1, 2, 3)], (4, 3)),
    "three of colours": ([(2, 2, 1, 3), (2, 1, 2, 1), (1, 3, 2, 2)], (3, 4)),
}
each_stack = pytest.mark.parametrize(("shapes", "image_shape"), STACKS.values(), ids=STACKS.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])


def draw(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def layers_of(shapes, dtype=np.float64):
    return [draw(shape, seed, dtype) for seed, shape in enumerate(shapes)]


def composed(layers):
    """All layers as one, from the bottom up."""
    *above, filters = layers
    for upper in reversed(above):
        filters = compose(upper, filters)
    return filters


def operators_of(layers, image_shape):
    """One operator for each layer, from the bottom up; each draws the maps of the one before."""
    operators = []
    for filters in reversed(layers):
        operators.append(Convolution(filters, image_shape))
        image_shape = operators[-1].maps_shape[1:]
    return operators


def product(layers, image_shape):
    """The explicit matrices of all layers, multiplied."""
    parts = [
        explicit_matrix(operator.filters, operator.images_shape[1:])
        for operator in operators_of(layers, image_shape)
    ]
    return np.linalg.multi_dot(parts) if len(parts) > 1 else parts[0]


def assert_is_the_matrix(operator, matrix, tol=1e-12):
    n_pixels, n_coefficients = matrix.shape
    assert np.prod(operator.images_shape) == n_pixels
    assert np.prod(operator.maps_shape) == n_coefficients
    scale = tol * np.abs(matrix).max()
    drawn = operator.forward(np.eye(n_coefficients).reshape(-1, *operator.maps_shape))
    assert_allclose(drawn.reshape(n_coefficients, -1).T, matrix, atol=scale)
    correlated = operator.adjoint(np.eye(n_pixels).reshape(-1, *operator.images_shape))
    assert_allclose(correlated.reshape(n_pixels, -1), matrix, atol=scale)
    assert_allclose(operator.atoms(np.arange(n_coefficients)).toarray(), matrix, atol=scale)


@each_stack
def test_the_matrix_is_the_product_of_the_layers(shapes, image_shape):
    layers = layers_of(shapes)
    operator = Convolution(composed(layers), image_shape)
    assert_is_the_matrix(operator, product(layers, image_shape))


@each_stack
def test_filters_have_the_announced_shape(shapes, image_shape):
    filters = composed(layers_of(shapes))
    sizes = np.array([shape[2:] for shape in shapes])
    size = (sizes.sum(axis=0) - len(shapes) + 1).tolist()
    assert filters.shape == (shapes[0][0], shapes[-1][1], *size)


@each_stack
def test_adjoint_is_one_adjoint_after_the_other(shapes, image_shape):
    layers = layers_of(shapes)
    operator = Convolution(composed(layers), image_shape)
    images = draw((2, *operator.images_shape), seed=9)
    maps = images
    for one in operators_of(layers, image_shape):
        maps = one.adjoint(maps)
    assert_allclose(operator.adjoint(images), maps, atol=1e-12 * np.abs(maps).max())


@each_stack
def test_forward_draws_the_maps_below_and_then_the_image(shapes, image_shape):
    layers = layers_of(shapes)
    operator = Convolution(composed(layers), image_shape)
    maps = draw((2, *operator.maps_shape), seed=9)
    images = maps
    for one in reversed(operators_of(layers, image_shape)):
        images = one.forward(images)
    assert_allclose(operator.forward(maps), images, atol=1e-12 * np.abs(images).max())


def test_the_order_of_composing_does_not_matter():
    top, middle, bottom = layers_of(STACKS["three"][0])
    left = compose(compose(top, middle), bottom)
    assert_allclose(left, compose(top, compose(middle, bottom)), atol=1e-12)


def test_one_pixel_of_one_is_neutral():
    filters = draw((3, 2, 3, 4))
    assert_array_equal(compose(np.eye(3)[:, :, None, None], filters), filters)
    assert_array_equal(compose(filters, np.eye(2)[:, :, None, None]), filters)


def test_flat_filters_become_a_pyramid():
    filters = compose(np.ones((1, 1, 1, 3)), np.ones((1, 1, 2, 2)))
    assert_array_equal(filters[0, 0], [[1, 2, 2, 1], [1, 2, 2, 1]])


@each_dtype
@each_stack
def test_dtype_is_kept(shapes, image_shape, dtype):
    layers = layers_of(shapes, dtype)
    filters = composed(layers)
    assert filters.dtype == dtype
    exact = composed([layer.astype(np.float64) for layer in layers])
    assert_allclose(filters, exact, atol=100 * np.finfo(dtype).eps * np.abs(exact).max())


def test_filters_are_left_alone():
    upper, lower = layers_of(STACKS["two"][0])
    before = upper.copy(), lower.copy()
    compose(upper, lower)[:] = 0
    assert_array_equal(upper, before[0])
    assert_array_equal(lower, before[1])


def test_filters_may_lie_in_any_order_in_memory():
    upper, lower = layers_of(STACKS["colour"][0])
    expected = compose(upper, lower)
    strided = compose(np.asfortranarray(upper), np.asfortranarray(lower))
    assert_allclose(strided, expected, atol=1e-12)


def test_filters_see_the_channels_that_their_maps_see():
    upper, lower = draw((4, 3, 3, 2)), draw((3, 3, 2, 2), seed=1)
    sees_maps = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)
    sees_channels = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    upper[~sees_maps] = 0
    lower[~sees_channels] = 0
    filters = compose(upper, lower)
    seen = filters.any(axis=(2, 3))
    assert_array_equal(seen, [[1, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])
    operator = Convolution(filters, (4, 5))
    assert_is_the_matrix(operator, product([upper, lower], (4, 5)))


@settings(max_examples=30, deadline=None, database=None)
@given(
    numbers=st.tuples(*(st.integers(1, 3) for _ in range(3))),
    sizes=st.tuples(*(st.integers(1, 4) for _ in range(4))),
    image_shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    seed=st.integers(0, 100),
)
def test_any_two_layers(numbers, sizes, image_shape, seed):
    n_filters, n_maps, n_channels = numbers
    upper = draw((n_filters, n_maps, *sizes[:2]), seed)
    lower = draw((n_maps, n_channels, *sizes[2:]), seed + 1000)
    operator = Convolution(compose(upper, lower), image_shape)
    assert_is_the_matrix(operator, product([upper, lower], image_shape))
