"""Inner products and sums of chosen atoms, in padded images with channels last."""

from __future__ import annotations

from skdeconv.kernels._compiled._jit import jit
from skdeconv.kernels._compiled._vectors import add, dot


@jit
def pad(images, sample, w, padded):
    """Copy an image into a padded one, with channels last, and zeros at its sides."""
    n_channels, height, width = images.shape[1:]
    stride = (width + 2 * (w - 1)) * n_channels
    for i in range(len(padded)):
        padded[i] = 0
    for c in range(n_channels):
        for y in range(height):
            start = y * stride + (w - 1) * n_channels + c
            for x in range(width):
                padded[start + x * n_channels] = images[sample, c, y, x]


@jit
def crop(padded, w, images, sample):
    """Copy an image from a padded one."""
    n_channels, height, width = images.shape[1:]
    stride = (width + 2 * (w - 1)) * n_channels
    for c in range(n_channels):
        for y in range(height):
            start = y * stride + (w - 1) * n_channels + c
            for x in range(width):
                images[sample, c, y, x] = padded[start + x * n_channels]


@jit
def inner(padded, rows, pixel, tap, n_rows, places, stride, wide, first, last, values):
    """Inner products of windows with filters."""
    for i in range(first, last):
        values[i] = dot(rows, tap[i], padded, pixel[i], places, 0, 1, stride, n_rows[i], wide)


@jit
def draw(values, rows, pixel, tap, n_rows, places, stride, wide, first, last, padded):
    """Add multiples of filters to windows."""
    for i in range(first, last):
        if values[i] != 0:
            add(values[i], rows, tap[i], padded, pixel[i], places, 0, 1, stride, n_rows[i], wide)


@jit
def add_windows(values, padded, pixel, tap, n_rows, places, stride, wide, first, last, rows):
    """Add multiples of windows to filters."""
    for i in range(first, last):
        for a in range(n_rows[i]):
            here, there = pixel[i] + a * stride, tap[i] + a * wide
            add(values[i], padded, here, rows, there, places, 0, 1, wide, 1, wide)
