"""Inference through a stack of layers: one after the other, or down to the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from skdeconv._collection import Collection
from skdeconv._drawing import Drawing
from skdeconv.inference import Finished, InferenceResult, rows_of
from skdeconv.operators import compose

# Alternations of the paper's inference at most.
_ALTERNATIONS = 20


class LayerImages(Collection):
    """Sparse maps of one layer as the images of the next, dense only where they are looked at.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_coefficients of the largest)
        Codes of the layer below, each in C order of its own (n_maps, height, width).
    sizes : ndarray of int of shape (n_samples, 2)
        Height and width of the maps of each image.
    n_maps : int
        Number of maps.
    factor : float
        What the maps are divided by.
    """

    def __init__(self, maps, sizes, n_maps, factor):
        super().__init__(sizes, n_maps, maps.dtype)
        data = maps.data / maps.dtype.type(factor)
        self.maps = csr_array((data, maps.indices, maps.indptr), shape=maps.shape)

    def __sizeof__(self) -> int:
        maps = self.maps
        return object.__sizeof__(self) + maps.data.nbytes + maps.indices.nbytes + maps.indptr.nbytes

    def stack(self, positions) -> np.ndarray:
        """Maps of one size as dense images, (n_chosen, n_maps, height, width)."""
        shape = self.n_channels, *self.sizes[positions][0].tolist()
        return rows_of(self.maps, positions, math.prod(shape)).toarray().reshape(-1, *shape)

    def part(self, positions) -> LayerImages:
        """Some of the images, still sparse."""
        return LayerImages(self.maps[positions], self.sizes[positions], self.n_channels, 1.0)

    load = part


def next_layer(codes, drawing, images, factor) -> LayerImages:
    """Codes of a layer as the images of the one above."""
    n_maps, _, h, w = drawing.filters.shape
    sizes = images.sizes + np.array([h - 1, w - 1])
    return LayerImages(codes, sizes, n_maps, factor)


def typical_value(maps) -> float:
    """Root mean square of the coefficients that are not zero; 1 where there is none."""
    if not maps.nnz:
        return 1.0
    return float(np.sqrt(np.mean(maps.data.astype(np.float64) ** 2)))


@dataclass(frozen=True)
class Stack:
    """Filters of all layers, from the lowest, and the factors between them.

    Layer l draws the maps of layer l - 1 divided by ``factors[l]``; ``factors[0]`` is 1.
    """

    filters: list[np.ndarray]
    factors: list[float]

    def gain(self, depth: int) -> float:
        """Product of the factors up to layer ``depth``, counted from 1."""
        return math.prod(self.factors[:depth])

    def drawing_filters(self, depth: int) -> np.ndarray:
        """What a coefficient of layer ``depth`` draws in pixels, (n_filters, n_channels, h, w)."""
        filters = self.filters[depth - 1]
        for lower in reversed(self.filters[: depth - 1]):
            filters = compose(filters, lower)
        return filters * filters.dtype.type(self.gain(depth))

    def greedily(self, codings, images, smooth):
        """Codes of as many layers as ``codings``, each inferred from those of the one below.

        Returns
        -------
        results : list of InferenceResult
            One per layer. The low frequencies of the first belong to all.
        inputs : list of Collection
            The images of each layer.
        """
        results, inputs = [], [images]
        for layer, coding in enumerate(codings):
            filters = self.filters[layer].astype(images.dtype)
            drawing = Drawing(filters, smooth if layer == 0 else None)
            result = coding(drawing, inputs[-1])
            if layer:
                converged = result.converged & results[-1].converged
                result = replace(result, low=results[0].low, converged=converged)
            results.append(result)
            if layer + 1 < len(codings):
                inputs.append(next_layer(result.maps, drawing, inputs[-1], self.factors[layer + 1]))
        return results, inputs

    def jointly(self, depth, coding, inputs, drawing, start) -> InferenceResult:
        r"""Codes of layer ``depth`` that minimise the error in pixels, from those of ``start``.

        :math:`\lambda_l/2 \, \|(y - F_1 \cdots F_l z) / s\|^2 + \sum |z|^p` with s the product of
        the factors: in the unit of the layer's own cost, so that ``lam`` means the same in both.
        """
        if depth == 1:
            return start
        coding = replace(coding, weight=coding.weight / self.gain(depth) ** 2)
        return coding(drawing, inputs[0], init=start.maps)

    def alternating(self, depth, coding, inputs, drawing, start) -> InferenceResult:
        """The paper's inference: equations 10 and 11 in turn, until the codes settle."""
        if depth == 1:
            return start
        images, maps_below = inputs[0], inputs[depth - 1]
        above = Drawing(self.filters[depth - 1].astype(images.dtype))
        pixels = replace(coding, weight=coding.weight / self.gain(depth) ** 2)
        finished, low = Finished(len(images)), None if start.low is None else start.low.copy()
        going, before = np.arange(len(images)), start.maps
        for turn in range(1, _ALTERNATIONS + 1):
            down = pixels(drawing, images.part(going), init=before)
            result = coding(above, maps_below.part(going), init=down.maps)
            solved = down.converged & result.converged
            moved = _squared_norms(result.maps - before)
            settled = moved <= coding.tol**2 * _squared_norms(before)
            done = np.flatnonzero(settled | (turn == _ALTERNATIONS))
            if len(done):
                finished.add(
                    result.maps[done],
                    going[done],
                    result.cost[done],
                    result.optimality[done],
                    turn,
                    solved[done] & settled[done] & start.converged[going[done]],
                )
                for i in done if low is not None else ():
                    # What fits these maps best, as in the other ways of inference.
                    at, size = going[[i]], images.sizes[going[i]]
                    rest = images.stack(at) - drawing.draw(result.maps, None, [i], size)
                    low[at[0]] = drawing.at(size)[1].fit(rest)[0][0]
            left = np.setdiff1d(np.arange(len(going)), done)
            if not len(left):
                break
            going, before = going[left], result.maps[left]
        return replace(finished.result(), low=low)


def _squared_norms(maps):
    return np.asarray(maps.multiply(maps).sum(axis=1)).ravel()
