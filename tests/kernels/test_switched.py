"""Few atoms, atoms at switches, and pooling, compiled and portable, against naive loops."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from reference.pooling import pool_by_loops, unpooling_matrix

from skdeconv.filters._through import patch_sums
from skdeconv.inference import AdaptedMaps
from skdeconv.operators import (
    Composition,
    Convolution,
    Masked,
    SwitchedConvolution,
    Unpooling,
    _switched,
    pool,
)

TOLERANCE = {np.float32: 3e-5, np.float64: 1e-12}
# Filters (n_filters, n_channels, h, w), image (height, width), block (rows, columns, maps).
SHAPES = {
    "grey": ((6, 1, 7, 7), (9, 12), (3, 3, 3)),
    "rows of several vectors": ((4, 5, 3, 7), (8, 15), (3, 3, 2)),
    "an odd number of vectors": ((5, 3, 2, 6), (7, 5), (2, 3, 2)),
    "signal": ((3, 2, 1, 20), (1, 50), (1, 4, 1)),
    "column": ((2, 1, 9, 1), (40, 1), (3, 1, 2)),
    "smaller than the filters": ((3, 2, 6, 5), (2, 3), (3, 2, 2)),
    "single taps": ((2, 3, 1, 1), (5, 5), (1, 1, 1)),
}
each_shape = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])


def make(shapes, dtype, seed=0):
    """A convolution that lacks connections, its matrix, and switches of one image."""
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(shapes[0]).astype(dtype)
    filters[rng.random(shapes[0][:2]) < 0.2] = 0
    operator = Convolution(filters, shapes[1])
    switches = pool_by_loops(rng.standard_normal((1, *operator.maps_shape)), shapes[2])[1][0]
    return operator, explicit_matrix(filters, shapes[1]), switches


@pytest.mark.parametrize("largest_atom", [0, 10**6], ids=["convolution", "columns"])
@each_shape
@each_dtype
def test_atoms_at_switches(shapes, dtype, largest_atom, kernels, monkeypatch):
    monkeypatch.setattr(_switched, "_LARGEST_ATOM", largest_atom)
    convolution, matrix, switches = make(shapes, dtype)
    matrix = matrix @ unpooling_matrix(switches, shapes[2], convolution.maps_shape)
    unpooling = Unpooling(switches, shapes[2], convolution.maps_shape)
    operator = SwitchedConvolution(convolution, unpooling)
    rng = np.random.default_rng(1)
    maps = rng.standard_normal((3, *operator.maps_shape)).astype(dtype)
    maps[1] = 0
    images = rng.standard_normal((3, *operator.images_shape)).astype(dtype)
    drawn, pulled = operator.forward(maps), operator.adjoint(images)
    assert drawn.dtype == pulled.dtype == operator.dtype == dtype
    atol = TOLERANCE[dtype]
    assert_allclose(drawn.reshape(3, -1), maps.reshape(3, -1) @ matrix.T, atol=atol)
    assert_allclose(pulled.reshape(3, -1), images.reshape(3, -1) @ matrix, atol=atol)
    again = pickle.loads(pickle.dumps(operator))
    for one in range(3):
        assert_array_equal(again.forward(maps[[one]])[0], drawn[one])
        assert_array_equal(again.adjoint(images[[one]])[0], pulled[one])
    index = rng.permutation(matrix.shape[1])[:5]
    assert_allclose(operator.atoms(index).toarray(), matrix[:, index], atol=atol)
    assert operator.norm() >= np.linalg.norm(matrix, 2) * (1 - 1e-6)


@each_shape
@each_dtype
def test_images_drawn_from_few_coefficients(shapes, dtype, kernels):
    lower, matrix, switches = make(shapes, dtype)
    unpooling = Unpooling(switches, shapes[2], lower.maps_shape)
    rng = np.random.default_rng(2)
    filters = rng.standard_normal((3, len(switches), 3, 2)).astype(dtype)
    upper = Convolution(filters, switches.shape[1:])
    whole = matrix @ unpooling_matrix(switches, shapes[2], lower.maps_shape)
    whole = whole @ explicit_matrix(filters, switches.shape[1:])
    through = Composition(SwitchedConvolution(lower, unpooling), upper)
    known = rng.random(lower.images_shape) < 0.7
    for operator, explicit in (
        (lower, matrix),
        (through, whole),
        (Masked(through, known), whole * known.reshape(-1, 1)),
        (lower @ unpooling, matrix[:, unpooling.index.ravel()]),
    ):
        for n_chosen in (0, 1, 9):
            index = rng.permutation(explicit.shape[1])[:n_chosen]
            values = rng.standard_normal(len(index)).astype(dtype)
            drawn = operator.drawn(index, values)
            assert drawn.shape == (1, *operator.images_shape)
            assert drawn.dtype == dtype
            expected = explicit[:, index] @ values
            assert_allclose(drawn.ravel(), expected, atol=10 * TOLERANCE[dtype])


@each_shape
@each_dtype
def test_pooling(shapes, dtype, kernels):
    maps_shape = make(shapes, dtype)[0].maps_shape
    for levels in (1, 3, 1000):
        # Ties, also between values of both signs and between zeros.
        rng = np.random.default_rng(levels)
        maps = rng.integers(-levels, levels, (2, *maps_shape), endpoint=True)
        maps = np.where(maps, maps, -0.0 if levels == 1 else 0).astype(dtype)
        values, switches = pool(maps, shapes[2])
        expected, places = pool_by_loops(maps, shapes[2])
        assert values.dtype == dtype
        assert_array_equal(values, expected)
        assert_array_equal(np.signbit(values), np.signbit(expected))
        assert_array_equal(switches, places)


def test_long_work_is_divided(monkeypatch):
    atoms = pytest.importorskip("skdeconv.kernels._compiled._atoms")
    fast = pytest.importorskip("skdeconv.kernels._compiled")
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")
    convolution, _, switches = make(SHAPES["grey"], np.float64)
    unpooling = Unpooling(switches, SHAPES["grey"][2], convolution.maps_shape)
    operator = SwitchedConvolution(convolution, unpooling)
    rng = np.random.default_rng(3)
    maps = rng.standard_normal((2, *operator.maps_shape))
    images = rng.standard_normal((2, *operator.images_shape))
    index = np.arange(0, 300, 7)
    sparse = AdaptedMaps(index, rng.standard_normal(len(index)), None, 0.0, None)
    many = rng.standard_normal((3, 4, 5, 6))

    def everything():
        sums = patch_sums(sparse, images[:1], convolution.filters.shape)
        return operator.forward(maps), operator.adjoint(images), sums, *pool(many, (2, 2, 2))

    expected, calls = everything(), []
    for module, name in (
        (atoms._chosen, "draw"),
        (atoms._chosen, "inner"),
        (fast._pooling, "pool"),
    ):
        whole = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *args, whole=whole, name=name: (calls.append(name), whole(*args))
        )
    monkeypatch.setattr(atoms, "_WORK", 10 * 7 * 8)
    monkeypatch.setattr(fast, "_WORK", 1)
    for found, wanted in zip(everything(), expected, strict=True):
        assert_array_equal(found, wanted)
    n_parts = -(-switches.size // 10)
    assert [calls.count(name) for name in ("draw", "inner", "pool")] == [2 * n_parts] * 2 + [3]
