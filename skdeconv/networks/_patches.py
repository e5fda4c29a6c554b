"""Projection of single coefficients to the layers below, restricted to their receptive fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from skdeconv.operators import flat_switches

# Number of array elements in the temporary sums of filters.
_SUMS = 2**18


@dataclass
class Patches:
    """Patches of one size, each from a separate image that is zero outside of its patch.

    All images have the same size.

    Parameters
    ----------
    values : ndarray of shape (n_patches, h, w, n_channels)
        The patches.
    corners : ndarray of int of shape (n_patches, 2)
        Row and column of the upper left pixel of each patch in its image.
    """

    values: np.ndarray
    corners: np.ndarray

    def within(self, height, width) -> Patches:
        """The same images, cropped to (height, width), as patches that lie inside."""
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
        """Row indices, (n_patches, h, 1), and column indices, (n_patches, 1, w), of the values."""
        rows = self.corners[:, :1] + np.arange(self.values.shape[1])
        columns = self.corners[:, 1:] + np.arange(self.values.shape[2])
        return rows[:, :, None], columns[:, None]

    def pictures(self, height, width) -> np.ndarray:
        """The patches inside full images, (n_patches, height, width, n_channels)."""
        n_patches, h, w, n_channels = self.values.shape
        pictures = np.zeros((n_patches, height, width, n_channels), self.values.dtype)
        for i, (y, x) in enumerate(self.corners):
            pictures[i, y : y + h, x : x + w] = self.values[i]
        return pictures


def project_separately(network, switches, number, index, values, last=0) -> Patches:
    """Project coefficients of one image to pixels or to a lower layer, one at a time.

    Parameters
    ----------
    network : SizedNetwork
        The layers.
    switches : list of ndarray of shape (n_pooled, pooled_height, pooled_width)
        Switches of the image in the layers below, the lowest first.
    number : int
        The layer of the coefficients, counted from 1.
    index : ndarray of int of shape (n_coefficients,)
        Flat positions of the coefficients, in C order of (n_filters, map_height, map_width).
    values : ndarray of shape (n_coefficients,)
        Values of the coefficients.
    last : int, default=0
        The layer to whose pooled maps they are projected; 0 for the pixels.

    Returns
    -------
    patches : Patches
        One for each coefficient, cropped to the size of the pooled maps or of the image.
    """
    convolution = network.convolutions[number - 1]
    _, map_height, map_width = convolution.maps_shape
    kernel, position = np.divmod(index, map_height * map_width)
    scaled = convolution.filters[kernel].transpose(0, 2, 3, 1) * values[:, None, None, None]
    corners = np.stack(np.divmod(position, map_width), axis=1) - np.subtract(scaled.shape[1:3], 1)
    patches = Patches(scaled, corners).within(*convolution.images_shape[1:])
    for below in range(number - 1, last, -1):
        layer = network.convolutions[below - 1], network.blocks[below - 1], switches[below - 1]
        _, *grid = layer[2].shape
        if 2 * np.prod(patches.values.shape[1:3]) > np.prod(grid):
            patches = _projected_on_grid(patches.pictures(*grid), *layer)
        else:
            patches = _projected_on_patches(patches, *layer)
    return patches


def index_in_maps(patches, switches, block, maps_shape) -> np.ndarray:
    """Flat positions that the values of patches of pooled maps have in the maps before pooling."""
    rows, columns = patches.places()
    channels = np.arange(patches.values.shape[3])
    places = flat_switches(switches, block, maps_shape)
    return places[channels, rows[..., None], columns[..., None]]


def strongest_parts(network, switches, number, index, values, k):
    """Find the k largest coefficients that each coefficient reconstructs in the layer below.

    Returns
    -------
    index, values : ndarray of shape (n_coefficients * k,)
        Flat positions in the maps below, and the values there; zeros if there are fewer.
    """
    if not len(index):
        return index, values
    patches = project_separately(network, switches, number, index, values, last=number - 1)
    shapes = network.blocks[number - 2], network.maps_shape(number - 1)
    below = index_in_maps(patches, switches[number - 2], *shapes).reshape(len(index), -1)
    parts = patches.values.reshape(len(index), -1)
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :k]
    index, values = np.zeros((len(index), k), np.int64), np.zeros((len(index), k), parts.dtype)
    index[:, : order.shape[1]] = np.take_along_axis(below, order, axis=1)
    values[:, : order.shape[1]] = np.take_along_axis(parts, order, axis=1)
    return index.ravel(), values.ravel()


def _projected_on_patches(patches, convolution, block, switches):
    """Project patches of pooled maps to the layer below, each by the switches inside the patch."""
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
    projected = np.zeros((n_patches, height + h - 1, width + w - 1, n_channels), filters.dtype)
    step = max(1, _SUMS // (filters.shape[1] * height * width))
    for first in range(0, n_patches, step):
        part = projected[first : first + step]
        some = slice(first * height * width, (first + len(part)) * height * width)
        # First the filters of each position are summed, then the taps are shifted and added.
        sums = (chosen[some] @ filters).reshape(-1, height, width, h, w * n_channels)
        lines = np.zeros((len(part), height + h - 1, width, w * n_channels), filters.dtype)
        for a in range(h):
            lines[:, a : a + height] += sums[:, :, :, a]
        lines = lines.reshape(*lines.shape[:3], w, n_channels)
        for b in range(w):
            part[:, :, b : b + width] += lines[:, :, :, b]
    projected = Patches(projected, corners - [h - 1, w - 1])
    return projected.within(*convolution.images_shape[1:])


def _projected_on_grid(pictures, convolution, block, switches):
    """Project full pooled maps to the layer below, all by the same switches.

    In each block, the switches assign one filter at one position to every pooled map. These make up
    one matrix per block, which is applied to all images. This takes fewer operations than the
    convolution of unpooled maps, in which only one position of a block is non-zero.
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
    products = np.matmul(pictures.transpose(1, 2, 0, 3), matrices)
    products = products.reshape(height, width, len(pictures), *shape[3:])
    sums = np.zeros(
        (height + n_rows - 1, width + n_columns - 1, len(pictures), rows, columns, n_channels),
        dtype=products.dtype,
    )
    for i in range(n_rows):
        for j in range(n_columns):
            part = products[..., i * rows : (i + 1) * rows, j * columns : (j + 1) * columns, :]
            sums[i : i + height, j : j + width] += part
    sums = sums.transpose(2, 0, 3, 1, 4, 5)
    sums = sums.reshape(len(pictures), sums.shape[1] * rows, sums.shape[3] * columns, n_channels)
    _, image_height, image_width = convolution.images_shape
    inside = sums[:, h - 1 : h - 1 + image_height, w - 1 : w - 1 + image_width]
    return Patches(inside, np.zeros((len(pictures), 2), dtype=int))
