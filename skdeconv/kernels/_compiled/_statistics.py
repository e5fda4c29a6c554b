"""Sums over the non-zero coefficients of maps, of which the filters are learned."""

from __future__ import annotations

from skdeconv.kernels._compiled._jit import jit


@jit
def add_pairs(key, kernel, values, begin, end, first, stride, h, w, n_filters, sums):
    """Add products of coefficients, of which the first is one of ``begin`` to ``end``.

    ``first`` holds, for each row from that of ``begin`` on, where the others begin that are within
    the window, or a lower bound; it is overwritten.
    """
    for i in range(begin, end):
        for dy in range(h):
            under = key[i] + dy * stride
            j = first[dy]
            while j < len(key) and (key[j] <= under - w or j <= i):
                j += 1
            first[dy] = j
            at = (kernel[i] * n_filters * h + dy) * (2 * w - 1) + w - 1 - under
            while j < len(key) and key[j] < under + w:
                sums[at + kernel[j] * h * (2 * w - 1) + key[j]] += values[i] * values[j]
                j += 1


@jit
def add_patches(corner, kernel, values, padded, line, h, width, sums):
    """Add multiples of the windows of a padded stack; ``width`` numbers are a row of a window."""
    for i in range(len(values)):
        value, at = values[i], kernel[i] * h * width
        for row in range(h):
            under = corner[i] + row * line
            for x in range(width):
                sums[at + row * width + x] += value * padded[under + x]
