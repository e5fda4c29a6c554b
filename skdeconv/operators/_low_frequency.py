"""Low-frequency maps: their operator, and their inference from images."""

from __future__ import annotations

import math

import numpy as np
from scipy.fft import dctn, idctn, next_fast_len

from skdeconv.operators._masked import zeros_for_nan

# Relative tolerance and maximum number of steps of the conjugate gradients. The preconditioned
# system takes some tens of steps at smoothness 1 and fewer above. It may take hundreds at 0.001 and
# below, where the system is ill-conditioned, or if many neighbouring pixels are missing.
_TOL, _MOST_STEPS = 1e-6, 500


class LowFrequencyOperator:
    r"""Linear operator from low-frequency maps, one per channel, to images.

    It is the convolution with a constant filter,

    .. math:: (A z_0)_c = z_{0,c} * f_0, \quad f_0 = 1 / \sqrt{h w}

    The low-frequency maps of an image minimise
    :math:`\|A z_0 - y\|^2 + \psi \|\nabla z_0\|^2`, where the gradient is the difference of
    neighbouring coefficients. Arrays are channels-first.

    Parameters
    ----------
    filter_size : tuple of two ints
        (h, w), height and width of the filter in pixels.
    images_shape : tuple of three ints
        (n_channels, height, width).
    smoothness : float
        Weight psi of the squared gradient, above 0.
    dtype : dtype
        Floating type of images and maps.

    Attributes
    ----------
    images_shape : tuple of int
        (n_channels, height, width).
    maps_shape : tuple of int
        (n_channels, height + h - 1, width + w - 1).

    References
    ----------
    M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010, section
    3.3.
    """

    def __init__(self, filter_size, images_shape, smoothness, dtype):
        (h, w), (n_channels, height, width) = filter_size, images_shape
        self.filter_size, self.images_shape = (h, w), tuple(images_shape)
        self.maps_shape = n_channels, height + h - 1, width + w - 1
        self.smoothness, self.dtype = smoothness, np.dtype(dtype)
        self._scale = math.sqrt(h * w)
        # The preconditioner works on a larger grid, of a size whose cosine transform is fast. The
        # zeros beyond the borders stand for the pixels that the system lacks there.
        sizes = list(zip(self.maps_shape[1:], (h, w), strict=True))
        self._grid = [next_fast_len(size + 2 * (n - 1), real=True) for size, n in sizes]
        corner = [(n - size) // 2 for n, (size, _) in zip(self._grid, sizes, strict=True)]
        places = zip(corner, self.maps_shape[1:], strict=True)
        self._inside = slice(None), *(slice(first, first + size) for first, size in places)
        frequencies = [np.pi * np.arange(n) / n for n in self._grid]
        self._gains = [_gain(omega, n) for omega, n in zip(frequencies, (h, w), strict=True)]
        self._steepness = [2 - 2 * np.cos(omega) for omega in frequencies]

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Reconstruct images (n_samples, n_channels, height, width) from low-frequency maps."""
        return self._drawn(maps).astype(self.dtype)

    def fit(self, images: np.ndarray, init=None) -> tuple[np.ndarray, np.ndarray]:
        r"""Infer the low-frequency maps of images.

        Solves :math:`(A^T M A + \psi \nabla^T \nabla) z_0 = A^T M y`, where M masks missing pixels,
        by conjugate gradients in float64. The preconditioner is the inverse of the system without
        borders, in which a factor stands for M, the fraction of known pixels; it is computed by the
        cosine transform. Every image is solved separately, in at most 500 steps.

        Parameters
        ----------
        images : ndarray of shape (n_samples, n_channels, height, width)
            The images y, usually residuals; NaN where a pixel is missing from a channel.
        init : ndarray of shape (n_samples, n_channels, map_height, map_width), default=None
            Initial maps, such as those of similar images. The tolerance does not depend on them.

        Returns
        -------
        maps : ndarray of shape (n_samples, n_channels, map_height, map_width)
            The low-frequency maps, in ``dtype``; zero for channels without known pixels.
        roughness : ndarray of shape (n_samples,), float64
            psi times the squared norm of the gradient of the maps of each image.
        """
        maps = np.empty((len(images), *self.maps_shape), dtype=self.dtype)
        starts = [None] * len(images) if init is None else init
        for one, image, start in zip(maps, images, starts, strict=True):
            # One image at a time, so that results do not depend on the batch. A constant map
            # reconstructs the mean exactly; the tolerance then applies to the remainder.
            known, image = ~np.isnan(image), zeros_for_nan(image)
            mean = image.sum(axis=(1, 2), keepdims=True, dtype=np.float64)
            mean /= np.maximum(known.sum(axis=(1, 2), keepdims=True), 1)
            level = mean / self._scale
            start = None if start is None else start - level
            one[:] = self._solve(known * (image - mean), known, start) + level
        return maps, self.roughness(maps)

    def roughness(self, maps: np.ndarray) -> np.ndarray:
        """Squared norm of the gradient of the maps of each image, times psi, in float64."""
        parts = (np.diff(maps, axis=axis).astype(np.float64) for axis in (2, 3))
        return self.smoothness * sum((part**2).sum(axis=(1, 2, 3)) for part in parts)

    def _solve(self, image, known, start):
        residual = self._correlated(image)
        maps, direction, energy = np.zeros_like(residual), 0.0, 1.0
        enough, symbol = _TOL**2 * np.sum(residual**2), self._symbol(known)
        if start is not None:
            rest = residual - self._system(start, known)
            # Zeros are the better start where the image has become constant, for instance.
            if np.sum(rest**2) < np.sum(residual**2):
                maps, residual = start.copy(), rest
        for _ in range(_MOST_STEPS):
            if np.sum(residual**2) <= enough:
                break
            solved = self._preconditioned(residual, symbol)
            before, energy = energy, np.sum(residual * solved)
            direction = solved + energy / before * direction
            image_of = self._system(direction, known)
            curvature = np.sum(direction * image_of)
            # Extreme smoothness overflows or underflows; the current iterate is kept.
            if not (0 < energy < np.inf and 0 < curvature < np.inf):
                break
            step = energy / curvature
            maps += step * direction
            residual -= step * image_of
        return maps

    def _symbol(self, known):
        """Eigenvalues of the system without borders, which the cosine transform diagonalises."""
        share = known.mean(axis=(1, 2))
        # Channels without known pixels have a residual of zero.
        share[share == 0] = 1
        gains, steepness = np.multiply.outer(*self._gains), np.add.outer(*self._steepness)
        return share[:, None, None] * gains + self.smoothness * steepness

    def _preconditioned(self, residual, symbol):
        """Solve the system without borders approximately."""
        padded = np.zeros((len(residual), *self._grid))
        padded[self._inside] = residual
        solved = dctn(padded, axes=(1, 2), norm="ortho", overwrite_x=True) / symbol
        return idctn(solved, axes=(1, 2), norm="ortho", overwrite_x=True)[self._inside]

    def _drawn(self, maps):
        """Reconstruct images from maps, in float64."""
        (h, w), maps = self.filter_size, np.asarray(maps, dtype=np.float64)
        return _window_sums(_window_sums(maps, h, -2), w, -1) / self._scale

    def _correlated(self, images):
        """Adjoint of ``_drawn``."""
        h, w = self.filter_size
        return self._drawn(np.pad(images, ((0, 0), (h - 1, h - 1), (w - 1, w - 1))))

    def _system(self, maps, known):
        result = self._correlated(known * self._drawn(maps))
        for axis in (1, 2):
            slope = self.smoothness * np.diff(maps, axis=axis)
            result -= np.diff(slope, axis=axis, prepend=0, append=0)
        return result


def _window_sums(array, width, axis):
    """Sums over all windows along an axis, composed of windows whose widths are powers of two."""
    lines = np.moveaxis(array, axis, 0)
    n_windows, first, total = len(lines) - width + 1, 0, 0
    for bit in range(width.bit_length()):
        if bit:
            half = 1 << (bit - 1)
            lines = lines[:-half] + lines[half:]
        if width >> bit & 1:
            total = total + lines[first : first + n_windows]
            first += 1 << bit
    return np.moveaxis(total, 0, axis)


def _gain(omega, width):
    """Squared magnitude of the Fourier transform of the constant filter."""
    half = np.sin(omega / 2)
    ratio = np.divide(
        np.sin(width * omega / 2), half, out=np.full_like(omega, width), where=half > 1e-12
    )
    return ratio**2 / width
