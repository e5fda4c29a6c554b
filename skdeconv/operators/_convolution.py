"""The valid convolution of sparse maps with filters, as a linear operator."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import fft, rfft, rfft2
from scipy.sparse import csc_array

# Numbers in the columns of the images that are correlated at once.
_COLUMNS = 2**22


class Convolution:
    r"""Linear map from sparse maps to an image: valid convolution, summed over the maps.

    .. math:: (F z)_c = \sum_k z_k * f_{k,c}

    The maps are larger than the image by the filter size less one, so that every pixel is
    covered alike and an image smaller than the filter is legal. Arrays are channels-first. The
    coefficient ``(k, u, v)`` places filter ``k`` with its corner at the pixel
    ``(u - h + 1, v - w + 1)``, and what falls outside of the image is cut off.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w), float32 or float64
        The filters; zero where a filter does not see a channel.
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
        self.filters = np.ascontiguousarray(filters)
        self.images_shape = (n_channels, height, width)
        self.maps_shape = (n_filters, height + h - 1, width + w - 1)
        self._full = bool(self.filters.any(axis=(2, 3)).all())
        self._groups = _groups(self.filters, self._full)
        self._columns, self._pixels = _packed(self.filters, height, width)

    @property
    def dtype(self) -> np.dtype:
        """Floating type of the filters."""
        return self.filters.dtype

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Draw images from dense maps.

        Parameters
        ----------
        maps : ndarray of shape (n_samples, n_filters, height + h - 1, width + w - 1)
            Sparse maps, as a dense array.

        Returns
        -------
        images : ndarray of shape (n_samples, n_channels, height, width)
            The reconstructions.
        """
        height, width = self.images_shape[1:]
        h, w = self.filters.shape[2:]
        rows, columns = self.maps_shape[1:]
        images = np.zeros((len(maps), *self.images_shape), dtype=self.dtype)
        for image, one in zip(images, maps, strict=True):
            one = one.reshape(len(one), -1)
            for channels, kernels, matrix in self._groups:
                planes = (matrix.T @ one[kernels]).reshape(-1, h, w, rows, columns)
                part = image[channels]
                for a in range(h):
                    for b in range(w):
                        top, left = h - 1 - a, w - 1 - b
                        part += planes[:, a, b, top : top + height, left : left + width]
        return images

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """Correlate images with the filters.

        Parameters
        ----------
        images : ndarray of shape (n_samples, n_channels, height, width)
            Images, mostly residuals.

        Returns
        -------
        maps : ndarray of shape (n_samples, n_filters, height + h - 1, width + w - 1)
            The inner product of every image with every atom.
        """
        result = np.empty((len(images), *self.maps_shape), dtype=self.dtype)
        columns_size = self.filters[0].size * self.maps_shape[1] * self.maps_shape[2]
        step = max(1, _COLUMNS // columns_size)
        for first in range(0, len(images), step):
            self._correlate(images[first : first + step], result[first : first + step])
        return result

    def _correlate(self, images, result):
        h, w = self.filters.shape[2:]
        padded = np.pad(images, ((0, 0), (0, 0), (h - 1, h - 1), (w - 1, w - 1)))
        windows = sliding_window_view(padded, self.maps_shape[1:], axis=(2, 3))
        if not self._full:
            result[:] = 0
        for channels, kernels, matrix in self._groups:
            columns = np.ascontiguousarray(windows[:, channels])
            columns = columns.reshape(len(images), matrix.shape[1], -1)
            # One product per image, of one size: the result never depends on the stack.
            product = np.matmul(matrix, columns).reshape(len(images), -1, *self.maps_shape[1:])
            if self._full:
                result[:] = product
            else:
                result[:, kernels] += product

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix.

        Parameters
        ----------
        index : ndarray of int of shape (n_atoms,)
            Flat positions in one image's maps, C order of ``maps_shape``.

        Returns
        -------
        atoms : csc_array of shape (n_channels * height * width, n_atoms)
            The images that the chosen coefficients draw, with 32-bit indices. Every column stores
            as many entries as the filter that sees most channels has; where an atom is cut off,
            or sees fewer, they are zeros.
        """
        height, width = self.images_shape[1:]
        h, w = self.filters.shape[2:]
        kernel, position = np.divmod(index, self.maps_shape[1] * self.maps_shape[2])
        top, left = np.divmod(position, self.maps_shape[2])
        top, left = top - (h - 1), left - (w - 1)
        if len(index) * self._columns.shape[1] >= 2**31:
            raise ValueError(
                f"{len(index)} atoms of {self._columns.shape[1]} pixels exceed 32-bit indices; "
                "lower lam for sparser maps, or cut the images into parts."
            )
        data = self._columns[kernel]
        pixels = self._pixels if len(self._pixels) == 1 else self._pixels[kernel]
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

        The operator is a part of the circular convolution on the grid of the map, whose norm the
        Fourier transform gives exactly: at each frequency, that of an (n_filters, n_channels)
        matrix.

        Returns
        -------
        bound : float
            At least the largest singular value; the true one is approached as images grow.
        """
        rows, columns = self.maps_shape[1:]
        filters = self.filters.astype(np.float64)
        if self.images_shape[0] == 1:
            spectrum = rfft2(filters, s=(rows, columns))
            return float(np.sqrt((np.abs(spectrum) ** 2).sum(axis=0).max()))
        largest = 0.0
        # One column of frequencies at a time: of many channels all would not fit into memory.
        for column in np.moveaxis(rfft(filters, n=columns, axis=3), 3, 0):
            matrices = fft(column, n=rows, axis=2).transpose(2, 0, 1)
            if matrices.shape[1] < matrices.shape[2]:
                matrices = matrices.transpose(0, 2, 1)
            gram = matrices.conj().transpose(0, 2, 1) @ matrices
            largest = max(largest, float(np.linalg.eigvalsh(gram)[:, -1].max()))
        return largest**0.5


def _groups(filters, full):
    """(channels, kernels, matrix): the channels that filters see, with the filters that see them.

    One group of everything where every filter sees every channel; otherwise one for each channel,
    so that the work falls with the number of connections.
    """
    if full:
        return [(slice(None), slice(None), filters.reshape(len(filters), -1))]
    groups, seen = [], filters.any(axis=(2, 3))
    for channel in np.flatnonzero(seen.any(axis=0)):
        kernels = np.flatnonzero(seen[:, channel])
        matrix = filters[kernels, channel].reshape(len(kernels), -1)
        groups.append((slice(channel, channel + 1), kernels, np.ascontiguousarray(matrix)))
    return groups


def _packed(filters, height, width):
    """Entries of every filter on the channels that it sees, and their pixels from its corner.

    Filters that see fewer channels than others are filled up with zeros. One row of pixels serves
    all filters that see the same channels.
    """
    n_filters, _, h, w = filters.shape
    seen = filters.any(axis=(2, 3))
    most = max(1, int(seen.sum(axis=1).max()))
    # The channels seen come first; of the others the entries are zero.
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
