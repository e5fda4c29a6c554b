"""Valid convolution of sparse maps with filters, as a linear operator."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import product

import numpy as np
from scipy.fft import fft, rfft2
from scipy.ndimage import maximum_filter1d
from scipy.sparse import csc_array, csr_array

from skdeconv.kernels import compiled
from skdeconv.operators._blocks import blocks, overlap, slices
from skdeconv.operators._composition import Operator
from skdeconv.operators._gram import AtomGram, is_worth_a_table

# For many filters, from the second number on, summing over the non-zero coefficients is faster than
# a product with dense maps if their fraction is at most the size of a filter divided by the first.
_SPARSER, _MANY = 16_000, 64
# Maximum size of the arrays that hold all taps of a block of an image, or of several small images.
_BLOCK = 2**20
# Minimum number of rows, one per tap of a row of the filters, of the matrices of row parts.
_LEAST_ROWS = 256
# Number of filters from which products of matrices, one for each of their rows or one of all, are
# faster than the compiled kernel in single precision, of all for at most so many map positions.
_BY_ROWS, _AT_ONCE, _POSITIONS = 32, 48, 2**12


class Convolution(Operator):
    r"""Linear operator from sparse maps to an image: valid convolution, summed over the maps.

    .. math:: (F z)_c = \sum_k z_k * f_{k,c}

    The maps are larger than the image by the filter size minus one. Every pixel is thus covered by
    the same number of filter positions, and images may be smaller than the filters. Arrays are
    channels-first. The coefficient ``(k, u, v)`` places the top left corner of filter ``k`` at the
    pixel ``(u - h + 1, v - w + 1)``; the part of the filter outside of the image is cut off.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w), float32 or float64
        The filters; zero for channels that a filter is not connected to.
    image_shape : tuple of two ints
        Height and width of the images in pixels.

    Attributes
    ----------
    images_shape : tuple of int
        (n_channels, height, width).
    maps_shape : tuple of int
        (n_filters, height + h - 1, width + w - 1).

    References
    ----------
    M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010,
    equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import Convolution
    >>> operator = Convolution(np.ones((2, 1, 3, 3)), image_shape=(8, 8))
    >>> operator.maps_shape
    (2, 10, 10)
    >>> operator.forward(np.ones((1, 2, 10, 10)))[0, 0, 0, 0]
    np.float64(18.0)
    """

    def __init__(self, filters: np.ndarray, image_shape: tuple[int, int]):
        n_filters, n_channels, h, w = filters.shape
        height, width = image_shape
        maps_shape = n_filters, height + h - 1, width + w - 1
        super().__init__((n_channels, height, width), maps_shape, filters.dtype)
        self.filters = np.ascontiguousarray(filters)
        self._taps = h, w
        self._full = bool(self.filters.any(axis=(2, 3)).all())
        # Fraction of non-zero coefficients up to which _draw_few is used; zero for small filters.
        few = self.filters[0].size / _SPARSER
        self._few = few if self._full and n_filters >= _MANY and few >= 0.01 else 0

    def __reduce__(self):
        # Attributes derived from the filters are several times as large, and fast to recompute.
        return Convolution, (self.filters, self.images_shape[1:])

    @property
    def bank(self):
        """Filters of the compiled kernels; None if the portable ones are used."""
        fast = compiled()
        return None if fast is None else self._bank

    @cached_property
    def _bank(self):
        return compiled().FilterBank(self.filters)

    @cached_property
    def atom_rows(self):
        """Filters of the compiled kernels for chosen atoms."""
        return compiled().filter_rows(self.filters)

    @cached_property
    def _groups(self):
        n_filters, n_channels, h, w = self.filters.shape
        if n_filters <= n_channels * w:
            at_once = self._channels_at_once(w, _LEAST_ROWS // w)
        else:
            at_once = self._channels_at_once(h * w)
        return _groups(self.filters, self._full, at_once)

    @cached_property
    def _atoms(self):
        return _packed(self.filters, *self.images_shape[1:])

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Reconstruct images from maps.

        Parameters
        ----------
        maps : ndarray of shape (n_samples, n_filters, height + h - 1, width + w - 1)
            The maps, as a dense array.

        Returns
        -------
        images : ndarray of shape (n_samples, n_channels, height, width)
            The reconstructed images.
        """
        images = np.zeros((len(maps), *self.images_shape), dtype=self.dtype)
        for image, one in zip(images, maps, strict=True):
            one = one.reshape(len(one), -1)
            few = self._few and np.count_nonzero(one) <= self._few * one.size
            (self._draw_few if few else self._draw)(one, image)
        return images

    def _draw(self, maps, image):
        """Add the reconstruction from dense maps (n_filters, n_positions) to an image."""
        for channels, kernels, matrix, parts in self._drawing:
            for rows, columns, positions in parts:
                drawn = self._drawn(matrix, maps[kernels, positions], rows, columns)
                image[channels, rows.pixels, columns.pixels] += drawn

    def _drawn(self, matrix, maps, rows, columns):
        """Pixels (n_channels, rows, columns) that the maps of a block reconstruct."""
        planes = (matrix @ maps).reshape(-1, *self._taps, *_shape(rows, columns))
        lines = overlap(planes.swapaxes(0, 1), 3, rows)
        return overlap(lines.swapaxes(0, 1), 3, columns)

    @cached_property
    def _drawing(self):
        """Channels, filters, their matrix with a row per tap, and blocks, for reconstruction."""
        n_taps = math.prod(self._taps)
        return [
            (
                slice(channels.start + part.start, channels.start + part.stop),
                kernels,
                np.ascontiguousarray(table[:, part].reshape(len(table), -1)).T,
                self._blocks(n_taps * (part.stop - part.start)),
            )
            for channels, kernels, table in self._groups
            for part in slices(table.shape[1], self._channels_at_once(n_taps))
        ]

    def _draw_few(self, maps, image):
        """Add the reconstruction from maps (n_filters, n_positions) with few non-zeros to an image.

        The weighted filters at each position are summed before they are placed in the image.
        """
        kernel, position = np.divmod(np.flatnonzero(maps), maps.shape[1])
        few = csr_array((maps[kernel, position], (position, kernel)), shape=maps.shape[::-1])
        for channels, matrix, parts in self._drawing_few:
            for rows, columns, positions in parts:
                drawn = self._drawn_few(matrix, few[positions], rows, columns)
                image[channels, rows.pixels, columns.pixels] += drawn

    def _drawn_few(self, matrix, few, rows, columns):
        """Pixels that the sparse maps (n_positions, n_filters) of a block reconstruct."""
        planes = (few @ matrix).reshape(*_shape(rows, columns), *self._taps, -1)
        lines = overlap(np.moveaxis(planes, 2, 0), 1, rows)
        return overlap(np.moveaxis(lines, 2, 0), 2, columns).transpose(2, 0, 1)

    @cached_property
    def _drawing_few(self):
        """Channels, filters as rows of a matrix with channels last, and blocks."""
        n_taps, last = math.prod(self._taps), self.filters.transpose(0, 2, 3, 1)
        parts = slices(len(self.filters[0]), self._channels_at_once(n_taps))
        matrices = [last[..., part].reshape(len(last), -1) for part in parts]
        return [
            (part, np.ascontiguousarray(matrix), self._blocks(matrix.shape[1]))
            for part, matrix in zip(parts, matrices, strict=True)
        ]

    def _channels_at_once(self, n_taps, least=0):
        """Number of channels of which a block holds ``n_taps`` at enough rows of positions."""
        height, width = self.maps_shape[1:]
        rows = min(height, 2 * self._taps[0])
        return max(1, least, _BLOCK // (n_taps * rows * width))

    def _blocks(self, n_taps):
        """Blocks of the maps, of ``n_taps`` numbers per position."""
        return blocks(self.images_shape[1:], self._taps, max(1, _BLOCK // n_taps))

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """Correlate images with the filters.

        Parameters
        ----------
        images : ndarray of shape (n_samples, n_channels, height, width)
            Images, usually residuals.

        Returns
        -------
        maps : ndarray of shape (n_samples, n_filters, height + h - 1, width + w - 1)
            Inner products of every image with every atom.
        """
        bank = None if self._has_products else self.bank
        if bank is not None:
            return compiled().correlate(self._contiguous(images), bank)
        shape = len(images), *self.maps_shape
        result = (np.empty if self._full else np.zeros)(shape, dtype=self.dtype)
        for channels, kernels, matrix, row_parts, at_once, parts in self._correlating:
            for some, (rows, columns, _) in product(slices(len(images), at_once), parts):
                block = images[some, channels], rows, columns
                if row_parts is None:
                    found = self._correlated(matrix, *block)
                else:
                    found = self._correlated_by_rows(row_parts, *block)
                place = some, kernels, rows.places, columns.places
                if self._full and channels.start == 0:
                    result[place] = found
                else:
                    result[place] += found
        return result

    @property
    def _has_products(self):
        """Whether products of matrices correlate with the filters, and not the compiled kernel."""
        (n_filters, n_channels, _, w), (_, *size) = self.filters.shape, self.maps_shape
        if not self._full or self.dtype != np.float32:
            return False
        by_rows, few = n_channels * w >= n_filters, math.prod(size) <= _POSITIONS
        return n_filters >= _BY_ROWS if by_rows else n_filters >= _AT_ONCE and few

    def drawn(self, index, values):
        """Reconstruct one image from a few coefficients of its maps."""
        if (fast := compiled()) is None:
            return super().drawn(index, values)
        atoms = fast.Atoms(self.filters.shape, self.images_shape, index)
        return atoms.draw(self._contiguous(values[None]), self.atom_rows)

    def _contiguous(self, images):
        return np.ascontiguousarray(images, dtype=self.dtype)

    def best(self, images, positive, wanted):
        """Find the filter with the largest score at each map position."""
        bank = self.bank
        if bank is None:
            return super().best(images, positive, wanted)
        return compiled().best(self._contiguous(images), bank, positive)

    def residual(self, images, index, values, known=None):
        """Subtract the reconstruction from chosen coefficients, at known pixels."""
        if self.bank is None:
            return super().residual(images, index, values)
        return self.descend(images, None, index, values, None, 1, False, 0, known)[1]

    def descend(
        self, images, residual, index, values, slopes, weight, positive, n_sweeps, known=None
    ):
        """Run sweeps of coordinate descent over chosen coefficients, given the known pixels."""
        bank, options = self.bank, (slopes, weight, positive, n_sweeps)
        if bank is None:
            return super().descend(images, residual, index, values, *options)
        images = self._contiguous(images)
        return compiled().descend(images, known, bank, index, values, *options)

    def lasso(self, images, index, values, weight, positive, tol, max_iter, known=None):
        """Minimise the cost at p = 1, given the known pixels; None without compiled kernels."""
        if (bank := self.bank) is None:
            return None
        images, options = self._contiguous(images), (weight, positive, tol, max_iter)
        return compiled().lasso(images, known, bank, index, values, *options)

    def highest_over(self, values):
        """Largest of the values at the map positions whose atoms reach a pixel."""
        for axis, taps in ((1, self._taps[0]), (2, self._taps[1])):
            size = self.images_shape[axis]
            highest = maximum_filter1d(values, taps, axis=axis)
            # The window of the filter is centred.
            values = highest[(slice(None),) * axis + (slice(taps // 2, taps // 2 + size),)]
        return values

    @cached_property
    def _correlating(self):
        """Groups of channels and filters, with the number of images at once, and blocks."""
        h, (height, width), groups = self._taps[0], self.maps_shape[1:], []
        for channels, kernels, table in self._groups:
            n_taps, row_parts, matrix = table[0].size, _row_parts(table), None
            if row_parts is None:
                matrix = np.ascontiguousarray(table.reshape(len(table), -1))
            at_once, parts = max(1, _BLOCK // (n_taps * height * width)), self._blocks(n_taps)
            if row_parts is not None and len(parts) > 1:
                # Only taps of one row are held, for the h - 1 rows before a block too.
                larger = self._blocks(n_taps // h * min(h, 2))
                parts = larger if _shape(*larger[0][:2])[0] >= h else parts
            groups.append((channels, kernels, matrix, row_parts, at_once, parts))
        return groups

    def _correlated(self, matrix, images, rows, columns):
        """Correlate a block with the filters of a matrix: (n_samples, n_kernels, rows, columns).

        There is one matrix product per image, so that results do not depend on the batch.
        """
        (h, w), shape = self._taps, _shape(rows, columns)
        n_samples, n_channels, *_ = images.shape
        shifted = self._shifted(images, rows, columns)
        taps = np.empty((n_samples, n_channels, h, w, *shape), dtype=self.dtype)
        for a in range(h):
            taps[:, :, a] = shifted[:, :, :, a : a + shape[0]]
        product = matrix @ taps.reshape(n_samples, matrix.shape[1], -1)
        return product.reshape(n_samples, -1, *shape)

    def _correlated_by_rows(self, parts, images, rows, columns):
        """The same with one product for each row of the filters, for the rows that it reaches."""
        height, width = _shape(rows, columns)
        shifted = self._shifted(images, rows._replace(margins=(0, 0)), columns)
        lines = shifted.reshape(len(images), parts.shape[2], -1)
        product = np.zeros((len(images), parts.shape[1], height * width), dtype=self.dtype)
        for tap, pixels, places in rows.shifts:
            under = lines[:, :, pixels.start * width : pixels.stop * width]
            product[:, :, places.start * width : places.stop * width] += parts[tap] @ under
        return product.reshape(len(images), -1, height, width)

    def _shifted(self, images, rows, columns):
        """Pixels under the taps of a row: (n_samples, n_channels, w, rows, columns)."""
        pixels = images[:, :, rows.pixels, columns.pixels]
        *stack, height, width = pixels.shape
        (top, bottom), (left, right) = rows.margins, columns.margins
        window = np.zeros((*stack, top + height + bottom, left + width + right), self.dtype)
        window[:, :, top : top + height, left : left + width] = pixels
        w, width = self._taps[1], columns.places.stop - columns.places.start
        shifted = np.empty((*stack, w, window.shape[2], width), dtype=self.dtype)
        for b in range(w):
            shifted[:, :, b] = window[..., b : b + width]
        return shifted

    @property
    def atom_size(self) -> int:
        """Number of entries that ``atoms`` stores for each column."""
        return self._atoms[0].shape[1]

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix.

        Parameters
        ----------
        index : ndarray of int of shape (n_atoms,)
            Flat indices into the maps of one image, in C order of ``maps_shape``.

        Returns
        -------
        atoms : csc_array of shape (n_channels * height * width, n_atoms)
            The images of the selected unit coefficients, with 32-bit indices. All columns store
            the same number of entries, that of the filter with the most channels; the entries of
            atoms with fewer channels, and those outside of the image, are explicit zeros.
        """
        height, width = self.images_shape[1:]
        h, w = self.filters.shape[2:]
        kernel, position = np.divmod(index, self.maps_shape[1] * self.maps_shape[2])
        top, left = np.divmod(position, self.maps_shape[2])
        top, left = top - (h - 1), left - (w - 1)
        columns, pixels = self._atoms
        if len(index) * columns.shape[1] >= 2**31:
            raise ValueError(
                f"{len(index)} atoms of {columns.shape[1]} pixels exceed 32-bit indices. "
                "Decrease lam to obtain sparser maps, or split the images."
            )
        data = columns[kernel]
        pixels = pixels if len(pixels) == 1 else pixels[kernel]
        rows = (top * width + left).astype(np.int32)[:, None] + pixels
        cut = np.flatnonzero((top < 0) | (left < 0) | (top > height - h) | (left > width - w))
        if cut.size:
            y = top[cut, None] + np.arange(h)
            x = left[cut, None] + np.arange(w)
            inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
            inside = np.tile(inside.reshape(len(cut), -1), (1, data.shape[1] // (h * w)))
            data[cut] *= inside
            rows[cut] *= inside
        indptr = np.arange(len(index) + 1, dtype=np.int32) * np.int32(rows.shape[1])
        shape = (int(np.prod(self.images_shape)), len(index))
        return csc_array((data.ravel(), rows.ravel(), indptr), shape=shape)

    @property
    def has_gram(self) -> bool:
        """Whether ``gram`` is faster than products of atoms; so for large atoms of few filters."""
        return is_worth_a_table(self.filters.shape)

    @cached_property
    def gram(self) -> AtomGram:
        """Function from indices, sorted by column and row, to the Gram matrix of atoms."""
        return AtomGram(self.filters, self.images_shape[1:])

    def norm(self) -> float:
        """Upper bound on the spectral norm.

        The operator is a restriction of the circular convolution on the grid of the maps, whose
        norm is computed exactly with the Fourier transform: it is the largest norm of the
        (n_filters, n_channels) matrices of all frequencies.

        Returns
        -------
        bound : float
            Upper bound on the largest singular value, which becomes tight for large images.
        """
        rows, columns = self.maps_shape[1:]
        filters = self.filters.astype(np.float64)
        if self.images_shape[0] == 1:
            parts = slices(len(filters), max(1, _BLOCK // (rows * columns)))
            spectra = (rfft2(filters[part], s=(rows, columns)) for part in parts)
            energy = sum((np.abs(spectrum) ** 2).sum(axis=0) for spectrum in spectra)
            return float(np.sqrt(energy.max()))
        largest, frequencies = 0.0, np.arange(columns // 2 + 1)
        # A part of the frequencies at a time, to bound the memory for many channels.
        at_once = _BLOCK // (8 * filters[:, :, 0, 0].size * rows)
        for part in slices(len(frequencies), max(1, at_once)):
            angles = np.outer(np.arange(filters.shape[3]), frequencies[part])
            spectrum = filters @ np.exp(-2j * np.pi / columns * angles)
            matrices = fft(spectrum, n=rows, axis=2).transpose(2, 3, 0, 1)
            if matrices.shape[2] < matrices.shape[3]:
                matrices = matrices.swapaxes(2, 3)
            gram = matrices.conj().swapaxes(2, 3) @ matrices
            largest = max(largest, float(np.linalg.eigvalsh(gram)[..., -1].max()))
        return largest**0.5


def _shape(rows, columns):
    return [span.places.stop - span.places.start for span in (rows, columns)]


def _groups(filters, full, at_once):
    """Groups (channels, filters, table) of connected channels and filters.

    With full connectivity there are groups of ``at_once`` channels; otherwise there is one per
    channel, so that the cost is proportional to the number of connections. The table has the part
    of these filters on these channels.
    """
    if full:
        groups = [(part, slice(None)) for part in slices(filters.shape[1], at_once)]
    else:
        seen = filters.any(axis=(2, 3))
        groups = [
            (slice(channel, channel + 1), np.flatnonzero(seen[:, channel]))
            for channel in np.flatnonzero(seen.any(axis=0))
        ]
    return [(*group, filters[group[::-1]]) for group in groups]


def _row_parts(filters):
    """Matrices of the filters, one per row of them.

    Sums of small products are cheaper than a product with the im2col matrix for few filters with
    many channels; for others this is None.
    """
    n_filters, n_channels, h, w = filters.shape
    if n_channels * w < n_filters:
        return None
    return np.ascontiguousarray(filters.transpose(2, 0, 1, 3)).reshape(h, n_filters, -1)


def _packed(filters, height, width):
    """Entries of every filter on its connected channels, and their pixel offsets from its corner.

    Filters with fewer channels than others are padded with zeros. If all filters are connected to
    the same channels, the offsets have a single row.
    """
    n_filters, _, h, w = filters.shape
    seen = filters.any(axis=(2, 3))
    most = max(1, int(seen.sum(axis=1).max()))
    # Connected channels come first; the entries of the others are zero.
    channels = np.argsort(~seen, axis=1, kind="stable")[:, :most]
    columns = np.take_along_axis(filters, channels[:, :, None, None], axis=1)
    if (channels == channels[0]).all():
        channels = channels[:1]
    window = np.arange(h)[:, None] * width + np.arange(w)
    pixels = channels[:, :, None, None] * height * width + window
    return (
        np.ascontiguousarray(columns).reshape(n_filters, -1),
        pixels.reshape(len(channels), -1).astype(np.int32),
    )
