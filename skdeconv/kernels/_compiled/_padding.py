"""Images with a border of zeros, in which every window of a filter is inside."""

from __future__ import annotations

from skdeconv.kernels._compiled._jit import jit


@jit
def row_start(channel, y, height, width, h, w):
    """Place of the first pixel of a row of the image in the padded one."""
    return (channel * (height + 2 * (h - 1)) + y + h - 1) * (width + 2 * (w - 1)) + w - 1


@jit
def fill(padded, images, sample, h, w):
    """Copy an image into a padded one, and zeros around it."""
    n_channels, height, width = images.shape[1:]
    for i in range(len(padded)):
        padded[i] = 0
    for c in range(n_channels):
        for y in range(height):
            start = row_start(c, y, height, width, h, w)
            for x in range(width):
                padded[start + x] = images[sample, c, y, x]


@jit
def unfill(padded, images, sample, h, w):
    """Copy an image from a padded one."""
    n_channels, height, width = images.shape[1:]
    for c in range(n_channels):
        for y in range(height):
            start = row_start(c, y, height, width, h, w)
            for x in range(width):
                images[sample, c, y, x] = padded[start + x]
