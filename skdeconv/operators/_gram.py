"""Inner products of the atoms of a convolution, from those of its filters."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array

# Maximum size of the table of inner products of parts of filters, and about the number of pairs of
# atoms that are looked up at once.
_TABLE, _PAIRS = 2**22, 2**17
# Number of entries of an atom from which products of atoms are worth a table.
_LARGE_ATOM = 1024


def table_size(filters_shape) -> int:
    """Number of entries of the table of ``AtomGram``."""
    n_filters, _, h, w = filters_shape
    return n_filters**2 * (2 * h - 1) * (2 * w - 1) * (h + 1) * (w + 1)


def is_worth_a_table(filters_shape) -> bool:
    """Whether the atoms are so large, and the table so small, that ``AtomGram`` is of use."""
    return math.prod(filters_shape[1:]) >= _LARGE_ATOM and table_size(filters_shape) <= _TABLE


class AtomGram:
    """Gram matrices of atoms of one image, without the atoms themselves.

    The inner product of two atoms depends on their filters, on the offset between them, and on how
    many rows and columns of the filters are inside of the image. A table holds the inner products
    of all upper left parts of the overlap of two filters; others are differences of these.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The filters.
    image_shape : tuple of two ints
        Height and width of the images.
    """

    def __init__(self, filters, image_shape):
        (n_filters, _, h, w), self.image_shape = filters.shape, image_shape
        self._dtype, self._taps = filters.dtype, (h, w)
        channels_first = filters.transpose(1, 0, 2, 3).astype(np.float64)
        table = np.zeros((2 * h - 1, 2 * w - 1, n_filters, n_filters, h + 1, w + 1))
        for dy in range(1 - h, h):
            for dx in range(1 - w, w):
                one = _overlap(channels_first, dy, dx)
                other = _overlap(channels_first, -dy, -dx)
                products = np.einsum("ckyx,clyx->klyx", one, other)
                top, left = 1 + max(0, dy), 1 + max(0, dx)
                place = np.s_[..., top : top + h - abs(dy), left : left + w - abs(dx)]
                table[dy + h - 1, dx + w - 1][place] = products
        self._table = table.cumsum(axis=4).cumsum(axis=5)

    def __call__(self, index: np.ndarray, chosen: slice = slice(None)) -> csr_array:
        """Inner products of atoms.

        Parameters
        ----------
        index : ndarray of int of shape (n_atoms,)
            Flat indices into the maps of one image, sorted by column and row.
        chosen : slice, default=slice(None)
            The atoms of the rows of the result.

        Returns
        -------
        gram : csr_array of shape (n_chosen, n_atoms)
            The inner products of atoms that overlap, with sorted 32-bit indices.
        """
        (h, w), (height, width) = self._taps, self.image_shape
        rows, columns = height + h - 1, width + w - 1
        kernel, position = np.divmod(index, rows * columns)
        y, x = np.divmod(position, columns)
        # Padding prevents windows from extending into the next column.
        key = x * (rows + 2 * h) + y
        near = key[chosen, None] + np.arange(1 - w, w) * (rows + 2 * h)
        first = np.searchsorted(key, near - (h - 1))
        count = np.searchsorted(key, near + (h - 1), side="right") - first
        indptr = np.concatenate([[0], np.cumsum(count.sum(axis=1))])
        indices = np.empty(indptr[-1], dtype=np.int32)
        data = np.empty(indptr[-1], dtype=self._dtype)
        numbers, begin = np.arange(len(index))[chosen], 0
        while begin < len(near):
            end = max(begin + 1, int(np.searchsorted(indptr, indptr[begin] + _PAIRS, "right")) - 1)
            some, part = count[begin:end].ravel(), slice(indptr[begin], indptr[end])
            one = np.repeat(numbers[begin:end], np.diff(indptr[begin : end + 1]))
            starts = first[begin:end].ravel() + some - np.cumsum(some)
            other = np.arange(len(one)) + np.repeat(starts, some)
            indices[part] = other
            data[part] = self._products(kernel, y, x, one, other)
            begin = end
        return csr_array((data, indices, indptr.astype(np.int32)), shape=(len(near), len(index)))

    def _products(self, kernel, y, x, one, other):
        """Inner products of pairs of atoms."""
        (h, w), (height, width) = self._taps, self.image_shape
        y1, x1, offset = y[one], x[one], (y[other] - y[one] + h - 1, x[other] - x[one] + w - 1)
        pair = np.ravel_multi_index((*offset, kernel[one], kernel[other]), self._table.shape[:4])
        table = self._table.reshape(-1, h + 1, w + 1)
        # Rows and columns of the first filter that are inside of the image.
        top, bottom = np.maximum(0, h - 1 - y1), np.minimum(h, height + h - 1 - y1)
        left, right = np.maximum(0, w - 1 - x1), np.minimum(w, width + w - 1 - x1)
        products = table[pair, bottom, right]
        cut = np.flatnonzero((top > 0) | (left > 0))
        pair, top, bottom = pair[cut], top[cut], bottom[cut]
        left, right = left[cut], right[cut]
        products[cut] += (
            table[pair, top, left] - table[pair, top, right] - table[pair, bottom, left]
        )
        return products


def _overlap(filters, dy, dx):
    """Part of filters that overlaps with filters shifted down by dy and right by dx."""
    h, w = filters.shape[2:]
    return filters[..., max(0, dy) : h + min(0, dy), max(0, dx) : w + min(0, dx)]
