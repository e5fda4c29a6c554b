"""Operators that follow each other, against the product of their explicit matrices."""

import functools
from operator import matmul

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from reference.pooling import unpooling_matrix
from scipy.sparse import csc_array

from skdeconv.operators import (
    Composition,
    Convolution,
    Masked,
    SparseOperator,
    Unpooling,
    compose,
    pool,
)

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


# Layers from the bottom up: filters (n_filters, n_channels, h, w), and blocks of pooling
# (rows, columns, neighbouring maps); and the image (height, width).
NETWORKS = {
    "pooled": ([(3, 1, 3, 3), (2, 2, 1), (2, 3, 2, 3)], (6, 6)),
    "ragged": ([(3, 1, 3, 3), (3, 2, 2), (2, 2, 2, 3)], (6, 7)),
    "colour": ([(4, 3, 2, 3), (2, 3, 2), (3, 2, 3, 2)], (4, 5)),
    "signal": ([(3, 1, 1, 4), (1, 3, 2), (2, 2, 1, 3)], (1, 13)),
    "switches on top": ([(3, 1, 3, 3), (3, 3, 2)], (6, 5)),
    "three layers": ([(3, 1, 2, 2), (2, 2, 1), (3, 3, 2, 2), (2, 3, 2), (2, 2, 2, 1)], (7, 6)),
    "blocks of one": ([(2, 1, 3, 2), (1, 1, 1), (2, 2, 2, 2)], (4, 5)),
    "one block": ([(2, 1, 2, 2), (9, 9, 2), (3, 1, 2, 3)], (4, 3)),
    "convolutions alone": ([(3, 2, 2, 2), (2, 3, 3, 2)], (4, 4)),
    "one convolution": ([(2, 1, 3, 3)], (4, 5)),
}
each_network = pytest.mark.parametrize(
    ("layers", "image_shape"), NETWORKS.values(), ids=NETWORKS.keys()
)


def network(layers, image_shape, dtype=np.float64, seed=0):
    """Operators of the layers from the bottom up, and their explicit matrices."""
    operators, matrices, drawn = [], [], (None, *image_shape)
    for number, layer in enumerate(layers, seed):
        if len(layer) == 3:
            switches = pool(draw((1, *drawn), number), layer)[1][0]
            operators.append(Unpooling(switches, layer, drawn))
            matrices.append(unpooling_matrix(switches, layer, drawn))
        else:
            filters = draw(layer, number, dtype)
            operators.append(Convolution(filters, drawn[1:]))
            matrices.append(explicit_matrix(filters, drawn[1:]))
        drawn = operators[-1].maps_shape
    return operators, matrices


def multiplied(matrices):
    return np.linalg.multi_dot(matrices) if len(matrices) > 1 else matrices[0]


@each_network
def test_a_composition_is_the_product_of_its_matrices(layers, image_shape):
    operators, matrices = network(layers, image_shape)
    composition = Composition(*operators)
    assert composition.images_shape == operators[0].images_shape
    assert composition.maps_shape == operators[-1].maps_shape
    assert_is_the_matrix(composition, multiplied(matrices))


@each_network
def test_compositions_compose(layers, image_shape):
    operators, matrices = network(layers, image_shape)
    for cut in range(1, len(operators)):
        nested = Composition(Composition(*operators[:cut]), Composition(*operators[cut:]))
        assert_is_the_matrix(nested, multiplied(matrices))


@each_dtype
@each_network
def test_operators_are_multiplied(layers, image_shape, dtype):
    operators, matrices = network(layers, image_shape, dtype)
    tol = 500 * np.finfo(dtype).eps if dtype == np.float32 else 1e-12
    for cut in range(len(operators) - 1):
        upper, lower = operators[cut : cut + 2]
        pair = upper @ lower
        assert pair.images_shape == upper.images_shape
        assert pair.maps_shape == lower.maps_shape
        assert pair.dtype == np.result_type(upper.dtype, lower.dtype)
        assert_is_the_matrix(pair, multiplied(matrices[cut : cut + 2]), tol)
    whole = functools.reduce(matmul, operators)
    assert whole.images_shape == operators[0].images_shape
    assert whole.maps_shape == operators[-1].maps_shape
    assert whole.dtype == dtype
    assert_is_the_matrix(whole, multiplied(matrices), tol)


def test_masked_and_sparse_operators_are_multiplied():
    (lower, pooled, upper), matrices = network(*NETWORKS["ragged"])
    known = draw(lower.images_shape, seed=3) > 0
    matrix = known.reshape(-1, 1) * multiplied(matrices)
    assert_is_the_matrix(Masked(lower, known) @ pooled @ upper, matrix)
    assert_is_the_matrix(Masked(None, known) @ lower @ pooled @ upper, matrix)
    rows = SparseOperator(csc_array(matrices[0]), lower.images_shape, lower.maps_shape)
    assert_is_the_matrix(rows @ (pooled @ upper), multiplied(matrices))


@each_network
def test_norm_of_a_composition_bounds_the_largest_singular_value(layers, image_shape):
    for seed in (0, 100):
        operators, matrices = network(layers, image_shape, seed=seed)
        bound = Composition(*operators).norm()
        assert bound >= np.linalg.norm(multiplied(matrices), 2) * (1 - 1e-12)
        assert bound == pytest.approx(np.prod([one.norm() for one in operators]), rel=1e-12)


@each_dtype
@each_network
def test_a_composition_keeps_the_dtype(layers, image_shape, dtype):
    operators, matrices = network(layers, image_shape, dtype)
    composition, matrix = Composition(*operators), multiplied(matrices)
    maps = draw((3, *composition.maps_shape), 5, dtype)
    images = draw((3, *composition.images_shape), 6, dtype)
    drawn, correlated = composition.forward(maps), composition.adjoint(images)
    assert drawn.dtype == correlated.dtype == dtype
    atoms = composition.atoms(np.arange(matrix.shape[1]))
    assert atoms.dtype == dtype
    tol = 500 * np.finfo(dtype).eps * np.abs(matrix).max()
    assert_allclose(drawn.reshape(3, -1), maps.reshape(3, -1) @ matrix.T, atol=tol)
    assert_allclose(correlated.reshape(3, -1), images.reshape(3, -1) @ matrix, atol=tol)
    assert_allclose(atoms.toarray(), matrix, atol=tol)


@each_network
def test_chosen_atoms_of_a_composition(layers, image_shape):
    operators, matrices = network(layers, image_shape)
    composition, matrix = Composition(*operators), multiplied(matrices)
    last = matrix.shape[1] - 1
    for index in ([last], [0, 0, last, 0], np.random.default_rng(3).permutation(last + 1), []):
        index = np.array(index, dtype=np.int64)
        atoms = composition.atoms(index)
        assert atoms.shape == (len(matrix), len(index))
        assert atoms.indices.dtype == atoms.indptr.dtype == np.int32
        assert_allclose(atoms.toarray(), matrix[:, index], atol=1e-12 * np.abs(matrix).max())
        assert_array_equal(composition.atoms(index.astype(np.int32)).toarray(), atoms.toarray())


@each_network
def test_an_image_does_not_depend_on_its_neighbours(layers, image_shape):
    composition = Composition(*network(layers, image_shape)[0])
    maps, images = draw((3, *composition.maps_shape)), draw((3, *composition.images_shape))
    drawn, correlated = composition.forward(maps), composition.adjoint(images)
    for one in range(3):
        assert_array_equal(composition.forward(maps[one : one + 1])[0], drawn[one])
        assert_array_equal(composition.adjoint(images[one : one + 1])[0], correlated[one])


def test_a_composition_leaves_its_arguments_alone():
    composition = Composition(*network(*NETWORKS["ragged"])[0])
    maps, images = draw((2, *composition.maps_shape)), draw((2, *composition.images_shape))
    composition.forward(maps)
    composition.adjoint(images)
    assert_array_equal(maps, draw(maps.shape))
    assert_array_equal(images, draw(images.shape))
