"""Local contrast normalisation as a scikit-learn transformer."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.transformer import Transformer
from skdeconv._utils.validation import check_flag, check_in, check_integer, check_real
from skdeconv.layouts import check_images, full_shape, images_in_layout
from skdeconv.preprocessing._contrast import grey, normalise

_BOUNDARIES = ("reflect", "mirror", "nearest", "wrap", "constant")
_REC_601 = (0.299, 0.587, 0.114)


class LocalContrastNormalizer(Transformer, OneToOneFeatureMixin, BaseEstimator):
    r"""Subtract the local mean of images and divide by their local standard deviation.

    Filters learned from raw photos mostly represent slow changes of brightness. After
    normalisation, local mean and contrast are about the same everywhere, and the filters represent
    edges and textures. With :math:`G` a Gaussian blur and :math:`x` one channel of one image,

    .. math::

        h = x - G x, \qquad s = \sqrt{G h^2}, \qquad
        y = \frac{h}{\max(s, \operatorname{mean}(s))}.

    The floor of the denominator, one number per image and channel, prevents the amplification of
    noise in regions of low contrast. Every image and every channel is normalised independently.

    Parameters
    ----------
    kind : {"gaussian", "laplacian"}, default="gaussian"
        The high-pass filter. "gaussian" is described above. "laplacian" convolves with the 3 x 3
        kernel [[1, 4, 1], [4, -20, 4], [1, 4, 1]] / 6 without a division; ``sigma``, ``window``,
        ``divisive``, ``two_pass`` and ``floor`` are then ignored.
    sigma : float, default=2.0
        Standard deviation of the Gaussian in pixels, > 0.
    window : int or None, default=None
        Side in pixels of the window to which the Gaussian is truncated, odd and at least 3; its
        weights sum to one. None truncates at four standard deviations, the default of
        :func:`scipy.ndimage.gaussian_filter`.
    boundary : {"reflect", "mirror", "nearest", "wrap", "constant"}, default="reflect"
        How images are extended beyond their border, as the ``mode`` of :mod:`scipy.ndimage`:
        "reflect" repeats the edge pixel, "mirror" does not, "constant" pads with zeros.
    divisive : bool, default=True
        Whether to divide by the local standard deviation. If False, :math:`h` is returned.
    two_pass : bool, default=True
        If True, :math:`s^2 = G h^2`, the local mean square of the high-pass. If False,
        :math:`s^2 = G x^2 - (G x)^2`, the local variance.
    floor : {"mean", "median"}, default="mean"
        The floor of the denominator, over the pixels of one channel of one image. "mean" is the
        mean of :math:`s`; "median" is its lower median or, if that is zero, the lower median of
        its non-zero values.
    zero_mean : bool, default=False
        Whether to subtract from each normalised image its mean over all pixels and channels.
    grey : bool or tuple of three floats, default=False
        Whether to convert images of three channels to grey images of shape (height, width) first.
        True uses the weights 0.299, 0.587 and 0.114 of Rec. 601 for red, green and blue; a tuple
        gives other weights. Images of one channel are accepted and kept. False keeps the channels.
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
    skdeconv.DeconvNetLayer : Learns filters from normalised images.

    Notes
    -----
    The result is invariant to positive scaling of an image, except with ``divisive=False`` and for
    the Laplacian. It is invariant to an offset, except with ``boundary="constant"``. Integers are
    converted to float64 without a division by 255; float32 is preserved. Nothing is learned:
    ``fit`` records the shape of the images.

    Images that are constant up to rounding become zeros, never NaN. With ``boundary="constant"``
    the step from the border to the zeros outside counts as contrast.

    Images are not filtered along an axis of one pixel: for a signal the Laplacian is [1, -2, 1].

    NaN marks a missing pixel, in one channel or, with ``grey``, in all channels. Missing pixels
    stay NaN, and all others are computed from the known pixels. With :math:`M` the mask that is one
    at known pixels and zero elsewhere, :math:`G x` becomes :math:`G(M x) / G M`, the weighted mean
    of the known pixels in the window; every mean, median and range is that of the known pixels. The
    Laplacian is the sum of :math:`k_j (x_j - x_0)` over the known neighbours :math:`j` of pixel 0,
    as if missing neighbours had the value of the centre; "reflect" has the same effect at the end
    of a signal. The zeros beyond the border of "constant" count as known. Images without NaN are
    not affected. Apart from the floor and ``zero_mean``, missing pixels have local effects only.

    Three published recipes:

    - The defaults are the preprocessing of the figures in this package's documentation.
    - ``sigma=3 * 1.591, window=13, boundary="mirror", two_pass=False, floor="median",
      zero_mean=True`` is the normalisation of Zeiler's toolbox, used in [2]_ and in later papers
      on convolutional sparse coding. Its weights for ``grey`` are (0.298936, 0.587043, 0.114021).
    - ``kind="laplacian", boundary="constant"`` is the high-pass filter of the toolbox for [1]_.

    References
    ----------
    .. [1] M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus, "Deconvolutional networks",
       CVPR 2010.
    .. [2] M. D. Zeiler, G. W. Taylor, R. Fergus, "Adaptive deconvolutional networks for mid and
       high level feature learning", ICCV 2011.
    .. [3] K. Jarrett, K. Kavukcuoglu, M. Ranzato, Y. LeCun, "What is the best multi-stage
       architecture for object recognition?", ICCV 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.preprocessing import LocalContrastNormalizer
    >>> photos = np.random.default_rng(0).integers(256, size=(5, 40, 30, 3))
    >>> LocalContrastNormalizer().fit_transform(photos).shape
    (5, 40, 30, 3)
    >>> grey = LocalContrastNormalizer(grey=True).fit_transform(photos)
    >>> grey.shape, grey.dtype
    ((5, 40, 30), dtype('float64'))

    Rows are transformed to rows:

    >>> rows = photos.reshape(5, -1)
    >>> normalizer = LocalContrastNormalizer(grey=True, image_shape=(40, 30, 3))
    >>> normalizer.fit_transform(rows).shape
    (5, 1200)
    >>> normalizer.get_feature_names_out()[:2]
    array(['y0_x0', 'y0_x1'], dtype=object)

    Images of a list may differ in size, and pixels may be missing:

    >>> mixed = [photos[0, ..., 0] / 255, photos[1, :20, :, 0] / 255]
    >>> mixed[1][3, 4] = np.nan
    >>> result = LocalContrastNormalizer().fit_transform(mixed)
    >>> [image.shape for image in result], np.isnan(result[1]).sum()
    ([(40, 30), (20, 30)], np.int64(1))
    """

    def __init__(
        self,
        kind: str = "gaussian",
        *,
        sigma: float = 2.0,
        window: int | None = None,
        boundary: str = "reflect",
        divisive: bool = True,
        two_pass: bool = True,
        floor: str = "mean",
        zero_mean: bool = False,
        grey: bool | tuple[float, float, float] = False,
        image_shape: tuple[int, ...] | None = None,
    ):
        self.kind = kind
        self.sigma = sigma
        self.window = window
        self.boundary = boundary
        self.divisive = divisive
        self.two_pass = two_pass
        self.floor = floor
        self.zero_mean = zero_mean
        self.grey = grey
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
        self : LocalContrastNormalizer
            The fitted transformer.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type, or ``X`` is sparse.
        ValueError
            If a parameter is out of range, or ``X`` is empty, complex, infinite, does not agree
            with ``image_shape``, has a number of channels that ``grey`` does not support, or holds
            an image without known pixels. The state of an earlier fit is kept.
        """
        with restored_on_failure(self):
            self._check_parameters()
            images = check_images(self, X, image_shape=self.image_shape, reset=True, power=0)
            self._check_channels(images.image_shape)
            self.image_shape_ = images.image_shape
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Normalise images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, n_channels), or list of images
            Images of any size with the number of channels seen in ``fit``. Rows must have the width
            seen there. NaN marks a missing pixel.

        Returns
        -------
        X_new : ndarray or list of ndarray, float64 or float32
            The normalised images in the layout of ``X``: rows, a stack or a list. With ``grey``
            they have no channel axis. Missing pixels are NaN.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` is empty, complex, infinite or has another shape than in ``fit``, or a channel
            of an image has no known pixel.
        """
        check_is_fitted(self, "image_shape_")
        images = check_images(self, X, reset=False, power=0)
        layout, shape = images.layout, images.image_shape
        # Parameters may have been set after fit.
        self._check_channels(shape)
        weights = self._grey_weights()
        n_channels = images.n_channels if weights is None else 1
        if layout == "list":
            result = [None] * len(images)
        else:
            result = np.empty((len(images), n_channels, *images.size), images.dtype)
        positions = np.arange(len(images))
        for part in images.portions():
            normalised = self._normalise(images.stack(part), positions[part], weights)
            if layout == "list":
                for i, image in zip(positions[part], normalised, strict=True):
                    result[i] = image
            else:
                result[part] = normalised
        return images_in_layout(result, layout, shape if weights is None else shape[:2])

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of transformed rows.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input. If None, those seen in ``fit``, or x0, x1, ...

        Returns
        -------
        names : ndarray of str objects
            Names of the input; if ``grey`` merges channels, y0_x0, y0_x1, ... Images in a list have
            no common columns: without names of the input one per channel, x0, x1, ...

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
        names = super().get_feature_names_out(input_features)
        height, width, n_channels = full_shape(self.image_shape_)
        if n_channels == 1 or self._grey_weights() is None:
            return names
        pixels = [f"y{y}_x{x}" for y in range(height) for x in range(width)]
        return np.array(pixels, dtype=object)

    def __sklearn_tags__(self):
        """Stacks of images and missing pixels are accepted; the dtype is preserved."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_parameters(self):
        check_in("kind", self.kind, ("gaussian", "laplacian"))
        check_in("boundary", self.boundary, _BOUNDARIES)
        check_in("floor", self.floor, ("mean", "median"))
        for name in ("divisive", "two_pass", "zero_mean"):
            check_flag(name, getattr(self, name))
        check_real("sigma", self.sigma, min_val=0, include_boundaries="neither")
        if self.window is not None and check_integer("window", self.window, min_val=3) % 2 == 0:
            raise ValueError(f"window must be odd, so that it has a centre, got {self.window}.")
        self._grey_weights()

    def _grey_weights(self):
        """The weights of the three channels, or None if the channels are kept."""
        if not isinstance(self.grey, tuple | list):
            return _REC_601 if check_flag("grey", self.grey) else None
        if len(self.grey) != 3:
            raise ValueError(f"grey must be a boolean or three weights, got {self.grey!r}.")
        return tuple(check_real(f"grey[{i}]", weight) for i, weight in enumerate(self.grey))

    def _check_channels(self, shape):
        if self._grey_weights() is not None and full_shape(shape)[2] not in (1, 3):
            raise ValueError(
                f"grey={self.grey!r} needs images of three channels, or of one, got shape {shape}. "
                "Drop an alpha channel first, for example by X[..., :3]."
            )

    def _normalise(self, images, positions, weights):
        """Normalise channels-first images of one size; ``positions`` are their indices in X."""
        if weights is not None:
            images = grey(images, weights)
        unknown = np.isnan(images).all(axis=(2, 3))
        if unknown.any():
            i, channel = np.argwhere(unknown)[0]
            where = f"in channel {channel}" if weights is None else "with all its channels"
            raise ValueError(
                f"X[{positions[i]}] has no known pixel {where}: there is nothing to normalise. "
                "Remove the image or the channel."
            )
        return normalise(
            images,
            kind=self.kind,
            sigma=self.sigma,
            window=self.window,
            boundary=self.boundary,
            divisive=self.divisive,
            two_pass=self.two_pass,
            floor=self.floor,
            zero_mean=self.zero_mean,
        )
