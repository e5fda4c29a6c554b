"""Batches of a data set, in its own layout, of which only a few are in memory at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from sklearn.utils import _safe_indexing, gen_batches, indexable
from sklearn.utils.validation import _num_samples

from skdeconv._utils.validation import check_integer
from skdeconv.layouts import SparseMaps, is_image_list, plain

# Pixels of the images in a batch: enough that the overhead of a call does not matter, and few
# enough that the maps of a batch stay small.
_PIXELS = 2**16
# Images that one worker reads on access, whose sizes are not known before.
_IMAGES = 16


def check_batch_size(batch_size) -> None:
    """Check that ``batch_size`` is "auto" or a positive integer."""
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise ValueError(f'batch_size must be an integer or "auto", got {batch_size!r}.')
    elif batch_size is None:
        raise TypeError('batch_size must be an integer or "auto", got None.')
    else:
        check_integer("batch_size", batch_size, min_val=1)


def check_samples(X, y=None) -> tuple:
    """Convert data and labels that cannot be indexed, and raise if lengths differ or are zero."""
    # Arrays of the array API lie in memory, and not all take arrays as indices.
    in_memory = hasattr(X, "__array_namespace__") and not isinstance(X, np.ndarray)
    X, y = indexable(plain(X) if in_memory else X, y)
    if isinstance(X, Mapping):
        raise TypeError(f"X must be an array, a data frame or a sequence, got {type(X).__name__}.")
    if not _num_samples(X):
        raise ValueError("X has 0 samples; at least one is required.")
    return X, y


def chosen_samples(X, positions: np.ndarray):
    """Select samples; sequences that read images on access do so later."""
    if hasattr(X, "shape") or isinstance(X, list | tuple):
        return _safe_indexing(X, positions)
    return _Chosen(X, positions)


class _Chosen:
    """Some images of a sequence that takes only integers as indices."""

    def __init__(self, source, positions):
        self.source, self.positions = source, positions

    def __len__(self):
        return len(self.positions)

    def __getitem__(self, i):
        return self.source[int(self.positions[i])]


def each_batch(X, batch_size: int | str) -> Iterator[tuple[slice, Iterable]]:
    """Yield the positions of consecutive samples, and the samples in parts.

    There is one part, an array, frame or list, unless images are read on access and can be sliced:
    these are read part by part when the parts are iterated. If they cannot be sliced, they are read
    here.

    Parameters
    ----------
    X : array-like or sequence
        The samples.
    batch_size : int or "auto"
        Number of samples in a batch; "auto" stands for a number of pixels.
    """
    if not hasattr(X, "shape") or (isinstance(X, np.ndarray) and X.dtype == object):
        first = 0
        for part in _lists(X, batch_size):
            yield slice(first, first + len(part)), [part]
            first += len(part)
        return
    # Asked once, since it reads an image.
    on_access = not isinstance(X, np.ndarray | SparseMaps) and is_image_list(X)
    if batch_size != "auto":
        step = batch_size
    else:
        step = _IMAGES if on_access else max(1, _PIXELS // max(1, _n_pixels(X.shape[1:])))
    for positions in gen_batches(_num_samples(X), step):
        batch = _safe_indexing(X, positions)
        yield positions, _Parts(batch, batch_size) if on_access else [batch]


class _Parts:
    """Images that are read on access, as lists of few of them."""

    def __init__(self, images, batch_size):
        self.images, self.batch_size = images, batch_size

    def __iter__(self):
        return _lists(self.images, self.batch_size)


def _lists(X, batch_size):
    """Yield lists of consecutive samples, which are read one at a time."""
    limit = _PIXELS if batch_size == "auto" else batch_size
    part, total = [], 0
    for i in range(_num_samples(X)):
        sample = X[i]
        size = _n_pixels(np.shape(sample)) if batch_size == "auto" else 1
        if part and total + size > limit:
            yield part
            part, total = [], 0
        part.append(sample)
        total += size
    yield part


def _n_pixels(shape):
    """Number of pixels of an image (height, width[, n_channels]), or of values in a row."""
    return math.prod(shape[:2])
