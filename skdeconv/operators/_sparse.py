"""Linear operator given by an explicit sparse matrix."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array

from skdeconv.operators._composition import Operator


class SparseOperator(Operator):
    """Linear operator from maps to images, given by a sparse matrix.

    Parameters
    ----------
    matrix : csc_array of shape (n_pixels, n_coefficients)
        The matrix, with 32-bit indices.
    images_shape, maps_shape : tuple of int
        (n_channels, height, width) of the images and (n_maps, map_height, map_width) of the maps.
    """

    def __init__(self, matrix: csc_array, images_shape, maps_shape):
        super().__init__(images_shape, maps_shape, matrix.dtype)
        self.matrix = matrix

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Reconstruct images (n_samples, *images_shape) from maps (n_samples, *maps_shape)."""
        images = [self.matrix @ one.ravel() for one in maps]
        return np.reshape(images, (-1, *self.images_shape))

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """The inner product of every image with every atom, (n_samples, *maps_shape)."""
        maps = [self.matrix.T @ one.ravel() for one in images]
        return np.reshape(maps, (-1, *self.maps_shape))

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the matrix."""
        return self.matrix[:, index]

    def norm(self) -> float:
        """Upper bound on the spectral norm, from the largest absolute column and row sums."""
        moduli = abs(self.matrix)
        return float(np.sqrt(moduli.sum(axis=0).max() * moduli.sum(axis=1).max()))
