"""Alternation of inference and filter updates over a set of images."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from skdeconv._validation import check_integer
from skdeconv.inference import infer, solve_with_low
from skdeconv.learning import (
    KeptMaps,
    Statistics,
    flattened,
    recenter,
    redraw,
    update_filters,
)
from skdeconv.operators import Convolution, UniformConvolution

# Bytes of a Gram matrix above which the filters are learned from the kept maps instead.
_LARGEST_GRAM = 256 * 2**20
# Pixels of a mini-batch of "auto" and of the shortest memory, and the least number of updates in a
# pass over the images.
_BATCH_PIXELS, _LEAST_UPDATES = 10_000, 10
# While the filters still move, maps need not be better than this, in gap and in rounds.
_LEARNING_TOL, _LEARNING_ROUNDS = 1e-2, 4
# Images whose residuals are searched between passes.
_SEARCHED = 20


@dataclass
class Coding:
    """How maps are inferred: a solver's function with all that it takes."""

    solve: object
    penalty: object
    weight: float
    tol: float
    max_iter: int
    options: dict = field(default_factory=dict)
    smoothness: float | None = None
    parallel: object = None

    def uniform(self, filter_size, images_shape, dtype) -> UniformConvolution | None:
        """What draws the low frequencies; None where they are not asked for."""
        if self.smoothness is None:
            return None
        return UniformConvolution(filter_size, images_shape, self.smoothness, dtype)

    def __call__(self, operator, images, init=None, uniform=None, **changed):
        """Maps of ``images``, as an ``InferenceResult``."""
        limits = {"tol": self.tol, "max_iter": self.max_iter} | changed
        return infer(
            self.solve if uniform is None else partial(solve_with_low, self.solve, uniform),
            operator,
            images,
            self.penalty,
            self.weight,
            init=init,
            parallel=self.parallel,
            **limits,
            **self.options,
        )


class Learner:
    """Filters, the kept maps of all images, and the least-squares problem between them.

    Parameters
    ----------
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images.
    filters : ndarray of shape (n_filters, n_channels, h, w)
        First filters, of unit norm.
    coding : Coding
        How maps are inferred.
    connectivity : ndarray of bool of shape (n_filters, n_channels) or None
        Which filter sees which channel.
    uniform : UniformConvolution or None
        What draws the low frequencies.
    batch_size : int
        Images of an update. All images: whole passes, whose cost never rises.
    forgetting : float
        At update t what came before is weighted by (1 - 1/t)^forgetting.
    random_state : RandomState
        For the order of the images and the redraw of filters.
    """

    def __init__(
        self,
        images,
        filters,
        coding,
        connectivity,
        *,
        uniform=None,
        batch_size,
        forgetting,
        random_state,
    ):
        self.images, self.filters, self.coding = images, filters, coding
        self.connectivity, self.uniform = connectivity, uniform
        self.batch_size, self.forgetting = batch_size, forgetting
        self.random_state = random_state
        self._maps = [None] * len(images)
        self._n_updates = 0
        self._problem = self._empty_problem()

    def run_epoch(self) -> float:
        """Visit every image once; the mean cost per image, each when it was visited."""
        order = np.arange(len(self.images))
        if not self._whole_passes:
            self.random_state.shuffle(order)
        batches = gen_batches(len(order), self.batch_size)
        return sum(self._visit(order[batch]) for batch in batches) / len(order)

    def tend(self) -> None:
        """Between passes: move filters that are cut off, and replace those that no map uses."""
        n_searched = min(_SEARCHED, len(self.images))
        searched = self.random_state.choice(len(self.images), n_searched, replace=False)
        searched.sort()
        if not self._whole_passes:
            # A move may raise the cost of the moment, which whole passes promise not to.
            self._recenter(searched)
        used = np.bincount(
            np.concatenate([self._kernels(indices) for indices, _ in self._maps]),
            minlength=len(self.filters),
        )
        if not used.all():
            self._redraw(np.flatnonzero(used == 0), searched)

    @property
    def is_silent(self) -> bool:
        """Whether all maps are zero."""
        return not any(len(indices) for indices, _ in self._maps)

    @property
    def _whole_passes(self):
        return self.batch_size >= len(self.images)

    def _visit(self, batch):
        """Infer the maps of some images, then update the filters; the summed cost."""
        images, limits = self.images[batch], {}
        if not self._whole_passes:
            limits["tol"] = max(self.coding.tol, _LEARNING_TOL)
            limits["max_iter"] = min(self.coding.max_iter, _LEARNING_ROUNDS)
        if self.uniform is not None:
            limits["alternations"] = 1
        result = self.coding(self._operator(), images, self._join(batch), self.uniform, **limits)
        if self.uniform is not None:
            images = images - self.uniform.forward(result.low)
        self._n_updates += 1
        if self._whole_passes:
            self._problem = self._empty_problem()
        else:
            self._problem.fade(self._kept_share(images))
        self._problem.add(result.maps, images)
        self.filters, norms = update_filters(self._problem, self.filters, self.connectivity)
        self._split(batch, result.maps, norms)
        if not result.maps.nnz:
            self._redraw(np.arange(len(self.filters)), batch)
        return float(result.cost.sum())

    def _kept_share(self, images):
        """Weight that this update leaves to what was learned before."""
        forgetting = (1.0 - 1.0 / self._n_updates) ** self.forgetting
        # However strong it is, about so many pixels stay: a few small images determine nothing.
        pixels = len(images) * math.prod(self.images.shape[2:])
        return max(forgetting, 1.0 - pixels / _BATCH_PIXELS)

    def _operator(self):
        return Convolution(self.filters, self.images.shape[2:])

    def _empty_problem(self):
        n_filters, _, h, w = self.filters.shape
        fits = 8 * (n_filters * h * w) ** 2 <= _LARGEST_GRAM
        return (Statistics if fits else KeptMaps)(self.filters.shape, self.images.shape[1:])

    def _recenter(self, batch):
        maps, before = self._join(batch), flattened(self.filters)
        residuals = self._residuals(batch)
        self.filters, moves = recenter(self.filters, maps, residuals, self.connectivity)
        moved = np.flatnonzero(moves.any(axis=1))
        if not len(moved):
            return
        self._problem.clear(moved, before)
        _, height, width = self._operator().maps_shape
        for i, (indices, data) in enumerate(self._maps):
            kernel = self._kernels(indices)
            y, x = np.divmod(indices % (height * width), width)
            y, x = y + moves[kernel, 0], x + moves[kernel, 1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            indices = ((kernel * height + y) * width + x)[inside].astype(indices.dtype)
            self._maps[i] = indices, data[inside]

    def _redraw(self, dead, batch):
        residuals, before = self._residuals(batch), flattened(self.filters)
        self.filters = redraw(self.filters, dead, residuals, self.connectivity, self.random_state)
        self._problem.clear(dead, before)

    def _residuals(self, batch):
        """What the maps of some images, sparse and smooth, leave of them."""
        operator = self._operator()
        maps = self._join(batch).toarray().reshape(len(batch), *operator.maps_shape)
        residuals = self.images[batch] - operator.forward(maps)
        if self.uniform is not None:
            residuals -= self.uniform.forward(self.uniform.fit(residuals)[0])
        return residuals

    def _kernels(self, indices):
        n_positions = np.prod(np.add(self.images.shape[2:], self.filters.shape[2:]) - 1)
        return indices // n_positions

    def _split(self, batch, maps, norms):
        data = maps.data * norms[self._kernels(maps.indices)].astype(maps.dtype)
        for i, first, last in zip(batch, maps.indptr[:-1], maps.indptr[1:], strict=True):
            self._maps[i] = maps.indices[first:last].copy(), data[first:last].copy()

    def _join(self, batch):
        kept = [self._maps[i] for i in batch]
        if kept[0] is None:
            return None
        indptr = np.concatenate([[0], np.cumsum([len(indices) for indices, _ in kept])])
        return csr_array(
            (
                np.concatenate([data for _, data in kept]),
                np.concatenate([indices for indices, _ in kept]),
                indptr.astype(np.int32),
            ),
            shape=(len(kept), math.prod(self._operator().maps_shape)),
        )


def check_batch_size(
    batch_size, n_samples, pixels, of_auto=_BATCH_PIXELS, name="batch_size"
) -> int:
    """Number of images of an update, from the constructor parameter.

    "auto" takes ``of_auto`` pixels.
    """
    if isinstance(batch_size, str) and batch_size != "auto":
        raise ValueError(f'{name} must be an integer, "auto" or None, got {batch_size!r}.')
    if batch_size is not None and not isinstance(batch_size, str):
        return check_integer(name, batch_size, min_val=1)
    if batch_size is None:
        return n_samples
    return min(max(1, of_auto // pixels), max(1, n_samples // _LEAST_UPDATES))
