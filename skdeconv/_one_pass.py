"""Rectified filter responses as features for classifiers, without iterative inference."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skdeconv._layer import DeconvNetLayer
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.transformer import Transformer
from skdeconv._utils.validation import check_in, check_input_features, check_real
from skdeconv.filters import check_any_filters
from skdeconv.layouts import check_images, check_one_width, full_shape

# Temporary arrays have a few times this number of elements, regardless of the number of images.
_NUMBERS_AT_ONCE = 2**21


class OnePassEncoder(Transformer, BaseEstimator):
    r"""Rectified responses of learned filters, with competition at every pixel.

    The filters are those of a :class:`skdeconv.DeconvNetLayer`, centred to zero mean and scaled to
    unit norm. Instead of inferring sparse maps, ``transform`` correlates the image y with each
    filter, subtracts a fraction of the largest absolute response at the same pixel, and rectifies
    both signs of the response:

    .. math:: a_k = \tilde f_k \star y, \qquad
        z_k^\pm = \max\big( 0,\ \pm a_k - c \max_j |a_j| \big),

    with c = ``competition``. As in sparse maps, only the few filters that fit best are non-zero.
    Images cannot be reconstructed from the result, but the encoding is many times faster than
    inference, is stable under small translations of the image, and usually gives better
    classification accuracy.

    Parameters
    ----------
    layer : DeconvNetLayer, FrozenEstimator, array-like or None, default=None
        Source of the filters. ``fit`` fits a clone of a layer, even if the layer is fitted
        already; wrap it in ``FrozenEstimator`` to use its filters unchanged. An array of shape
        (n_filters, h, w, n_channels) gives the filters directly. None stands for
        ``DeconvNetLayer(random_state=0)``.
    competition : float, default=0.6
        Fraction c of the largest response that is subtracted from every response, 0 <= c < 1. With
        0 responses are only rectified. Values from 0.5 to 0.7 work equally well for digits; photos
        benefit from a larger value such as 0.8.
    padding : {"same", "valid"}, default="same"
        "valid" computes responses only where filters lie inside the image. "same" pads the image
        with its border pixels, so that maps have the size of the image; it is required for features
        of every pixel and for images smaller than the filters.
    output : {"maps", "rows"}, default="maps"
        "maps" returns a stack of maps, or a list if images differ in size, as accepted by
        :class:`skdeconv.features.SpatialPyramid`. "rows" returns one row per image.
    image_shape : tuple of int, default=None
        Shape of one image, (length,), (height, width) or (height, width, n_channels), if the input
        is rows. If None, rows are 1-D signals.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, h, w, n_channels)
        The filters, of zero mean and unit norm. Constant filters become zero.
    layer_ : DeconvNetLayer or FrozenEstimator
        The fitted layer. Not defined if ``layer`` is an array.
    image_shape_ : tuple of int
        Shape of one image seen in ``fit``; height and width are None if images differ in them.
    n_features_in_ : int
        Number of values of one image. Not defined if ``X`` in ``fit`` is a list of images.
    feature_names_in_ : ndarray of str
        Names of the columns. Defined only if ``X`` in ``fit`` has column names that are all
        strings.

    See Also
    --------
    skdeconv.DeconvNetLayer : Sparse maps of the same filters, which reconstruct the image.
    skdeconv.features.SpatialPyramid : Pools maps into rows of fixed length.

    Notes
    -----
    Most of the gain over raw pixels is due to the encoding, not to learning: on digits, random
    filters are nearly as accurate as learned ones; on photos they lose three per cent. See the user
    guide for results.

    The output takes 2 * n_filters numbers per pixel of every image; temporary memory is small.
    Transform large sets in batches. float32 images give float32 maps.

    References
    ----------
    K. Jarrett, K. Kavukcuoglu, M. Ranzato, Y. LeCun, "What is the best multi-stage architecture
    for object recognition?", ICCV 2009. A. Coates, A. Ng, "The importance of encoding versus
    training with sparse coding and vector quantization", ICML 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skdeconv import DeconvNetLayer, OnePassEncoder
    >>> from skdeconv.features import SpatialPyramid
    >>> images, labels = load_digits(return_X_y=True)
    >>> images = images.reshape(-1, 8, 8) / 16
    >>> encoder = OnePassEncoder(DeconvNetLayer(16, 3, lam=5.0, max_iter=2, random_state=0))
    >>> encoder.fit_transform(images[:300]).shape
    (300, 8, 8, 32)
    >>> model = make_pipeline(encoder, SpatialPyramid(levels=(1, 2, 3)), LinearSVC())
    >>> model.fit(images[:300], labels[:300]).score(images[300:600], labels[300:600]) > 0.85
    True
    """

    def __init__(
        self,
        layer: DeconvNetLayer | FrozenEstimator | ArrayLike | None = None,
        *,
        competition: float = 0.6,
        padding: str = "same",
        output: str = "maps",
        image_shape: tuple[int, ...] | None = None,
    ):
        self.layer = layer
        self.competition = competition
        self.padding = padding
        self.output = output
        self.image_shape = image_shape

    def fit(self, X: ArrayLike, y=None) -> Self:
        """Learn the filters, unless they are given.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images in any layout that :class:`skdeconv.DeconvNetLayer` accepts, including lists of
            images of different sizes and sequences that read them on access. Missing pixels are not
            supported.
        y : None
            Ignored.

        Returns
        -------
        self : OnePassEncoder
            The fitted encoder. If ``fit`` fails or is interrupted, it is left unchanged.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, the filters do not fit the images, or X is not finite;
            responses at missing pixels are not defined.
        """
        with restored_on_failure(self):
            self._check_parameters()
            options = {"allow_nan": False, "power": 1}
            images = check_images(self, X, image_shape=self.image_shape, reset=True, **options)
            X = images.source
            if images.layout != "list":
                X = X.reshape(len(images), *images.size, images.n_channels)
            layer, filters = self._learn(X)
            self._check_sizes(filters, images)
            if layer is not None:
                self.layer_ = layer
            elif hasattr(self, "layer_"):
                del self.layer_
            self.filters_ = _centred(filters).astype(images.dtype)
            self.image_shape_ = images.image_shape
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Compute the rectified responses of the filters.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images of any size with the number of channels seen in ``fit``. Rows must have the width
            seen there.

        Returns
        -------
        maps : ndarray of shape (n_samples, map_height, map_width, 2 * n_filters), or list of \
                ndarray of shape (map_height, map_width, 2 * n_filters)
            Non-negative maps: the positive parts of all filters, then the negative parts. Their
            size is that of the images or, for ``padding="valid"``, the size of the images minus
            that of the filters plus one. A list if images differ in size. With ``output="rows"``
            each row holds the maps of an image in C order.

        Raises
        ------
        ValueError
            If the shape of X does not agree with ``fit`` or X is not finite, or if
            ``output="rows"`` and images in X or in ``fit`` differ in size.
        """
        check_is_fitted(self)
        self._check_parameters()
        images = check_images(self, X, reset=False, allow_nan=False, power=1)
        self._check_sizes(self.filters_, images)
        if self.output == "rows":
            check_one_width(images.image_shape, self.image_shape_)
        if images.size is None:
            alone = (images.load(slice(i, i + 1)) for i in range(len(images)))
            return [self._maps_of(image)[0] for image in alone]
        maps = self._maps_of(images)
        return maps.reshape(len(maps), -1) if self.output == "rows" else maps

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of rows: ``f2-_y3_x7`` is the negative part of filter 2 at (3, 7).

        Maps of images of different sizes have no common columns: with ``output="maps"`` the names
        are those of the maps, ``f0+``, ``f1+``, ...

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only validated against the names seen in ``fit``.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            Names of the columns of ``transform`` with ``output="rows"``.

        Raises
        ------
        ValueError
            If ``output="rows"`` and ``fit`` has seen images of different sizes, or names that
            differ from ``input_features``.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        maps = [f"f{k}{sign}" for sign in "+-" for k in range(len(self.filters_))]
        if None in self.image_shape_ and self.output == "maps":
            return np.array(maps, dtype=object)
        if None in self.image_shape_:
            raise ValueError(
                "fit has seen images of different sizes, so that rows differ in width and have no "
                'common column names. Use output="maps".'
            )
        height, width, _ = self._maps_shape(full_shape(self.image_shape_)[:2])
        names = [f"{one}_y{y}_x{x}" for y in range(height) for x in range(width) for one in maps]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        """Stacks of images are accepted; the dtype is preserved."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_parameters(self):
        limits = {"min_val": 0, "max_val": 1, "include_boundaries": "left"}
        check_real("competition", self.competition, **limits)
        check_in("padding", self.padding, ["valid", "same"])
        check_in("output", self.output, ["maps", "rows"])

    def _learn(self, images):
        """Return the fitted layer, or None if filters are given, and the filters."""
        layer = DeconvNetLayer(random_state=0) if self.layer is None else self.layer
        if isinstance(layer, DeconvNetLayer | FrozenEstimator):
            layer = clone(layer).fit(images, None)
            check_is_fitted(layer)
            filters = getattr(layer, "filters_", None)
        else:
            layer, filters = None, layer
        if not isinstance(filters, np.ndarray | list | tuple):
            raise TypeError(
                "layer must be a DeconvNetLayer, a FrozenEstimator of a fitted one, an array of "
                f"filters, or None; got {self.layer!r}."
            )
        return layer, check_any_filters("layer", filters)

    def _check_sizes(self, filters, images):
        """Raise if the filters have other channels than the images, or are too large for them."""
        _, h, w, n_channels = filters.shape
        if n_channels != images.n_channels:
            raise ValueError(
                f"The filters of layer have {n_channels} channels, but the images in X have "
                f"{images.n_channels}."
            )
        small = (images.sizes < [h, w]).any(axis=1)
        if self.padding == "valid" and small.any():
            height, width = images.size_of(small.argmax())
            raise ValueError(
                f"X holds images of {height} x {width} pixels, which are too small for filters of "
                f'{h} x {w}. Use smaller filters, or padding="same".'
            )

    def _maps_shape(self, image_shape):
        """(map_height, map_width, n_maps) for images of one shape."""
        n_filters, h, w, _ = self.filters_.shape
        height, width = image_shape
        if self.padding == "valid":
            height, width = height - h + 1, width - w + 1
        return height, width, 2 * n_filters

    def _maps_of(self, images):
        """Compute the maps of images of one size."""
        filters = self.filters_.astype(images.dtype)
        maps = np.empty((len(images), *self._maps_shape(images.size)), dtype=images.dtype)
        numbers = maps[0].size + maps[0, ..., 0].size * filters[0].size
        for part in images.groups(_NUMBERS_AT_ONCE // numbers):
            self._encode(images.stack(part).transpose(0, 2, 3, 1), filters, out=maps[part])
        return maps

    def _encode(self, images, filters, out):
        """Write responses of both signs after competition to ``out``; channels are last."""
        h, w = filters.shape[1:3]
        if self.padding == "same":
            before = h // 2, w // 2
            after = h - 1 - before[0], w - 1 - before[1]
            margins = zip(before, after, strict=True)
            images = np.pad(images, [(0, 0), *margins, (0, 0)], mode="edge")
        # Bands of rows, so that large photos need no more memory than many small ones.
        rows = max(1, _NUMBERS_AT_ONCE // (out.shape[2] * filters[0].size))
        for band in gen_batches(out.shape[1], rows):
            part = images[:, band.start : band.stop + h - 1]
            _compete(_correlate(part, filters), self.competition, out=out[:, band])


def _correlate(images, filters):
    """Valid correlation, (n_samples, map_height, map_width, n_filters), with channels last."""
    n_filters, h, w, _ = filters.shape
    windows = sliding_window_view(images, (h, w), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    columns = windows.reshape(len(images), -1, filters[0].size)
    # One product per image, so that the last bits do not depend on the number of images.
    responses = np.matmul(columns, filters.reshape(n_filters, -1).T)
    return responses.reshape(*windows.shape[:3], n_filters)


def _compete(responses, competition, out):
    """Subtract the competition threshold; positive parts first, then negative parts."""
    n_filters = responses.shape[3]
    largest = np.maximum(responses.max(axis=3), -responses.min(axis=3))
    threshold = (competition * largest)[..., None]
    np.subtract(responses, threshold, out=out[..., :n_filters])
    np.subtract(-threshold, responses, out=out[..., n_filters:])
    np.maximum(out, 0, out=out)


def _centred(filters):
    """Centre filters to zero mean and scale them to unit norm; constant ones become zero."""
    flat = filters.reshape(len(filters), -1)
    rounding = 8 * np.finfo(flat.dtype).eps
    largest = np.abs(flat).max(axis=1, keepdims=True).astype(np.float64)
    flat = np.divide(flat, largest, out=np.zeros(flat.shape), where=largest > 0)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    flat -= flat.mean(axis=1, keepdims=True)
    left = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = np.divide(flat, left, out=np.zeros_like(flat), where=left > rounding * norms)
    return flat.reshape(filters.shape)
