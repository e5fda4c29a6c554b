"""Adaptive networks: layers of convolution and pooling, for images of one size or of any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from skdeconv.inference import AdaptedMaps, AdaptiveCoding
from skdeconv.operators import (
    Composition,
    Convolution,
    Masked,
    SwitchedConvolution,
    Unpooling,
    flat_switches,
    pooled_shape,
    zeros_for_nan,
)

# Number of image sizes whose networks are cached; for deep nets each takes tens of megabytes.
_SIZES = 8


class SizedNetwork:
    """Layers of convolution and pooling, for images of one size.

    Parameters
    ----------
    filters : list of ndarray of shape (n_filters, n_channels, h, w)
        Filters of each layer, the lowest first. The channels of a layer are the pooled maps of the
        layer below.
    blocks : list of tuple of three ints
        Pooling block of each layer: rows, columns and neighbouring maps.
    image_shape : tuple of two ints
        Height and width of the images.

    Attributes
    ----------
    convolutions : list of Convolution
        Convolution of each layer.
    top_shape : tuple of two ints
        Height and width of the pooled maps of the highest layer.
    """

    def __init__(self, filters: Sequence, blocks: Sequence, image_shape: tuple[int, int]):
        self.blocks, self.convolutions, self.top_shape = [], [], image_shape
        for one, block in zip(filters, blocks, strict=True):
            self._append(one, block)

    def _append(self, filters, block):
        convolution = Convolution(filters, self.top_shape)
        # A block that exceeds the maps pools the same as one of the size of the maps.
        sizes = (*convolution.maps_shape[1:], convolution.maps_shape[0])
        block = tuple(min(pair) for pair in zip(block, sizes, strict=True))
        self.convolutions.append(convolution)
        self.blocks.append(block)
        self.top_shape = pooled_shape(convolution.maps_shape, block)[1:]

    def topped(self, filters, block) -> SizedNetwork:
        """Network with one more layer on top."""
        higher = SizedNetwork([], [], self.top_shape)
        higher.convolutions, higher.blocks = self.convolutions.copy(), self.blocks.copy()
        higher._append(filters, block)
        return higher

    def maps_shape(self, number: int) -> tuple[int, int, int]:
        """(n_filters, height, width) of the maps of a layer, counted from 1."""
        return self.convolutions[number - 1].maps_shape

    def lower(self, switches: Sequence, first: int = 1) -> Composition | None:
        r"""Linear map from the pooled maps of layer l to the pixels of one image.

        It is :math:`F_1 U_{s_1} \cdots F_l U_{s_l}`, with l the number of switches; None if there
        are none. With ``first`` it begins with the convolution of that layer, and reconstructs the
        pooled maps below it instead of the pixels.
        """
        numbers = range(first, len(switches) + 1)
        operators = [self._switched(number, switches[number - 1]) for number in numbers]
        return Composition(*operators) if operators else None

    def _switched(self, number, switches):
        """Operator F U_s that reconstructs the input of one layer from its pooled maps."""
        convolution, block = self.convolutions[number - 1], self.blocks[number - 1]
        return SwitchedConvolution(convolution, Unpooling(switches, block, convolution.maps_shape))

    def operator(self, switches: Sequence, first: int = 1):
        r"""Operator :math:`R_l` of one image, given the switches of the l - 1 layers below."""
        convolution, lower = self.convolutions[len(switches)], self.lower(switches, first)
        return convolution if lower is None else Composition(*lower.operators, convolution)

    def infer(self, coding: AdaptiveCoding, image, switches, init=None) -> AdaptedMaps:
        """Infer the maps of one image, (1, n_channels, height, width), in one layer.

        It is the layer above those whose switches are given.
        """
        number, operator = len(switches) + 1, masked(self.operator(switches), known_of(image))
        return coding.infer(number, operator, zeros_for_nan(image), self.blocks[number - 1], init)

    def encode(self, codings: Sequence[AdaptiveCoding], image) -> list[AdaptedMaps]:
        """Infer the maps of one image in the lowest layers, one per coding, without residuals."""
        lower, layers, known = [], [], known_of(image)
        image = zeros_for_nan(image)
        for number, coding in enumerate(codings, 1):
            operator = self.convolutions[number - 1]
            if layers:
                lower.append(self._switched(number - 1, layers[-1].switches))
                operator = Composition(*lower, operator)
            maps = coding.infer(number, masked(operator, known), image, self.blocks[number - 1])
            layers.append(replace(maps, residual=None))
        return layers

    def reconstruct(self, layers: Sequence[AdaptedMaps]) -> np.ndarray:
        """Reconstruct an image, (1, n_channels, height, width), from the highest of its layers."""
        operator = self.operator([one.switches for one in layers[:-1]])
        return operator.drawn(layers[-1].index, layers[-1].values)

    def maps_from_top(self, number: int, layers: Sequence[AdaptedMaps]) -> AdaptedMaps:
        r"""Reconstruct the maps of layer ``number`` from the highest of one image's layers.

        They are :math:`U_{s_j} F_{j+1} U_{s_{j+1}} \cdots F_l z_l`, with j = ``number``, counted
        from 1.
        """
        if len(layers) == number:
            return layers[-1]
        switches, below = [one.switches for one in layers], layers[number - 1]
        operator = self.operator(switches[:-1], first=number + 1)
        values = operator.drawn(layers[-1].index, layers[-1].values).ravel()
        used = np.flatnonzero(values)
        index = flat_switches(
            below.switches, self.blocks[number - 1], self.maps_shape(number), used
        )
        return replace(below, index=index, values=values[used])


class AdaptiveNetwork:
    """Layers of convolution and pooling, for images of any size.

    Parameters
    ----------
    filters, blocks : list
        As in ``SizedNetwork``.
    """

    def __init__(self, filters: Sequence, blocks: Sequence):
        self.filters, self.blocks = list(filters), list(blocks)
        self._lower: AdaptiveNetwork | None = None
        self._networks: dict[tuple, SizedNetwork] = {}

    def topped(self, filters, block) -> AdaptiveNetwork:
        """Network with one more layer on top, which shares the cached networks of this one."""
        higher = AdaptiveNetwork([*self.filters, filters], [*self.blocks, block])
        higher._lower = self
        return higher

    def at(self, size: tuple[int, int]) -> SizedNetwork:
        """Network for images of one size, (height, width)."""
        network = self._networks.pop(size, None)
        if network is None and self._lower is None:
            network = SizedNetwork(self.filters, self.blocks, size)
        elif network is None:
            network = self._lower.at(size).topped(self.filters[-1], self.blocks[-1])
        # Ordered by last use, so that the least recently used is dropped.
        self._networks[size] = network
        if len(self._networks) > _SIZES:
            del self._networks[next(iter(self._networks))]
        return network

    def maps_shape(self, number: int, size) -> tuple[int, int, int]:
        """(n_filters, height, width) of the maps of a layer, counted from 1, for an image size."""
        layers = zip(self.filters[:number], self.blocks[:number], strict=True)
        for filters, block in layers:
            (n_filters, _, h, w), (height, width) = filters.shape, size
            shape = n_filters, int(height) + h - 1, int(width) + w - 1
            _, *size = pooled_shape(shape, block)
        return shape

    def lam_min(self, number: int, images, switches) -> float | None:
        """The ``lam`` above which the maps of a layer are not all zero; None without any.

        Parameters
        ----------
        number : int
            The layer, counted from 1.
        images : Collection
            The images.
        switches : list of list of ndarray
            Those of every image in the layers below.
        """
        largest = 0.0
        for i, below in enumerate(switches):
            operator = self.at(images.size_of(i)).operator(below)
            image = zeros_for_nan(images.stack(slice(i, i + 1)))
            largest = max(largest, float(np.abs(operator.adjoint(image)).max()))
        return 1 / largest if largest else None


def known_of(image) -> np.ndarray | None:
    """Mask of the known pixels of one image (1, n_channels, height, width); None if all are."""
    missing = np.isnan(image[0])
    return ~missing if missing.any() else None


def masked(operator, known):
    """Restrict an operator (None is the identity) to the known pixels, unless all are known."""
    return operator if known is None else Masked(operator, known)
