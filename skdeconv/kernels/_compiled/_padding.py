"""Images with a border of zeros, in which every window of a filter is inside."""

from __future__ import annotations

from skdeconv.kernels._compiled._jit import jit


@jit
def fill(padded, images, sample, h, w):
    """Copy an image into a padded one, and zeros around it."""
    n_channels, height, width = images.shape[1:]
    stride = width + 2 * (w - 1)
    for i in range(len(padded)):
        padded[i] = 0
    for c in range(n_channels):
        for y in range(height):
            start = (c * (height + 2 * (h - 1)) + y + h - 1) * stride + w - 1
            for x in range(width):
                padded[start + x] = images[sample, c, y, x]


@jit
def unfill(padded, images, sample, h, w):
    """Copy an image from a padded one."""
    n_channels, height, width = images.shape[1:]
    stride = width + 2 * (w - 1)
    for c in range(n_channels):
        for y in range(height):
            start = (c * (height + 2 * (h - 1)) + y + h - 1) * stride + w - 1
            for x in range(width):
                images[sample, c, y, x] = padded[start + x]
