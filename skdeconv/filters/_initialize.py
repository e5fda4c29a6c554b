"""Initialisation of filters, and replacement of unused ones."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def random_filters(filters_shape, connectivity, random_state, dtype) -> np.ndarray:
    """Gaussian noise, scaled to unit norm; zero for channels that are not connected."""
    filters = random_state.standard_normal(filters_shape).astype(dtype)
    return normalized(filters, connectivity)


def normalized(filters, connectivity=None) -> np.ndarray:
    """Scale filters to unit norm over their connected channels; zero filters stay zero."""
    if connectivity is not None:
        filters = filters * connectivity[:, :, None, None]
    # Powers of two change no digit, but squares of huge filters would overflow.
    _, exponents = np.frexp(np.abs(filters).max(axis=(1, 2, 3)))
    filters = np.ldexp(filters, -exponents[:, None, None, None])
    norms = np.linalg.norm(filters.reshape(len(filters), -1), axis=1)
    return (filters / np.where(norms > 0, norms, 1)[:, None, None, None]).astype(filters.dtype)


def with_canonical_signs(filters) -> np.ndarray:
    """Flip the signs of filters so that their entry of largest magnitude is positive."""
    flat = filters.reshape(len(filters), -1)
    largest = flat[np.arange(len(flat)), np.abs(flat).argmax(axis=1)]
    signs = np.where(largest < 0, -1, 1).astype(filters.dtype)
    return filters * signs[:, None, None, None]


def redraw(filters, dead, residuals, connectivity, random_state) -> np.ndarray:
    """Replace filters by patches of the residuals with large error.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The filters.
    dead : ndarray of int
        Indices of the filters to replace.
    residuals : list of ndarray of shape (n_samples, n_channels, height, width)
        Residuals of the images with the other filters; one stack per image size.
    connectivity : ndarray of bool of shape (n_filters, n_channels) or None
        Which filter is connected to which channel. A patch is restricted to the connected channels
        of its filter, and normalised over them.
    random_state : RandomState
        Selects patches among the tenth with the largest error.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        A copy of the filters. They are not replaced if all patches are zero.
    """
    h, w = filters.shape[2:]
    margins = ((0, 0), (0, 0), (h - 1, h - 1), (w - 1, w - 1))
    patches = [
        sliding_window_view(np.pad(stack, margins), (h, w), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
        for stack in residuals
    ]
    planes = [np.einsum("nyxcab,nyxcab->cnyx", one, one) for one in patches]
    first = np.cumsum([0] + [plane[0].size for plane in planes])
    filters = filters.copy()
    for kernels, channels in _seeing_the_same(dead, connectivity):
        energy = np.concatenate([plane[channels].sum(axis=0).ravel() for plane in planes])
        worst = np.argsort(-energy, kind="stable")
        worst = worst[: max(len(kernels), len(worst) // 10)]
        worst = worst[energy[worst] > 0]
        if len(worst):
            few = len(worst) < len(kernels)
            chosen = random_state.choice(worst, size=len(kernels), replace=few)
            for kernel, place in zip(kernels, chosen, strict=True):
                one = int(np.searchsorted(first, place, side="right")) - 1
                at = np.unravel_index(place - first[one], patches[one].shape[:3])
                filters[kernel] = patches[one][at]
    return normalized(filters, connectivity)


def _seeing_the_same(kernels, connectivity):
    """Groups of filters that are connected to the same channels, and these channels."""
    if connectivity is None:
        return [(kernels, slice(None))]
    tables, group = np.unique(connectivity[kernels], axis=0, return_inverse=True)
    group = group.reshape(-1)
    return [(kernels[group == i], np.flatnonzero(table)) for i, table in enumerate(tables)]
