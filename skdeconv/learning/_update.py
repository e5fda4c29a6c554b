"""Filters for given maps: least squares within the unit ball, then unit norm."""

from __future__ import annotations

import numpy as np

from skdeconv.learning._kept_maps import KeptMaps, update_from_maps
from skdeconv.learning._statistics import Statistics

# Times that each filter is visited, and gradient steps of one visit.
_SWEEPS, _STEPS = 3, 3


def update_filters(problem, filters, connectivity=None):
    r"""Lower the squared error over the filters, each within the unit ball, then normalise.

    Descends :math:`\|P f - y\|^2` subject to :math:`\|f_k\| \le 1`. Dividing a filter by its norm
    and multiplying its maps by it changes no reconstruction and can only lower the penalty, so
    that the cost of the images does not rise.

    Parameters
    ----------
    problem : Statistics or KeptMaps
        The least-squares problem; rescaled in place to the maps that belong to unit filters.
    filters : ndarray of shape (n_filters, n_channels, h, w)
        Where to start from.
    connectivity : ndarray of bool of shape (n_filters, n_channels), default=None
        Which filter sees which channel; None for all.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        Unit filters, of the dtype of the input.
    norms : ndarray of shape (n_filters,)
        What the maps of each filter are to be multiplied by.
    """
    n_filters, n_channels, h, w = filters.shape
    flat = flattened(filters)
    mask = 1.0 if connectivity is None else np.repeat(connectivity, h * w, axis=0)
    if isinstance(problem, KeptMaps):
        flat = update_from_maps(problem, flat, mask)
    else:
        flat = _update_from_statistics(problem, flat, mask)
    norms = np.linalg.norm(flat.reshape(n_filters, -1), axis=1)
    norms[norms < 1e-12] = 1.0
    problem.rescale(norms)
    flat = flat.reshape(n_filters, h, w, n_channels) / norms[:, None, None, None]
    return flat.transpose(0, 3, 1, 2).astype(filters.dtype), norms


def flattened(filters):
    """Filters (K, C, h, w) as the columns of the least-squares problem, (K * h * w, C), float64."""
    n_channels = filters.shape[1]
    return filters.transpose(0, 2, 3, 1).reshape(-1, n_channels).astype(np.float64)


def _update_from_statistics(statistics: Statistics, flat, mask):
    """Block-coordinate descent by projected gradient steps that never ascend."""
    gram, target = statistics.gram, statistics.cross
    taps = len(flat) // statistics.filters_shape[0]
    lengths = _step_lengths(gram, taps)
    for k in np.tile(np.flatnonzero(lengths), _SWEEPS):
        rows = slice(k * taps, (k + 1) * taps)
        block, one = gram[rows, rows], flat[rows]
        rest = target[rows] - gram[rows] @ flat + block @ one
        for _ in range(_STEPS):
            one = one + lengths[k] * (rest - block @ one)
            one *= mask if np.isscalar(mask) else mask[rows]
            one /= max(1.0, float(np.linalg.norm(one)))
        flat[rows] = one
    return flat


def _step_lengths(gram, taps):
    """Reciprocals of upper bounds on the diagonal blocks' norms; zero for unused filters."""
    blocks = np.stack([gram[k : k + taps, k : k + taps] for k in range(0, len(gram), taps)])
    # (sum of the eighth powers of the eigenvalues)^(1/8): at most a few tens of percent too high.
    largest = np.abs(blocks).max(axis=(1, 2))
    fourth = np.linalg.matrix_power(blocks / np.where(largest > 0, largest, 1)[:, None, None], 4)
    bound = largest * np.linalg.norm(fourth.reshape(len(blocks), -1), axis=1) ** 0.25
    return np.divide(1.0, bound, out=np.zeros_like(bound), where=bound > 0)
