"""What draws images of any size from sparse maps and, where there are any, from smooth ones."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from skdeconv.inference import rows_of
from skdeconv.operators import Convolution, UniformConvolution


class SmoothDrawing:
    """Flat filters that draw smooth maps, for images of any size.

    Parameters
    ----------
    filter_size : tuple of two ints
        Height and width of the flat filter.
    smoothness : float
        Weight of the squared gradient.
    n_channels : int
        Channels of the images.
    dtype : dtype
        Floating type of images and maps.
    """

    def __init__(self, filter_size, smoothness, n_channels, dtype):
        self._given = tuple(filter_size), smoothness, n_channels, dtype
        # Bands and symbols depend on the size alone, and are worth keeping through a fit.
        self.at = lru_cache(maxsize=32)(
            lambda height, width: UniformConvolution(
                tuple(filter_size), (n_channels, height, width), smoothness, dtype
            )
        )

    def __reduce__(self):
        return SmoothDrawing, self._given


class Drawing:
    """Linear maps from the codes of images to the images, one for each size.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        What draws images from sparse maps.
    smooth : SmoothDrawing or None, default=None
        What draws images from smooth maps; None where there are none.
    """

    def __init__(self, filters, smooth: SmoothDrawing | None = None):
        self.filters, self.smooth = filters, smooth
        self._operators = {}

    @property
    def dtype(self) -> np.dtype:
        """Floating type of the filters."""
        return self.filters.dtype

    def maps_shape(self, size) -> tuple[int, int, int]:
        """(n_filters, map_height, map_width) of images of a size."""
        (n_filters, _, h, w), (height, width) = self.filters.shape, size
        return n_filters, int(height) + h - 1, int(width) + w - 1

    def n_coefficients(self, size) -> int:
        """Number of coefficients of an image of a size."""
        return math.prod(self.maps_shape(size))

    def at(self, size) -> tuple[Convolution, UniformConvolution | None]:
        """What draws images of a size: from sparse maps, and from smooth ones."""
        height, width = (int(n) for n in size)
        if (height, width) not in self._operators:
            self._operators = {(height, width): Convolution(self.filters, (height, width))}
        uniform = None if self.smooth is None else self.smooth.at(height, width)
        return self._operators[height, width], uniform

    def draw(self, maps, low, positions, size) -> np.ndarray:
        """Images of one size, at some positions, of their codes; one at a time is dense.

        Parameters
        ----------
        maps : csr_array
            Codes, one row per image.
        low : sequence of ndarray or None
            Smooth maps of each image.
        positions : slice or ndarray of int
            Which images.
        size : tuple of two ints
            Their height and width.
        """
        operator, uniform = self.at(size)
        rows = rows_of(maps, positions, math.prod(operator.maps_shape))
        images = np.empty((rows.shape[0], *operator.images_shape), dtype=self.dtype)
        which = np.arange(maps.shape[0])[positions]
        for i, (image, sample) in enumerate(zip(images, which, strict=True)):
            image[:] = operator.forward(rows[[i]].toarray().reshape(1, *operator.maps_shape))[0]
            if low is not None:
                image += uniform.forward(low[sample])
        return images

    def smooth_part(self, low, positions, size) -> np.ndarray | int:
        """What the smooth maps of images of one size draw; 0 where there are none."""
        if low is None:
            return 0
        which = np.arange(len(low))[positions]
        return self.at(size)[1].forward(np.stack([low[i] for i in which]))
