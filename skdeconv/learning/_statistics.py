"""Sufficient statistics of filter learning, formed from sparse maps without dense products."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.sparse import csr_array

from skdeconv.learning._spikes import Spikes


class Statistics:
    r"""Gram and cross products that the filters of given maps depend on.

    With P the matrix of shifted maps, :math:`F z = P f`, the squared error
    :math:`\|P f - y\|^2` summed over images is :math:`f^T G f - 2 f^T b` and a constant, where
    :math:`G = \sum P^T P` and :math:`b = \sum P^T y`. Both add up over images and batches, of any
    sizes. Rows of missing pixels are left out of P and y. All channels share one G: of a pixel that
    is missing from some of them, these are taken for what the present filters draw there. The
    squared error then lies above that of the known pixels and touches it at these filters, so that
    to lower the one lowers the other.

    Parameters
    ----------
    filters_shape : tuple of int
        (n_filters, n_channels, h, w).

    Attributes
    ----------
    gram : ndarray of shape (n_filters * h * w, n_filters * h * w), float64
        G, up to the factor ``scale``.
    cross : ndarray of shape (n_filters * h * w, n_channels), float64
        b, up to the factor ``scale``.
    scale : float
        Factor of both, so that forgetting costs nothing.
    """

    def __init__(self, filters_shape):
        n_filters, n_channels, h, w = filters_shape
        self.filters_shape = tuple(filters_shape)
        size = n_filters * h * w
        self.gram = np.zeros((size, size))
        self.cross = np.zeros((size, n_channels))
        self.scale = 1.0

    def fade(self, factor: float) -> None:
        """Multiply all that was added so far by ``factor``, 0 <= factor <= 1."""
        self.scale *= factor
        if self.scale < 1e-10:
            self.gram *= self.scale
            self.cross *= self.scale
            self.scale = 1.0

    def add(self, maps: csr_array, images: np.ndarray, flat: np.ndarray | None = None) -> None:
        """Add the statistics of a stack of images and of their maps.

        Parameters
        ----------
        maps : csr_array of shape (n_samples, n_filters * map_height * map_width)
            The maps, C order of (n_filters, map_height, map_width).
        images : ndarray of shape (n_samples, n_channels, height, width)
            The images, with NaN where pixels are missing.
        flat : ndarray of shape (n_filters * h * w, n_channels), default=None
            The filters that the maps belong to, without which no pixel may be missing from some
            channels alone.
        """
        spikes = Spikes(maps, self.filters_shape, images.shape[1:])
        missing = np.isnan(images)
        known = ~missing.all(axis=1)
        if missing.any():
            # What is added and subtracted again would leave the difference of two roundings.
            spikes.keep_seen(known)
            drawn = spikes.draw(flat, len(images)) if (missing & known[:, None]).any() else 0
            images = np.where(missing, known[:, None] * drawn, images)
        n_filters, _, h, w = self.filters_shape
        view = self.gram.reshape(n_filters, h, w, n_filters, h, w)
        view += _toeplitz(spikes.correlation() / self.scale, h, w)
        unseen = spikes.unseen(known)
        lost = (unseen.T @ unseen).tocoo()
        self.gram[lost.row, lost.col] -= lost.data / self.scale
        self.cross += spikes.patch_sums(images) / self.scale

    def rescale(self, norms: np.ndarray) -> None:
        """Follow maps that were multiplied by ``norms``, one factor per filter."""
        factor = np.repeat(norms, len(self.gram) // len(norms))
        self.gram *= factor[:, None] * factor
        self.cross *= factor[:, None]

    def anchor(self, weight: float, flat: np.ndarray) -> None:
        """Let filters stand for what they were learned from, ``weight`` times what is here.

        Of that nothing is known but that they solve it; it is taken to have the same Gram matrix.

        Parameters
        ----------
        weight : float
            What they weigh.
        flat : ndarray of shape (n_filters * h * w, n_channels)
            The filters.
        """
        self.cross += weight * (self.gram @ flat)
        self.gram *= 1 + weight

    def clear(self, kernels: np.ndarray, flat: np.ndarray) -> None:
        """Forget the maps of some filters, and with them what they draw of the images.

        Parameters
        ----------
        kernels : ndarray of int
            Which filters.
        flat : ndarray of shape (n_filters * h * w, n_channels)
            The filters that the maps belong to.
        """
        taps = len(self.gram) // self.filters_shape[0]
        rows = (np.asarray(kernels)[:, None] * taps + np.arange(taps)).ravel()
        self.cross -= self.gram[:, rows] @ flat[rows]
        self.gram[rows], self.gram[:, rows], self.cross[rows] = 0, 0, 0


def _toeplitz(correlation, h, w):
    """View of the lags as the Gram of a convolution without borders; (K, h, w, K, h, w)."""
    one, other, down, right = correlation.strides
    return as_strided(
        correlation[:, :, h - 1 :, w - 1 :],
        shape=(len(correlation), h, w, len(correlation), h, w),
        strides=(one, down, right, other, -down, -right),
        writeable=False,
    )
