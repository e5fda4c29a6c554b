"""Descriptors of windows of maps: absolute values summed over blocks."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse

from skdeconv._utils.parameters import of_each_axis
from skdeconv.features._cells import Pooling, unit_rows


class Descriptors:
    """Compute the descriptors of all windows of an image's maps.

    Parameters
    ----------
    patch_size, step, pool : int
        Side of a window, stride of the windows, and side of the blocks of a window, in positions.
    """

    def __init__(self, patch_size: int, step: int, pool: int):
        self.patch_size, self.step, self.pool = patch_size, step, pool
        self._layouts = {}

    def blocks(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of blocks in a window, for maps of (map_height, map_width)."""
        return of_each_axis(self.patch_size // self.pool, shape)

    def __call__(self, maps, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
        """Compute the descriptors of one image.

        Parameters
        ----------
        maps : ndarray or csr_array of shape (map_height * map_width, n_filters)
            The maps.
        shape : tuple of int
            (map_height, map_width).

        Returns
        -------
        descriptors : ndarray of shape (n_windows, n_block_rows * n_block_columns * n_filters)
            Square roots of the sums, scaled to unit norm for each window; windows row by row.
        grid : tuple of int
            Rows and columns of windows.
        """
        # Most images have the same size.
        if shape not in self._layouts:
            self._layouts[shape] = self._layout(shape)
        pooling, row_blocks, column_blocks = self._layouts[shape]
        if issparse(maps):
            sums = pooling.sparse(abs(maps))
        else:
            sums = pooling.dense(np.abs(maps).reshape(1, *shape, -1))
        sums = sums.reshape(*map(len, pooling.grids[0]), -1)
        # All blocks of a row of windows, then of each window in it.
        windows = sums[row_blocks][:, :, column_blocks].transpose(0, 2, 1, 3, 4)
        grid = windows.shape[:2]
        return unit_rows(np.sqrt(windows).reshape(grid[0] * grid[1], -1)), grid

    def _layout(self, shape):
        """The sums over all blocks of maps of one size, and the blocks of each window."""
        axes = map(self._axis, shape, of_each_axis(self.patch_size, shape))
        weights, blocks = zip(*axes, strict=True)
        return Pooling([weights], "sum"), *blocks

    def _axis(self, size, patch):
        """Weights of the distinct blocks along an axis, and the indices of each window's blocks."""
        if size < patch:
            raise ValueError(
                f"patch_size={patch} is larger than the maps of an image, one side of which is "
                f"{size}. Decrease patch_size."
            )
        first = np.arange(0, size - patch + 1, self.step)
        starts = first[:, None] + np.arange(0, patch, self.pool)
        different, blocks = np.unique(starts, return_inverse=True)
        position = np.arange(size) - different[:, None]
        weights = ((position >= 0) & (position < self.pool)).astype(float)
        return weights, blocks.reshape(starts.shape)
