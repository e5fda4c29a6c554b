"""Correlation of images with filters, and the best filter at each position."""

from __future__ import annotations

import numpy as np

from skdeconv.kernels._compiled._jit import jit
from skdeconv.kernels._compiled._padding import fill
from skdeconv.kernels._compiled._vectors import (
    FILTERS,
    STRIP,
    TILE,
    correlate_strip,
    correlate_tile,
)


@jit
def correlate(images, padded, taps, begins, places, together, h, w, line, maps):
    """Inner products of all windows of images with all filters."""
    n_samples, n_filters, rows, columns = maps.shape
    stride, length = columns + w - 1, line.shape[1]
    for s in range(n_samples):
        fill(padded, images, s, h, w)
        for group in range((n_filters + together - 1) // together):
            first, last = begins[group], begins[group + 1]
            tap = first * together * h * w
            if together == FILTERS:
                for pixel in range(0, rows * stride, TILE):
                    correlate_tile(
                        taps, tap, padded, pixel, places, first, last, stride, h, w, line, pixel,
                        length,
                    )  # fmt: skip
            else:
                for pixel in range(0, rows * stride, STRIP):
                    correlate_strip(
                        taps, tap, padded, pixel, places, first, last, stride, h, w, line, pixel,
                        length,
                    )  # fmt: skip
            for f in range(min(together, n_filters - group * together)):
                for y in range(rows):
                    for x in range(columns):
                        maps[s, group * together + f, y, x] = line[f, y * stride + x]


@jit
def best(
    images, padded, taps, begins, places, n_filters, together, h, w, positive, score, kernel,
    scores, kernels,
):  # fmt: skip
    """Largest score of each position, and its filter."""
    n_samples, rows, columns = scores.shape
    stride = columns + w - 1
    for s in range(n_samples):
        fill(padded, images, s, h, w)
        best_of_windows(
            padded, taps, begins, places, n_filters, together, rows * stride, stride, h, w,
            positive, score, kernel,
        )  # fmt: skip
        for y in range(rows):
            for x in range(columns):
                scores[s, y, x] = score[y * stride + x]
                kernels[s, y, x] = kernel[y * stride + x]


@jit
def best_of_windows(
    padded, taps, begins, places, n_filters, together, n_windows, stride, h, w, positive, score,
    kernel,
):  # fmt: skip
    """Largest score of each window of a padded image, also of those across rows, and its filter."""
    found, highest = np.empty((FILTERS, STRIP), padded.dtype), np.empty(STRIP, padded.dtype)
    chosen = np.empty(STRIP, np.int32)
    for pixel in range(0, n_windows, STRIP):
        for x in range(STRIP):
            highest[x] = -np.inf
            chosen[x] = 0
        for group in range((n_filters + together - 1) // together):
            first, last = begins[group], begins[group + 1]
            tap = first * together * h * w
            if together == FILTERS:
                for tile in range(0, STRIP, TILE):
                    correlate_tile(
                        taps, tap, padded, pixel + tile, places, first, last, stride, h, w, found,
                        tile, STRIP,
                    )  # fmt: skip
            else:
                correlate_strip(
                    taps, tap, padded, pixel, places, first, last, stride, h, w, found, 0, STRIP
                )
            for f in range(min(together, n_filters - group * together)):
                k = group * together + f
                if not positive:
                    for x in range(STRIP):
                        found[f, x] = abs(found[f, x])
                for x in range(STRIP):
                    better = found[f, x] > highest[x]
                    highest[x] = found[f, x] if better else highest[x]
                    chosen[x] = k if better else chosen[x]
        for x in range(STRIP):
            score[pixel + x] = highest[x]
            kernel[pixel + x] = chosen[x]
