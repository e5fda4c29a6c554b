"""Pooling, compiled and portable, against naive loops."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference.pooling import pool_by_loops

from skdeconv.operators import Convolution, pool

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


@each_shape
@each_dtype
def test_pooling(shapes, dtype, kernels):
    maps_shape = Convolution(np.zeros(shapes[0]), shapes[1]).maps_shape
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
