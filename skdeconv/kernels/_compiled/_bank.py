"""Filters in the order in which the compiled kernels read them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from skdeconv.kernels._compiled._padding import fill
from skdeconv.kernels._compiled._vectors import FILTERS, LANES, STRIP


class FilterBank:
    """Planes of filters, one for each channel that a filter is connected to.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The filters.

    Attributes
    ----------
    together : int
        Number of filters that are correlated together.
    filters : tuple of ndarray
        The flat planes, and the first plane of each filter, followed by the number of planes. The
        planes of filters that are correlated together follow each other channel by channel, and
        may be followed by zeros.
    rows : tuple of ndarray
        The same filter by filter, with rows of whole vectors.
    norms : ndarray of shape (n_filters,)
        Squared norms.
    """

    def __init__(self, filters):
        self.n_filters, self.n_channels, *self.size = filters.shape
        h, w = self.size
        connected = filters.any(axis=(2, 3))
        begins = np.concatenate([[0], np.cumsum(connected.sum(axis=1))])
        kernels, self.channels = np.nonzero(connected)
        planes = np.ascontiguousarray(filters[kernels, self.channels])
        self.wide = -(-w // LANES) * LANES
        rows = np.zeros((len(planes), h, self.wide), dtype=filters.dtype)
        rows[:, :, :w] = planes
        self.rows = rows.ravel(), begins
        n_groups = -(-self.n_filters // FILTERS)
        # Alone, a filter takes a third more time.
        grouped = connected.all() and 3 * n_groups * FILTERS <= 4 * self.n_filters
        self.together = FILTERS if grouped else 1
        if grouped:
            whole = np.zeros((n_groups * FILTERS, *filters.shape[1:]), dtype=filters.dtype)
            whole[: self.n_filters] = filters
            planes = whole.reshape(n_groups, FILTERS, *filters.shape[1:]).swapaxes(1, 2)
        self.filters = planes.ravel(), begins
        self.norms = np.einsum("kcab,kcab->k", filters, filters)
        self.atom_size = math.prod(filters.shape[1:])

    def work(self, images) -> int:
        """Number of multiplications to correlate one of the images with all filters."""
        return self.filters[0].size * math.prod(self.at(images).maps_shape)

    def at(self, images) -> Place:
        """Sizes and places of padded images."""
        return Place(self, images.shape[1:])


@dataclass(frozen=True)
class Place:
    """Images (n_channels, height, width) with a border in which every window is inside."""

    bank: FilterBank
    images_shape: tuple

    @property
    def maps_shape(self):
        """Rows and columns of the maps."""
        (h, w), (_, height, width) = self.bank.size, self.images_shape
        return height + h - 1, width + w - 1

    @property
    def stride(self):
        """Number of pixels of a padded row."""
        return self.images_shape[2] + 2 * (self.bank.size[1] - 1)

    @property
    def _plane(self):
        return self.stride * (self.images_shape[1] + 2 * (self.bank.size[0] - 1))

    @property
    def planes(self):
        """Position of the channel of each plane of the filters in the padded image."""
        return self.bank.channels * self._plane

    @property
    def line(self):
        """Number of windows that begin in the rows of the maps, in whole strips."""
        return -(-self.maps_shape[0] * self.stride // STRIP) * STRIP

    @property
    def n_coefficients(self):
        """Number of coefficients of an image."""
        return self.bank.n_filters * math.prod(self.maps_shape)

    def atoms(self, index, n_samples):
        """Where the coefficients of each image begin, the pixels of their atoms, and filters."""
        rows, columns = self.maps_shape
        kernel, position = np.divmod(index, rows * columns)
        sample, kernel = np.divmod(kernel, self.bank.n_filters)
        y, x = np.divmod(position, columns)
        indptr = np.searchsorted(sample, np.arange(n_samples + 1))
        return indptr, y * self.stride + x, kernel

    def index(self, indptr, pixel, kernel):
        """Indices of coefficients in the stack of maps, from what ``atoms`` returns."""
        rows, columns = self.maps_shape
        sample = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        y, x = np.divmod(pixel, self.stride)
        return ((sample * self.bank.n_filters + kernel) * rows + y) * columns + x

    def empty(self):
        """Flat array for a padded image, and for the vectors that begin at its last pixels."""
        size = self.images_shape[0] * self._plane + STRIP + 2 * self.bank.size[1] + LANES
        return np.empty(size, dtype=self.bank.norms.dtype)

    def mask(self, known):
        """Padded mask of known pixels, all of them if None, and whether there was one."""
        padded, masked = self.empty(), known is not None
        known = np.broadcast_to(known if masked else True, (1, *self.images_shape))
        fill(padded, known.astype(bool, copy=False), 0, *self.bank.size)
        return padded, masked
