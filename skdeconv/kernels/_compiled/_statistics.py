"""Sums over the non-zero coefficients of maps, of which the filters are learned."""

from __future__ import annotations

from skdeconv.kernels._compiled._jit import jit


@jit
def add_pairs(key, kernel, values, begin, end, first, stride, h, w, n_filters, sums):
    """Add products of coefficients, of which the first is one of ``begin`` to ``end``.

    ``first`` holds, for each row from that of ``begin`` on, where the others begin that are within
    the window, or a lower bound; it is overwritten.
    """
    width, number = 2 * w - 1, len(key)
    for i in range(begin, end):
        for dy in range(h):
            under = key[i] + dy * stride
            j = max(first[dy], i + 1)
            while j < number and key[j] <= under - w:
                j += 1
            first[dy] = j
            at = (kernel[i] * n_filters * h + dy) * width + w - 1 - under
            while j < number and key[j] < under + w:
                sums[at + kernel[j] * h * width + key[j]] += values[i] * values[j]
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


@jit
def draw_patches(corner, kernel, values, filters, line, h, width, padded):
    """Add multiples of filters to a padded stack; the adjoint of ``add_patches``."""
    for i in range(len(values)):
        value, at = values[i], kernel[i] * h * width
        for row in range(h):
            under = corner[i] + row * line
            for x in range(width):
                padded[under + x] += value * filters[at + row * width + x]


@jit
def count_unseen(corner, known, line, h, w, begins):
    """Count the coefficients whose filters reach each unseen pixel, one place ahead."""
    for i in range(len(corner)):
        for a in range(h):
            for b in range(w):
                pixel = corner[i] + a * line + b
                begins[pixel + 1] += not known[pixel]


@jit
def list_unseen(corner, kernel, values, known, line, h, w, begins, taps, weights):
    """List them, with their taps, where ``begins`` says one place ahead, which is overwritten."""
    for i in range(len(corner)):
        for a in range(h):
            for b in range(w):
                pixel = corner[i] + a * line + b
                if not known[pixel]:
                    at = begins[pixel + 1]
                    taps[at] = (kernel[i] * h + a) * w + b
                    weights[at] = values[i]
                    begins[pixel + 1] = at + 1


@jit
def subtract_products(begins, taps, weights, first, last, gram):
    """Subtract the products of all pairs of weights of each pixel."""
    for pixel in range(first, last):
        for i in range(begins[pixel], begins[pixel + 1]):
            for j in range(begins[pixel], begins[pixel + 1]):
                gram[taps[i], taps[j]] -= weights[i] * weights[j]
