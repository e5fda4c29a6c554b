"""Convolutions in blocks of an image: against the explicit matrix, and within bounded memory."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix

from skdeconv.operators import Convolution
from skdeconv.operators._blocks import blocks

MODULE = "skdeconv.operators._convolution"
# Filters (n_filters, n_channels, h, w) and image (height, width).
LARGE = {
    "signal": ((4, 20, 1, 60), (1, 30_000)),
    "column": ((4, 20, 60, 1), (30_000, 1)),
    "hyperspectral": ((5, 100, 7, 7), (70, 70)),
    "many filters": ((100, 3, 9, 9), (90, 100)),
    "few channels": ((9, 3, 9, 9), (250, 250)),
}


def draw(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def peak_of(function, *arguments):
    """Bytes that a call, not the first one, holds at most above what was held before."""
    # Loading compiled kernels takes more than the operators do.
    function(*arguments)
    tracemalloc.start()
    function(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.fixture(params=LARGE.values(), ids=LARGE.keys())
def large(request):
    filters_shape, image_shape = request.param
    operator = Convolution(draw(filters_shape, dtype=np.float32), image_shape)
    images = draw((1, *operator.images_shape), 1, np.float32)
    return operator, images, draw((1, *operator.maps_shape), 2, np.float32)


def test_memory_is_a_few_times_that_of_image_and_maps(large):
    operator, images, maps = large
    held = images.nbytes + maps.nbytes
    assert peak_of(operator.adjoint, images) < 4 * held
    assert peak_of(operator.forward, maps) < 4 * held
    # So few that sums over the non-zero coefficients may be faster.
    maps[np.random.default_rng(0).random(maps.shape) > 0.003] = 0
    assert peak_of(operator.forward, maps) < 4 * held


def test_memory_of_the_norm_does_not_grow_with_the_channels():
    operator = Convolution(draw((4, 40, 1, 8)), (1, 20_000))
    held = 8 * (np.prod(operator.images_shape) + np.prod(operator.maps_shape))
    assert peak_of(operator.norm) < 2 * held


@settings(max_examples=60, deadline=None, database=None)
@given(
    filters_shape=st.tuples(*(st.integers(1, n) for n in (4, 4, 5, 5))),
    image_shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    block=st.integers(1, 400),
    least_rows=st.integers(1, 12),
    few=st.booleans(),
    connected=st.floats(0.3, 1),
    seed=st.integers(0, 100),
)
def test_blocks_of_any_size_make_the_matrix(
    filters_shape, image_shape, block, least_rows, few, connected, seed
):
    filters = draw(filters_shape, seed)
    filters[np.random.default_rng(seed).random(filters_shape[:2]) > connected] = 0
    matrix = explicit_matrix(filters, image_shape)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{MODULE}._BLOCK", block)
        patch.setattr(f"{MODULE}._LEAST_ROWS", least_rows)
        operator = Convolution(filters, image_shape)
        operator._few = int(few)
        maps = draw((3, *operator.maps_shape), 1)
        images = draw((3, *operator.images_shape), 2)
        drawn, correlated = operator.forward(maps), operator.adjoint(images)
        assert_allclose(drawn.reshape(3, -1), maps.reshape(3, -1) @ matrix.T, atol=1e-12)
        assert_allclose(correlated.reshape(3, -1), images.reshape(3, -1) @ matrix, atol=1e-12)
        for one in range(3):
            assert_array_equal(operator.forward(maps[[one]])[0], drawn[one])
            assert_array_equal(operator.adjoint(images[[one]])[0], correlated[one])
        assert operator.norm() >= np.linalg.norm(matrix, 2) * (1 - 1e-12)
        bound = operator.norm()
    assert Convolution(filters, image_shape).norm() == pytest.approx(bound, rel=1e-12)


@pytest.mark.parametrize("at_once", [1, 3, 7, 8, 9, 16, 17, 1000])
@pytest.mark.parametrize("taps", [(1, 1), (3, 4), (1, 9), (20, 2)], ids=str)
@pytest.mark.parametrize("image_shape", [(5, 6), (1, 12), (12, 1)], ids=str)
def test_blocks_cover_every_position_once_and_are_small(image_shape, taps, at_once):
    height, width = np.add(image_shape, taps) - 1
    order = np.arange(height * width).reshape(height, width)
    seen = []
    for rows, columns, positions in blocks(image_shape, taps, at_once):
        block = order[rows.places, columns.places].ravel()
        assert_array_equal(block, np.arange(positions.start, positions.stop))
        assert len(block) <= at_once
        seen.append(block)
        for span, n, n_taps in zip((rows, columns), image_shape, taps, strict=True):
            reached = np.add.outer(np.arange(n_taps), np.r_[span.places]) - n_taps + 1
            inside = reached[(reached >= 0) & (reached < n)]
            assert_array_equal(np.r_[span.pixels], np.unique(inside))
            assert span.margins == (
                span.pixels.start - reached.min(),
                reached.max() + 1 - span.pixels.stop,
            )
    assert_array_equal(np.concatenate(seen), order.ravel())
