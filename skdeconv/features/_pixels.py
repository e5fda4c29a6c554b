"""Features of every pixel, for semantic segmentation."""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from sklearn.base import BaseEstimator, clone
from sklearn.utils import gen_batches, get_tags
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.parameters import thawed
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.transformer import Transformer
from skdeconv._utils.validation import check_input_features, check_integer, check_real
from skdeconv.layouts import SparseMaps, check_images, is_image_list, unpacked

# Images that are encoded together: few enough that their codes need little memory compared with
# the features, and enough to keep parallel workers busy.
_IMAGES_AT_ONCE, _PIXELS_AT_ONCE = 16, 2**20


class PixelFeatures(Transformer, BaseEstimator):
    r"""Local energies of the maps around every pixel: one row of features per pixel.

    The features are meant for the segmentation of images, by a classifier trained on some labelled
    pixels or by clustering. With :math:`z_k` a map of an image and :math:`G_\sigma` a Gaussian of
    standard deviation :math:`\sigma` that sums to one, the features of the pixel at :math:`x` are
    the square roots of local energies, as in [1]_,

    .. math:: \Big( \sum_{x'} G_\sigma(x - x') \, z_k(x')^2 \Big)^{1/2},

    one for each map and each radius :math:`\sigma`. At the borders the squares are extended by
    reflection. Maps are aligned with the pixels first: a coefficient belongs to the pixel at the
    centre of its filter.

    Parameters
    ----------
    encoder : DeconvNetLayer, HierarchicalDeconvNet, AdaptiveDeconvNet or OnePassEncoder
        Estimator that computes the maps. ``fit`` fits a clone of it. Wrap a fitted encoder in
        ``sklearn.frozen.FrozenEstimator`` to use it without fitting it again. Its ``output``
        and ``sparse_output``, and ``layer`` of an adaptive net, are ignored; ``low_frequency`` must
        be False.
    radius : float or tuple of float, default=(2.0, 4.0, 8.0)
        Standard deviations of the Gaussians in pixels, > 0. A large radius discriminates textures
        better but blurs the borders between them.
    layers : int, tuple of int or None, default=None
        Layers of the encoder whose maps are used, as returned by its ``encode``; 1 for the lowest.
        Maps that are coarser than the image because of the pooling of an AdaptiveDeconvNet are
        upsampled by repetition. None uses the maps that ``transform`` returns: those of the top
        layer, or for an AdaptiveDeconvNet the maps of the first layer that the top layer
        reconstructs.

    Attributes
    ----------
    encoder_ : estimator
        The fitted encoder.
    image_shape_ : tuple of int
        Shape of one image seen in the fit of the encoder; height and width are None if images
        differed in them.
    n_features_in_ : int
        Number of values of one image. Not defined if the encoder was fitted on a list of images.

    See Also
    --------
    skdeconv.features.SpatialPyramid : One row of features per image.
    skdeconv.preprocessing.LocalContrastNormalizer : Preprocesses photos for the encoder.

    Notes
    -----
    Rows are pixels, in C order of (image, row, column), so the output has more rows than the input
    has images. In a Pipeline no step with labels can follow, because the labels of a pipeline are
    one per image. Use the transformer outside of a pipeline and select the rows of labelled pixels,
    as in the example. The rows of an image do not depend on the other images.

    The output takes 8 (float64) or 4 bytes (float32) times n_pixels * n_features, in addition to
    the codes of a few images. To save memory, transform a few images at a time.

    References
    ----------
    .. [1] A. K. Jain, F. Farrokhnia, "Unsupervised texture segmentation using Gabor filters",
       Pattern Recognition 24 (12), 1991.

    Examples
    --------
    Two textures, and labels of every 50th pixel:

    >>> import numpy as np
    >>> from sklearn.svm import LinearSVC
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.features import PixelFeatures
    >>> noise = np.random.default_rng(0).standard_normal((1, 32, 64))
    >>> images = noise + np.roll(noise, 1, axis=1)
    >>> images[:, :, 32:] = noise[:, :, 32:] + np.roll(noise, 1, axis=2)[:, :, 32:]
    >>> labels = np.arange(64) // 32 + np.zeros(images.shape, int)
    >>> labelled = np.arange(images.size).reshape(images.shape) % 50 == 0
    >>> layer = DeconvNetLayer(8, 5, random_state=0)
    >>> X = PixelFeatures(layer, radius=(2, 4)).fit_transform(images)
    >>> X.shape
    (2048, 16)
    >>> classifier = LinearSVC().fit(X[labelled.ravel()], labels[labelled])
    >>> predicted = classifier.predict(X).reshape(images.shape)
    >>> bool(np.mean(predicted == labels) > 0.9)
    True
    """

    def __init__(
        self,
        encoder: BaseEstimator,
        *,
        radius: float | tuple[float, ...] = (2.0, 4.0, 8.0),
        layers: int | tuple[int, ...] | None = None,
    ):
        self.encoder = encoder
        self.radius = radius
        self.layers = layers

    def fit(self, X: ArrayLike, y=None) -> Self:
        """Fit the encoder, unless it is frozen.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width) or (n_images, height, width, \
                n_channels), or list of images
            The images, finite real numbers. The images of a list may differ in size, and the list
            may be a sequence that reads them on access. Pass a single image as ``X[None]``. NaN
            marks a missing pixel, if the encoder supports it.
        y : None
            Ignored.

        Returns
        -------
        self : PixelFeatures
            The fitted transformer. If ``fit`` fails or is interrupted, it is left unchanged.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, the encoder has no such layer, X does not hold images,
            or the encoder cannot process them, for example because it does not support missing
            pixels.
        sklearn.exceptions.NotFittedError
            If a frozen encoder is not fitted.
        """
        with restored_on_failure(self):
            self._check_parameters()
            _refuse_rows(X)
            self.encoder_ = clone(self.encoder).fit(X, y)
            if thawed(self.encoder) is not self.encoder:
                # A frozen encoder does not validate X in fit.
                self._check_images(X)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute the features of all pixels.

        Parameters
        ----------
        X : array-like of shape (n_images, height, width) or (n_images, height, width, \
                n_channels), or list of images
            Images of any size with the number of channels seen in ``fit``. NaN marks a missing
            pixel, if the encoder supports it.

        Returns
        -------
        X_new : ndarray of shape (n_pixels, n_features), float64 or float32
            Non-negative features of all pixels, in C order of (image, row, column). Missing
            pixels have a row too.

        Raises
        ------
        ValueError
            If X does not hold images, their shape does not agree with ``fit``, a value is
            infinite, or a pixel is missing and the encoder, such as OnePassEncoder, does not
            support that.

        Warns
        -----
        ConvergenceWarning, ZeroMapsWarning
            The warnings of the encoder, once per batch of 16 images or about a million pixels.
        """
        check_is_fitted(self)
        radii, layers = self._check_parameters()
        _refuse_rows(X)
        images, encoder = self._check_images(X), _giving_maps(self.encoder_)
        n_features = len(_map_names(encoder, layers)) * len(radii)
        features = np.empty((images.n_pixels, n_features), dtype=images.dtype)
        first = 0
        for maps in _each_on_pixels(encoder, images, layers):
            _, height, width = maps.shape
            pixels = features[first : first + height * width].reshape(height, width, n_features)
            first += height * width
            # Maps are scaled so that their squares neither overflow nor underflow.
            largest = np.abs(maps).max() or 1
            squares = (maps / largest) ** 2
            for j, radius in enumerate(radii):
                energy = ndimage.gaussian_filter(squares, radius, axes=(1, 2))
                pixels[..., j :: len(radii)] = largest * np.sqrt(energy).transpose(1, 2, 0)
        return features

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns: ``f3_r4`` is filter 3 with radius 4.

        If ``layers`` is given, names begin with the layer: ``layer1_f3_r4``. The two signs of a
        OnePassEncoder are ``f3+_r4`` and ``f3-_r4``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only their number is checked.

        Returns
        -------
        names : ndarray of object of shape (n_features,)
            Names of the columns of ``transform``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        radii, layers = self._check_parameters()
        maps = _map_names(thawed(self.encoder_), layers)
        names = [f"{one}_r{radius:g}" for one in maps for radius in radii]
        return np.array(names, dtype=object)

    @property
    def image_shape_(self) -> tuple[int, ...]:
        """Shape of one image seen in the fit of the encoder."""
        return self.encoder_.image_shape_

    @property
    def n_features_in_(self) -> int:
        """Number of values of one image; not defined if the encoder was fitted on a list."""
        return self.encoder_.n_features_in_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        if isinstance(self.encoder, BaseEstimator):
            tags.input_tags.allow_nan = get_tags(self.encoder).input_tags.allow_nan
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_images(self, X):
        # The encoder sees batches, and its messages would count images from the start of a batch.
        allow_nan = get_tags(self).input_tags.allow_nan
        return check_images(self, X, reset=False, allow_nan=allow_nan, power=1)

    def _check_parameters(self):
        """Radii, and numbers of the layers; None for the maps that ``transform`` returns."""
        encoder = thawed(self.encoder)
        if isinstance(encoder, type) or "output" not in getattr(encoder, "get_params", dict)():
            raise TypeError(
                "encoder must be an estimator that gives maps, such as DeconvNetLayer(), or a "
                f"FrozenEstimator of one; got {self.encoder!r}. For a pipeline pass its last step, "
                "and images transformed by the other steps."
            )
        if getattr(encoder, "low_frequency", False):
            raise ValueError(
                "encoder must have low_frequency=False: low-frequency maps have no local energy. "
                "Preprocess photos instead, for example with LocalContrastNormalizer."
            )
        radii = [
            check_real("radius", radius, min_val=0, include_boundaries="neither")
            for radius in _items("radius", self.radius)
        ]
        if self.layers is None:
            return radii, [None]
        n_filters = getattr(encoder, "n_filters", None)
        depth = len(n_filters) if isinstance(n_filters, tuple | list) else 1
        return radii, [
            check_integer("layers", number, min_val=1, max_val=depth)
            for number in _items("layers", self.layers)
        ]


def _items(name, value):
    """Items of a tuple, or a single value as a tuple."""
    items = value if isinstance(value, tuple | list) else (value,)
    if not items:
        raise ValueError(f"{name} must not be empty.")
    if len(set(map(str, items))) < len(items):
        raise ValueError(f"{name} must not hold a value twice, got {value!r}.")
    return items


def _refuse_rows(X):
    X = unpacked(X)
    if getattr(X, "ndim", 2) < 3 and not is_image_list(X):
        raise ValueError(
            "X must be a stack of images (n_images, height, width) or (n_images, height, width, "
            "n_channels), or a list of images. Pass a single image as X[None], and rows of pixels "
            "as X.reshape(-1, height, width)."
        )


def _giving_maps(encoder):
    """Shallow copy of an encoder that outputs maps, sparse ones if supported."""
    encoder = copy(thawed(encoder))
    # DataFrames cannot hold maps. Changing the dictionary would change the original too.
    vars(encoder).pop("_sklearn_output_config", None)
    params, form = encoder.get_params(deep=False), {"output": "maps", "sparse_output": True}
    if isinstance(params.get("layer"), int):
        # Of an adaptive net, the maps that can be compared between images.
        form["layer"] = 1
    encoder.set_params(**{name: value for name, value in form.items() if name in params})
    return encoder.set_output(transform="default")


def _codes(encoder, images, layers):
    """Maps of each layer, as a sequence over the images."""
    if layers == [None] or not hasattr(encoder, "encode"):
        return [encoder.transform(images)] * len(layers)
    codes = encoder.encode(images)
    codes = getattr(codes, "maps", codes)
    return [codes[number - 1] for number in layers]


def _filters(encoder):
    """Filters of each layer, the lowest first."""
    if hasattr(encoder, "layers_"):
        return [layer.filters_ for layer in encoder.layers_]
    return encoder.filters_ if isinstance(encoder.filters_, list) else [encoder.filters_]


def _map_names(encoder, layers):
    """Names of all maps of the layers."""
    filters, names = _filters(encoder), []
    for number in layers:
        # transform of an AdaptiveDeconvNet returns maps of the first layer, that of others maps of
        # the top layer.
        of_transform = 0 if hasattr(encoder, "pooling_") else -1
        n_filters = len(filters[of_transform if number is None else number - 1])
        # A OnePassEncoder returns the positive parts of all responses, then the negative parts.
        signs = "+-" if hasattr(encoder, "competition") else [""]
        layer = "" if number is None else f"layer{number}_"
        names += [f"{layer}f{k}{sign}" for sign in signs for k in range(n_filters)]
    return names


def _each_on_pixels(encoder, images, layers):
    """Iterate over images: maps of all layers, aligned with the pixels, (n_maps, height, width)."""
    step = max(_IMAGES_AT_ONCE, _PIXELS_AT_ONCE * len(images) // images.n_pixels)
    for part in gen_batches(len(images), step):
        chosen = [
            images.stack(slice(i, i + 1))[0].transpose(1, 2, 0)
            for i in range(part.start, part.stop)
        ]
        codes = _codes(encoder, chosen, layers)
        for i, image in enumerate(chosen):
            of_layers = zip(layers, codes, strict=True)
            yield np.concatenate(
                [
                    _on_pixels(encoder, number, maps[i : i + 1], image.shape[:2])
                    for number, maps in of_layers
                ]
            )


def _on_pixels(encoder, number, maps, size):
    """Maps of one image, aligned with its pixels, (n_filters, height, width)."""
    maps = (maps.to_dense() if isinstance(maps, SparseMaps) else maps)[0]
    if number is None or not hasattr(encoder, "pooling_"):
        lengths, blocks = [np.subtract(maps.shape[:2], size) + 1], [(1, 1)]
    else:
        lengths = [filters.shape[1:3] for filters in encoder.filters_[:number]]
        blocks = [(1, 1), *(block[:2] for block in encoder.pooling_[: number - 1])]
    places = (
        _places(*axis)
        for axis in zip(
            size, maps.shape[:2], np.transpose(lengths), np.transpose(blocks), strict=True
        )
    )
    return np.ascontiguousarray(maps[np.ix_(*places)].transpose(2, 0, 1))


def _places(n_pixels, n_places, lengths, blocks):
    """Indices along an axis of a map of the coefficients whose centres are nearest to the pixels.

    In every layer a coefficient is centred on its filter, and on its block of pooling.
    """
    at = np.arange(n_pixels, dtype=float)
    for length, block in zip(lengths, blocks, strict=True):
        at = (at - (block - 1) / 2) / block + (length - 1) / 2
    # Even filters have their centre between two pixels: such halves, rounded because divisions by
    # three are inexact, go to the lower index. Maps without padding are smaller than the image,
    # hence the clipping.
    return np.clip(np.ceil(np.round(at, 6) - 0.5).astype(int), 0, n_places - 1)
