"""Alternation of inference and filter updates for one layer of an adaptive network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from sklearn.utils import gen_batches

from skdeconv._adaptive._encode import image_of
from skdeconv._adaptive._stack import AdaptiveLayers, AdaptiveStack, known_of, seen
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
    images : Collection
        The images; NaN marks a missing pixel.
    lower : AdaptiveLayers
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

    def __init__(self, images, lower: AdaptiveLayers, switches, plan, random_state, parallel):
        self.images, self.lower, self.switches, self.plan = images, lower, switches, plan
        self.random_state, self.parallel = random_state, parallel
        self.filters = plan.first
        if self.filters is None:
            self.filters = random_filters(plan.shape, None, random_state, images.dtype)
        self.kept: list[AdaptedMaps | None] = [None] * len(images)
        self.used = np.zeros(len(self.filters), dtype=int)
        # Of the pass that is under way: its order, the batches done and their cost.
        self.order, self.n_done, self.cost = None, 0, 0.0

    @property
    def is_silent(self) -> bool:
        """Whether all maps of the last pass were zero."""
        return not self.used.any()

    @property
    def layers(self) -> AdaptiveLayers:
        """The layers below with this one on top."""
        return self.lower.topped(self.filters, self.plan.block)

    def run_epoch(self, after_update: Callable[[], None] = lambda: None) -> float:
        """Visit every image once; the mean cost per image, each when it was visited."""
        if self.order is None:
            self.order = self.random_state.permutation(len(self.images))
            self.used[:], self.n_done, self.cost = 0, 0, 0.0
        for batch in list(gen_batches(len(self.order), self.plan.batch_size))[self.n_done :]:
            self.cost += self._visit(self.order[batch])
            self.n_done += 1
            after_update()
        self.order = None
        return self.cost / len(self.images)

    def tend(self) -> None:
        """Between passes: replace the filters that no map uses."""
        dead = np.flatnonzero(self.used == 0)
        if not len(dead):
            return
        n_searched = min(_SEARCHED, len(self.images))
        searched = self.random_state.choice(len(self.images), n_searched, replace=False)
        images, of_a_size = self.images.load(searched), {}
        maps, lowers = self._infer(images, searched), self._lowers(images, searched)
        for one, lower in zip(maps, lowers, strict=True):
            rest = one.residual if lower is None else lower.adjoint(one.residual)
            of_a_size.setdefault(rest.shape, []).append(rest)
        rests = [np.concatenate(same) for same in of_a_size.values()]
        self.filters = redraw(self.filters, dead, rests, None, self.random_state)

    def make_signs_canonical(self) -> None:
        """Turn filters so that their entry of largest modulus is positive."""
        self.filters = with_canonical_signs(self.filters)

    def _visit(self, batch):
        images = self.images.load(batch)
        maps, lowers = self._infer(images, batch), self._lowers(images, batch)
        filters = descend_through(self.filters, lowers, maps, self.plan.n_cg)
        norms = np.linalg.norm(filters.reshape(len(filters), -1), axis=1)
        self.filters = normalized(filters)
        for i, one in zip(batch, maps, strict=True):
            kernel = self._kernels(one, self.images.sizes[i])
            self.used += np.bincount(kernel, minlength=len(filters))
            if self.plan.keep_maps:
                # Filters of unit norm draw the same with maps that take over their norms.
                values = one.values * norms[kernel].astype(one.values.dtype)
                self.kept[i] = replace(one, values=values, residual=None)
        return sum(one.cost for one in maps)

    def _infer(self, images, batch) -> list[AdaptedMaps]:
        """Maps of the images of a batch."""
        layers, coding = self.layers, self.plan.coding

        def tasks():
            for j, i in enumerate(batch):
                more = image_of(images, j), self.switches[i], self.kept[i]
                yield layers.at(images.size_of(j)), coding, *more

        return map_tasks(AdaptiveStack.infer, tasks(), self.parallel)

    def _lowers(self, images, batch):
        """What draws the known pixels of each image of a batch; None where nothing is between."""
        return [
            seen(
                self.lower.at(images.size_of(j)).lower(self.switches[i]),
                known_of(image_of(images, j)),
            )
            for j, i in enumerate(batch)
        ]

    def _kernels(self, maps, size):
        _, height, width = self.layers.maps_shape(len(self.lower.filters) + 1, size)
        return maps.index // (height * width)
