"""What single coefficients of a layer draw, computed on the patches that they reach alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skdeconv.operators import flat_switches

# Numbers in the planes of one product.
_PLANES = 2**21


@dataclass
class Patches:
    """Patches of one size, each from its own picture, all of one grid.

    Parameters
    ----------
    values : ndarray of shape (n_channels, n_patches, h, w)
        The patches; all else of the pictures is zero.
    corners : ndarray of int of shape (n_patches, 2)
        Row and column of their upper left places.
    """

    values: np.ndarray
    corners: np.ndarray

    def within(self, height, width) -> Patches:
        """The same pictures, cut off at the border of the grid, from patches that lie inside."""
        n_channels, n_patches, *size = self.values.shape
        grid = np.array([height, width])
        kept = np.minimum(size, grid)
        corners = np.clip(self.corners, 0, grid - kept)
        first = np.maximum(self.corners, corners)
        last = np.minimum(self.corners + size, corners + kept)
        if (corners == self.corners).all() and (kept == size).all():
            return self
        values = np.zeros((n_channels, n_patches, *kept), dtype=self.values.dtype)
        for i in range(n_patches):
            old, new = (
                tuple(slice(*ends) for ends in zip(first[i] - at, last[i] - at, strict=True))
                for at in (self.corners[i], corners[i])
            )
            values[:, i][:, *new] = self.values[:, i][:, *old]
        return Patches(values, corners)

    def places(self):
        """Rows (1, n_patches, h, 1) and columns (1, n_patches, 1, w) of the values."""
        _, _, h, w = self.values.shape
        rows = self.corners[:, :1] + np.arange(h)
        columns = self.corners[:, 1:] + np.arange(w)
        return rows[None, :, :, None], columns[None, :, None, :]

    def pictures(self, height, width) -> np.ndarray:
        """Whole pictures, (n_patches, height, width, n_channels)."""
        _, n_patches, h, w = self.values.shape
        pictures = np.zeros((n_patches, height, width, len(self.values)), self.values.dtype)
        for i, (y, x) in enumerate(self.corners):
            pictures[i, y : y + h, x : x + w] = np.moveaxis(self.values[:, i], 0, -1)
        return pictures


def draw_separately(stack, switches, number, index, values, last=0) -> Patches:
    """What coefficients of a layer of one image draw, each alone.

    Parameters
    ----------
    stack : AdaptiveStack
        The layers.
    switches : list of ndarray of shape (n_pooled, pooled_height, pooled_width)
        Those of the image in the layers below, the lowest first.
    number : int
        The layer of the coefficients, counted from 1.
    index : ndarray of int of shape (n_coefficients,)
        Their flat positions, in C order of (n_filters, map_height, map_width).
    values : ndarray of shape (n_coefficients,)
        The coefficients.
    last : int, default=0
        The layer whose pooled maps they are to draw; 0 for the pixels.

    Returns
    -------
    patches : Patches
        One for each coefficient, within the grid of what is drawn.
    """
    convolution = stack.convolutions[number - 1]
    _, map_height, map_width = convolution.maps_shape
    kernel, position = np.divmod(index, map_height * map_width)
    drawn = convolution.filters[kernel] * values[:, None, None, None]
    size = np.array(drawn.shape[2:])
    corners = np.stack(np.divmod(position, map_width), axis=1) - size + 1
    patches = Patches(drawn.swapaxes(0, 1), corners).within(*convolution.images_shape[1:])
    for below in range(number - 1, last, -1):
        unpooled = _unpooled(patches, switches[below - 1], stack, below)
        patches = _convolved(unpooled, stack.convolutions[below - 1])
    return patches


def index_in_maps(patches, switches, block, maps_shape) -> np.ndarray:
    """Flat positions in the maps below, of the shape of the patches' values."""
    rows, columns = patches.places()
    channels = np.arange(len(patches.values))[:, None, None, None]
    return flat_switches(switches, block, maps_shape)[channels, rows, columns]


def _unpooled(patches, switches, stack, number):
    """Patches of the maps of a layer, from those of its pooled maps."""
    block = rows, columns, _ = stack.blocks[number - 1]
    n_maps, _, map_width = maps_shape = stack.maps_shape(number)
    _, n_patches, h, w = patches.values.shape
    corners = patches.corners * [rows, columns]
    kernel, position = np.divmod(
        index_in_maps(patches, switches, block, maps_shape), np.prod(maps_shape[1:])
    )
    y, x = np.divmod(position, map_width)
    shape = n_maps, n_patches, h * rows, w * columns
    values = np.zeros(shape, dtype=patches.values.dtype)
    one = np.arange(n_patches)[None, :, None, None]
    y, x = y - corners[one, 0], x - corners[one, 1]
    values.reshape(-1)[((kernel * n_patches + one) * shape[2] + y) * shape[3] + x] = patches.values
    return Patches(values, corners)


def _convolved(patches, convolution):
    """What patches of a layer's maps draw below it."""
    n_filters, n_channels, h, w = convolution.filters.shape
    _, n_patches, height, width = patches.values.shape
    shape = n_channels, n_patches, height + h - 1, width + w - 1
    drawn = np.zeros(shape, dtype=patches.values.dtype)
    matrix = convolution.filters.reshape(n_filters, -1).T
    step = max(1, _PLANES // (len(matrix) * height * width))
    for first in range(0, n_patches, step):
        some = np.ascontiguousarray(patches.values[:, first : first + step])
        planes = matrix @ some.reshape(n_filters, -1)
        planes = planes.reshape(n_channels, h, w, -1, height, width)
        part = drawn[:, first : first + step]
        for a in range(h):
            for b in range(w):
                part[:, :, a : a + height, b : b + width] += planes[:, a, b]
    drawn = Patches(drawn, patches.corners - [h - 1, w - 1])
    return drawn.within(*convolution.images_shape[1:])
