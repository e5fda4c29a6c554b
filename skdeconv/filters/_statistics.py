"""Sufficient statistics of the filters, computed from the non-zero coefficients of maps."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy.sparse import csr_array

from skdeconv.filters._spikes import Spikes

# Sweeps over the filters, and projected gradient steps per filter and sweep.
_SWEEPS, _STEPS = 2, 5
# Products with a block in the bound on its norm.
_POWERS = 4
# Scale, in the unit of the maps, from which on the Gram matrix is multiplied by the scales.
_SMALLEST = 1e-5


class Statistics:
    r"""Sufficient statistics of the filters for given maps: Gram matrix and cross products.

    With P the matrix of shifted maps, :math:`F z = P f`, the squared error
    :math:`\|P f - y\|^2` summed over images is :math:`f^T G f - 2 f^T b` plus a constant, where
    :math:`G = \sum P^T P` and :math:`b = \sum P^T y` are sums over images and mini-batches.
    Images may differ in size. Rows of missing pixels are dropped from P and y. All channels share
    one G: if a pixel is missing from some channels only, its values are imputed with the
    reconstruction by the current filters. The resulting squared error majorises that of the known
    pixels and equals it at the current filters, so minimising it does not increase the latter.

    Parameters
    ----------
    filters_shape : tuple of int
        (n_filters, n_channels, h, w).
    dtype : dtype, default=np.float64
        Floating type of the Gram matrix. Most of the time of an update is spent reading it.

    Attributes
    ----------
    unit : float or None
        Power of two about as large as the maps, so that no square of theirs overflows; None before
        there are any.
    scales : ndarray of shape (n_filters,), float64
        Factor of the maps of each filter, at first the unit, which makes fading and rescaling
        cheap.
    gram : ndarray of shape (n_filters * h * w, n_filters * h * w)
        G for maps divided by their scales.
    cross : ndarray of shape (n_filters * h * w, n_channels), float64
        b.
    """

    def __init__(self, filters_shape, dtype=np.float64):
        n_filters, n_channels, h, w = filters_shape
        self.filters_shape, self._taps = tuple(filters_shape), h * w
        size = n_filters * h * w
        self.unit, self.scales = None, np.ones(n_filters)
        self.gram = np.zeros((size, size), dtype)
        self.cross = np.zeros((size, n_channels))

    def fade(self, factor: float) -> None:
        """Multiply the statistics by the forgetting factor, 0 <= factor <= 1."""
        self.cross *= factor
        self._scale(np.full(len(self.scales), factor**0.5))

    def _scale(self, factors):
        """Multiply the maps of each filter by a factor in the Gram matrix."""
        self.scales *= factors
        if self.unit is not None and self.scales.min() < _SMALLEST * self.unit:
            factors = np.repeat(self.scales / self.unit, self._taps).astype(self.gram.dtype)
            self.gram *= factors[:, None]
            self.gram *= factors
            self._measure(self.unit)

    def _measure(self, unit):
        self.unit, self.scales = unit, np.full(len(self.scales), unit)

    def add(self, maps: csr_array, images: np.ndarray, flat: np.ndarray | None = None) -> None:
        """Add the statistics of a mini-batch of images and their maps.

        Parameters
        ----------
        maps : csr_array of shape (n_samples, n_filters * map_height * map_width)
            The maps, C order of (n_filters, map_height, map_width).
        images : ndarray of shape (n_samples, n_channels, height, width)
            The images; NaN marks missing pixels.
        flat : ndarray of shape (n_filters * h * w, n_channels), default=None
            The filters of the maps. Required if a pixel is missing from some channels only.
        """
        spikes = Spikes(maps, self.filters_shape, images.shape[1:])
        missing = np.isnan(images)
        known = ~missing.all(axis=1)
        if missing.any():
            # Adding and subtracting their statistics would leave rounding errors.
            spikes.keep_seen(known)
            fill = spikes.reconstruct(flat, len(images)) if (missing & known[:, None]).any() else 0
            images = np.where(missing, known[:, None] * fill, images)
        n_filters, _, h, w = self.filters_shape
        self.cross += spikes.patch_sums(images)
        largest = np.abs(spikes.values).max(initial=0)
        if self.unit is None and largest > 0:
            self._measure(2.0 ** math.frexp(largest)[1])
        spikes.values /= self.scales[spikes.kernel]
        view = self.gram.reshape(n_filters, h, w, n_filters, h, w)
        view += _toeplitz(spikes.correlation().astype(self.gram.dtype), h, w)
        spikes.subtract_unseen(self.gram, known)

    def merge(self, state: dict) -> None:
        """Add the statistics of other images, given by their ``state()``."""
        if state["unit"] is None:
            return
        if self.unit is None:
            self._measure(state["unit"])
        factors = np.repeat(state["scales"] / self.scales, self._taps).astype(self.gram.dtype)
        self.gram += factors[:, None] * state["gram"] * factors
        self.cross += state["cross"]

    def rescale(self, norms: np.ndarray) -> None:
        """Update the statistics for maps multiplied by ``norms``, one factor per filter."""
        self.cross *= np.repeat(norms, self._taps)[:, None]
        self._scale(norms)

    def product(self, flat: np.ndarray) -> np.ndarray:
        """G f for filters of shape (n_filters * h * w, n_channels)."""
        factors = np.repeat(self.scales, self._taps)[:, None]
        return factors * (self.gram @ (factors * flat).astype(self.gram.dtype))

    def anchor(self, weight: float, flat: np.ndarray) -> None:
        """Add the statistics of earlier data for which only the learned filters are known.

        The earlier data is assumed to have the same Gram matrix, up to the factor ``weight``, and
        the filters as its least-squares solution.

        Parameters
        ----------
        weight : float
            Weight of the earlier data relative to the present statistics.
        flat : ndarray of shape (n_filters * h * w, n_channels)
            The filters learned from the earlier data.
        """
        self.cross += weight * self.product(flat)
        self._scale(np.full(len(self.scales), (1 + weight) ** 0.5))

    def clear(self, kernels: np.ndarray, flat: np.ndarray) -> None:
        """Remove the maps of some filters, and subtract their reconstruction from the images.

        Parameters
        ----------
        kernels : ndarray of int
            Indices of these filters.
        flat : ndarray of shape (n_filters * h * w, n_channels)
            All filters, as used to infer the maps.
        """
        rows = (np.asarray(kernels)[:, None] * self._taps + np.arange(self._taps)).ravel()
        removed = np.zeros_like(flat)
        removed[rows] = flat[rows]
        self.cross -= self.product(removed)
        self.gram[rows], self.gram[:, rows], self.cross[rows] = 0, 0, 0

    def descend(self, flat: np.ndarray, mask: np.ndarray | float) -> np.ndarray:
        """Lower the error by block coordinate descent, each filter within the unit ball.

        Parameters
        ----------
        flat : ndarray of shape (n_filters * h * w, n_channels), float64
            The filters, which are changed in place.
        mask : ndarray of the shape of ``flat``, or 1.0
            Zero where a filter is not connected to a channel.

        Returns
        -------
        flat : ndarray of shape (n_filters * h * w, n_channels)
            Filters after projected gradient steps, which do not increase the error.
        """
        taps, scales = self._taps, self.scales
        scaled = (np.repeat(scales, taps)[:, None] * flat).astype(self.gram.dtype)
        lengths = _step_lengths(self.gram, taps)
        for k in np.tile(np.flatnonzero(lengths), _SWEEPS):
            rows = slice(k * taps, (k + 1) * taps)
            block, one = scales[k] ** 2 * self.gram[rows, rows], flat[rows]
            rest = self.cross[rows] - scales[k] * (self.gram[rows] @ scaled) + block @ one
            length = lengths[k] / scales[k] ** 2
            for _ in range(_STEPS):
                one = one + length * (rest - block @ one)
                one *= mask if np.isscalar(mask) else mask[rows]
                one /= max(1.0, float(np.linalg.norm(one)))
            flat[rows], scaled[rows] = one, scales[k] * one
        return flat

    def state(self) -> dict:
        """Plain values and arrays that ``restore`` takes."""
        names = "unit", "scales", "gram", "cross"
        return {name: getattr(self, name) for name in names}

    def restore(self, state: dict) -> None:
        """Take over the statistics of another problem; arrays are copied."""
        self.unit, self.scales = state["unit"], np.array(state["scales"])
        # np.array, because a copy of an array that is mapped from a file would be mapped too.
        self.gram, self.cross = np.array(state["gram"]), np.array(state["cross"])


def _toeplitz(correlation, h, w):
    """View of the correlation as the Gram matrix without borders, (K, h, w, K, h, w)."""
    one, other, down, right = correlation.strides
    return as_strided(
        correlation[:, :, h - 1 :, w - 1 :],
        shape=(len(correlation), h, w, len(correlation), h, w),
        strides=(one, down, right, other, -down, -right),
        writeable=False,
    )


def _step_lengths(gram, taps):
    """Reciprocals of upper bounds on the norms of the diagonal blocks; zero for unused filters.

    A filter whose maps have faded away counts as unused: the reciprocal of a subnormal norm, or its
    quotient with squared scales, would overflow.
    """
    blocks = np.abs(np.stack([gram[k : k + taps, k : k + taps] for k in range(0, len(gram), taps)]))
    # For any positive v the norm is at most the largest quotient of |G| v and v. Powers of |G| let
    # it fall towards the norm of |G|. Rows of zeros are left out.
    vector = np.ones((len(blocks), taps, 1), dtype=gram.dtype)
    for _ in range(_POWERS):
        product = blocks @ vector
        bound = np.divide(product, vector, out=np.zeros_like(vector), where=vector > 0)
        largest = product.max(axis=1, keepdims=True)
        vector = product / np.where(largest > 0, largest, 1)
    bound = bound.max(axis=(1, 2))
    used = bound > np.finfo(bound.dtype).tiny ** 0.5
    return np.divide(1.0, bound, out=np.zeros_like(bound), where=used)
