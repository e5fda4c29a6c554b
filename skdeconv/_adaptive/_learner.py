"""Alternation of inference and filter updates for one layer of an adaptive network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from sklearn.utils import gen_batches

from skdeconv._adaptive._stack import AdaptiveStack
from skdeconv.inference import AdaptedMaps, map_tasks
from skdeconv.learning import (
    descend_through,
    normalized,
    random_filters,
    redraw,
    with_canonical_signs,
)

# Images whose residuals are searched for new filters between passes.
_SEARCHED = 20


class AdaptiveLearner:
    """Filters of one layer, learned from the pixels through the layers below.

    Parameters
    ----------
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images.
    lower : AdaptiveStack
        The layers below, which stay as they are.
    switches : list of list of ndarray
        For every image the switches of the layers below.
    plan : LayerPlan
        What the layer is learned with.
    random_state : RandomState
        For the first filters, the order of the images and the redraw of filters.
    parallel : joblib.Parallel
        Where images of a batch are coded.
    """

    def __init__(self, images, lower: AdaptiveStack, switches, plan, random_state, parallel):
        self.images, self.lower, self.switches, self.plan = images, lower, switches, plan
        self.random_state, self.parallel = random_state, parallel
        self.filters = plan.first
        if self.filters is None:
            self.filters = random_filters(plan.shape, None, random_state, images.dtype)
        self._kept = [None] * len(images)
        self._used = np.zeros(len(self.filters), dtype=int)

    @property
    def is_silent(self) -> bool:
        """Whether all maps of the last pass were zero."""
        return not self._used.any()

    @property
    def stack(self) -> AdaptiveStack:
        """The layers below with this one on top."""
        return self.lower.topped(self.filters, self.plan.block)

    def run_epoch(self) -> float:
        """Visit every image once; the mean cost per image, each when it was visited."""
        self._used[:] = 0
        order = self.random_state.permutation(len(self.images))
        batches = gen_batches(len(order), self.plan.batch_size)
        return sum(self._visit(order[batch]) for batch in batches) / len(order)

    def tend(self) -> None:
        """Between passes: replace the filters that no map uses."""
        dead = np.flatnonzero(self._used == 0)
        if not len(dead):
            return
        n_searched = min(_SEARCHED, len(self.images))
        searched = self.random_state.choice(len(self.images), n_searched, replace=False)
        rest = [
            one.residual if lower is None else lower.adjoint(one.residual)
            for one, lower in zip(self._infer(searched), self._lowers(searched), strict=True)
        ]
        rest = np.concatenate(rest)
        self.filters = redraw(self.filters, dead, rest, None, self.random_state)

    def make_signs_canonical(self) -> None:
        """Turn filters so that their entry of largest modulus is positive."""
        self.filters = with_canonical_signs(self.filters)

    def _visit(self, batch):
        maps = self._infer(batch)
        filters = descend_through(self.filters, self._lowers(batch), maps, self.plan.n_cg)
        norms = np.linalg.norm(filters.reshape(len(filters), -1), axis=1)
        self.filters = normalized(filters)
        for i, one in zip(batch, maps, strict=True):
            kernel = self._kernels(one)
            self._used += np.bincount(kernel, minlength=len(filters))
            if self.plan.keep_maps:
                # Filters of unit norm draw the same with maps that take over their norms.
                values = one.values * norms[kernel].astype(one.values.dtype)
                self._kept[i] = replace(one, values=values, residual=None)
        return sum(one.cost for one in maps)

    def _infer(self, batch) -> list[AdaptedMaps]:
        stack = self.stack
        tasks = ((self.images[[i]], self.switches[i], self._kept[i]) for i in batch)
        parallel = self.parallel if len(batch) > 1 else None
        return map_tasks(partial(stack.infer, self.plan.coding), tasks, parallel)

    def _lowers(self, batch):
        return [self.lower.lower(self.switches[i]) for i in batch]

    def _kernels(self, maps):
        n_positions = np.prod(np.add(self.lower.top_shape, self.filters.shape[2:]) - 1)
        return maps.index // n_positions
