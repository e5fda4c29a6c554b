"""Results of inference: sparse maps with their cost and optimality."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array, vstack

from skdeconv.layouts import stacked_rows

# The fields with one number per image.
_NUMBERS = ("cost", "n_iter", "optimality", "converged")


@dataclass(frozen=True)
class InferenceResult:
    """Sparse maps of several images; every field has the sample axis first.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_filters * map_height * map_width)
        One row per image, in C order of the operator's ``maps_shape``. If images differ in size,
        the width is that of the largest.
    cost : ndarray of shape (n_samples,), float64
        ``weight / 2 * ||F z - y||^2 + sum |z|^p`` of the returned maps.
    n_iter : ndarray of shape (n_samples,), int
        Iterations used, in the solver's own unit.
    optimality : ndarray of shape (n_samples,), float64
        At p = 1 the relative duality gap, an upper bound on the relative suboptimality. At p < 1
        the largest violation of stationarity on the support, which is not a bound.
    converged : ndarray of shape (n_samples,), bool
        Whether the stopping criterion of the solver was met.
    low_frequency : list of ndarray of shape (n_channels, map_height, map_width), default=None
        Low-frequency maps of each image, if they were inferred. ``cost`` then includes their
        roughness, and ``optimality`` is that of the sparse maps with these held fixed.
    """

    maps: csr_array
    cost: np.ndarray
    n_iter: np.ndarray
    optimality: np.ndarray
    converged: np.ndarray
    low_frequency: list | None = None

    def select(self, order: np.ndarray) -> InferenceResult:
        """The results of some of the images, in a given order."""
        low_frequency = self.low_frequency
        if low_frequency is not None:
            low_frequency = [low_frequency[i] for i in order]
        numbers = {name: getattr(self, name)[order] for name in _NUMBERS}
        return replace(self, maps=self.maps[order], low_frequency=low_frequency, **numbers)


def concatenated(results: list[InferenceResult], samples: list[np.ndarray]) -> InferenceResult:
    """Concatenate results, with the images of each at the given positions.

    Parameters
    ----------
    results : list of InferenceResult
        The results, at least one.
    samples : list of ndarray of int
        Positions of the images of each result; each position occurs once.
    """
    if len(results) == 1:
        joined = results[0]
    else:
        low_frequency = None
        if results[0].low_frequency is not None:
            low_frequency = [maps for one in results for maps in one.low_frequency]
        joined = InferenceResult(
            stacked_rows([one.maps for one in results]),
            *(np.concatenate([getattr(one, name) for one in results]) for name in _NUMBERS),
            low_frequency=low_frequency,
        )
    order = np.concatenate(samples)
    return joined if (np.diff(order) > 0).all() else joined.select(np.argsort(order))


def cheaper(first: InferenceResult, second: InferenceResult) -> InferenceResult:
    """Select the result of lower cost for every image; the first one if they are equal."""
    better = second.cost < first.cost
    row = np.arange(len(better)) + better * len(better)
    return InferenceResult(
        vstack([first.maps, second.maps], format="csr")[row],
        *(np.where(better, getattr(second, name), getattr(first, name)) for name in _NUMBERS),
    )
