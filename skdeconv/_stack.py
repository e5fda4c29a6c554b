"""Inference through a stack of layers: one after the other, or down to the pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from skdeconv.inference import Finished, InferenceResult
from skdeconv.operators import Convolution, compose

# Alternations of the paper's inference at most.
_ALTERNATIONS = 20


class LayerImages:
    """Sparse maps of one layer as the images of the next, dense only where they are looked at.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_maps * height * width)
        Codes of the layer below.
    maps_shape : tuple of int
        (n_maps, height, width).
    factor : float
        What the maps are divided by.
    """

    def __init__(self, maps, maps_shape, factor):
        data = maps.data / maps.dtype.type(factor)
        self.maps = csr_array((data, maps.indices, maps.indptr), shape=maps.shape)
        self.shape, self.dtype = (maps.shape[0], *maps_shape), maps.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def select(self, samples) -> LayerImages:
        """Some of the images, still sparse."""
        return LayerImages(self.maps[samples], self.shape[1:], 1.0)

    def __getitem__(self, key) -> np.ndarray:
        """Dense images (n_chosen, n_maps, height, width) of a slice or an array of indices."""
        return self.maps[key].toarray().reshape(-1, *self.shape[1:])

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)


def layer_operator(filters, images) -> Convolution:
    """The convolution with a layer's filters, for its images and in their type."""
    return Convolution(filters.astype(images.dtype), images.shape[2:])


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

    def greedily(self, codings, images, uniform):
        """Codes of as many layers as ``codings``, each inferred from those of the one below.

        Returns
        -------
        results : list of InferenceResult
            One per layer. The low frequencies of the first belong to all.
        inputs : list of ndarray or LayerImages
            The images of each layer.
        """
        results, inputs = [], [images]
        for layer, coding in enumerate(codings):
            operator = layer_operator(self.filters[layer], inputs[-1])
            smooth = uniform if layer == 0 else None
            result = coding(operator, inputs[-1], uniform=smooth)
            if layer:
                converged = result.converged & results[-1].converged
                result = replace(result, low=results[0].low, converged=converged)
            results.append(result)
            if layer + 1 < len(codings):
                factor = self.factors[layer + 1]
                inputs.append(LayerImages(result.maps, operator.maps_shape, factor))
        return results, inputs

    def jointly(self, depth, coding, inputs, drawing, start) -> InferenceResult:
        r"""Codes of layer ``depth`` that minimise the error in pixels, from those of ``start``.

        :math:`\lambda_l/2 \, \|(y - F_1 \cdots F_l z) / s\|^2 + \sum |z|^p` with s the product of
        the factors: in the unit of the layer's own cost, so that ``lam`` means the same in both.
        """
        if depth == 1:
            return start
        coding = replace(coding, weight=coding.weight / self.gain(depth) ** 2)
        return coding(drawing.operator, inputs[0], init=start.maps, uniform=drawing.uniform)

    def alternating(self, depth, coding, inputs, drawing, start) -> InferenceResult:
        """The paper's inference: equations 10 and 11 in turn, until the codes settle."""
        if depth == 1:
            return start
        images, maps_below = inputs[0], inputs[depth - 1]
        operator = layer_operator(self.filters[depth - 1], maps_below)
        pixels = replace(coding, weight=coding.weight / self.gain(depth) ** 2)
        finished, low = Finished(len(images)), None if start.low is None else start.low.copy()
        going, before = np.arange(len(images)), start.maps
        for turn in range(1, _ALTERNATIONS + 1):
            down = pixels(drawing.operator, images[going], init=before, uniform=drawing.uniform)
            result = coding(operator, maps_below.select(going), init=down.maps)
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
                    drawn = drawing(result.maps[[i]], None)
                    low[going[i]] = drawing.uniform.fit(images[[going[i]]] - drawn)[0][0]
            left = np.setdiff1d(np.arange(len(going)), done)
            if not len(left):
                break
            going, before = going[left], result.maps[left]
        return replace(finished.result(), low=low)


def _squared_norms(maps):
    return np.asarray(maps.multiply(maps).sum(axis=1)).ravel()
