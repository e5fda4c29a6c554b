"""Recentring of filters whose pattern is cut off at one side."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from skdeconv.filters._spikes import Spikes

# A filter moves if the energy in its window increases by more than this factor.
_GAIN = 1.02


def recenter(filters, parts, connectivity=None):
    """Shift filters by one pixel where this increases the energy in their window.

    Learning has local minima in which a filter represents a pattern that is cut off at one side.
    The continuation of the pattern around the window is estimated from the residuals at the
    coefficients of the filter, by least squares with all other coefficients fixed.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The filters, of unit norm.
    parts : list of pairs (csr_array, ndarray)
        Maps (n_samples, n_filters * map_height * map_width) and residuals (n_samples, n_channels,
        height, width) of images of one size; one pair per size.
    connectivity : ndarray of bool of shape (n_filters, n_channels), default=None
        Which filter is connected to which channel; None for full connectivity.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        For a shifted filter, the pattern in its new window, scaled to unit norm; other filters are
        unchanged.
    moves : ndarray of int of shape (n_filters, 2)
        Shift of the windows in rows and columns, each -1, 0 or 1.
    """
    n_filters, n_channels, h, w = filters.shape
    # Filters are not shifted along an axis of one pixel.
    margin = int(h > 1), int(w > 1)
    energy = np.zeros(n_filters)
    wide = np.zeros((n_filters, h + 2 * margin[0], w + 2 * margin[1], n_channels))
    for maps, residuals in parts:
        spikes = Spikes(maps, filters.shape, residuals.shape[1:])
        energy += np.bincount(spikes.kernel, weights=spikes.values**2, minlength=n_filters)
        wide += spikes.patch_sums(residuals, margin).reshape(wide.shape)
    wide /= np.where(energy > 0, energy, 1)[:, None, None, None]
    wide = wide.transpose(0, 3, 1, 2)
    if connectivity is not None:
        wide = wide * connectivity[:, :, None, None]
    wide[:, :, margin[0] : margin[0] + h, margin[1] : margin[1] + w] += filters
    windows = sliding_window_view(wide, (h, w), axis=(2, 3))
    held = np.einsum("kcyxab,kcyxab->kyx", windows, windows)
    best = held.reshape(n_filters, -1).argmax(axis=1)
    row, column = np.unravel_index(best, held.shape[1:])
    stay = held[:, margin[0], margin[1]]
    moving = (held.reshape(n_filters, -1).max(axis=1) > _GAIN * stay) & (energy > 0)
    moves = np.where(moving[:, None], np.stack([row - margin[0], column - margin[1]], axis=1), 0)
    filters = filters.copy()
    for k in np.flatnonzero(moving):
        pattern = windows[k, :, row[k], column[k]]
        filters[k] = pattern / np.linalg.norm(pattern)
    return filters, moves
