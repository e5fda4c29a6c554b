"""First filters, and new ones for those that no map uses."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def random_filters(filters_shape, connectivity, random_state, dtype) -> np.ndarray:
    """Gaussian noise of unit norm, zero outside of the connectivity."""
    filters = random_state.standard_normal(filters_shape).astype(dtype)
    return normalized(filters, connectivity)


def normalized(filters, connectivity=None) -> np.ndarray:
    """Filters of unit norm over all channels, zero outside of the connectivity; zeros stay."""
    if connectivity is not None:
        filters = filters * connectivity[:, :, None, None]
    norms = np.linalg.norm(filters.reshape(len(filters), -1), axis=1)
    return (filters / np.where(norms > 0, norms, 1)[:, None, None, None]).astype(filters.dtype)


def redraw(filters, dead, residuals, connectivity, random_state) -> np.ndarray:
    """Replace filters by the patches of the residual images that are reconstructed worst.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The filters.
    dead : ndarray of int
        Which ones to replace.
    residuals : ndarray of shape (n_samples, n_channels, height, width)
        What the other filters leave.
    connectivity : ndarray of bool of shape (n_filters, n_channels) or None
        A patch is normalised over the channels that its filter sees.
    random_state : RandomState
        Chooses among the worst tenth of the patches.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        A copy; filters stay as they are where there is no patch that is not zero.
    """
    h, w = filters.shape[2:]
    padded = np.pad(residuals, ((0, 0), (0, 0), (h - 1, h - 1), (w - 1, w - 1)))
    patches = sliding_window_view(padded, (h, w), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    energy = np.einsum("nyxcab,nyxcab->nyx", patches, patches).ravel()
    worst = np.argsort(-energy, kind="stable")
    worst = worst[: max(len(dead), len(worst) // 10)]
    worst = worst[energy[worst] > 0]
    if not len(worst):
        return filters
    before, filters = filters, filters.copy()
    chosen = random_state.choice(worst, size=len(dead), replace=len(worst) < len(dead))
    filters[dead] = patches[np.unravel_index(chosen, patches.shape[:3])]
    redrawn = normalized(filters, connectivity)
    # A patch may be zero on the channels that its filter sees.
    empty = ~redrawn.any(axis=(1, 2, 3))
    redrawn[empty] = before[empty]
    return redrawn
