"""Pooling by its definition, block by block, and unpooling as an explicit matrix."""

import numpy as np


def pool_by_loops(maps, shape):
    """Values and switches of maps (n_samples, n_maps, height, width), by visiting every block."""
    (rows, columns, neighbours), (n_samples, *sizes) = shape, maps.shape
    block = neighbours, rows, columns
    counts = [-(-size // part) for size, part in zip(sizes, block, strict=True)]
    values = np.empty((n_samples, *counts), dtype=maps.dtype)
    switches = np.empty((n_samples, *counts), dtype=np.int64)
    for i, *corner in np.ndindex(values.shape):
        # The first column comes first, in it the first row, and at it the first map.
        candidates = []
        for column, row, k in np.ndindex(columns, rows, neighbours):
            place = [a * b + c for a, b, c in zip(corner, block, (k, row, column), strict=True)]
            if all(a < size for a, size in zip(place, sizes, strict=True)):
                value = maps[i, *place]
                position = (k * rows + row) * columns + column
                candidates.append((abs(value), not np.signbit(value), value, position))
        best = max(candidates, key=lambda one: one[:2])
        values[i, *corner], switches[i, *corner] = best[2:]
    return values, switches


def unpooling_matrix(switches, shape, maps_shape):
    """Matrix of zeros and ones from pooled maps to maps, both in C order, of one image."""
    rows, columns, neighbours = shape
    matrix = np.zeros((*maps_shape, switches.size))
    for j, corner in enumerate(np.ndindex(switches.shape)):
        plane, rest = divmod(int(switches[corner]), rows * columns)
        row, column = divmod(rest, columns)
        k, y, x = corner
        matrix[k * neighbours + plane, y * rows + row, x * columns + column, j] = 1
    return matrix.reshape(-1, switches.size)
