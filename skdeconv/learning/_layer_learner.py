"""Learner of one layer, which alternates inference of maps and updates of filters."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from skdeconv._utils.parallel import map_tasks
from skdeconv.filters import (
    ImplicitStatistics,
    Statistics,
    flattened,
    random_filters,
    recenter,
    redraw,
    update_filters,
)
from skdeconv.layouts import in_windows, rows_of
from skdeconv.learning._code_store import CodeStore
from skdeconv.learning._layer_plan import (
    BATCH_PIXELS,
    LARGEST_GRAM,
    LayerPlan,
    statistics_size,
)
from skdeconv.learning._passes import Learner
from skdeconv.operators import Synthesis

# Loosest tolerance and maximum number of rounds of inference during learning, while filters change.
_LEARNING_TOL, _LEARNING_ROUNDS = 1e-2, 3
# Minimum number of non-zero coefficients that are remembered, for each tap of the filters.
_PER_TAP = 2
# Maximum weight of the filters of a previous fit, relative to the first batch after it.
_MOST_ANCHORED = 0.98
# Number of images whose residuals are used to repair filters between passes.
_SEARCHED = 20
# For passes whose maps are not kept, whose tasks each return statistics of fixed size: the minimum
# number of tasks, the number of pixels per task, and the bytes of statistics that may wait to be
# summed.
_LEAST_PARTS, _PART_PIXELS, _WAITING = 16, 2**24, 2**28


class LayerLearner(Learner):
    """Filters, the codes of all images, and the least-squares problem of the filters.

    Parameters
    ----------
    images : Collection
        The images; NaN marks a missing pixel. Large ones are visited in windows, if the plan says
        so, each of which has its own codes.
    plan : LayerPlan
        Parameters of learning.
    random_state : RandomState
        For the initial filters, the order of the images and the redraw of filters.
    parallel : joblib.Parallel
        Infers the maps of the images.
    """

    def __init__(self, images, plan: LayerPlan, random_state, parallel):
        visited = in_windows(images, *plan.window) if plan.window else images
        super().__init__(visited, len(images), plan.batch_size, random_state)
        self.plan, self.parallel, self.filters = plan, parallel, plan.first
        if self.filters is None:
            n_filters, h, w, n_channels = plan.shape
            shape = n_filters, n_channels, h, w
            self.filters = random_filters(shape, plan.connectivity, random_state, images.dtype)
        self.coding = replace(plan.coding, n_alternations=1)
        if not plan.whole_passes:
            self.coding = replace(
                self.coding,
                tol=max(plan.coding.tol, _LEARNING_TOL),
                max_iter=min(plan.coding.max_iter, _LEARNING_ROUNDS),
            )
        shapes = plan.shape[1:3], images.n_channels, images.dtype
        self.low_frequency = plan.coding.low_frequency(*shapes)
        self.codes = CodeStore(len(visited), images.dtype) if plan.keep_maps else None
        # For each filter, the number of pixels visited since it was last used.
        self.idle = np.zeros(len(self.filters), dtype=np.int64)
        self.n_updates, self.problem = 0, self._empty_problem()
        # Number of non-zero coefficients in this pass.
        self.n_nonzero = 0
        # Whether the next update is anchored to the filters of an earlier fit.
        self.anchored = False

    @property
    def synthesis(self) -> Synthesis:
        """Synthesis with the current filters."""
        return Synthesis(self.filters, self.low_frequency)

    @property
    def is_silent(self) -> bool:
        """Whether all maps of the last pass were zero."""
        return bool((self.idle >= self.images.n_pixels).all())

    @property
    def nonzero_share(self) -> float:
        """Share of the coefficients that were non-zero in the last pass."""
        return self.n_nonzero / sum(map(self.synthesis.n_coefficients, self.images.sizes))

    def stacks_without_low_frequency(self):
        """Yield stacks of images of one size, minus their best low-frequency reconstruction."""
        for part in self.images.portions():
            stack = self.images.stack(part)
            yield self._without_low_frequency(stack, stack.shape[2:])

    def repair_filters(self) -> None:
        """Recentre filters that are cut off and redraw unused ones; called between passes."""
        n_searched = min(_SEARCHED, len(self.images))
        searched = self.random_state.choice(len(self.images), n_searched, replace=False)
        searched.sort()
        if not self.plan.whole_passes:
            # Recentring may raise the cost, which must not happen with whole passes.
            self._recenter(searched)
        dead = np.flatnonzero(self.idle >= self.plan.patience)
        if len(dead):
            self._redraw(dead, searched)
            self.idle[dead] = 0

    def state(self) -> dict:
        """State of the learner, plain values and arrays that ``restore`` takes."""
        return super().state() | {
            "n_updates": self.n_updates,
            "n_nonzero": self.n_nonzero,
            "idle": self.idle,
            "problem": self.problem.state(),
            "codes": None if self.codes is None else self.codes.state(),
        }

    def restore(self, state: dict) -> None:
        """Restore the state of a learner with the same images and parameters."""
        super().restore(state)
        self.n_updates, self.idle = state["n_updates"], state["idle"]
        self.n_nonzero = state["n_nonzero"]
        self.problem.restore(state["problem"])
        if self.codes is not None:
            self.codes.restore(state["codes"])

    def _start_pass(self):
        self.n_nonzero = 0
        if self.plan.whole_passes:
            return np.arange(len(self.images))
        return self.images.shuffled(self.random_state)

    def _visit(self, batch):
        """Infer the maps of a batch, update the filters, and return the summed cost."""
        self.n_updates += 1
        if self.plan.whole_passes and self.codes is None:
            return self._visit_all()
        images = self.images if self.plan.whole_passes else self.images.load(batch)
        result = self.coding.infer(self.synthesis, images, self._stored(batch), self.parallel)
        if self.plan.whole_passes:
            self.problem = self._empty_problem()
        else:
            self.problem.fade(self._kept_share(images, result.maps.nnz))
        flat = flattened(self.filters)
        for maps, stack in _sparse_parts(self.synthesis, images, result):
            self.problem.add(maps, stack, flat)
        if self.anchored:
            share = min(self._kept_share(images, result.maps.nnz), _MOST_ANCHORED)
            self.problem.anchor(share / (1 - share), flat)
            self.anchored = False
        self.n_nonzero += result.maps.nnz
        norms = self._update(images, _uses(self.synthesis, images, result.maps))
        self._store(batch, result.maps, norms)
        if not result.maps.nnz:
            self._redraw(np.arange(len(self.filters)), batch)
        return float(result.cost.sum())

    def _visit_all(self):
        """Visit all images as one batch; workers return only statistics, not maps."""
        work = partial(_statistics_of, self.coding, self.synthesis)
        of_pixels = _PART_PIXELS * len(self.images) // self.images.n_pixels
        size = min(max(1, of_pixels), -(-len(self.images) // _LEAST_PARTS))
        parts = list(gen_batches(len(self.images), size))
        at_once = max(2, _WAITING // statistics_size(self.plan.shape))
        self.problem, used, total = self._empty_problem(), 0, 0.0
        for some in gen_batches(len(parts), at_once):
            tasks = ((self.images.part(part),) for part in parts[some])
            for statistics, part_used, cost in map_tasks(work, tasks, self.parallel):
                self.problem.merge(statistics)
                used, total = used + part_used, total + cost
        self.n_nonzero = int(used.sum())
        self._update(self.images, used)
        if not used.any():
            self._redraw(np.arange(len(self.filters)), np.arange(min(_SEARCHED, len(self.images))))
        return total

    def _update(self, images, used):
        """Update the filters; returns the norms that they were divided by, which scale the maps."""
        self.filters, norms = update_filters(self.problem, self.filters, self.plan.connectivity)
        self.idle += images.n_pixels
        self.idle[used > 0] = 0
        return norms

    def _kept_share(self, images, n_nonzero):
        """Weight of the statistics of earlier batches in this update."""
        forgetting = (1.0 - 1.0 / self.n_updates) ** self.plan.forgetting
        # So many pixels and non-zeros are remembered in any case; fewer do not determine filters.
        n_taps = len(self.filters) * math.prod(self.filters.shape[2:])
        new = min(images.count_known() / BATCH_PIXELS, n_nonzero / (_PER_TAP * n_taps))
        return max(forgetting, 1.0 - new)

    def _empty_problem(self):
        fits = statistics_size(self.plan.shape) <= LARGEST_GRAM
        kind = Statistics if fits else ImplicitStatistics
        return kind(self.filters.shape, self.filters.dtype)

    def _recenter(self, batch):
        before, images = flattened(self.filters), self.images.load(batch)
        parts = list(self._residuals(images, self._codes_of(batch, images)))
        self.filters, moves = recenter(self.filters, parts, self.plan.connectivity)
        moved = np.flatnonzero(moves.any(axis=1))
        if not len(moved):
            return
        self.problem.clear(moved, before)
        for i, (indices, values) in enumerate(self.codes or ()):
            _, height, width = self.synthesis.maps_shape(self.images.sizes[i])
            kernel, position = np.divmod(indices, height * width)
            y, x = np.divmod(position, width)
            y, x = y + moves[kernel, 0], x + moves[kernel, 1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            self.codes[i] = ((kernel * height + y) * width + x)[inside], values[inside]

    def _redraw(self, dead, batch):
        before, images = flattened(self.filters), self.images.load(batch)
        parts = self._residuals(images, self._codes_of(batch, images))
        residuals = [rest for _, rest in parts]
        connectivity = self.plan.connectivity
        self.filters = redraw(self.filters, dead, residuals, connectivity, self.random_state)
        self.problem.clear(dead, before)

    def _residuals(self, images, codes):
        """Yield maps and residuals of images of one size; 0 where pixels are missing."""
        synthesis = self.synthesis
        for part in images.groups():
            size = images.sizes[part][0]
            rest = images.stack(part) - synthesis.reconstruct(codes, None, part, size)
            rest = self._without_low_frequency(rest, size)
            maps = rows_of(codes, part, synthesis.n_coefficients(size))
            yield maps, np.nan_to_num(rest, copy=False)

    def _without_low_frequency(self, stack, size):
        """Subtract the best low-frequency reconstruction from a stack."""
        if self.low_frequency is None:
            return stack
        operator = self.synthesis.at(size)[1]
        return stack - operator.forward(operator.fit(stack)[0])

    def _codes_of(self, batch, images):
        """Stored codes of some images; if none are stored, they are inferred."""
        codes = self._stored(batch)
        if codes is None:
            codes = self.coding.infer(self.synthesis, images, parallel=self.parallel).maps
        return codes

    def _store(self, batch, codes, norms):
        """Store the codes of some images, scaled by the norms that the filters were divided by."""
        if self.codes is None:
            return
        for i, first, last in zip(batch, codes.indptr[:-1], codes.indptr[1:], strict=True):
            indices, values = codes.indices[first:last], codes.data[first:last]
            maps_shape = self.synthesis.maps_shape(self.images.sizes[i])
            kernel = indices // math.prod(maps_shape[1:])
            self.codes[i] = indices, values * norms[kernel].astype(values.dtype)

    def _stored(self, batch):
        """Stored codes of some images, one per row; None if none are stored."""
        kept = [None] if self.codes is None else [self.codes[i] for i in batch]
        if kept[0] is None:
            return None
        indptr = np.concatenate([[0], np.cumsum([len(indices) for indices, _ in kept])])
        largest = max(map(self.synthesis.n_coefficients, self.images.sizes[batch]))
        return csr_array(
            (
                np.concatenate([values for _, values in kept]),
                np.concatenate([indices for indices, _ in kept]),
                indptr.astype(np.int32),
            ),
            shape=(len(kept), largest),
        )


def _sparse_parts(synthesis, images, result):
    """Yield maps and images of one size, these minus their low-frequency part."""
    for part in images.portions():
        size = images.sizes[part][0]
        low_frequency = synthesis.low_frequency_part(result.low_frequency, part, size)
        maps = rows_of(result.maps, part, synthesis.n_coefficients(size))
        yield maps, images.stack(part) - low_frequency


def _uses(synthesis, images, codes) -> np.ndarray:
    """Number of non-zero coefficients of each filter in the codes of images."""
    used = np.zeros(len(synthesis.filters), dtype=np.int64)
    for part in images.groups():
        size = images.sizes[part][0]
        kernels = codes[part].indices // math.prod(synthesis.maps_shape(size)[1:])
        used += np.bincount(kernels, minlength=len(used))
    return used


def _statistics_of(coding, synthesis, images):
    """Infer maps; returns their statistics, the uses of each filter, and the summed cost."""
    filters = synthesis.filters
    problem, flat = Statistics(filters.shape, filters.dtype), flattened(filters)
    used, cost = np.zeros(len(synthesis.filters), dtype=np.int64), 0.0
    for group in images.portions():
        some = images.load(group)
        result = coding.infer(synthesis, some)
        for maps, stack in _sparse_parts(synthesis, some, result):
            problem.add(maps, stack, flat)
        used += _uses(synthesis, some, result.maps)
        cost += float(result.cost.sum())
    return problem.state(), used, cost
