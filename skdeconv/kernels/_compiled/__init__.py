"""The compiled kernels; see the package ``skdeconv.kernels``."""

from __future__ import annotations

import numba
import numpy as np
from sklearn.utils import gen_batches

from skdeconv.kernels._compiled import _correlation, _descent, _lasso
from skdeconv.kernels._compiled._bank import FilterBank

__all__ = ["FilterBank", "best", "correlate", "descend", "lasso"]

if tuple(int(part) for part in numba.__version__.split(".")[:2]) < (0, 61):
    raise ImportError(f"numba {numba.__version__} is older than 0.61.")

# Number of multiplications of a call that takes about half a second.
_WORK = 2**31
# Rounds of coordinate descent that most images take at most.
_ROUNDS = 10


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
    place = bank.at(images)
    mask, atoms = place.mask(known), place.atoms(index, len(images))
    values, residual, scratch = values.copy(), np.empty_like(images), place.empty()
    slopes = np.ones_like(values) if slopes is None else slopes.astype(values.dtype)
    at_once = max(1, _WORK // max(1, 2 * len(index) * bank.atom_size))
    for first in range(0, max(1, n_sweeps), at_once):
        _descent.descend(
            images, scratch, *mask, *bank.rows, place.planes, bank.norms, *bank.size, bank.wide,
            images.dtype.type(weight), positive, *atoms, slopes.copy(), values,
            min(at_once, n_sweeps - first), residual,
        )  # fmt: skip
    return values, residual


def lasso(images, known, bank, index, values, weight, positive, tol, max_iter):
    """Coefficients after rounds of coordinate descent, and their numbers, costs and gaps."""
    place, work = bank.at(images), bank.work(images)
    # Correlations of a round, and images of a call, which usually take at most so many rounds.
    at_once = _WORK // max(1, 4 * work)
    if not at_once:
        return None
    mask, sample, found = place.mask(known), index // place.n_coefficients, []
    scratch = place.empty(), place.zeros()
    lines = [np.empty(place.line, dtype) for dtype in (images.dtype, np.int32) * 2]
    weight, limits = images.dtype.type(weight), (float(tol), float(_WORK), max_iter)
    for part in gen_batches(len(images), max(1, at_once // _ROUNDS)):
        some = images[part]
        inside = slice(*np.searchsorted(sample, [part.start, part.stop]))
        begin = part.start * place.n_coefficients
        atoms = *place.atoms(index[inside] - begin, len(some)), values[inside]
        cost, dual, gap = np.full((3, len(some)), [[np.inf], [-np.inf], [np.inf]])
        rounds = np.full(len(some), -1)
        while ((rounds < 0) | ((gap > tol) & (rounds < max_iter))).any():
            atoms = _lasso.lasso(
                some, *mask, *scratch, bank.filters[0], *bank.rows, place.planes, bank.norms,
                *bank.size, bank.wide, weight, positive, *limits, *lines, *atoms, rounds, cost,
                dual, gap,
            )  # fmt: skip
        found.append((place.index(*atoms[:3]) + begin, atoms[3], rounds, cost, gap))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def _parts(number, work):
    """Slices of images with a bounded number of multiplications; of at least one image each."""
    return gen_batches(number, max(1, _WORK // max(1, work)))
