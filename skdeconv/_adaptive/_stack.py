"""Filters of all layers with the pooling between them, and the maps of one image in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from skdeconv.inference import AdaptedMaps, adapt, adapt_by_descent
from skdeconv.operators import (
    Composition,
    Convolution,
    Masked,
    SparseOperator,
    Unpooling,
    flat_switches,
    pooled_shape,
    zeros_for_nan,
)

# Entries of a filter up to which the columns that switches choose are cheaper than the convolution.
_LARGEST_ATOM = 150
# From this layer on atoms are so large that building them takes longer than FISTA.
_FIRST_WITHOUT_ATOMS = 3
# Sizes of images whose stacks are kept: of deep nets they are tens of megabytes each.
_SIZES = 8


@dataclass(frozen=True)
class LayerCoding:
    """How the maps of one layer are inferred.

    Parameters
    ----------
    weight : float
        lambda.
    inference : {"fista", "ista", "coordinate_descent"}
        The algorithm.
    n_steps : int
        Its number of steps.
    beta : float or None
        Length of a step; None for the one that the operator allows.
    """

    weight: float
    inference: str
    n_steps: int
    beta: float | None

    def __call__(self, number, operator, image, shape, init=None) -> AdaptedMaps:
        """Maps of one image in layer ``number``, counted from 1."""
        if self.inference == "coordinate_descent" and number < _FIRST_WITHOUT_ATOMS:
            return adapt_by_descent(operator, image, self.weight, shape, n_rounds=self.n_steps)
        return adapt(
            operator,
            image,
            self.weight,
            shape,
            n_steps=self.n_steps,
            accelerated=self.inference != "ista",
            beta=self.beta,
            init=init,
        )


class AdaptiveStack:
    """Layers of convolution and pooling, for images of one size.

    Parameters
    ----------
    filters : list of ndarray of shape (n_filters, n_channels, h, w)
        Filters of each layer, the lowest first; they see the pooled maps of the one below.
    blocks : list of tuple of three ints
        Rows, columns and neighbouring maps that each layer pools.
    image_shape : tuple of two ints
        Height and width of the images.

    Attributes
    ----------
    convolutions : list of Convolution
        That of each layer.
    top_shape : tuple of two ints
        Height and width of the pooled maps of the highest layer.
    """

    def __init__(self, filters: Sequence, blocks: Sequence, image_shape: tuple[int, int]):
        self.blocks, self.convolutions, self.top_shape = [], [], image_shape
        for one, block in zip(filters, blocks, strict=True):
            self._append(one, block)

    def _append(self, filters, block):
        convolution = Convolution(filters, self.top_shape)
        # Blocks that are larger than the maps pool the same as those of their size.
        sizes = (*convolution.maps_shape[1:], convolution.maps_shape[0])
        block = tuple(min(pair) for pair in zip(block, sizes, strict=True))
        self.convolutions.append(convolution)
        self.blocks.append(block)
        self.top_shape = pooled_shape(convolution.maps_shape, block)[1:]

    def topped(self, filters, block) -> AdaptiveStack:
        """A stack with one more layer on top."""
        higher = AdaptiveStack([], [], self.top_shape)
        higher.convolutions, higher.blocks = self.convolutions.copy(), self.blocks.copy()
        higher._append(filters, block)
        return higher

    def maps_shape(self, number: int) -> tuple[int, int, int]:
        """(n_filters, height, width) of the maps of a layer, counted from 1."""
        return self.convolutions[number - 1].maps_shape

    def lower(self, switches: Sequence, first: int = 1) -> Composition | None:
        r"""What draws the pixels from the pooled maps of as many layers as there are switches.

        :math:`F_1 U_{s_1} \cdots F_l U_{s_l}` for one image; None for no layer. With ``first`` it
        begins with that layer's convolution instead, and draws the pooled maps below it.
        """
        operators = []
        for number in range(first, len(switches) + 1):
            operators += self._switched(number, switches[number - 1])
        return Composition(*operators) if operators else None

    def _switched(self, number, switches):
        """Operators that draw from the pooled maps of one layer what it sees."""
        convolution, block = self.convolutions[number - 1], self.blocks[number - 1]
        unpooling = Unpooling(switches, block, convolution.maps_shape)
        if convolution.filters[0].size > _LARGEST_ATOM:
            return [convolution, unpooling]
        atoms = convolution.atoms(unpooling.index.ravel())
        return [SparseOperator(atoms, convolution.images_shape, unpooling.maps_shape)]

    def operator(self, switches: Sequence, first: int = 1):
        r""":math:`R_l` of one image, for the layer above as many as there are switches."""
        convolution, lower = self.convolutions[len(switches)], self.lower(switches, first)
        return convolution if lower is None else Composition(*lower.operators, convolution)

    def infer(self, coding: LayerCoding, image, switches, init=None) -> AdaptedMaps:
        """Maps of one image (1, n_channels, height, width) in the layer above its switches."""
        number, operator = len(switches) + 1, seen(self.operator(switches), known_of(image))
        return coding(number, operator, zeros_for_nan(image), self.blocks[number - 1], init)

    def encode(self, codings: Sequence[LayerCoding], image) -> list[AdaptedMaps]:
        """Maps of one image in as many layers as there are codings, without the residuals."""
        lower, layers, known = [], [], known_of(image)
        image = zeros_for_nan(image)
        for number, coding in enumerate(codings, 1):
            operator = self.convolutions[number - 1]
            if layers:
                lower += self._switched(number - 1, layers[-1].switches)
                operator = Composition(*lower, operator)
            maps = coding(number, seen(operator, known), image, self.blocks[number - 1])
            layers.append(replace(maps, residual=None))
        return layers

    def drawn(self, layers: Sequence[AdaptedMaps]) -> np.ndarray:
        """Image (1, n_channels, height, width) that the highest of an image's layers draws."""
        operator = self.operator([one.switches for one in layers[:-1]])
        return operator.forward(layers[-1].dense(operator.maps_shape))

    def drawn_in_first(self, layers: Sequence[AdaptedMaps]) -> AdaptedMaps:
        r"""Maps of the first layer that the highest of one image's layers draws.

        :math:`U_{s_1} F_2 U_{s_2} \cdots F_l z_l`, with the switches of the first.
        """
        if len(layers) == 1:
            return layers[0]
        switches = [one.switches for one in layers]
        drawn = layers[-1].dense(self.maps_shape(len(layers)))
        values = self.operator(switches[:-1], first=2).forward(drawn).ravel()
        used = np.flatnonzero(values)
        index = flat_switches(switches[0], self.blocks[0], self.maps_shape(1)).ravel()[used]
        return replace(layers[0], index=index, values=values[used])


class AdaptiveLayers:
    """Layers of convolution and pooling, for images of any size.

    Parameters
    ----------
    filters, blocks : list
        As of ``AdaptiveStack``.
    """

    def __init__(self, filters: Sequence, blocks: Sequence):
        self.filters, self.blocks = list(filters), list(blocks)
        self._lower: AdaptiveLayers | None = None
        self._stacks: dict[tuple, AdaptiveStack] = {}

    def topped(self, filters, block) -> AdaptiveLayers:
        """The same with one more layer on top; what is there for a size is shared."""
        higher = AdaptiveLayers([*self.filters, filters], [*self.blocks, block])
        higher._lower = self
        return higher

    def at(self, size: tuple[int, int]) -> AdaptiveStack:
        """The layers for images of a size (height, width)."""
        stack = self._stacks.pop(size, None)
        if stack is None and self._lower is None:
            stack = AdaptiveStack(self.filters, self.blocks, size)
        elif stack is None:
            stack = self._lower.at(size).topped(self.filters[-1], self.blocks[-1])
        # In the order of their last use.
        self._stacks[size] = stack
        if len(self._stacks) > _SIZES:
            del self._stacks[next(iter(self._stacks))]
        return stack

    def maps_shape(self, number: int, size) -> tuple[int, int, int]:
        """(n_filters, height, width) of the maps of a layer, counted from 1, for a size."""
        layers = zip(self.filters[:number], self.blocks[:number], strict=True)
        for filters, block in layers:
            (n_filters, _, h, w), (height, width) = filters.shape, size
            shape = n_filters, int(height) + h - 1, int(width) + w - 1
            _, *size = pooled_shape(shape, block)
        return shape


def known_of(image) -> np.ndarray | None:
    """Mask of the known pixels of one image (1, n_channels, height, width); None if all are."""
    missing = np.isnan(image[0])
    return ~missing if missing.any() else None


def seen(operator, known):
    """What an operator, or None for none, draws of the known pixels; itself if all are known."""
    return operator if known is None else Masked(operator, known)
