"""What single coefficients of a layer draw, on the patches that they reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from skdeconv.operators import flat_switches

# Numbers in the sums of filters at once.
_SUMS = 2**18


@dataclass
class Patches:
    """Patches of one size, each from its own picture, all of one grid.

    Parameters
    ----------
    values : ndarray of shape (n_patches, h, w, n_channels)
        The patches; all else of the pictures is zero.
    corners : ndarray of int of shape (n_patches, 2)
        Row and column of their upper left places.
    """

    values: np.ndarray
    corners: np.ndarray

    def within(self, height, width) -> Patches:
        """The same pictures, cut off at the border of the grid, from patches that lie inside."""
        n_patches, *size, n_channels = self.values.shape
        grid = np.array([height, width])
        kept = np.minimum(size, grid)
        corners = np.clip(self.corners, 0, grid - kept)
        first = np.maximum(self.corners, corners)
        last = np.minimum(self.corners + size, corners + kept)
        moved = (corners != self.corners).any(axis=1) | (kept != size).any()
        values = np.zeros((n_patches, *kept, n_channels), dtype=self.values.dtype)
        if not moved.all():
            values[~moved] = self.values[~moved]
        for i in np.flatnonzero(moved):
            old, new = (
                tuple(slice(*ends) for ends in zip(first[i] - at, last[i] - at, strict=True))
                for at in (self.corners[i], corners[i])
            )
            values[i][new] = self.values[i][old]
        return Patches(values, corners)

    def places(self):
        """Rows (n_patches, h, 1) and columns (n_patches, 1, w) of the values."""
        rows = self.corners[:, :1] + np.arange(self.values.shape[1])
        columns = self.corners[:, 1:] + np.arange(self.values.shape[2])
        return rows[:, :, None], columns[:, None]

    def pictures(self, height, width) -> np.ndarray:
        """Whole pictures, (n_patches, height, width, n_channels)."""
        n_patches, h, w, n_channels = self.values.shape
        pictures = np.zeros((n_patches, height, width, n_channels), self.values.dtype)
        for i, (y, x) in enumerate(self.corners):
            pictures[i, y : y + h, x : x + w] = self.values[i]
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
    drawn = convolution.filters[kernel].transpose(0, 2, 3, 1) * values[:, None, None, None]
    corners = np.stack(np.divmod(position, map_width), axis=1) - np.subtract(drawn.shape[1:3], 1)
    patches = Patches(drawn, corners).within(*convolution.images_shape[1:])
    for below in range(number - 1, last, -1):
        layer = stack.convolutions[below - 1], stack.blocks[below - 1], switches[below - 1]
        _, *grid = layer[2].shape
        if 2 * np.prod(patches.values.shape[1:3]) > np.prod(grid):
            patches = _drawn_on_the_grid(patches.pictures(*grid), *layer)
        else:
            patches = _drawn_on_patches(patches, *layer)
    return patches


def index_in_maps(patches, switches, block, maps_shape) -> np.ndarray:
    """Flat positions in the maps below, of the shape of the patches' values."""
    rows, columns = patches.places()
    channels = np.arange(patches.values.shape[3])
    places = flat_switches(switches, block, maps_shape)
    return places[channels, rows[..., None], columns[..., None]]


def strongest_parts(stack, switches, number, index, values, k):
    """The k largest coefficients that each one of a layer draws in the layer below.

    Returns
    -------
    index, values : ndarray of shape (n_coefficients * k,)
        Flat positions in the maps below, and the coefficients there; zeros where there are fewer.
    """
    if not len(index):
        return index, values
    patches = draw_separately(stack, switches, number, index, values, last=number - 1)
    shapes = stack.blocks[number - 2], stack.maps_shape(number - 1)
    below = index_in_maps(patches, switches[number - 2], *shapes).reshape(len(index), -1)
    drawn = patches.values.reshape(len(index), -1)
    order = np.argsort(-np.abs(drawn), axis=1, kind="stable")[:, :k]
    index, values = np.zeros((len(index), k), np.int64), np.zeros((len(index), k), drawn.dtype)
    index[:, : order.shape[1]] = np.take_along_axis(below, order, axis=1)
    values[:, : order.shape[1]] = np.take_along_axis(drawn, order, axis=1)
    return index.ravel(), values.ravel()


def _drawn_on_patches(patches, convolution, block, switches):
    """What patches of a layer's pooled maps draw below it, each by its part of the switches."""
    n_filters, n_channels, h, w = convolution.filters.shape
    n_patches, height, width, _ = patches.values.shape
    height, width, corners = height * block[0], width * block[1], patches.corners * block[:2]
    index = index_in_maps(patches, switches, block, convolution.maps_shape)
    kernel, y, x = np.unravel_index(index, convolution.maps_shape)
    ahead = np.arange(n_patches) * height - corners[:, 0]
    place = (y + ahead[:, None, None, None]) * width + x - corners[:, 1, None, None, None]
    filters = convolution.filters.transpose(0, 2, 3, 1).reshape(n_filters, -1)
    shape = n_patches * height * width, n_filters
    chosen = csr_array((patches.values.ravel(), (place.ravel(), kernel.ravel())), shape=shape)
    drawn = np.zeros((n_patches, height + h - 1, width + w - 1, n_channels), filters.dtype)
    step = max(1, _SUMS // (filters.shape[1] * height * width))
    for first in range(0, n_patches, step):
        part = drawn[first : first + step]
        some = slice(first * height * width, (first + len(part)) * height * width)
        # At every place its filters are added up, then their taps where they fall.
        sums = (chosen[some] @ filters).reshape(-1, height, width, h, w * n_channels)
        lines = np.zeros((len(part), height + h - 1, width, w * n_channels), filters.dtype)
        for a in range(h):
            lines[:, a : a + height] += sums[:, :, :, a]
        lines = lines.reshape(*lines.shape[:3], w, n_channels)
        for b in range(w):
            part[:, :, b : b + width] += lines[:, :, :, b]
    drawn = Patches(drawn, corners - [h - 1, w - 1])
    return drawn.within(*convolution.images_shape[1:])


def _drawn_on_the_grid(pictures, convolution, block, switches):
    """What whole pooled maps of a layer draw below it, all by the same switches.

    In every block each pooled map uses one filter at one place: a matrix, which serves all
    pictures. That is less than a product with maps in which one of a block's places is used.
    """
    (rows, columns, _), (_, n_channels, h, w) = block, convolution.filters.shape
    n_pooled, height, width = switches.shape
    kernel, y, x = np.unravel_index(
        flat_switches(switches, block, convolution.maps_shape), convolution.maps_shape
    )
    n_rows, n_columns = (-(-(f + s - 1) // s) for f, s in ((h, rows), (w, columns)))
    filters = convolution.filters.transpose(0, 2, 3, 1)
    shape = height, width, n_pooled, n_rows * rows, n_columns * columns, n_channels
    matrices = np.zeros(shape, dtype=filters.dtype)
    for a in range(rows):
        for b in range(columns):
            one, v, u = np.nonzero((y % rows == a) & (x % columns == b))
            matrices[v, u, one, a : a + h, b : b + w] = filters[kernel[one, v, u]]
    matrices = matrices.reshape(height, width, n_pooled, -1)
    drawn = np.matmul(pictures.transpose(1, 2, 0, 3), matrices)
    drawn = drawn.reshape(height, width, len(pictures), *shape[3:])
    sums = np.zeros(
        (height + n_rows - 1, width + n_columns - 1, len(pictures), rows, columns, n_channels),
        dtype=drawn.dtype,
    )
    for i in range(n_rows):
        for j in range(n_columns):
            part = drawn[..., i * rows : (i + 1) * rows, j * columns : (j + 1) * columns, :]
            sums[i : i + height, j : j + width] += part
    sums = sums.transpose(2, 0, 3, 1, 4, 5)
    sums = sums.reshape(len(pictures), sums.shape[1] * rows, sums.shape[3] * columns, n_channels)
    _, image_height, image_width = convolution.images_shape
    inside = sums[:, h - 1 : h - 1 + image_height, w - 1 : w - 1 + image_width]
    return Patches(inside, np.zeros((len(pictures), 2), dtype=int))
