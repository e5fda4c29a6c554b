"""Smooth maps beside the sparse ones, for estimators that may have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeconv._drawing import SmoothDrawing
from skdeconv._images import full_shape
from skdeconv._maps import check_codes


def _has_low_frequency(estimator):
    if bool(estimator.low_frequency):
        return True
    raise AttributeError("to_low_frequency needs low_frequency=True.")


class LowFrequency:
    """Rows of codes that end with smooth maps, by ``low_frequency`` and ``smoothness``.

    An estimator tells ``_low_size()``: height and width of the filter that draws them.
    """

    @available_if(_has_low_frequency)
    def to_low_frequency(self, codes: ArrayLike) -> np.ndarray:
        """The smooth maps that ``low_frequency`` appends to rows of codes.

        Parameters
        ----------
        codes : array-like or csr_array
            Rows that ``transform`` gives.

        Returns
        -------
        maps : ndarray of shape (n_samples, height + h - 1, width + w - 1, n_channels)
            One smooth map per channel; h and w are the size of the filters of the first layer.

        Raises
        ------
        ValueError
            If the width of the rows does not fit, or maps are given, which hold no smooth ones.
        """
        check_is_fitted(self)
        _, low = check_codes(self, codes, self._maps_shape(codes), self._low_shape())
        if low is None:
            raise ValueError("X holds sparse maps alone; pass rows, as transform gives them.")
        return np.ascontiguousarray(low.transpose(0, 2, 3, 1))

    def _low_shape(self):
        if not self.low_frequency or None in self.image_shape_:
            return None
        (h, w), (height, width, n_channels) = self._low_size(), full_shape(self.image_shape_)
        return n_channels, height + h - 1, width + w - 1

    def _smooth(self, dtype):
        if not self.low_frequency:
            return None
        n_channels = full_shape(self.image_shape_)[2]
        return SmoothDrawing(self._low_size(), float(self.smoothness), n_channels, dtype)
