"""Filter update for given maps: least squares within the unit ball, then normalisation."""

from __future__ import annotations

import numpy as np


def update_filters(problem, filters, connectivity=None):
    r"""Update filters to decrease the squared error within the unit ball, then normalise them.

    Decreases :math:`\|P f - y\|^2` subject to :math:`\|f_k\| \le 1`. Dividing a filter by its norm
    and multiplying its maps by the norm preserves the reconstruction and does not increase the
    penalty, so the cost of the images does not increase.

    Parameters
    ----------
    problem : Statistics or ImplicitStatistics
        The least-squares problem; rescaled in place to the maps of the normalised filters.
    filters : ndarray of shape (n_filters, n_channels, h, w)
        Initial filters.
    connectivity : ndarray of bool of shape (n_filters, n_channels), default=None
        Which filter is connected to which channel; None for full connectivity.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        Filters of unit norm, with the dtype of the input.
    norms : ndarray of shape (n_filters,)
        Factors by which the maps of the filters have to be multiplied.
    """
    n_filters, n_channels, h, w = filters.shape
    flat = flattened(filters)
    mask = 1.0 if connectivity is None else np.repeat(connectivity, h * w, axis=0)
    flat = problem.descend(flat, mask)
    norms = np.linalg.norm(flat.reshape(n_filters, -1), axis=1)
    norms[norms < 1e-12] = 1.0
    problem.rescale(norms)
    flat = flat.reshape(n_filters, h, w, n_channels) / norms[:, None, None, None]
    return flat.transpose(0, 3, 1, 2).astype(filters.dtype), norms


def flattened(filters):
    """Reshape filters (K, C, h, w) to columns (K * h * w, C) of the least-squares problem."""
    n_channels = filters.shape[1]
    return filters.transpose(0, 2, 3, 1).reshape(-1, n_channels).astype(np.float64)
