"""Reconstruction of images of any size from sparse maps and, optionally, low-frequency maps."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from skdeconv.layouts import rows_of
from skdeconv.operators._convolution import Convolution
from skdeconv.operators._low_frequency import LowFrequencyOperator


class LowFrequencySynthesis:
    """Low-frequency operators, one for each size of image.

    Parameters
    ----------
    filter_size : tuple of two ints
        Height and width of the flat filter.
    smoothness : float
        Weight of the squared gradient of the maps.
    n_channels : int
        Channels of the images.
    dtype : dtype
        Floating type of images and maps.
    """

    def __init__(self, filter_size, smoothness, n_channels, dtype):
        self._parameters = tuple(filter_size), smoothness, n_channels, dtype
        # Bands and symbols depend on the size alone, and are worth keeping through a fit.
        self.at = lru_cache(maxsize=32)(
            lambda height, width: LowFrequencyOperator(
                tuple(filter_size), (n_channels, height, width), smoothness, dtype
            )
        )

    def __reduce__(self):
        return LowFrequencySynthesis, self._parameters


class Synthesis:
    """Linear maps from the codes of images to the images, one for each size.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The filters that reconstruct images from sparse maps.
    low_frequency : LowFrequencySynthesis or None, default=None
        What reconstructs the low frequencies; None without them.
    """

    def __init__(self, filters, low_frequency: LowFrequencySynthesis | None = None):
        self.filters, self.low_frequency = filters, low_frequency
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

    def at(self, size) -> tuple[Convolution, LowFrequencyOperator | None]:
        """Operators for images of a size: of sparse maps, and of low-frequency maps."""
        height, width = (int(n) for n in size)
        # Another thread may replace the dictionary.
        operator = self._operators.get((height, width))
        if operator is None:
            operator = Convolution(self.filters, (height, width))
            self._operators = {(height, width): operator}
        low_frequency = None if self.low_frequency is None else self.low_frequency.at(height, width)
        return operator, low_frequency

    def reconstruct(self, maps, low_frequency, positions, size) -> np.ndarray:
        """Images of one size from their codes; the maps of one image at a time are dense.

        Parameters
        ----------
        maps : csr_array
            Codes, one row per image.
        low_frequency : sequence of ndarray or None
            Low-frequency maps of each image.
        positions : slice or ndarray of int
            Which images.
        size : tuple of two ints
            Their height and width.
        """
        operator, low_operator = self.at(size)
        rows = rows_of(maps, positions, math.prod(operator.maps_shape))
        images = np.empty((rows.shape[0], *operator.images_shape), dtype=self.dtype)
        which = np.arange(maps.shape[0])[positions]
        for i, (image, sample) in enumerate(zip(images, which, strict=True)):
            image[:] = operator.forward(rows[[i]].toarray().reshape(1, *operator.maps_shape))[0]
            if low_frequency is not None:
                image += low_operator.forward(low_frequency[sample])
        return images

    def low_frequency_part(self, low_frequency, positions, size) -> np.ndarray | int:
        """Reconstruction of images of one size from low-frequency maps; 0 without any."""
        if low_frequency is None:
            return 0
        which = np.arange(len(low_frequency))[positions]
        return self.at(size)[1].forward(np.stack([low_frequency[i] for i in which]))
