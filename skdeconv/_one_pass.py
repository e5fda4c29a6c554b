"""One pass of learned filters over images: features for classifiers, without an optimisation."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array, check_is_fitted

from skdeconv._images import check_image_shape, check_images, check_one_width, full_shape
from skdeconv._layer import DeconvNetLayer
from skdeconv._persistence import Versioned
from skdeconv._validation import check_in, check_input_features, check_real, restored_on_failure

# Temporaries are a few times this many numbers, however many images there are.
_NUMBERS_AT_ONCE = 2**21


class OnePassEncoder(Versioned, TransformerMixin, BaseEstimator):
    r"""Rectified responses of learned filters that compete at every pixel.

    The filters are those of a :class:`skdeconv.DeconvNetLayer`, less their mean and of unit norm.
    Instead of inferring sparse maps, ``transform`` correlates the image y with each of them, and
    at every pixel takes from both signs of the response a part of the largest one there:

    .. math:: a_k = \tilde f_k \star y, \qquad
        z_k^\pm = \max\big( 0,\ \pm a_k - c \max_j |a_j| \big),

    with c = ``competition``. What is left are the few filters that fit best, as in sparse maps. It
    draws no image back, but it is many times faster, does not jump when an image moves by a pixel,
    and before a classifier it is mostly the better of the two.

    Parameters
    ----------
    layer : DeconvNetLayer, FrozenEstimator, array-like or None, default=None
        Where the filters come from. Of a layer a clone is fitted in ``fit``, also where the layer
        is fitted already; ``FrozenEstimator(layer)`` gives the filters that it has. An array of
        shape (n_filters, h, w, n_channels) holds filters from wherever. None stands for
        ``DeconvNetLayer(random_state=0)``.
    competition : float, default=0.6
        Part c of the largest response that is subtracted, 0 <= c < 1. 0 only rectifies. For
        digits 0.5 to 0.7 are alike; photos like more, 0.8.
    padding : {"same", "valid"}, default="same"
        "valid" leaves out the pixels where a filter would reach beyond the border. "same" gives
        maps of the size of the image, whose border is repeated outwards: what pixels are to be
        labelled by, or images smaller than the filters, need.
    output : {"maps", "rows"}, default="maps"
        Whether ``transform`` returns the stack of maps, or a list where images differ in size, as
        :class:`skdeconv.features.SpatialPyramid` takes them, or one row per image.
    image_shape : tuple of int, default=None
        Shape of one image, (length,), (height, width) or (height, width, n_channels), where the
        input is rows. Without it rows are 1-D signals.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, h, w, n_channels)
        The filters, of zero mean and unit norm. One that is constant is zero.
    layer_ : DeconvNetLayer or FrozenEstimator
        The fitted layer; absent where ``layer`` is an array.
    image_shape_ : tuple of int
        Shape of one image as seen in ``fit``; height and width are None where they differed.
    n_features_in_ : int
        Number of values of one image; absent after a fit on a list of images.
    feature_names_in_ : ndarray of str
        Column names seen in ``fit``, where there were any.

    See Also
    --------
    skdeconv.DeconvNetLayer : Sparse maps of the same filters, which draw the image.
    skdeconv.features.SpatialPyramid : Turns maps into rows of fixed length.

    Notes
    -----
    Most of the gain over raw pixels is the encoder's: on digits random filters do nearly as well as
    learned ones, on photos they lose three per cent. The user guide has figures.

    The maps of a stack take 2 * n_filters numbers for every pixel of every image, and little else
    is needed beside them; transform large sets in parts. float32 images give float32 maps.

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
        """Learn the filters, or take them over.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images in any layout that :class:`skdeconv.DeconvNetLayer` takes, also a list of several
            sizes, or a sequence that reads them on access. No pixel may be missing.
        y : None
            Ignored.

        Returns
        -------
        self : OnePassEncoder
            The fitted encoder. Where ``fit`` fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, the filters do not fit the images, or X is not finite:
            responses at missing pixels are not defined.
        """
        with restored_on_failure(self):
            self._check_parameters()
            image_shape = check_image_shape(self.image_shape)
            images, layout, shape = check_images(
                self, X, image_shape=image_shape, reset=True, allow_nan=False, power=1
            )
            X = images.source
            if layout != "list":
                X = X.reshape(len(images), *images.size, images.n_channels)
            layer, filters = self._learn(X)
            self._check_sizes(filters, images)
            if layer is not None:
                self.layer_ = layer
            elif hasattr(self, "layer_"):
                del self.layer_
            self.filters_ = _centred(filters).astype(images.dtype)
            self.image_shape_ = shape
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Give the rectified responses of the filters.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images of the shape seen in ``fit``; where ``fit`` saw a list, the number of channels
            is enough.

        Returns
        -------
        maps : ndarray of shape (n_samples, map_height, map_width, 2 * n_filters), or list of \
                ndarray of shape (map_height, map_width, 2 * n_filters)
            Non-negative: the positive parts of all filters, then the negative ones. The size is
            that of the images, or for ``padding="valid"`` less that of the filters plus one; a list
            where images differ in size. For ``output="rows"`` they are rows, in C order of the
            maps.

        Raises
        ------
        ValueError
            If X does not fit what ``fit`` has seen, or is not finite; or holds images of different
            sizes, or ``fit`` saw such, for ``output="rows"``.
        """
        check_is_fitted(self)
        self._check_parameters()
        images, _, shape = check_images(self, X, reset=False, allow_nan=False, power=1)
        self._check_sizes(self.filters_, images)
        if self.output == "rows":
            check_one_width(shape, self.image_shape_, ' Use output="maps".')
        if images.size is None:
            alone = (images.load(slice(i, i + 1)) for i in range(len(images)))
            return [self._maps_of(image)[0] for image in alone]
        maps = self._maps_of(images)
        return maps.reshape(len(maps), -1) if self.output == "rows" else maps

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of rows: ``f2-_y3_x7`` is the negative part of filter 2 at (3, 7).

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against what ``fit`` has seen.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            One name per column.

        Raises
        ------
        ValueError
            If ``fit`` has seen images of different sizes, or other names.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        if None in self.image_shape_:
            raise ValueError(
                "fit has seen images of different sizes: there are no rows of one width, and no "
                'names for their columns. Use output="maps".'
            )
        height, width, _ = self._maps_shape(full_shape(self.image_shape_)[:2])
        maps = [f"f{k}{sign}" for sign in "+-" for k in range(len(self.filters_))]
        names = [f"{one}_y{y}_x{x}" for y in range(height) for x in range(width) for one in maps]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        """Say that stacks of images are taken and that float32 is kept."""
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
        """The fitted layer, None without one, and its filters."""
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
        kind = {"dtype": [np.float64, np.float32], "ensure_2d": False, "allow_nd": True}
        try:
            filters = check_array(filters, **kind, input_name="layer")
        except (TypeError, ValueError) as error:
            raise ValueError(f"The filters of layer must be finite numbers: {error}") from error
        filters = filters[..., None] if filters.ndim == 3 else filters
        if filters.ndim != 4 or not filters.size:
            raise ValueError(
                "The filters of layer must be of shape (n_filters, h, w, n_channels), got "
                f"{filters.shape}."
            )
        return layer, filters

    def _check_sizes(self, filters, images):
        """Require filters that see the images' channels, and that fit into them."""
        _, h, w, n_channels = filters.shape
        if n_channels != images.n_channels:
            raise ValueError(
                f"The filters of layer see {n_channels} channels, and X holds images of "
                f"{images.n_channels}."
            )
        small = (images.sizes < [h, w]).any(axis=1)
        if self.padding == "valid" and small.any():
            height, width = images.size_of(small.argmax())
            raise ValueError(
                f"X holds images of {height} x {width} pixels, in which filters of {h} x {w} do "
                'not fit. Use smaller ones, or padding="same".'
            )

    def _maps_shape(self, image_shape):
        """(map_height, map_width, n_maps)."""
        n_filters, h, w, _ = self.filters_.shape
        height, width = image_shape
        if self.padding == "valid":
            height, width = height - h + 1, width - w + 1
        return height, width, 2 * n_filters

    def _maps_of(self, images):
        """The stack of maps of images of one size."""
        filters = self.filters_.astype(images.dtype)
        maps = np.empty((len(images), *self._maps_shape(images.size)), dtype=images.dtype)
        numbers = maps[0].size + maps[0, ..., 0].size * filters[0].size
        for part in images.groups(_NUMBERS_AT_ONCE // numbers):
            self._encode(images.stack(part).transpose(0, 2, 3, 1), filters, out=maps[part])
        return maps

    def _encode(self, images, filters, out):
        """Responses of both signs after competition, into ``out``; images with channels last."""
        h, w = filters.shape[1:3]
        if self.padding == "same":
            before = h // 2, w // 2
            after = h - 1 - before[0], w - 1 - before[1]
            margins = zip(before, after, strict=True)
            images = np.pad(images, [(0, 0), *margins, (0, 0)], mode="edge")
        # Bands of rows, so that a large photo needs no more at once than many small ones.
        rows = max(1, _NUMBERS_AT_ONCE // (out.shape[2] * filters[0].size))
        for band in gen_batches(out.shape[1], rows):
            part = images[:, band.start : band.stop + h - 1]
            _compete(_correlate(part, filters), self.competition, out=out[:, band])


def _correlate(images, filters):
    """Valid correlations (n_samples, map_height, map_width, n_filters), the channels last."""
    n_filters, h, w, _ = filters.shape
    windows = sliding_window_view(images, (h, w), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
    columns = windows.reshape(len(images), -1, filters[0].size)
    # One product per image, whatever the stack: the last bits never depend on it.
    responses = np.matmul(columns, filters.reshape(n_filters, -1).T)
    return responses.reshape(*windows.shape[:3], n_filters)


def _compete(responses, competition, out):
    """Positive parts, then negative ones, of what is left of the responses of each pixel."""
    n_filters = responses.shape[3]
    largest = np.maximum(responses.max(axis=3), -responses.min(axis=3))
    threshold = (competition * largest)[..., None]
    np.subtract(responses, threshold, out=out[..., :n_filters])
    np.subtract(-threshold, responses, out=out[..., n_filters:])
    np.maximum(out, 0, out=out)


def _centred(filters):
    """Filters less their mean, of unit norm, float64; those of nothing but a mean become zero."""
    flat = filters.reshape(len(filters), -1)
    rounding = 8 * np.finfo(flat.dtype).eps
    largest = np.abs(flat).max(axis=1, keepdims=True).astype(np.float64)
    flat = np.divide(flat, largest, out=np.zeros(flat.shape), where=largest > 0)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    flat -= flat.mean(axis=1, keepdims=True)
    left = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = np.divide(flat, left, out=np.zeros_like(flat), where=left > rounding * norms)
    return flat.reshape(filters.shape)
