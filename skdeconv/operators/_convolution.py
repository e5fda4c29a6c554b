"""Valid convolution of sparse maps with filters, as a linear operator."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.fft import fft, rfft, rfft2
from scipy.sparse import csc_array

from skdeconv.operators._composition import Operator

# If the fraction of non-zero coefficients is at most the size of a filter divided by this number,
# summing over the non-zero coefficients is faster than a product with dense maps.
_SPARSER = 16_000
# Maximum size of the im2col matrices of the images that are correlated at once.
_COLUMNS = 2**22


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
        self._groups = _groups(self.filters, self._full)
        # Fraction of non-zero coefficients up to which _draw_few is used; zero for small filters.
        few = self.filters[0].size / _SPARSER
        self._few = few if self._full and few >= 0.01 else 0

    def __reduce__(self):
        # Attributes derived from the filters are several times as large, and fast to recompute.
        return Convolution, (self.filters, self.images_shape[1:])

    @cached_property
    def _last(self):
        """Filters as rows of a matrix, with channels last."""
        return np.ascontiguousarray(self.filters.transpose(0, 2, 3, 1)).reshape(
            len(self.filters), -1
        )

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
            if self._few and np.count_nonzero(one) <= self._few * one.size:
                image[:] = self._draw_few(one)
                continue
            for channels, kernels, matrix, _ in self._groups:
                planes = (matrix.T @ one[kernels]).reshape(-1, *self._taps, *self.maps_shape[1:])
                lines = self._overlap(planes.swapaxes(0, 1), 0, 3)
                image[channels] += self._overlap(lines.swapaxes(0, 1), 1, 3)
        return images

    def _draw_few(self, maps):
        """Reconstruct an image from maps (n_filters, n_positions) with few non-zero coefficients.

        The weighted filters at each position are summed before they are placed in the image.
        """
        used = np.flatnonzero(maps)
        ends = np.searchsorted(used, maps.shape[1] * np.arange(len(maps) + 1))
        parts = maps.reshape(-1)[used], used % maps.shape[1], ends
        sums = csc_array(parts, shape=maps.shape[::-1]) @ self._last
        planes = sums.reshape(*self.maps_shape[1:], *self._taps, -1)
        lines = self._overlap(np.moveaxis(planes, 2, 0), 0, 1)
        return self._overlap(np.moveaxis(lines, 2, 0), 1, 2).transpose(2, 0, 1)

    def _overlap(self, planes, direction, axis):
        """Sum the planes of all taps along the first axis, each shifted by its tap and cropped.

        ``direction`` is 0 to shift along the rows and 1 to shift along the columns of the maps,
        which are the given axis of ``planes``.
        """
        last, size = self._taps[direction] - 1, self.images_shape[1 + direction]
        ahead = (slice(None),) * (axis - 1)
        total = planes[0][*ahead, last : last + size].copy()
        for tap in range(1, last + 1):
            total += planes[tap][*ahead, last - tap : last - tap + size]
        return total

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
        result = np.empty((len(images), *self.maps_shape), dtype=self.dtype)
        columns_size = self.filters[0].size * self.maps_shape[1] * self.maps_shape[2]
        step = max(1, _COLUMNS // columns_size)
        for first in range(0, len(images), step):
            self._correlate(images[first : first + step], result[first : first + step])
        return result

    def _correlate(self, images, result):
        if not self._full:
            result[:] = 0
        for channels, kernels, matrix, parts in self._groups:
            product = self._products(images[:, channels], matrix, parts)
            if self._full:
                result[:] = product
            else:
                result[:, kernels] += product

    def _products(self, images, matrix, parts):
        """Correlate with the filters of a matrix: (n_samples, n_kernels, map_height, map_width).

        There is one matrix product per image, so that results do not depend on the batch.
        """
        (h, w), (height, width) = self._taps, self.maps_shape[1:]
        n_samples, n_channels, rows, columns = images.shape
        padded = np.zeros(
            (n_samples, n_channels, rows + 2 * (h - 1), columns + 2 * (w - 1)), dtype=self.dtype
        )
        padded[:, :, h - 1 : h - 1 + rows, w - 1 : w - 1 + columns] = images
        shifted = np.empty((n_samples, n_channels, w, len(padded[0, 0]), width), dtype=self.dtype)
        for b in range(w):
            shifted[:, :, b] = padded[:, :, :, b : b + width]
        if parts is None:
            taps = np.empty((n_samples, n_channels, h, w, height, width), dtype=self.dtype)
            for a in range(h):
                taps[:, :, a] = shifted[:, :, :, a : a + height]
            product = np.matmul(matrix, taps.reshape(n_samples, matrix.shape[1], -1))
        else:
            lines = shifted.reshape(n_samples, n_channels * w, -1)
            product = np.matmul(parts[0], lines[:, :, : height * width])
            for a in range(1, h):
                product += np.matmul(parts[a], lines[:, :, a * width : (a + height) * width])
        return product.reshape(n_samples, -1, height, width)

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
            spectrum = rfft2(filters, s=(rows, columns))
            return float(np.sqrt((np.abs(spectrum) ** 2).sum(axis=0).max()))
        largest = 0.0
        # One column of frequencies at a time, to bound the memory for many channels.
        for column in np.moveaxis(rfft(filters, n=columns, axis=3), 3, 0):
            matrices = fft(column, n=rows, axis=2).transpose(2, 0, 1)
            if matrices.shape[1] < matrices.shape[2]:
                matrices = matrices.transpose(0, 2, 1)
            gram = matrices.conj().transpose(0, 2, 1) @ matrices
            largest = max(largest, float(np.linalg.eigvalsh(gram)[:, -1].max()))
        return largest**0.5


def _groups(filters, full):
    """Groups (channels, filters, matrix, row matrices) of connected channels and filters.

    With full connectivity there is a single group; otherwise there is one per channel, so that the
    cost is proportional to the number of connections. The matrix has the filters as rows. The row
    matrices, one per row of the filters, replace it for few filters with many channels, where sums
    of small products are cheaper than a product with the im2col matrix; otherwise they are None.
    """
    if full:
        groups, tables = [(slice(None), slice(None))], [filters]
    else:
        seen = filters.any(axis=(2, 3))
        groups = [
            (slice(channel, channel + 1), np.flatnonzero(seen[:, channel]))
            for channel in np.flatnonzero(seen.any(axis=0))
        ]
        tables = [filters[kernels, channels] for channels, kernels in groups]
    return [
        (*group, np.ascontiguousarray(table.reshape(len(table), -1)), _row_parts(table))
        for group, table in zip(groups, tables, strict=True)
    ]


def _row_parts(filters):
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
