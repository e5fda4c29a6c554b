"""Features of images at several sizes, by one transformer."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import hstack, issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.validation import check_input_features, check_integer
from skdeconv._utils.warnings import one_trap
from skdeconv.features._meta_transformer import MetaTransformer, checked_rows, plain_output
from skdeconv.layouts import check_images, full_shape, images_in_layout, resized


class Multiscale(MetaTransformer):
    """Apply a transformer to images at several sizes, and join its rows.

    Filters of a few pixels see edges in a large image, and parts or whole objects in a small one.
    The same filters at several sizes are therefore cheap features of several scales.

    Parameters
    ----------
    transformer : estimator
        A transformer that takes lists of images of any size and returns one row of fixed length per
        image, such as ``make_pipeline(OnePassEncoder(), SpatialPyramid(pooling="mean"))``. ``fit``
        fits a clone of it on images of the first size. Steps that depend on the size, such as
        :class:`skdeconv.preprocessing.LocalContrastNormalizer`, belong to it. Wrap a fitted one in
        ``sklearn.frozen.FrozenEstimator`` to use it without fitting it again.
    sizes : tuple of int, default=(150, 75, 40)
        Longer sides of the resized images in pixels, or lengths of signals in samples; each at
        least 1, all different. Images are resized as by :class:`skdeconv.preprocessing.Resizer`.
    image_shape : tuple of int or None, default=None
        Shape of one image if the input is rows: (length,), (height, width) or (height, width,
        n_channels). If None, rows are signals of one channel.

    Attributes
    ----------
    transformer_ : estimator
        The fitted transformer, one for all sizes.
    image_shape_ : tuple of int
        Shape of one image seen in ``fit``; height and width are None if images differ in them.
    n_features_in_ : int
        Number of values of one image. Not defined if ``X`` in ``fit`` is a list of images.
    feature_names_in_ : ndarray of str
        Names of the columns. Defined only if ``X`` in ``fit`` has column names that are all
        strings.

    See Also
    --------
    skdeconv.preprocessing.Resizer : A step that resizes images, for a transformer per size in a
        ``FeatureUnion``.
    BatchTransformer : Applies a transformer, such as this one, to many images in batches.

    Notes
    -----
    The images of all sizes, and the maps of one, are in memory at once. For many images apply a
    ``Multiscale`` in a :class:`BatchTransformer`.

    Missing pixels, which are NaN, are left out as by the resizer. The transformer must accept those
    that remain.

    Sums over cells grow with the number of pixels, so that the largest size would dominate the
    rows. Use ``pooling="mean"``, ``pooling="max"`` or ``normalize`` in a pyramid.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skdeconv import DeconvNetLayer, OnePassEncoder
    >>> from skdeconv.features import Multiscale, SpatialPyramid
    >>> images, labels = load_digits(return_X_y=True)
    >>> images = images.reshape(-1, 8, 8) / 16
    >>> encoder = OnePassEncoder(DeconvNetLayer(16, 3, lam=5.0, max_iter=2, random_state=0))
    >>> features = Multiscale(
    ...     make_pipeline(encoder, SpatialPyramid((1, 2, 3), pooling="mean")), sizes=(8, 5)
    ... )
    >>> model = make_pipeline(features, LinearSVC(C=10)).fit(images[:300], labels[:300])
    >>> model.score(images[300:600], labels[300:600]) > 0.85
    True
    >>> features.fit(images[:100]).get_feature_names_out()[[0, -1]]
    array(['s8_f0_l1_y0_x0', 's5_f31_l3_y2_x2'], dtype=object)
    """

    def __init__(
        self,
        transformer: BaseEstimator,
        sizes: tuple[int, ...] = (150, 75, 40),
        *,
        image_shape: tuple[int, ...] | None = None,
    ):
        self.transformer = transformer
        self.sizes = sizes
        self.image_shape = image_shape

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit the transformer on the images at the first size.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, n_channels), or list of images
            The images, real numbers. The images of a list may differ in size. A sequence that is
            neither a list nor an array is read one image at a time.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Labels, passed to ``transformer``.

        Returns
        -------
        self : Multiscale
            The fitted transformer. If ``fit`` fails or is interrupted, it is left unchanged.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type, or ``X`` is sparse.
        ValueError
            If a parameter is out of range, ``X`` is empty, complex, infinite or does not agree
            with ``image_shape``, or ``transformer`` rejects the resized images.
        """
        with restored_on_failure(self), one_trap():
            sizes = self._check_parameters()
            images = check_images(self, X, image_shape=self.image_shape, reset=True, power=1)
            self.image_shape_ = images.image_shape
            (first,) = _lists(images, sizes[:1])
            self._fit_clone(X, y, first, y)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Transform images at every size.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, n_channels), or list of images
            Images of any size with the number of channels seen in ``fit``. Rows must have the width
            seen there.

        Returns
        -------
        X_new : ndarray or sparse matrix of shape (n_samples, n_features_out)
            The rows of all sizes side by side, in the order of ``sizes``; sparse in CSR format if
            ``transformer`` returns sparse rows.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` is empty, complex, infinite or has another shape than in ``fit``, or
            ``transformer`` rejects the resized images or does not return one row for each.
        """
        check_is_fitted(self)
        sizes = self._check_parameters()
        with plain_output(), one_trap():
            images = check_images(self, X, reset=False, power=1)
            pairs = zip(_lists(images, sizes), sizes, strict=True)
            rows = [self._rows(*pair) for pair in pairs]
        return hstack(rows, format="csr") if issparse(rows[0]) else np.hstack(rows)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the columns: those of the fitted transformer, after the size.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against the names seen in ``fit``.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            Names such as ``s150_f0_l1_y0_x0``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``input_features`` are not those seen in ``fit``.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        names, sizes = self.transformer_.get_feature_names_out(), self._check_parameters()
        return np.array([f"s{size}_{name}" for size in sizes for name in names], dtype=object)

    def _rows(self, images, size):
        """Rows of the transformer for images of one size."""
        try:
            return checked_rows(self.transformer_.transform(images), len(images))
        except Exception as error:
            error.add_note(f"Raised for images that were resized to {size} pixels.")
            raise

    def _check_parameters(self):
        self._check_transformer()
        if not isinstance(self.sizes, tuple | list):
            raise TypeError(f"sizes must be a tuple of integers, got {self.sizes!r}.")
        if not self.sizes:
            raise ValueError("sizes is empty; at least one size is required.")
        for i, size in enumerate(self.sizes):
            check_integer(f"sizes[{i}]", size, min_val=1)
        if len(set(self.sizes)) < len(self.sizes):
            raise ValueError(f"sizes must differ from each other, got {self.sizes!r}.")
        return list(self.sizes)


def _lists(images, sizes):
    """Images of each size as a list, whose sizes a transformer does not compare."""
    # Signals get a height and channels, since a list of numbers would be a row.
    shape = images.image_shape
    shape = full_shape(shape) if len(shape) == 1 else shape
    return [images_in_layout(one, "list", shape) for one in resized(images, *sizes)]
