"""Pooling with switches, and the way back, against loops over the blocks."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference.pooling import pool_by_loops, unpooling_matrix

from skdeconv.operators import Unpooling, check_switches, flat_switches, pool, pooled_shape, unpool

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
# Maps (n_maps, height, width), and a block's (rows, columns, neighbouring maps).
SHAPES = {
    "whole blocks": ((4, 6, 6), (2, 3, 2)),
    "ragged everywhere": ((5, 7, 8), (3, 3, 2)),
    "one": ((3, 4, 5), (1, 1, 1)),
    "space alone": ((2, 5, 4), (2, 2, 1)),
    "maps alone": ((5, 3, 2), (1, 1, 3)),
    "larger than the maps": ((2, 3, 4), (5, 6, 3)),
    "signal": ((3, 1, 11), (1, 4, 2)),
    "strides differ": ((3, 7, 10), (2, 5, 3)),
}
each_shape = pytest.mark.parametrize(("maps_shape", "shape"), SHAPES.values(), ids=SHAPES.keys())


def draw(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_same_bits(found, expected):
    """Equality that tells 0.0 from -0.0."""
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected)
    assert_array_equal(np.signbit(found), np.signbit(expected))


def assert_pools_like_loops(maps, shape):
    before = maps.copy()
    values, switches = pool(maps, shape)
    expected_values, expected_switches = pool_by_loops(maps, shape)
    assert_same_bits(values, expected_values)
    assert_array_equal(switches, expected_switches)
    assert switches.dtype == np.min_scalar_type(int(np.prod(shape)) - 1)
    assert values.shape == (len(maps), *pooled_shape(maps.shape[1:], shape))
    assert_same_bits(maps, before)


def test_the_example_of_the_paper():
    # Figure 2b of the paper; its switches are (x, y, map) from 1, with y counted upwards.
    first = [[0.45, 0, -0.55, 0], [-0.21, 0, 0, 0.12], [0, 0.71, -0.45, 0], [-0.01, 0, 0.13, 0.23]]
    second = [[0.15, 0.07, 0, 0.07], [0, -0.86, 0, -0.01], [0, 0.04, 0, 0], [-0.51, 0, 0.53, 0]]
    maps = np.array([[first, second]])
    x, y, k = np.moveaxis([[(2, 1, 2), (1, 2, 1)], [(2, 2, 1), (1, 1, 2)]], 2, 0)
    values, switches = pool(maps, (2, 2, 2))
    assert_array_equal(values, [[[[-0.86, -0.55], [0.71, 0.53]]]])
    assert_array_equal(switches[0, 0], 4 * (k - 1) + 2 * (2 - y) + (x - 1))
    expected = np.zeros((1, 2, 4, 4))
    expected[0, 0, 0, 2], expected[0, 0, 2, 1] = -0.55, 0.71
    expected[0, 1, 1, 1], expected[0, 1, 3, 2] = -0.86, 0.53
    assert_array_equal(unpool(values, switches, (2, 2, 2), (2, 4, 4)), expected)


@each_dtype
@each_shape
def test_pooling_is_that_by_loops(maps_shape, shape, dtype):
    assert_pools_like_loops(draw((2, *maps_shape), dtype=dtype), shape)


@settings(max_examples=150, deadline=None, database=None)
@given(
    maps_shape=st.tuples(*(st.integers(1, n) for n in (3, 5, 7, 7))),
    shape=st.tuples(*(st.integers(1, n) for n in (8, 8, 6))),
    # Few levels have ties, also between signs; the magnitudes reach the ends of both types.
    levels=st.sampled_from([1, 2, 1000]),
    scale=st.sampled_from([1.0, 1e-44, 1e35, 5e-324, 1e304]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 1000),
)
def test_pooling_any_maps(maps_shape, shape, levels, scale, dtype, seed):
    rng = np.random.default_rng(seed)
    scale = scale if dtype == np.float64 or 1e-45 < scale < 1e38 else 1.0
    maps = (rng.integers(-levels, levels + 1, maps_shape) * scale).astype(dtype)
    # Zeros of both signs.
    maps[(maps == 0) & (rng.random(maps_shape) < 0.5)] = -0.0
    assert np.isfinite(maps).all()
    assert_pools_like_loops(maps, shape)


@each_dtype
def test_of_one_modulus_the_positive_value_wins(dtype):
    for values in ([-2, 2, 1, 0], [2, -2, 0, 1], [0, -2, -2, 2]):
        for order in ((0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)):
            block = np.array(values, dtype)[list(order)]
            for maps_shape, shape in (
                ((1, 2, 2), (2, 2, 1)),
                ((4, 1, 1), (1, 1, 4)),
                ((2, 1, 2), (1, 2, 2)),
                ((1, 4, 1), (4, 1, 1)),
            ):
                value, switch = pool(block.reshape(1, *maps_shape), shape)
                assert value.item() == 2
                assert block[switch.item()] == 2


def test_of_equal_values_that_in_the_first_column_then_row_then_map_wins():
    def winner(*places):
        maps = np.zeros((1, 2, 2, 2))
        for place in places:
            maps[0, *place] = 3
        return pool(maps, (2, 2, 2))[1].item()

    # Positions (map, row, column) in C order.
    assert winner((0, 0, 1), (1, 1, 0)) == 6
    assert winner((0, 1, 0), (1, 0, 0)) == 4
    assert winner((0, 1, 1), (1, 0, 1)) == 5
    assert winner((0, 1, 1), (1, 1, 1)) == 3
    assert winner((0, 0, 0), (1, 0, 0)) == 0


@each_dtype
def test_zeros_of_either_sign(dtype):
    for zero in (0.0, -0.0):
        values, switches = pool(np.full((1, 3, 5, 4), zero, dtype), (2, 3, 2))
        assert_same_bits(values, np.full((1, 2, 3, 2), zero, dtype))
        assert not switches.any()
    value, switch = pool(np.array([[[[-0.0, 0.0]]]], dtype), (1, 2, 1))
    assert_same_bits(value, np.zeros((1, 1, 1, 1), dtype))
    assert switch.item() == 1


@each_dtype
def test_magnitudes_at_the_ends_of_the_type(dtype):
    info = np.finfo(dtype)
    ladder = np.array(
        [0, info.smallest_subnormal, info.tiny, 1, np.nextafter(dtype(1), dtype(2)), info.max],
        dtype,
    )
    for low, high in pairwise(ladder):
        for sign in (-1, 1):
            value, switch = pool(np.array([[[[-low, sign * high, low]]]], dtype), (1, 3, 1))
            assert value.item() == sign * high
            assert switch.item() == 1


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1, 1, 1), np.uint8),
        ((3, 3, 2), np.uint8),
        ((1, 1, 256), np.uint8),
        ((8, 8, 4), np.uint8),
        ((16, 16, 1), np.uint8),
        ((256, 1, 1), np.uint8),
        ((1, 256, 1), np.uint8),
        ((1, 257, 1), np.uint16),
        ((257, 1, 1), np.uint16),
        ((16, 16, 2), np.uint16),
        ((10, 10, 10), np.uint16),
        ((256, 256, 1), np.uint16),
        ((257, 256, 1), np.uint32),
    ],
    ids=str,
)
def test_switches_are_of_the_smallest_type(shape, dtype):
    rows, columns, neighbours = shape
    maps = np.zeros((1, neighbours, rows, columns), np.float32)
    for place in ((0, 0, 0), (-1, -1, -1), (-1, 0, 0), (0, -1, 0), (0, 0, -1)):
        maps[0, *place] = -1
        values, switches = pool(maps, shape)
        assert switches.dtype == dtype
        assert values.item() == -1
        assert maps[0].ravel()[switches.item()] == -1
        maps[0, *place] = 0


@each_dtype
@each_shape
def test_a_sample_does_not_depend_on_its_neighbours(maps_shape, shape, dtype):
    maps = draw((4, *maps_shape), dtype=dtype)
    values, switches = pool(maps, shape)
    back = unpool(values, switches, shape, maps_shape)
    for one in range(4):
        alone = pool(maps[one : one + 1], shape)
        assert_array_equal(alone[0][0], values[one])
        assert_array_equal(alone[1][0], switches[one])
        assert_array_equal(unpool(*alone, shape, maps_shape)[0], back[one])


def test_maps_may_lie_in_any_order_in_memory():
    maps = draw((7, 5, 6, 2)).transpose(3, 1, 0, 2)
    assert_pools_like_loops(maps, (3, 2, 2))
    assert_pools_like_loops(draw((2, 4, 5, 12))[..., ::2], (2, 2, 2))
    frozen = draw((1, 4, 5, 6))
    frozen.flags.writeable = False
    assert_pools_like_loops(frozen, (2, 4, 2))


@each_dtype
@each_shape
def test_unpooled_maps_hold_the_values_and_pool_to_them(maps_shape, shape, dtype):
    maps = draw((3, *maps_shape), dtype=dtype)
    values, switches = pool(maps, shape)
    back = unpool(values, switches, shape, maps_shape)
    assert back.shape == maps.shape
    assert back.dtype == dtype
    assert np.count_nonzero(back) == values.size
    kept = back != 0
    assert_array_equal(back[kept], maps[kept])
    again = pool(back, shape)
    assert_same_bits(again[0], values)
    assert_array_equal(again[1], switches)


@each_dtype
@each_shape
def test_unpooling_is_a_matrix_of_zeros_and_ones(maps_shape, shape, dtype):
    switches = pool(draw((1, *maps_shape)), shape)[1][0]
    unpooling = Unpooling(switches, shape, maps_shape)
    matrix = unpooling_matrix(switches, shape, maps_shape)
    values, images = draw((3, *switches.shape), 1, dtype), draw((3, *maps_shape), 2, dtype)
    drawn, taken = unpooling.forward(values), unpooling.adjoint(images)
    assert unpooling.maps_shape == switches.shape
    assert unpooling.images_shape == maps_shape
    assert drawn.dtype == taken.dtype == dtype
    assert_array_equal(drawn.reshape(3, -1), values.reshape(3, -1) @ matrix.T)
    assert_array_equal(taken.reshape(3, -1), images.reshape(3, -1) @ matrix)
    assert_array_equal(unpooling.adjoint(drawn), values)
    assert unpooling.norm() == np.linalg.norm(matrix, 2) == 1
    index = np.random.default_rng(3).permutation(switches.size)
    atoms = unpooling.atoms(index)
    assert atoms.indices.dtype == atoms.indptr.dtype == np.int32
    assert_array_equal(atoms.toarray(), matrix[:, index])
    assert unpooling.atoms(index[:0]).shape == (len(matrix), 0)


@settings(max_examples=50, deadline=None, database=None)
@given(
    maps_shape=st.tuples(*(st.integers(1, 6) for _ in range(3))),
    shape=st.tuples(*(st.integers(1, 7) for _ in range(3))),
    seed=st.integers(0, 1000),
)
def test_inner_products_agree_and_places_are_distinct(maps_shape, shape, seed):
    maps = draw((1, *maps_shape), seed)
    values, switches = pool(maps, shape)
    unpooling = Unpooling(check_switches(switches[0], shape, maps_shape), shape, maps_shape)
    assert len(np.unique(unpooling.index)) == unpooling.index.size
    # By its own switches pooling is linear.
    assert_array_equal(unpooling.adjoint(maps), values)
    assert_array_equal(flat_switches(switches[0], shape, maps_shape), unpooling.index)
    assert_array_equal(maps.ravel()[unpooling.index], values[0])
    other = draw(values.shape, seed + 1)
    there = np.vdot(unpooling.forward(other), maps)
    assert there == pytest.approx(np.vdot(other, unpooling.adjoint(maps)), rel=1e-12, abs=1e-12)


def test_pooled_shape_rounds_up():
    assert pooled_shape((15, 156, 157), (3, 3, 3)) == (5, 52, 53)
    assert pooled_shape((50, 58, 58), (3, 2, 4)) == (13, 20, 29)
    assert pooled_shape((1, 1, 1), (9, 9, 9)) == (1, 1, 1)


def test_an_empty_stack_gives_an_empty_stack():
    values, switches = pool(np.zeros((0, 3, 5, 5)), (2, 2, 2))
    assert values.shape == switches.shape == (0, 2, 3, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int8, np.int64, np.uint64])
def test_legal_switches_pass(dtype):
    # Maps of 3 x 3, so that the blocks at the far ends have one row or one column.
    switches = np.array([[[3, 2], [1, 0]]], dtype=dtype)
    found = check_switches(switches, (2, 2, 1), (1, 3, 3))
    assert_array_equal(found, switches)
    assert_array_equal(flat_switches(found, (2, 2, 1), (1, 3, 3)), [[[4, 5], [7, 8]]])
    assert_array_equal(check_switches(switches.tolist(), (2, 2, 1), (1, 3, 3)), switches)


@pytest.mark.parametrize("switches", [[[0, 0]], [[[0, 0]]], [[[0, 0], [0, 0], [0, 0]]]], ids=str)
def test_switches_of_another_shape_are_refused(switches):
    with pytest.raises(ValueError, match=r"integers of shape \(1, 2, 2\) .* got int64 of shape"):
        check_switches(np.array(switches), (2, 2, 1), (1, 3, 3))


@pytest.mark.parametrize("dtype", [float, np.float32, bool, object, complex])
def test_switches_of_another_type_are_refused(dtype):
    with pytest.raises(ValueError, match=r"switches must be integers"):
        check_switches(np.zeros((1, 2, 2), dtype), (2, 2, 1), (1, 3, 3))


@pytest.mark.parametrize(
    ("place", "switch"),
    [
        ((0, 0, 0), -1),
        ((0, 0, 0), 8),
        ((0, 0, 0), 2**40),
        # Beyond the far ends: the column, the row, the map.
        ((0, 0, 1), 1),
        ((0, 1, 0), 2),
        ((1, 0, 0), 4),
        ((1, 1, 1), 7),
    ],
    ids=str,
)
def test_switches_that_point_out_are_refused(place, switch):
    switches = np.zeros((2, 2, 2), np.int64)
    check_switches(switches, (2, 2, 2), (3, 3, 3))
    switches[place] = switch
    with pytest.raises(ValueError, match=r"point out of blocks of \(2, 2, 2\) or of maps of \(3"):
        check_switches(switches, (2, 2, 2), (3, 3, 3))


@each_shape
def test_what_pooling_gives_is_legal(maps_shape, shape):
    for seed in range(5):
        switches = pool(draw((1, *maps_shape), seed), shape)[1][0]
        assert check_switches(switches, shape, maps_shape) is switches


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex128])
def test_maps_of_another_type_are_refused(dtype):
    with pytest.raises(TypeError, match=f"float32 or float64, got {np.dtype(dtype)}"):
        pool(np.zeros((1, 2, 4, 4), dtype), (2, 2, 2))
