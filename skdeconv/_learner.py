"""Alternation of inference and filter updates over a set of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from skdeconv._drawing import Drawing, SmoothDrawing
from skdeconv._kept_codes import KeptCodes
from skdeconv._validation import check_integer
from skdeconv.inference import infer, map_tasks, rows_of
from skdeconv.learning import (
    KeptMaps,
    Statistics,
    flattened,
    recenter,
    redraw,
    update_filters,
)

# Bytes of a Gram matrix above which the filters are learned from the kept maps instead.
LARGEST_GRAM = 256 * 2**20
# Pixels of a mini-batch of "auto" and of the shortest memory, and the least number of updates in a
# pass over the images.
BATCH_PIXELS, _LEAST_UPDATES = 10_000, 10
# While the filters still move, maps need not be better than this, in gap and in rounds.
_LEARNING_TOL, _LEARNING_ROUNDS = 1e-2, 4
# The filters of a fit weigh at most this share against the first batch after it.
_MOST_ANCHORED = 0.98
# Images whose residuals are searched between passes.
_SEARCHED = 20
# Tasks of a pass whose maps are not kept, each of which returns statistics of a fixed size: so
# many, or more, of so many pixels. And the bytes of statistics that may wait to be summed.
_LEAST_PARTS, _PART_PIXELS, _WAITING = 16, 2**24, 2**28


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

    def smooth(self, filter_size, n_channels, dtype) -> SmoothDrawing | None:
        """What draws the low frequencies; None where they are not asked for."""
        if self.smoothness is None:
            return None
        return SmoothDrawing(filter_size, self.smoothness, n_channels, dtype)

    def __call__(self, drawing, images, init=None, **changed):
        """Maps of ``images``, as an ``InferenceResult``."""
        limits = {"tol": self.tol, "max_iter": self.max_iter} | changed
        return infer(
            self.solve,
            drawing,
            images,
            self.penalty,
            self.weight,
            init=init,
            parallel=self.parallel,
            **limits,
            **self.options,
        )


class Learner:
    """Filters, the kept codes of all images, and the least-squares problem between them.

    Parameters
    ----------
    images : Collection
        The images; NaN marks a missing pixel.
    filters : ndarray of shape (n_filters, n_channels, h, w)
        First filters, of unit norm.
    coding : Coding
        How maps are inferred.
    connectivity : ndarray of bool of shape (n_filters, n_channels) or None
        Which filter sees which channel.
    batch_size : int
        Images of an update. All images: whole passes, whose cost never rises.
    forgetting : float
        At update t what came before is weighted by (1 - 1/t)^forgetting.
    keep_maps : bool
        Whether a visit starts from the codes of the one before.
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
        batch_size,
        forgetting,
        keep_maps,
        random_state,
    ):
        self.images, self.filters, self.coding = images, filters, coding
        self.connectivity = connectivity
        self.smooth = coding.smooth(filters.shape[2:], filters.shape[1], images.dtype)
        self.batch_size, self.forgetting = batch_size, forgetting
        self.random_state = random_state
        self.codes = KeptCodes(len(images), images.dtype) if keep_maps else None
        self.whole_passes = batch_size >= len(images)
        # Pixels that were seen since a filter was last used, and after how many it is redrawn.
        self.idle, self.patience = np.zeros(len(filters), dtype=np.int64), images.n_pixels
        self.n_updates, self.problem = 0, self._empty_problem()
        # Whether the filters stand for what was learned before the first update.
        self.anchored = False
        # Of the pass that is under way: its order, the batches done and their cost.
        self.order, self.n_done, self.cost = None, 0, 0.0

    def run_epoch(self, after_update: Callable[[], None] = lambda: None) -> float:
        """Visit every image once; the mean cost per image, each when it was visited."""
        if self.order is None:
            self.order, self.n_done, self.cost = np.arange(len(self.images)), 0, 0.0
            if not self.whole_passes:
                self.random_state.shuffle(self.order)
        for batch in list(gen_batches(len(self.order), self.batch_size))[self.n_done :]:
            self.cost += self._visit(self.order[batch])
            self.n_done += 1
            after_update()
        self.order = None
        return self.cost / len(self.images)

    def tend(self) -> None:
        """Between passes: move filters that are cut off, and replace those that no map uses."""
        n_searched = min(_SEARCHED, len(self.images))
        searched = self.random_state.choice(len(self.images), n_searched, replace=False)
        searched.sort()
        if not self.whole_passes:
            # A move may raise the cost of the moment, which whole passes promise not to.
            self._recenter(searched)
        dead = np.flatnonzero(self.idle >= self.patience)
        if len(dead):
            self._redraw(dead, searched)
            self.idle[dead] = 0

    @property
    def is_silent(self) -> bool:
        """Whether all maps of the last pass are zero."""
        return bool((self.idle >= self.images.n_pixels).all())

    def stacks_to_explain(self):
        """Stacks of images of one size, less the smooth maps that draw them best."""
        for part in self.images.portions():
            stack = self.images.stack(part)
            if self.smooth is not None:
                uniform = self.drawing.at(stack.shape[2:])[1]
                stack = stack - uniform.forward(uniform.fit(stack)[0])
            yield stack

    @property
    def drawing(self) -> Drawing:
        """What draws images by the present filters."""
        return Drawing(self.filters, self.smooth)

    def _visit(self, batch):
        """Infer the maps of some images, then update the filters; the summed cost."""
        self.n_updates += 1
        if self.whole_passes and self.codes is None:
            return self._visit_all()
        images = self.images if self.whole_passes else self.images.load(batch)
        result = self.coding(self.drawing, images, self._join(batch), **self._limits())
        if self.whole_passes:
            self.problem = self._empty_problem()
        else:
            self.problem.fade(self._kept_share(images))
        flat = flattened(self.filters)
        for maps, stack in sparse_parts(self.drawing, images, result.maps, result.low):
            self.problem.add(maps, stack, flat)
        if self.anchored:
            share = min(self._kept_share(images), _MOST_ANCHORED)
            self.problem.anchor(share / (1 - share), flat)
            self.anchored = False
        self._update(images, uses(self.drawing, images, result.maps))
        self._split(batch, result.maps)
        if not result.maps.nnz:
            self._redraw(np.arange(len(self.filters)), batch)
        return float(result.cost.sum())

    def _visit_all(self):
        """The same for all images, whose maps stay where they were inferred."""
        here = replace(self.coding, parallel=None)
        work = partial(learned_from, here, self.drawing, self._limits())
        of_pixels = _PART_PIXELS * len(self.images) // self.images.n_pixels
        size = min(max(1, of_pixels), -(-len(self.images) // _LEAST_PARTS))
        parts = list(gen_batches(len(self.images), size))
        at_once = max(2, _WAITING // statistics_size(self.filters.shape))
        self.problem, used, total = self._empty_problem(), 0, 0.0
        for some in gen_batches(len(parts), at_once):
            tasks = ((self.images.part(part),) for part in parts[some])
            for gram, cross, part_used, cost in map_tasks(work, tasks, self.coding.parallel):
                self.problem.gram += gram
                self.problem.cross += cross
                used, total = used + part_used, total + cost
        self._update(self.images, used)
        if not used.any():
            self._redraw(np.arange(len(self.filters)), np.arange(min(_SEARCHED, len(self.images))))
        return total

    def _limits(self):
        """Limits of inference while the filters still move."""
        limits = {} if self.smooth is None else {"alternations": 1}
        if not self.whole_passes:
            limits["tol"] = max(self.coding.tol, _LEARNING_TOL)
            limits["max_iter"] = min(self.coding.max_iter, _LEARNING_ROUNDS)
        return limits

    def _update(self, images, used):
        """New filters, and the factors of the maps that belong to them."""
        self.filters, self.norms = update_filters(self.problem, self.filters, self.connectivity)
        self.idle += images.n_pixels
        self.idle[used > 0] = 0

    def _kept_share(self, images):
        """Weight that this update leaves to what was learned before."""
        forgetting = (1.0 - 1.0 / self.n_updates) ** self.forgetting
        # However strong it is, about so many pixels stay: a few small images determine nothing.
        return max(forgetting, 1.0 - images.count_known() / BATCH_PIXELS)

    def _empty_problem(self):
        fits = statistics_size(self.filters.shape) <= LARGEST_GRAM
        return (Statistics if fits else KeptMaps)(self.filters.shape)

    def _recenter(self, batch):
        before, images = flattened(self.filters), self.images.load(batch)
        parts = list(self._residuals(images, self._codes_of(batch, images)))
        self.filters, moves = recenter(self.filters, parts, self.connectivity)
        moved = np.flatnonzero(moves.any(axis=1))
        if not len(moved):
            return
        self.problem.clear(moved, before)
        for i, (indices, values) in enumerate(self.codes or ()):
            _, height, width = self.drawing.maps_shape(self.images.sizes[i])
            kernel, position = np.divmod(indices, height * width)
            y, x = np.divmod(position, width)
            y, x = y + moves[kernel, 0], x + moves[kernel, 1]
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            self.codes[i] = ((kernel * height + y) * width + x)[inside], values[inside]

    def _redraw(self, dead, batch):
        before, images = flattened(self.filters), self.images.load(batch)
        parts = self._residuals(images, self._codes_of(batch, images))
        residuals = [rest for _, rest in parts]
        self.filters = redraw(self.filters, dead, residuals, self.connectivity, self.random_state)
        self.problem.clear(dead, before)

    def _residuals(self, images, codes):
        """Maps, and what they and the smooth maps leave of their images; 0 where it is unknown."""
        drawing = self.drawing
        for part in images.groups():
            size = images.sizes[part][0]
            rest = images.stack(part) - drawing.draw(codes, None, part, size)
            if self.smooth is not None:
                uniform = drawing.at(size)[1]
                rest -= uniform.forward(uniform.fit(rest)[0])
            maps = rows_of(codes, part, drawing.n_coefficients(size))
            yield maps, np.nan_to_num(rest, copy=False)

    def _codes_of(self, batch, images):
        """Codes of some images as they are kept; inferred anew where they are not."""
        codes = self._join(batch)
        if codes is None:
            codes = self.coding(self.drawing, images, **self._limits()).maps
        return codes

    def _split(self, batch, codes):
        """Keep the codes of some images, in the units of the filters that they have led to."""
        if self.codes is None:
            return
        for i, first, last in zip(batch, codes.indptr[:-1], codes.indptr[1:], strict=True):
            indices, values = codes.indices[first:last], codes.data[first:last]
            kernel = indices // math.prod(self.drawing.maps_shape(self.images.sizes[i])[1:])
            self.codes[i] = indices, values * self.norms[kernel].astype(values.dtype)

    def _join(self, batch):
        """Kept codes of some images as rows; None where there are none."""
        kept = [None] if self.codes is None else [self.codes[i] for i in batch]
        if kept[0] is None:
            return None
        indptr = np.concatenate([[0], np.cumsum([len(indices) for indices, _ in kept])])
        largest = max(map(self.drawing.n_coefficients, self.images.sizes[batch]))
        return csr_array(
            (
                np.concatenate([values for _, values in kept]),
                np.concatenate([indices for indices, _ in kept]),
                indptr.astype(np.int32),
            ),
            shape=(len(kept), largest),
        )


def sparse_parts(drawing, images, codes, low=None):
    """Maps and images of one size after another, less what smooth maps draw of them."""
    for part in images.portions():
        size = images.sizes[part][0]
        stack = images.stack(part) - drawing.smooth_part(low, part, size)
        yield rows_of(codes, part, drawing.n_coefficients(size)), stack


def uses(drawing, images, codes) -> np.ndarray:
    """How often each filter is used in the codes of images."""
    used = np.zeros(len(drawing.filters), dtype=np.int64)
    for part in images.groups():
        size = images.sizes[part][0]
        kernels = codes[part].indices // math.prod(drawing.maps_shape(size)[1:])
        used += np.bincount(kernels, minlength=len(used))
    return used


def learned_from(coding, drawing, limits, images):
    """What the filters depend on: statistics of the maps of images, their uses and their cost."""
    problem, flat = Statistics(drawing.filters.shape), flattened(drawing.filters)
    used, cost = np.zeros(len(drawing.filters), dtype=np.int64), 0.0
    for group in images.portions():
        some = images.load(group)
        result = coding(drawing, some, **limits)
        for maps, stack in sparse_parts(drawing, some, result.maps, result.low):
            problem.add(maps, stack, flat)
        used += uses(drawing, some, result.maps)
        cost += float(result.cost.sum())
    return problem.gram, problem.cross, used, cost


def statistics_size(filters_shape) -> int:
    """Bytes of the sufficient statistics of filters (n_filters, n_channels, h, w)."""
    n_filters, _, h, w = filters_shape
    return 8 * (n_filters * h * w) ** 2


def check_statistics(what, shape) -> None:
    """Require statistics of a size that fits into memory, for filters (n_filters, h, w, C)."""
    n_filters, h, w, n_channels = shape
    size = statistics_size((n_filters, n_channels, h, w))
    if size > LARGEST_GRAM:
        raise ValueError(
            f"{what} needs {size / 2**20:.0f} MB of statistics for filters of shape {shape}, and "
            f"takes at most {LARGEST_GRAM / 2**20:.0f} MB. Lower n_filters or filter_size."
        )


def check_batch_size(batch_size, images, of_auto=BATCH_PIXELS, name="batch_size") -> int:
    """Number of images of an update, from the constructor parameter.

    "auto" takes ``of_auto`` pixels.
    """
    if isinstance(batch_size, str) and batch_size != "auto":
        raise ValueError(f'{name} must be an integer, "auto" or None, got {batch_size!r}.')
    if batch_size is not None and not isinstance(batch_size, str):
        return check_integer(name, batch_size, min_val=1)
    if batch_size is None:
        return len(images)
    of_pixels = of_auto * len(images) // images.n_pixels
    return min(max(1, of_pixels), max(1, len(images) // _LEAST_UPDATES))
