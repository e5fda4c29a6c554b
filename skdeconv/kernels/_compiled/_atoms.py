"""Chosen atoms of a convolution."""

from __future__ import annotations

import numpy as np

from skdeconv.kernels._compiled import _chosen
from skdeconv.kernels._compiled._vectors import LANES

# Number of multiplications of a call that takes about half a second.
_WORK = 2**30


def filter_rows(filters) -> np.ndarray:
    """Filters in the order in which chosen atoms are read.

    Channels are last, so that rows are fewer and longer, and consist of whole vectors.
    """
    n_filters, n_channels, h, w = filters.shape
    rows = np.zeros((n_filters, h, _wide(filters.shape)), dtype=filters.dtype)
    rows[:, :, : n_channels * w] = filters.transpose(0, 2, 3, 1).reshape(n_filters, h, -1)
    return rows.ravel()


class Atoms:
    """Chosen atoms of images of one shape.

    Images are padded at the left and at the right. Rows of filters above and below are left out.

    Parameters
    ----------
    filters_shape : tuple of int
        (n_filters, n_channels, h, w).
    images_shape : tuple of int
        (n_channels, height, width).
    index : ndarray of int of shape (n_atoms,)
        Flat indices of the atoms into the maps of one image.
    """

    def __init__(self, filters_shape, images_shape, index):
        (_, n_channels, h, w), (_, height, width) = filters_shape, images_shape
        self.filters_shape, self.images_shape = tuple(filters_shape), tuple(images_shape)
        kernel, position = np.divmod(index, (height + h - 1) * (width + w - 1))
        y, x = np.divmod(position, width + w - 1)
        stride, wide = (width + 2 * (w - 1)) * n_channels, _wide(filters_shape)
        above = np.maximum(h - 1 - y, 0)
        pixel = (y - (h - 1) + above) * stride + x * n_channels
        tap = (kernel * h + above) * wide
        n_rows = np.minimum(h, height + h - 1 - y) - above
        # The last array is the place of the only plane of a filter.
        arrays = (np.asarray(one, np.int64) for one in (pixel, tap, n_rows, [0]))
        self._places = *arrays, stride, wide
        self._size = height * stride + wide

    def inner(self, images, rows) -> np.ndarray:
        """Inner products (n_samples, n_atoms) of images with the atoms of filters."""
        values = np.empty((len(images), len(self._places[0])), images.dtype)
        padded = np.empty(self._size, images.dtype)
        for sample, chosen in enumerate(values):
            self._pad(images, sample, padded)
            for part in self._parts():
                _chosen.inner(padded, rows, *self._places, *part, chosen)
        return values

    def draw(self, values, rows) -> np.ndarray:
        """Images (n_samples, *images_shape): sums of the atoms of filters times values."""
        images = np.empty((len(values), *self.images_shape), values.dtype)
        for sample, chosen in enumerate(values):
            padded = np.zeros(self._size, values.dtype)
            for part in self._parts():
                _chosen.draw(chosen, rows, *self._places, *part, padded)
            _chosen.crop(padded, self.filters_shape[3], images, sample)
        return images

    def sums(self, image, values) -> np.ndarray:
        """For each filter, the sum of values times the windows of one image under its atoms."""
        n_filters, n_channels, h, w = self.filters_shape
        padded = np.empty(self._size, image.dtype)
        self._pad(image, 0, padded)
        rows = np.zeros((n_filters, h, _wide(self.filters_shape)), image.dtype)
        for part in self._parts():
            _chosen.add_windows(values, padded, *self._places, *part, rows.reshape(-1))
        filters = rows[:, :, : n_channels * w].reshape(n_filters, h, w, n_channels)
        return np.ascontiguousarray(filters.transpose(0, 3, 1, 2))

    def _pad(self, images, sample, padded):
        _chosen.pad(images, sample, self.filters_shape[3], padded)

    def _parts(self):
        """First and last atoms of calls of bounded time."""
        row, number = _wide(self.filters_shape), len(self._places[0])
        at_once = max(1, _WORK // (self.filters_shape[2] * row))
        return [(first, min(first + at_once, number)) for first in range(0, number, at_once)]


def _wide(filters_shape):
    """Number of entries of a row, in whole vectors."""
    return -(-filters_shape[1] * filters_shape[3] // LANES) * LANES
