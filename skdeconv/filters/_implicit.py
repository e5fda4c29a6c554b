"""Filter updates from stored maps, for sufficient statistics that do not fit into memory."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from skdeconv.filters._spikes import Spikes
from skdeconv.operators import zeros_for_nan

# Mini-batches of a smaller weight are dropped, and fading keeps at most this many: the time of an
# update grows with them, and older maps belong to older filters.
_NEGLIGIBLE, _MOST = 0.05, 12
# Conjugate gradient steps of an update.
_STEPS = 3


class ImplicitStatistics:
    """Least-squares problem of the filters, in terms of the maps instead of a Gram matrix.

    It replaces ``Statistics``: the same problem with the same fading of earlier mini-batches, of
    which it keeps the last ones, but without a Gram matrix. The memory is proportional to the
    number of stored non-zero coefficients instead of the square of the number of filter entries.
    NaN marks missing pixels of the images, independently for each channel.

    Parameters
    ----------
    filters_shape : tuple of int
        (n_filters, n_channels, h, w).
    dtype : dtype, default=np.float64
        Ignored.
    """

    def __init__(self, filters_shape, dtype=np.float64):
        self.filters_shape = tuple(filters_shape)
        self._weights, self._spikes, self._images = [], [], []

    def fade(self, factor: float) -> None:
        """Multiply the weights of all mini-batches by ``factor``; drop negligible ones."""
        weights = [factor * weight for weight in self._weights]
        first = max(0, len(weights) - _MOST)
        kept = [i for i in range(first, len(weights)) if weights[i] > _NEGLIGIBLE]
        self._weights = [weights[i] for i in kept]
        self._spikes = [self._spikes[i] for i in kept]
        self._images = [self._images[i] for i in kept]

    def add(self, maps, images, flat=None) -> None:
        """Add a mini-batch of images and their maps; ``flat`` is ignored."""
        self._weights.append(1.0)
        self._spikes.append(Spikes(maps, self.filters_shape, images.shape[1:]))
        self._images.append(images)

    def clear(self, kernels, flat) -> None:
        """Remove the maps of some filters, and subtract their reconstruction from the images."""
        for i, (spikes, images) in enumerate(zip(self._spikes, self._images, strict=True)):
            values, cleared = spikes.values, np.isin(spikes.kernel, kernels)
            spikes.values = np.where(cleared, values, 0)
            self._images[i] = images - spikes.reconstruct(flat, len(images))
            spikes.values = np.where(cleared, 0, values)

    def rescale(self, norms) -> None:
        """Multiply the maps of each filter by its factor in ``norms``."""
        for spikes in self._spikes:
            spikes.values *= norms[spikes.kernel]

    def error(self, flat) -> float:
        """Half the weighted squared error for filters of shape (K * h * w, C)."""
        return sum(
            0.5 * weight * float(np.sum(_residuals(spikes, images, flat) ** 2))
            for weight, spikes, images in self._batches()
        )

    def descent(self, flat):
        """Negative gradient of ``error``."""
        return sum(
            weight * spikes.patch_sums(_residuals(spikes, images, flat))
            for weight, spikes, images in self._batches()
        )

    def curvature(self, flat):
        """Product of the Gram matrix with ``flat``."""
        return sum(
            weight
            * spikes.patch_sums(
                np.where(np.isnan(images), 0, spikes.reconstruct(flat, len(images)))
            )
            for weight, spikes, images in self._batches()
        )

    def descend(self, flat: np.ndarray, mask: np.ndarray | float) -> np.ndarray:
        """Lower the error by conjugate gradients, then project each filter to the unit ball.

        Parameters
        ----------
        flat : ndarray of shape (n_filters * h * w, n_channels), float64
            The filters.
        mask : ndarray of the shape of ``flat``, or 1.0
            Zero where a filter is not connected to a channel.

        Returns
        -------
        flat : ndarray of shape (n_filters * h * w, n_channels)
            Filters within the unit ball, whose error is not larger than before.
        """
        residual = mask * self.descent(flat)
        direction, moved, energy = residual, np.zeros_like(flat), float(np.sum(residual**2))
        for _ in range(_STEPS):
            if energy == 0:
                break
            image = mask * self.curvature(direction)
            step = energy / float(np.sum(direction * image))
            moved = moved + step * direction
            residual = residual - step * image
            before, energy = energy, float(np.sum(residual**2))
            direction = residual + energy / before * direction
        start = self.error(flat)
        # The projection can increase the error: backtrack until it does not.
        for shrink in 0.5 ** np.arange(8):
            trial = (flat + shrink * moved).reshape(self.filters_shape[0], -1)
            trial /= np.maximum(1.0, np.linalg.norm(trial, axis=1, keepdims=True))
            trial = trial.reshape(flat.shape)
            if self.error(trial) <= start:
                return trial
        return flat

    def state(self) -> dict:
        """Plain values and arrays that ``restore`` takes."""
        return {
            "weights": [float(weight) for weight in self._weights],
            "spikes": [
                {name: getattr(spikes, name) for name in Spikes.PARTS} for spikes in self._spikes
            ],
            "images": list(self._images),
        }

    def restore(self, state: dict) -> None:
        """Take over the mini-batches of another problem."""
        self._weights, self._images = list(state["weights"]), list(state["images"])
        self._spikes = []
        for parts, images in zip(state["spikes"], self._images, strict=True):
            spikes = Spikes(csr_array((len(images), 1)), self.filters_shape, images.shape[1:])
            vars(spikes).update(parts)
            self._spikes.append(spikes)

    def _batches(self):
        return zip(self._weights, self._spikes, self._images, strict=True)


def _residuals(spikes, images, flat):
    """Residuals of the images; zero at missing pixels."""
    return zeros_for_nan(images - spikes.reconstruct(flat, len(images)))
