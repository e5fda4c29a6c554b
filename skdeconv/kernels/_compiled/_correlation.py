"""Correlation of images with filters, and the best filter at each position."""

from __future__ import annotations

import numpy as np

from skdeconv.kernels._compiled._jit import jit
from skdeconv.kernels._compiled._padding import fill
from skdeconv.kernels._compiled._vectors import TILE, correlate_tile


@jit
def correlate(images, padded, taps, begins, places, h, w, line, maps):
    """Inner products of all windows of images with all filters."""
    n_samples, n_filters, rows, columns = maps.shape
    stride = columns + w - 1
    for s in range(n_samples):
        fill(padded, images, s, h, w)
        for k in range(n_filters):
            first, last = begins[k], begins[k + 1]
            tap = first * h * w
            for pixel in range(0, rows * stride, TILE):
                correlate_tile(
                    taps, tap, padded, pixel, places, first, last, stride, h, w, line, pixel
                )
            for y in range(rows):
                for x in range(columns):
                    maps[s, k, y, x] = line[y * stride + x]


@jit
def best(images, padded, taps, begins, places, h, w, positive, score, kernel, scores, kernels):
    """Largest score of each position, and its filter."""
    n_samples, rows, columns = scores.shape
    stride = columns + w - 1
    for s in range(n_samples):
        fill(padded, images, s, h, w)
        best_of_windows(
            padded, taps, begins, places, rows * stride, stride, h, w, positive, score, kernel
        )
        for y in range(rows):
            for x in range(columns):
                scores[s, y, x] = score[y * stride + x]
                kernels[s, y, x] = kernel[y * stride + x]


@jit
def best_of_windows(
    padded, taps, begins, places, n_windows, stride, h, w, positive, score, kernel
):  # fmt: skip
    """Largest score of each window of a padded image, also of those across rows, and its filter."""
    found, highest = np.empty(TILE, padded.dtype), np.empty(TILE, padded.dtype)
    chosen = np.empty(TILE, np.int32)
    for pixel in range(0, n_windows, TILE):
        for x in range(TILE):
            highest[x] = -np.inf
            chosen[x] = 0
        for k in range(len(begins) - 1):
            first, last = begins[k], begins[k + 1]
            correlate_tile(
                taps, first * h * w, padded, pixel, places, first, last, stride, h, w, found, 0
            )
            if not positive:
                for x in range(TILE):
                    found[x] = abs(found[x])
            for x in range(TILE):
                better = found[x] > highest[x]
                highest[x] = found[x] if better else highest[x]
                chosen[x] = k if better else chosen[x]
        for x in range(TILE):
            score[pixel + x] = highest[x]
            kernel[pixel + x] = chosen[x]
