"""The compiled kernels; see the package ``skdeconv.kernels``."""

from __future__ import annotations

import math
from itertools import pairwise

import numba
import numpy as np

from skdeconv.kernels._compiled import _correlation, _descent, _lasso, _pooling, _statistics
from skdeconv.kernels._compiled._atoms import Atoms, filter_rows
from skdeconv.kernels._compiled._bank import FilterBank

__all__ = [
    "Atoms",
    "FilterBank",
    "best",
    "correlate",
    "descend",
    "draw_patches",
    "filter_rows",
    "lasso",
    "pair_sums",
    "patch_sums",
    "pool",
    "subtract_unseen",
]

if tuple(int(part) for part in numba.__version__.split(".")[:2]) < (0, 61):
    raise ImportError(f"numba {numba.__version__} is older than 0.61.")
if numba.config.DISABLE_JIT:
    raise ImportError("The compiler of numba is switched off by NUMBA_DISABLE_JIT.")

# Number of multiplications of a call that takes about half a second.
_WORK = 2**31


def correlate(images, bank) -> np.ndarray:
    """Inner products of images with all atoms."""
    place = bank.at(images)
    maps = np.empty((len(images), bank.n_filters, *place.maps_shape), images.dtype)
    line = np.empty((bank.together, place.line), images.dtype)
    for some in _parts(len(images), bank.work(images)):
        _correlation.correlate(
            images[some], place.empty(), *bank.filters, place.planes, bank.together, *bank.size,
            line, maps[some],
        )  # fmt: skip
    return maps


def best(images, bank, positive) -> tuple[np.ndarray, np.ndarray]:
    """Largest inner product at each position, and its filter."""
    place = bank.at(images)
    scores = np.empty((len(images), *place.maps_shape), images.dtype)
    kernels = np.empty(scores.shape, np.int32)
    lines = np.empty(place.line, images.dtype), np.empty(place.line, np.int32)
    for some in _parts(len(images), bank.work(images)):
        _correlation.best(
            images[some], place.empty(), *bank.filters, place.planes, bank.n_filters, bank.together,
            *bank.size, positive, *lines, scores[some], kernels[some],
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
    place = bank.at(images)
    if 4 * bank.work(images) > _WORK:
        return None
    mask, scratch = place.mask(known), place.empty()
    # The border of the scaled residual stays zero.
    scaled = np.zeros_like(scratch)
    lines = [np.empty(place.line, dtype) for dtype in (images.dtype, np.int32) * 2]
    weights = images.dtype.type(weight), float(weight)
    limits = float(tol), float(_WORK), max_iter
    cost, dual, gap = np.full((3, len(images)), [[np.inf], [-np.inf], [np.inf]])
    rounds, old = np.full(len(images), -1), (*place.atoms(index, len(images)), values)
    # Returned arrays would be made by Python code of numba, in which a signal is a SystemError. The
    # memory of numbers that are not written is never used.
    size = len(images) * place.n_coefficients
    new = np.empty_like(old[0]), *(np.empty(size, one.dtype) for one in old[1:])
    while ((rounds < 0) | ((gap > tol) & (rounds < max_iter))).any():
        _lasso.lasso(
            images, *mask, scratch, scaled, bank.filters[0], bank.together, *bank.rows,
            place.planes, bank.norms, *bank.size, bank.wide, *weights, positive, *limits, *lines,
            *old, *new, rounds, cost, dual, gap,
        )  # fmt: skip
        old = new[0].copy(), *(one[: new[0][-1]].copy() for one in new[1:])
    return place.index(*old[:3]), old[3], rounds, cost, gap


def pair_sums(key, kernel, values, stride, n_filters, size):
    """Sums of products of coefficients, by filters and offset."""
    h, w = size
    sums, rows = np.zeros((n_filters, n_filters, h, 2 * w - 1)), np.arange(h) * stride
    for some in _parts(len(key), n_filters * h * (2 * w - 1)):
        first = np.searchsorted(key, key[some.start] + rows - (w - 1))
        _statistics.add_pairs(
            key, kernel, values, some.start, min(some.stop, len(key)), first, stride, h, w,
            n_filters, sums.ravel(),
        )  # fmt: skip
    return sums


def patch_sums(corner, kernel, values, padded, line, n_filters, size):
    """Sums of coefficients times windows, by filters."""
    n_channels = padded.shape[1]
    h, width, line = size[0], size[1] * n_channels, line * n_channels
    sums = np.zeros((n_filters, h * width))
    for some in _parts(len(corner), h * width):
        _statistics.add_patches(
            corner[some] * n_channels, kernel[some], values[some], padded.ravel(), line, h, width,
            sums.ravel(),
        )  # fmt: skip
    return sums


def draw_patches(corner, kernel, values, filters, line, n_pixels, size):
    """Sum of filters times coefficients at their windows."""
    n_channels = filters.shape[1]
    h, width, line = size[0], size[1] * n_channels, line * n_channels
    padded = np.zeros(n_pixels * n_channels)
    for some in _parts(len(corner), h * width):
        _statistics.draw_patches(
            corner[some] * n_channels, kernel[some], values[some], filters.ravel(), line, h, width,
            padded,
        )  # fmt: skip
    return padded.reshape(n_pixels, n_channels)


def subtract_unseen(gram, corner, kernel, values, known, line, size):
    """Subtract products at unseen pixels from a Gram matrix."""
    h, w = size
    begins = np.zeros(len(known) + 1, np.int64)
    _statistics.count_unseen(corner, known, line, h, w, begins)
    ends = np.cumsum(begins[1:])
    begins[1:] = ends - begins[1:]
    taps, weights = np.empty(ends[-1:].sum(), np.int64), np.empty(ends[-1:].sum(), gram.dtype)
    _statistics.list_unseen(corner, kernel, values, known, line, h, w, begins, taps, weights)
    work = np.cumsum(np.diff(begins) ** 2)
    # Products at places all over the matrix.
    at_once = _WORK // 16
    edges = np.searchsorted(work, np.arange(0, work[-1] + at_once, at_once), side="right")
    for first, last in pairwise(edges):
        _statistics.subtract_products(begins, taps, weights, first, last, gram)


def pool(maps, rows, columns, neighbours, shape, kind):
    """Values of largest magnitude in blocks of maps, and their positions."""
    unsigned = np.uint32 if maps.dtype == np.float32 else np.uint64
    width = maps.shape[3]
    values, switches = np.empty(shape, unsigned), np.empty(shape, kind)
    lines = [np.empty(width, dtype) for dtype in (unsigned, np.int32) * 2]
    for some in _parts(len(maps), (4 + columns) * math.prod(maps.shape[1:])):
        _pooling.pool(
            maps[some].view(unsigned), rows, columns, neighbours, *lines,
            values[some], switches[some],
        )  # fmt: skip
    return values.view(maps.dtype), switches


def _parts(number, work):
    """Slices of images with a bounded number of multiplications; of at least one image each."""
    at_once = max(1, _WORK // max(1, work))
    return [slice(first, first + at_once) for first in range(0, number, at_once)]
