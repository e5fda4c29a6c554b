"""Coordinate descent on chosen coefficients of a convolution."""

from __future__ import annotations

import numpy as np

from skdeconv.kernels._compiled._jit import jit
from skdeconv.kernels._compiled._padding import fill, unfill
from skdeconv.kernels._compiled._vectors import add, add_known, dot, energy_known


@jit
def descend(
    images, padded, known, masked, taps, begins, places, norms, h, w, wide, weight, positive,
    indptr, pixel, kernel, slopes, values, n_sweeps, residual,
):  # fmt: skip
    """Sweep over the coefficients of each image; ``values`` and ``residual`` are overwritten."""
    _, _, height, width = images.shape
    stride = width + 2 * (w - 1)
    cut, inverse = found_cut(pixel, height, width, h, w, masked), np.empty_like(values)
    for s in range(len(images)):
        start, end = indptr[s], indptr[s + 1]
        fill(padded, images, s, h, w)
        invert(
            start, end, known, taps, begins, places, norms, stride, h, wide, weight, kernel, pixel,
            cut, slopes, inverse,
        )  # fmt: skip
        subtract(
            start, end, padded, known, taps, begins, places, stride, h, wide, kernel, pixel, cut,
            values,
        )  # fmt: skip
        sweep(
            start, end, padded, known, taps, begins, places, stride, h, wide, positive, kernel,
            pixel, cut, slopes, inverse, values, n_sweeps, images.dtype.type(0),
        )  # fmt: skip
        unfill(padded, residual, s, h, w)


@jit
def found_cut(pixel, height, width, h, w, masked):
    """Whether atoms reach beyond the image, or may reach over missing pixels."""
    stride, cut = width + 2 * (w - 1), np.empty(len(pixel), np.bool_)
    for i in range(len(pixel)):
        y, x = pixel[i] // stride, pixel[i] % stride
        cut[i] = masked or y < h - 1 or x < w - 1 or y >= height or x >= width
    return cut


@jit
def invert(
    start, end, known, taps, begins, places, norms, stride, h, wide, weight, kernel, pixel, cut,
    slopes, inverse,
):  # fmt: skip
    """Inverse squared norms of atoms, and thresholds instead of slopes."""
    zero, one = norms.dtype.type(0), norms.dtype.type(1)
    for i in range(start, end):
        k = kernel[i]
        tap, first, last = begins[k] * h * wide, begins[k], begins[k + 1]
        norm = norms[k]
        if cut[i]:
            norm = energy_known(taps, tap, known, pixel[i], places, first, last, stride, h, wide)
        # Coefficients of atoms that are zero are left as they are.
        inverse[i] = one / norm if norm > 0 else zero
        slopes[i] *= inverse[i] / weight


@jit
def subtract(
    start, end, padded, known, taps, begins, places, stride, h, wide, kernel, pixel, cut, values
):
    """Subtract the reconstruction from a padded image."""
    for i in range(start, end):
        if values[i] != 0:
            k, at = kernel[i], pixel[i]
            tap, first, last = begins[k] * h * wide, begins[k], begins[k + 1]
            if cut[i]:
                add_known(
                    -values[i], taps, tap, padded, known, at, places, first, last, stride, h, wide
                )
            else:
                add(-values[i], taps, tap, padded, at, places, first, last, stride, h, wide)


@jit
def sweep(
    start, end, padded, known, taps, begins, places, stride, h, wide, positive, kernel, pixel, cut,
    slopes, inverse, values, n_sweeps, enough,
):  # fmt: skip
    """Coordinate descent on the residual in a padded image; returns the number of sweeps.

    They end where no inner product of an atom was changed by more than ``enough``.
    """
    zero, done = padded.dtype.type(0), 0
    while done < n_sweeps:
        done += 1
        largest = zero
        for i in range(start, end):
            if inverse[i] > 0:
                k, at, old = kernel[i], pixel[i], values[i]
                tap, first, last = begins[k] * h * wide, begins[k], begins[k + 1]
                inner = dot(taps, tap, padded, at, places, first, last, stride, h, wide)
                goal = old + inner * inverse[i]
                new = max((goal if positive else abs(goal)) - slopes[i], zero)
                values[i] = new if goal > 0 else -new
                change = old - values[i]
                if change != 0:
                    largest = max(largest, abs(change) / inverse[i])
                    # A call of a compiled function here would take three times as long as the rest.
                    if cut[i]:
                        add_known(
                            change, taps, tap, padded, known, at, places, first, last, stride, h,
                            wide,
                        )  # fmt: skip
                    else:
                        add(change, taps, tap, padded, at, places, first, last, stride, h, wide)
        if largest <= enough:
            break
    return done
