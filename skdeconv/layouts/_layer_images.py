"""Sparse maps of one layer as the images of the next."""

from __future__ import annotations

import math
from itertools import groupby
from operator import itemgetter

import numpy as np
from scipy.sparse import csr_array

from skdeconv.layouts._codes import rows_of, stacked_rows
from skdeconv.layouts._collection import Collection


class LayerImages(Collection):
    """Sparse maps of one layer as the images of the next; stacks are made dense when read.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_coefficients)
        Codes of the layer below, each in C order of its own (n_maps, height, width). If images
        differ in size, the width is that of the largest.
    sizes : ndarray of int of shape (n_samples, 2)
        Height and width of the maps of each image.
    n_maps : int
        Number of maps.
    factor : float
        Factor by which the maps are divided.
    layout : {"stack", "list"}, default="stack"
        "list" if the images of the first layer were passed as a list.
    """

    def __init__(self, maps, sizes, n_maps, factor, layout="stack"):
        super().__init__(sizes, n_maps, maps.dtype, layout)
        data = maps.data / maps.dtype.type(factor)
        self.maps = csr_array((data, maps.indices, maps.indptr), shape=maps.shape)

    def __sizeof__(self) -> int:
        maps = self.maps
        return object.__sizeof__(self) + maps.data.nbytes + maps.indices.nbytes + maps.indptr.nbytes

    def stack(self, positions) -> np.ndarray:
        """Select maps of one size as dense images, (n_chosen, n_maps, height, width)."""
        shape = self.n_channels, *self.sizes[positions][0].tolist()
        return rows_of(self.maps, positions, math.prod(shape)).toarray().reshape(-1, *shape)

    def part(self, positions) -> LayerImages:
        """Select images, as sparse maps."""
        parts = self.maps[positions], self.sizes[positions]
        return LayerImages(*parts, self.n_channels, 1.0, self.layout)

    load = part

    def windows(self, places, sizes) -> LayerImages:
        """Cut windows from the maps.

        Parameters
        ----------
        places : list of tuple of five ints
            Position of the image, and top, bottom, left and right of each window; those of an image
            are consecutive.
        sizes : ndarray of int of shape (n_windows, 2)
            Height and width of each window.
        """
        rows = []
        for i, of_image in groupby(places, key=itemgetter(0)):
            height, width = self.size_of(i)
            code = rows_of(self.maps, [i], self.n_channels * height * width)
            kernel, position = np.divmod(code.indices, height * width)
            y, x = np.divmod(position, width)
            for _, top, bottom, left, right in of_image:
                inside = (top <= y) & (y < bottom) & (left <= x) & (x < right)
                shape = self.n_channels, bottom - top, right - left
                at = kernel[inside], y[inside] - top, x[inside] - left
                index = np.ravel_multi_index(at, shape)
                parts = code.data[inside], index, [0, len(index)]
                rows.append(csr_array(parts, shape=(1, math.prod(shape))))
        return LayerImages(stacked_rows(rows), sizes, self.n_channels, 1.0, "list")
