"""Rows of the recognition benchmark with features of other packages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin


@dataclass(frozen=True)
class Row:
    """One kind of features.

    Parameters
    ----------
    name : str
        Name in the table.
    make : callable
        Function of a seed that returns a transformer, which is fitted on images without labels.
    seeded : bool, default=False
        Whether the seed matters.
    block : int or None, default=None
        Index of the block of features, where the transformer has ``widths_``. Rows with the same
        ``make`` share the features.
    colour : bool, default=False
        Whether the transformer takes photos in colour.
    """

    name: str
    make: Callable[[int], TransformerMixin]
    seeded: bool = False
    block: int | None = None
    colour: bool = False


def resized(image: np.ndarray, side: int, *, square: bool = False) -> np.ndarray:
    """Resize an image to a longer side of ``side``, or to a square without its proportions."""
    height, width = (side * n / max(image.shape) for n in image.shape)
    size = (side, side) if square else (max(1, round(width)), max(1, round(height)))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


class ByImage(TransformerMixin, BaseEstimator):
    """Apply a function to every image.

    Parameters
    ----------
    function : callable
        Function of an image that returns its features, of any shape.
    """

    def __init__(self, function):
        self.function = function

    def fit(self, X, y=None):
        """Do nothing."""
        return self

    def transform(self, X):
        """One row per image, float32."""
        return np.stack([np.ravel(self.function(image)).astype(np.float32) for image in X])


def hog(image: np.ndarray, side: int = 0, **settings) -> np.ndarray:
    """Histograms of oriented gradients by scikit-image, after resizing if ``side`` is given."""
    from skimage.feature import hog

    return hog(resized(image, side, square=True) if side else image, **settings)


class Scattering(TransformerMixin, BaseEstimator):
    """Scattering coefficients by kymatio, of images centred in squares.

    Parameters
    ----------
    side : int
        Side of the squares.
    scale : int, default=2
        Logarithm of the averaging scale.
    log : bool, default=False
        Whether to take logarithms.
    """

    def __init__(self, side, scale=2, log=False):
        self.side, self.scale, self.log = side, scale, log

    def fit(self, X, y=None):
        """Make the wavelets."""
        # kymatio.numpy also imports the 3-D transform, which needs a function that SciPy 1.17
        # renamed.
        from kymatio.scattering2d.frontend.numpy_frontend import ScatteringNumPy2D

        self._scattering = ScatteringNumPy2D(self.scale, (self.side, self.side))
        return self

    def transform(self, X):
        """One row per image, float32."""
        squares = np.stack([self._padded(image) for image in X])
        parts = np.array_split(squares, -(-len(squares) * self.side**2 // 2**20))
        rows = np.concatenate([self._scattering(part).reshape(len(part), -1) for part in parts])
        return np.log(rows + 1e-3) if self.log else rows

    def _padded(self, image):
        if max(image.shape) > self.side:
            image = resized(image, self.side)
        missing = (self.side - np.array(image.shape))[:, None]
        return np.pad(image, np.hstack([missing // 2, missing - missing // 2]), mode="edge")


def digits_sift(seed: int):
    """Dense SIFT visual words of digits."""
    from _recognition_sift import DenseSift

    return DenseSift(600, (16,), 3, 0.6, zoom=2, n_nearest=5, power=0.5, random_state=seed)


def photos_sift(seed: int):
    """Dense SIFT visual words of photos."""
    from _recognition_sift import DenseSift

    return DenseSift(1000, (16, 24, 32), 8, 1.0, n_nearest=5, pooling="max", random_state=seed)


def digits_hog(image):
    return hog(image, orientations=9, pixels_per_cell=(4, 4), cells_per_block=(2, 2))


def photos_hog(image):
    return hog(image, 128, orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))


def thumbnail(image):
    return resized(image, 32, square=True)


DIGIT_ROWS = (
    Row("raw pixels", lambda seed: ByImage(np.asarray)),
    Row("HOG", lambda seed: ByImage(digits_hog)),
    Row("scattering", lambda seed: Scattering(32)),
    Row("dense SIFT", digits_sift, seeded=True),
)
PHOTO_ROWS = (
    Row("raw pixels", lambda seed: ByImage(thumbnail)),
    Row("HOG", lambda seed: ByImage(photos_hog)),
    Row("scattering", lambda seed: Scattering(128, 4)),
    Row("dense SIFT", photos_sift, seeded=True),
)
