"""Learner of one layer of an adaptive network, through the layers below."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from skdeconv._utils.parallel import map_tasks
from skdeconv.filters import (
    descend_through,
    normalized,
    random_filters,
    redraw,
    with_canonical_signs,
)
from skdeconv.inference import AdaptedMaps
from skdeconv.learning._passes import Learner
from skdeconv.networks import AdaptiveNetwork, SizedNetwork, image_of, known_of, masked

# Number of images from whose residuals unused filters are redrawn between passes.
_SEARCHED = 20


class AdaptiveLearner(Learner):
    """Filters of one layer, learned from the pixels through the layers below.

    Parameters
    ----------
    images : Collection
        The images, or windows of them; NaN marks a missing pixel.
    n_images : int
        Number of images.
    lower : AdaptiveNetwork
        The layers below, whose filters are fixed.
    switches : list of list of ndarray
        For each image or window, the switches of the layers below.
    plan : AdaptiveLayerPlan
        Parameters of learning.
    random_state : RandomState
        For the initial filters, the order of the images and the redraw of filters.
    parallel : joblib.Parallel
        Infers the maps of the images of a batch.
    """

    def __init__(self, images, n_images, lower, switches, plan, random_state, parallel):
        super().__init__(images, n_images, plan.batch_size, random_state)
        self.lower, self.switches, self.plan, self.parallel = lower, switches, plan, parallel
        self.filters = plan.first
        if self.filters is None:
            self.filters = random_filters(plan.shape, None, random_state, images.dtype)
        self.kept: list[AdaptedMaps | None] = [None] * len(images)
        self.used = np.zeros(len(self.filters), dtype=int)

    @property
    def n_nonzero(self) -> int:
        """Number of non-zero coefficients in this pass."""
        return int(self.used.sum())

    @property
    def is_silent(self) -> bool:
        """Whether all maps of the last pass were zero."""
        return not self.used.any()

    @property
    def network(self) -> AdaptiveNetwork:
        """The network of the layers below and this one."""
        return self.lower.topped(self.filters, self.plan.block)

    def repair_filters(self) -> None:
        """Redraw the filters that were not used in the last pass; called between passes."""
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
        """Flip the signs of filters so that their entry of largest magnitude is positive."""
        self.filters = with_canonical_signs(self.filters)

    def state(self) -> dict:
        """State of the learner, plain values and arrays that ``restore`` takes."""
        kept = [None if one is None else _plain(one) for one in self.kept]
        return super().state() | {"used": self.used, "kept": kept}

    def restore(self, state: dict) -> None:
        """Restore the state of a learner with the same images and parameters."""
        super().restore(state)
        self.used = state["used"]
        self.kept = [None if one is None else AdaptedMaps(**one) for one in state["kept"]]

    def _start_pass(self):
        self.used[:] = 0
        return self.images.shuffled(self.random_state)

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
                # Normalising filters leaves the reconstruction unchanged if maps are scaled by
                # their norms.
                values = one.values * norms[kernel].astype(one.values.dtype)
                self.kept[i] = replace(one, values=values, residual=None)
        return sum(one.cost for one in maps)

    def _infer(self, images, batch) -> list[AdaptedMaps]:
        """Infer the maps of the images of a batch."""
        network, coding = self.network, self.plan.coding

        def tasks():
            for j, i in enumerate(batch):
                more = image_of(images, j), self.switches[i], self.kept[i]
                yield network.at(images.size_of(j)), coding, *more

        return map_tasks(SizedNetwork.infer, tasks(), self.parallel)

    def _lowers(self, images, batch):
        """Operators from pooled maps to the known pixels of each image; None is the identity."""
        return [
            masked(
                self.lower.at(images.size_of(j)).lower(self.switches[i]),
                known_of(image_of(images, j)),
            )
            for j, i in enumerate(batch)
        ]

    def _kernels(self, maps, size):
        _, height, width = self.network.maps_shape(len(self.lower.filters) + 1, size)
        return maps.index // (height * width)


def _plain(maps):
    """Maps of one image without their residual, as plain values and arrays."""
    parts = {field.name: getattr(maps, field.name) for field in fields(maps)}
    return parts | {"cost": float(maps.cost), "residual": None}
