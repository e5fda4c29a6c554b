"""Images resized to one length of their longer side."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.transformer import Transformer
from skdeconv._utils.validation import check_input_features, check_integer
from skdeconv.layouts import check_images, full_shape, images_in_layout, resized, scaled


class Resizer(Transformer, BaseEstimator):
    r"""Resize images so that their longer side has a given number of pixels.

    The aspect ratio is kept, up to the rounding of the shorter side, which has at least one pixel.
    A shorter side of one pixel, such as that of a signal, keeps it.
    Images are interpolated linearly. An axis that shrinks by a factor :math:`f` is first smoothed
    by a Gaussian of standard deviation :math:`(f - 1) / 2` pixels, against aliasing.

    Parameters
    ----------
    size : int, default=150
        Longer side of the resized images in pixels, or length of signals in samples; at least 1.
    image_shape : tuple of int or None, default=None
        Shape of one image if the input is rows: (length,), (height, width) or (height, width,
        n_channels). If None, rows are signals of one channel. The shape of stacks and lists of
        images must agree with ``image_shape`` if it is given; lists of images of different sizes
        need None.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of one image seen in ``fit``; height and width are None if images differ in them.
    n_features_in_ : int
        Number of values of one image. Not defined if ``X`` in ``fit`` is a list of images.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Defined only if ``X`` in ``fit`` has column names that are all
        strings.

    See Also
    --------
    skdeconv.features.Multiscale : Features of images at several sizes.

    Notes
    -----
    Nothing is learned: ``fit`` records the shape of the images. Integers are converted to float64;
    float32 is preserved. Images whose longer side has the given length are returned unchanged.

    NaN marks a missing pixel. Resized pixels are weighted means of the known pixels. They are NaN
    where these have less than half of the weight.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.preprocessing import Resizer
    >>> photos = [np.ones((80, 60, 3)), np.ones((50, 100, 3))]
    >>> [photo.shape for photo in Resizer(size=40).fit_transform(photos)]
    [(40, 30, 3), (20, 40, 3)]
    """

    def __init__(self, size: int = 150, *, image_shape: tuple[int, ...] | None = None):
        self.size = size
        self.image_shape = image_shape

    def fit(self, X: ArrayLike, y=None) -> Self:
        """Check the parameters and record the shape of the images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, n_channels), or list of images
            The images, real numbers; NaN marks a missing pixel. The images of a list may differ
            in size. A sequence that is neither a list nor an array is read one image at a time.
        y : None
            Ignored.

        Returns
        -------
        self : Resizer
            The fitted transformer.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type, or ``X`` is sparse.
        ValueError
            If a parameter is out of range, or ``X`` is empty, complex, infinite or does not agree
            with ``image_shape``. The state of an earlier fit is kept.
        """
        with restored_on_failure(self):
            check_integer("size", self.size, min_val=1)
            images = check_images(self, X, image_shape=self.image_shape, reset=True, power=1)
            self.image_shape_ = images.image_shape
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Resize images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, n_channels), or list of images
            Images of any size with the number of channels seen in ``fit``. Rows must have the width
            seen there. NaN marks a missing pixel.

        Returns
        -------
        X_new : ndarray or list of ndarray, float64 or float32
            The resized images in the layout of ``X``: rows, a stack or a list.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` is empty, complex, infinite or has another shape than in ``fit``.
        """
        check_is_fitted(self, "image_shape_")
        check_integer("size", self.size, min_val=1)
        images = check_images(self, X, reset=False, power=1)
        (result,), shape = resized(images, self.size), images.image_shape
        if images.layout != "list":
            result = np.stack(result)
            shape = self._resized_shape(shape)
        return images_in_layout(result, images.layout, shape)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the columns of resized rows.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input, which are checked against those seen in ``fit``.

        Returns
        -------
        names : ndarray of str objects
            ``x3`` for a sample of a signal, ``y2_x3`` for a pixel of an image, and ``y2_x3_c1``
            for a channel of it. Images in a list have no common columns: without names of the input
            one per channel, x0, x1, ...

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``input_features`` are not those seen in ``fit``.
        """
        check_is_fitted(self, "image_shape_")
        if not hasattr(self, "n_features_in_"):
            names = [f"x{i}" for i in range(full_shape(self.image_shape_)[2])]
            return np.array(names if input_features is None else input_features, dtype=object)
        check_input_features(self, input_features)
        shape = self._resized_shape(self.image_shape_)
        axes = ("x",) if len(shape) == 1 else ("y", "x", "c")[: len(shape)]
        names = [
            "_".join(f"{axis}{i}" for axis, i in zip(axes, place, strict=True))
            for place in np.ndindex(*shape)
        ]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        """Stacks of images and missing pixels are accepted; the dtype is preserved."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _resized_shape(self, shape):
        """Shape of an image as it is passed, after resizing."""
        height, width, _ = full_shape(shape)
        size = scaled((height, width), self.size)
        return size[1:] if len(shape) == 1 else (*size, *shape[2:])
