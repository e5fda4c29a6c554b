"""Hierarchies of convolutional layers, and inference through all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from skdeconv.inference import (
    Coding,
    HalfQuadratic,
    InferenceResult,
    State,
    iterate,
    without_low_frequency,
)
from skdeconv.layouts import LayerImages
from skdeconv.operators import Synthesis, compose

# Maximum number of alternations in the inference of the paper.
_ALTERNATIONS = 20


def next_images(codes, synthesis, images, factor) -> LayerImages:
    """Codes of a layer as the images of the layer above."""
    n_maps, _, h, w = synthesis.filters.shape
    sizes = images.sizes + np.array([h - 1, w - 1])
    layout = "list" if images.layout == "list" else "stack"
    return LayerImages(codes, sizes, n_maps, factor, layout)


def typical_value(maps) -> float:
    """Root mean square of the non-zero coefficients; 1 if there are none."""
    if not maps.nnz:
        return 1.0
    return float(np.sqrt(np.mean(maps.data.astype(np.float64) ** 2)))


@dataclass(frozen=True)
class Hierarchy:
    """Filters of all layers, the lowest first, and the factors between them.

    Layer l reconstructs the maps of layer l - 1 divided by ``factors[l]``; ``factors[0]`` is 1.
    """

    filters: list[np.ndarray]
    factors: list[float]

    def gain(self, depth: int) -> float:
        """Product of the factors up to layer ``depth``, counted from 1."""
        return math.prod(self.factors[:depth])

    def projected(self, depth: int) -> np.ndarray:
        """Filters of layer ``depth`` projected to pixels, (n_filters, n_channels, h, w)."""
        filters = self.filters[depth - 1]
        for lower in reversed(self.filters[: depth - 1]):
            filters = compose(filters, lower)
        return filters * filters.dtype.type(self.gain(depth))

    def in_pixels(self, coding: Coding, depth: int) -> Coding:
        r"""Coding with which layer ``depth`` infers its maps from the pixels.

        It minimises :math:`\lambda_l/2 \, \|(y - F_1 \cdots F_l z) / s\|^2 + \sum |z|^p`, with s
        the product of the factors. Division by s gives the error the scale that it has in the cost
        of the layer alone, so that ``lam`` has the same meaning in both.
        """
        return replace(coding, weight=coding.weight / self.gain(depth) ** 2, unit=coding.weight)

    def greedily(self, codings, images, low_frequency, parallel):
        """Infer the codes of the lowest layers, each from the codes of the layer below.

        Returns
        -------
        results : list of InferenceResult
            One per coding. The low-frequency maps of the first layer are those of all layers.
        inputs : list of Collection
            The images that each layer reconstructs.
        """
        results, inputs = [], [images]
        for layer, coding in enumerate(codings):
            filters = self.filters[layer].astype(images.dtype)
            synthesis = Synthesis(filters, None if layer else low_frequency)
            result = coding.infer(synthesis, inputs[-1], parallel=parallel)
            if layer:
                converged = result.converged & results[-1].converged
                low_maps = results[0].low_frequency
                result = replace(result, low_frequency=low_maps, converged=converged)
            results.append(result)
            if layer + 1 < len(codings):
                factor = self.factors[layer + 1]
                inputs.append(next_images(result.maps, synthesis, inputs[-1], factor))
        return results, inputs

    def infer(self, codings, images, synthesis, inference, parallel):
        """Codes of some layers.

        Parameters
        ----------
        codings : list of Coding
            How each layer infers.
        images : Collection
            The images.
        synthesis : dict of int to Synthesis
            By the numbers of the layers, what reconstructs the pixels from their codes.
        inference : {"joint", "greedy", "alternating"}
            The way of inference.
        parallel : joblib.Parallel
            Where images are coded.

        Returns
        -------
        results : dict of int to InferenceResult
            By the numbers of the layers.
        greedy : list of InferenceResult
            Codes of all layers up to the highest of them, inferred one after the other.
        inputs : list of Collection
            The images of each layer.
        """
        low_frequency = next(iter(synthesis.values())).low_frequency
        greedy, inputs = self.greedily(codings[: max(synthesis)], images, low_frequency, parallel)
        results = {number: greedy[number - 1] for number in synthesis}
        refine = {"joint": self.jointly, "alternating": self.alternating}.get(inference)
        for number, one in synthesis.items() if refine is not None else ():
            coding, start = codings[number - 1], results[number]
            results[number] = refine(number, coding, inputs, one, start, parallel)
        return results, greedy, inputs

    def cause_of_zero_maps(self, results, greedy, inputs, synthesis, inference):
        """The reason why the maps of a layer are all zero, from what ``infer`` takes and returns.

        Returns
        -------
        number : int
            The layer whose ``lam`` is too small.
        rest : iterable of ndarray
            Stacks of what its filters are to reconstruct.
        filters : ndarray of shape (n_filters, n_channels, h, w)
            Those filters.
        """
        number = next(number for number, result in results.items() if not result.maps.nnz)
        one = synthesis[number]
        if inference == "joint" and number > 1:
            gain = self.gain(number)
            rest = without_low_frequency(inputs[0], one, results[number].low_frequency)
            return number, (stack / gain for stack in rest), one.filters / gain
        number = next(i for i, layer in enumerate(greedy, 1) if i == number or not layer.maps.nnz)
        low_frequency = greedy[0].low_frequency if number == 1 else None
        rest = without_low_frequency(inputs[number - 1], one, low_frequency)
        return number, rest, self.filters[number - 1]

    def jointly(self, depth, coding, inputs, synthesis, start, parallel) -> InferenceResult:
        """Infer the codes of layer ``depth`` from the pixels, warm-started from ``start``."""
        if depth == 1:
            return start
        coding = self.in_pixels(coding, depth)
        return coding.infer(synthesis, inputs[0], start.maps, parallel)

    def alternating(self, depth, coding, inputs, synthesis, start, parallel) -> InferenceResult:
        """Infer by the algorithm of the paper: equations 10 and 11 in turn, until convergence."""
        if depth == 1:
            return start
        images = inputs[0]
        pixels = self.in_pixels(coding, depth), synthesis
        above = coding, Synthesis(self.filters[depth - 1].astype(images.dtype))
        alternation = _Alternation(images, inputs[depth - 1], pixels, above, parallel)
        state = alternation.alternate(np.arange(len(images)), start.maps)
        # The first alternation has been made.
        result = iterate(alternation, state, len(images), coding.tol, _ALTERNATIONS - 1)
        low_maps = None
        if start.low_frequency is not None:
            # Refitted to the final maps, as in the other kinds of inference.
            low_maps = list(_low_frequency_maps(images, synthesis, result.maps))
        converged = result.converged & start.converged
        return replace(result, low_frequency=low_maps, converged=converged)


def _low_frequency_maps(images, synthesis, maps):
    for i, size in enumerate(images.sizes):
        sparse = synthesis.reconstruct(maps, None, [i], size)
        yield synthesis.at(size)[1].fit(images.stack(np.array([i])) - sparse)[0][0]


class _Alternation:
    """Inference of the top maps from the pixels and from the maps of the layer below, in turn.

    Parameters
    ----------
    images, maps_below : Collection
        The images of the first layer and of the top layer.
    pixels, above : tuple of Coding and Synthesis
        How the top maps are inferred from each.
    parallel : joblib.Parallel
        Where images are coded.
    """

    def __init__(self, images, maps_below, pixels, above, parallel):
        self.images, self.maps_below, self.parallel = images, maps_below, parallel
        self.pixels, self.above = pixels, above

    def alternate(self, samples, maps):
        """State after one more alternation, for some of the images, from their maps."""
        images, maps_below = self.images, self.maps_below
        if len(samples) < len(images):
            images, maps_below = images.part(samples), maps_below.part(samples)
        coding, synthesis = self.pixels
        down = coding.infer(synthesis, images, maps, self.parallel)
        coding, synthesis = self.above
        result = coding.infer(synthesis, maps_below, down.maps, self.parallel)
        result = replace(result, converged=down.converged & result.converged)
        return _State(samples, result, _squared_norms(result.maps - maps), _squared_norms(maps))

    def finished(self, state, tol):
        """Which images have maps that hardly changed."""
        return state.moved <= tol**2 * state.before

    def step(self, state, tol):
        """One more alternation."""
        return self.alternate(state.samples, state.result.maps)

    def result(self, state, n_iter, converged):
        """The maps; the alternation before the first step counts too."""
        return replace(
            state.result, n_iter=n_iter + 1, converged=state.result.converged & converged
        )


@dataclass(frozen=True)
class _State(State):
    """Codes of some images, and the squared norms of their last change and before it."""

    samples: np.ndarray
    result: InferenceResult
    moved: np.ndarray
    before: np.ndarray


def with_half_quadratic(codings: list[Coding]) -> list[Coding]:
    """Codings whose layers above the first use the solver of the paper.

    A layer that has another solver uses one with default parameters.
    """
    first, *above = codings
    return [
        first,
        *(
            one if isinstance(one.solver, HalfQuadratic) else replace(one, solver=HalfQuadratic())
            for one in above
        ),
    ]


def _squared_norms(maps):
    return np.asarray(maps.multiply(maps).sum(axis=1)).ravel()
