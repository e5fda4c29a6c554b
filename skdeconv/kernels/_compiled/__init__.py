"""The compiled kernels; see the package ``skdeconv.kernels``."""

from __future__ import annotations

import numba
import numpy as np

from skdeconv.kernels._compiled import _correlation, _descent, _padding
from skdeconv.kernels._compiled._bank import FilterBank

__all__ = ["FilterBank", "best", "correlate", "descend"]

if tuple(int(part) for part in numba.__version__.split(".")[:2]) < (0, 61):
    raise ImportError(f"numba {numba.__version__} is older than 0.61.")

# Number of multiplications of a call that takes about half a second.
_WORK = 2**31


def correlate(images, bank) -> np.ndarray:
    """Inner products of images with all atoms."""
    place = bank.at(images)
    maps = np.empty((len(images), bank.n_filters, *place.maps_shape), images.dtype)
    line = np.empty(place.line, images.dtype)
    for some in _parts(len(images), bank.work(images)):
        _correlation.correlate(
            images[some], place.empty(), *bank.filters, place.planes, *bank.size, line, maps[some]
        )
    return maps


def best(images, bank, positive) -> tuple[np.ndarray, np.ndarray]:
    """Largest inner product at each position, and its filter."""
    place = bank.at(images)
    scores = np.empty((len(images), *place.maps_shape), images.dtype)
    kernels = np.empty(scores.shape, np.int32)
    lines = np.empty(place.line, images.dtype), np.empty(place.line, np.int32)
    for some in _parts(len(images), bank.work(images)):
        _correlation.best(
            images[some], place.empty(), *bank.filters, place.planes, *bank.size, positive, *lines,
            scores[some], kernels[some],
        )  # fmt: skip
    return scores, kernels


def descend(images, known, bank, index, values, slopes, weight, positive, n_sweeps):
    """Values after sweeps of coordinate descent, and residuals."""
    place, (h, w) = bank.at(images), bank.size
    rows, columns = place.maps_shape
    sample, position = np.divmod(index, bank.n_filters * rows * columns)
    kernel, position = np.divmod(position, rows * columns)
    y, x = np.divmod(position, columns)
    # Atoms that reach beyond the image, or over missing pixels.
    cut = (y < h - 1) | (x < w - 1) | (y >= rows - h + 1) | (x >= columns - w + 1)
    mask = place.empty()
    if known is None:
        known = np.ones(images.shape[1:], images.dtype)
    else:
        cut[:] = True
    _padding.fill(mask, np.asarray(known, images.dtype)[None], 0, h, w)
    indptr = np.searchsorted(sample, np.arange(len(images) + 1))
    atoms = indptr, kernel, y * place.stride + x, cut
    values, residual = values.copy(), np.empty_like(images)
    scratch, inverse = place.empty(), np.empty_like(values)
    slopes = np.ones_like(values) if slopes is None else slopes.astype(values.dtype)
    weight = images.dtype.type(weight)
    at_once = max(1, _WORK // max(1, 2 * len(index) * bank.atom_size))
    for first in range(0, max(1, n_sweeps), at_once):
        _descent.descend(
            images, scratch, mask, *bank.rows, place.planes, bank.norms, h, w, bank.wide, weight,
            positive, *atoms, slopes.copy(), inverse, values, min(at_once, n_sweeps - first),
            residual,
        )  # fmt: skip
    return values, residual


def _parts(number, work):
    """Slices of images with a bounded number of multiplications; of at least one image each."""
    at_once = max(1, _WORK // max(1, work))
    return [slice(first, first + at_once) for first in range(0, number, at_once)]
