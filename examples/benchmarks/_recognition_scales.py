"""One-pass features of photos at several sizes, with the same filters."""

from __future__ import annotations

import numpy as np
from _common import contrast_normalized
from _recognition_rows import resized
from sklearn.base import BaseEstimator, TransformerMixin, clone

from skdeconv import OnePassEncoder

AT_ONCE = 50
# Filters are learned from every third photo, since photos are sorted by category.
EVERY = 3


def normalized(images, side: int) -> np.ndarray:
    """Photos with this longer side, contrast-normalised, centred in squares; channels last."""
    squares = np.zeros((len(images), side, side, np.atleast_3d(images[0]).shape[2]), np.float32)
    for square, image in zip(squares, images, strict=True):
        channels = np.moveaxis(np.atleast_3d(image), 2, 0)
        contrast = [contrast_normalized(resized(one, side).astype(np.float64)) for one in channels]
        contrast = np.stack(contrast, axis=2)
        top, left = ((side - n) // 2 for n in contrast.shape[:2])
        square[top:, left:][: contrast.shape[0], : contrast.shape[1]] = contrast
    return squares


class Scales(TransformerMixin, BaseEstimator):
    """Pooled responses of filters to photos at several sizes.

    Parameters
    ----------
    layer : DeconvNetLayer or ndarray
        Layer that learns the filters, or filters.
    pooling : SpatialPyramid
        Pooling of the responses.
    sides : tuple of int
        Longer sides of the photos in pixels.
    learned_at : int
        Longer side of the photos that filters are learned from.
    competition : float, default=0.8
        Parameter of the encoder.
    """

    def __init__(self, layer, pooling, sides, learned_at, competition=0.8):
        self.layer, self.pooling, self.sides = layer, pooling, sides
        self.learned_at, self.competition = learned_at, competition

    def fit(self, X, y=None):
        """Learn the filters."""
        encoder = OnePassEncoder(self.layer, competition=self.competition)
        self.encoder_ = encoder.fit(list(normalized(X[::EVERY], self.learned_at)))
        self.widths_ = [self._of(X[:1], side).shape[1] for side in self.sides]
        return self

    def transform(self, X):
        """One row per photo: means over cells, to a power, concatenated over all sizes."""
        parts = (X[start : start + AT_ONCE] for start in range(0, len(X), AT_ONCE))
        return np.concatenate(
            [np.hstack([self._of(part, side) for side in self.sides]) for part in parts]
        )

    def _of(self, images, side):
        maps = self.encoder_.transform(list(normalized(images, side)))
        # The area of cells, and with it their sums, grows with the square of the side.
        return clone(self.pooling).fit_transform(maps) / side ** (2 * self.pooling.power)
