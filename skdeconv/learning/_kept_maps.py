"""Filter learning from kept maps, where the sufficient statistics would not fit into memory."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from skdeconv.learning._spikes import Spikes
from skdeconv.operators import zeros_for_nan

# Below this weight a batch is forgotten, and no more than so many are kept once they fade.
_NEGLIGIBLE, _MOST = 0.05, 64


class KeptMaps:
    """The least-squares problem of the filters, as products with the maps themselves.

    Stands in for ``Statistics``: the same problem, faded in the same way, but no Gram matrix. Its
    memory grows with the number of non-zeros kept instead of the square of the filters' size. Of
    the images, NaN marks missing pixels, here in each channel by itself.

    Parameters
    ----------
    filters_shape : tuple of int
        (n_filters, n_channels, h, w).
    """

    def __init__(self, filters_shape):
        self.filters_shape = tuple(filters_shape)
        self._weights, self._spikes, self._images = [], [], []

    def fade(self, factor: float) -> None:
        """Multiply the weight of all that was added so far; forget what is negligible."""
        weights = [factor * weight for weight in self._weights]
        first = max(0, len(weights) - _MOST)
        kept = [i for i in range(first, len(weights)) if weights[i] > _NEGLIGIBLE]
        self._weights = [weights[i] for i in kept]
        self._spikes = [self._spikes[i] for i in kept]
        self._images = [self._images[i] for i in kept]

    def add(self, maps, images, flat=None) -> None:
        """Add a stack of images and their maps; the filters are not needed."""
        self._weights.append(1.0)
        self._spikes.append(Spikes(maps, self.filters_shape, images.shape[1:]))
        self._images.append(images)

    def clear(self, kernels, flat) -> None:
        """Forget the maps of some filters, and with them what they draw of the images."""
        for i, (spikes, images) in enumerate(zip(self._spikes, self._images, strict=True)):
            values, cleared = spikes.values, np.isin(spikes.kernel, kernels)
            spikes.values = np.where(cleared, values, 0)
            self._images[i] = images - spikes.draw(flat, len(images))
            spikes.values = np.where(cleared, 0, values)

    def rescale(self, norms) -> None:
        """Follow maps that were multiplied by ``norms``, one factor per filter."""
        for spikes in self._spikes:
            spikes.values *= norms[spikes.kernel]

    def error(self, flat) -> float:
        """Half the weighted squared error of filters of shape (K * h * w, C)."""
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
            * spikes.patch_sums(np.where(np.isnan(images), 0, spikes.draw(flat, len(images))))
            for weight, spikes, images in self._batches()
        )

    def state(self) -> tuple[list[float], dict[str, np.ndarray]]:
        """Weights of what is kept, and arrays that ``restore`` brings it back from."""
        arrays = {}
        for i, (spikes, images) in enumerate(zip(self._spikes, self._images, strict=True)):
            arrays |= {f"{i}.{name}": getattr(spikes, name) for name in Spikes.PARTS}
            arrays[f"{i}.images"] = images
        return [float(weight) for weight in self._weights], arrays

    def restore(self, weights: list[float], arrays: dict[str, np.ndarray]) -> None:
        """Keep what another problem has kept."""
        self._weights = list(weights)
        self._images = [arrays[f"{i}.images"] for i in range(len(weights))]
        self._spikes = []
        for i, images in enumerate(self._images):
            spikes = Spikes(csr_array((len(images), 1)), self.filters_shape, images.shape[1:])
            vars(spikes).update({name: arrays[f"{i}.{name}"] for name in Spikes.PARTS})
            self._spikes.append(spikes)

    def _batches(self):
        return zip(self._weights, self._spikes, self._images, strict=True)


def _residuals(spikes, images, flat):
    """What the filters leave of the images; zeros at missing pixels."""
    return zeros_for_nan(images - spikes.draw(flat, len(images)))


def update_from_maps(kept, flat, mask, n_iter=3):
    """Lower the error over the filters by conjugate gradients, each kept within the unit ball.

    Parameters
    ----------
    kept : KeptMaps
        The problem.
    flat : ndarray of shape (n_filters * h * w, n_channels), float64
        The filters.
    mask : ndarray of the same shape, or 1.0
        Zero where a filter does not see a channel.
    n_iter : int, default=3
        Steps of conjugate gradients.

    Returns
    -------
    flat : ndarray of shape (n_filters * h * w, n_channels)
        Filters of no larger error, within the unit ball.
    """
    n_filters = kept.filters_shape[0]
    residual = mask * kept.descent(flat)
    direction, moved, energy = residual, np.zeros_like(flat), float(np.sum(residual**2))
    for _ in range(n_iter):
        if energy == 0:
            break
        image = mask * kept.curvature(direction)
        step = energy / float(np.sum(direction * image))
        moved = moved + step * direction
        residual = residual - step * image
        before, energy = energy, float(np.sum(residual**2))
        direction = residual + energy / before * direction
    start = kept.error(flat)
    # The projection may undo what the conjugate gradients won: then a shorter way is taken.
    for shrink in 0.5 ** np.arange(8):
        trial = (flat + shrink * moved).reshape(n_filters, -1)
        trial /= np.maximum(1.0, np.linalg.norm(trial, axis=1, keepdims=True))
        trial = trial.reshape(flat.shape)
        if kept.error(trial) <= start:
            return trial
    return flat
