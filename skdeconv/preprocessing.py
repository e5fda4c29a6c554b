"""Preparing images: local contrast normalisation, as scikit-learn transformers."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import ndimage
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skdeconv._images import check_image_shape, check_images, full_shape, images_in_layout
from skdeconv._validation import (
    check_flag,
    check_in,
    check_integer,
    check_real,
    restored_on_failure,
)

__all__ = ["LocalContrastNormalizer"]

_BOUNDARIES = ("reflect", "mirror", "nearest", "wrap", "constant")
_REC_601 = (0.299, 0.587, 0.114)
_LAPLACIAN = np.array([[1.0, 4.0, 1.0], [4.0, -20.0, 4.0], [1.0, 4.0, 1.0]]) / 6
# Temporaries are a few times this many numbers, however many images there are.
_PIXELS_AT_ONCE = 2**20


class LocalContrastNormalizer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    r"""Remove the local mean of images and divide by their local standard deviation.

    Filters learned from raw photos are spent on slow changes of brightness; after this step
    every part of a photo has about the same mean and contrast, so that they become edges and
    textures. With :math:`G` a Gaussian blur and :math:`x` one channel of one image,

    .. math::

        h = x - G x, \qquad s = \sqrt{G h^2}, \qquad
        y = \frac{h}{\max(s, \operatorname{mean}(s))}.

    The floor of the denominator, one number per image and channel, keeps flat parts from being
    blown up to full contrast. Every image and every channel is treated alone.

    Parameters
    ----------
    kind : {"gaussian", "laplacian"}, default="gaussian"
        The high-pass. "gaussian" is described above. "laplacian" convolves with the 3 x 3 kernel
        [[1, 4, 1], [4, -20, 4], [1, 4, 1]] / 6 and divides by nothing; ``sigma``, ``window``,
        ``divisive``, ``two_pass`` and ``floor`` are then without effect.
    sigma : float, default=2.0
        Standard deviation of the Gaussian in pixels, > 0.
    window : int or None, default=None
        Side in pixels of the window to which the Gaussian is cut, odd and at least 3; its weights
        sum to one. None cuts at four standard deviations, as
        :func:`scipy.ndimage.gaussian_filter` does.
    boundary : {"reflect", "mirror", "nearest", "wrap", "constant"}, default="reflect"
        What lies beyond the border, in the words of :mod:`scipy.ndimage`: "reflect" repeats the
        edge pixel, "mirror" does not, "constant" is zeros.
    divisive : bool, default=True
        Whether to divide by the local standard deviation; False returns :math:`h`.
    two_pass : bool, default=True
        True: :math:`s^2 = G h^2`, the mean square of the high-pass. False:
        :math:`s^2 = G x^2 - (G x)^2`, the variance in the window.
    floor : {"mean", "median"}, default="mean"
        The floor of the denominator, over the pixels of one channel of one image: the mean of
        :math:`s`, or its lower median; where that is zero, the lower median of its non-zero
        values.
    zero_mean : bool, default=False
        Whether to subtract from each image, at the end, its mean over all pixels and channels.
    grey : bool or tuple of three floats, default=False
        Whether to turn images of three channels into grey ones first, of shape (height, width):
        True takes the weights 0.299, 0.587 and 0.114 of Rec. 601 for red, green and blue, a
        tuple is such weights. Images of one channel are grey already and pass. False keeps the
        channels.
    image_shape : tuple of int or None, default=None
        Shape of the images that rows hold: (length,), (height, width) or (height, width,
        n_channels). None reads rows as signals of one channel. Stacks and lists of images carry
        their own shape, which must then agree.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of one image seen in ``fit``.
    n_features_in_ : int
        Number of values of one image. Not set by ``fit`` on a list of images.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, where ``fit`` saw a data frame whose column names are all strings.

    See Also
    --------
    skdeconv.DeconvNetLayer : Learns filters from the result.

    Notes
    -----
    The result does not depend on the scale of an image, positive factors cancel in the division;
    it does so with ``divisive=False`` and with the Laplacian. An offset cancels except with
    ``boundary="constant"``. Integers become float64, with no division by 255, and float32 is
    kept. Nothing is learned: ``fit`` records the shape of the images alone.

    An image without contrast, up to the rounding of its type, gives zeros, never NaN. With
    ``boundary="constant"`` the jump from its border to the zeros outside is contrast.

    An axis of one pixel is not filtered: for a signal the Laplacian is [1, -2, 1].

    Three published recipes:

    - The defaults are the preprocessing of this package's figures.
    - ``sigma=3 * 1.591, window=13, boundary="mirror", two_pass=False, floor="median",
      zero_mean=True`` is the normalisation of Zeiler's toolbox, used in [2]_ and in later papers
      on convolutional sparse coding. Its grey is (0.298936, 0.587043, 0.114021).
    - ``kind="laplacian", boundary="constant"`` is the high-pass that the toolbox keeps for [1]_.

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

    Rows come back as rows, whatever the shape of the images in them:

    >>> rows = photos.reshape(5, -1)
    >>> normalizer = LocalContrastNormalizer(grey=True, image_shape=(40, 30, 3))
    >>> normalizer.fit_transform(rows).shape
    (5, 1200)
    >>> normalizer.get_feature_names_out()[:2]
    array(['y0_x0', 'y0_x1'], dtype=object)
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
            The images, finite real numbers.
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
            If a parameter is out of range, or ``X`` is empty, complex, not finite, does not fit
            ``image_shape``, or has channels that ``grey`` cannot weigh. An earlier fit stays
            usable.
        """
        with restored_on_failure(self):
            self._check_parameters()
            expected = check_image_shape(self.image_shape)
            _, _, shape = check_images(self, X, image_shape=expected, reset=True)
            self._check_channels(shape)
            self.image_shape_ = shape
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Normalise images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, n_channels), or list of images
            Images of the shape seen in ``fit``.

        Returns
        -------
        X_new : ndarray or list of ndarray, float64 or float32
            The images in the layout of ``X``: rows, a stack or a list. With ``grey`` they have no
            channel axis.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` is empty, complex, not finite or of another shape than in ``fit``.
        """
        check_is_fitted(self, "image_shape_")
        images, layout, shape = check_images(self, X, reset=False)
        # Again, since parameters may have been set after fit.
        self._check_channels(shape)
        weights = self._grey_weights()
        if weights is not None:
            images, shape = _grey(images, weights), shape[:2]
        result = np.empty_like(images)
        for part in gen_batches(len(images), max(1, _PIXELS_AT_ONCE // images[0].size)):
            result[part] = self._normalise(images[part])
        return images_in_layout(result, layout, shape)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Name the columns of transformed rows.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input; None takes those seen in ``fit``, or x0, x1, ...

        Returns
        -------
        names : ndarray of str objects
            The input's names; where ``grey`` merges channels y0_x0, y0_x1, ...

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``input_features`` are not those seen in ``fit``, or ``fit`` saw a list of images.
        """
        check_is_fitted(self, "image_shape_")
        if not hasattr(self, "n_features_in_"):
            raise ValueError(
                "Images in a list have no features to name. Fit on rows or on a stack of images."
            )
        names = super().get_feature_names_out(input_features)
        height, width, n_channels = full_shape(self.image_shape_)
        if n_channels == 1 or self._grey_weights() is None:
            return names
        pixels = [f"y{y}_x{x}" for y in range(height) for x in range(width)]
        return np.array(pixels, dtype=object)

    def __sklearn_tags__(self):
        """Say that stacks of images are taken and that float32 is kept."""
        tags = super().__sklearn_tags__()
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
        """Give the three weights, or None where the channels are kept."""
        if not isinstance(self.grey, tuple | list):
            return _REC_601 if check_flag("grey", self.grey) else None
        if len(self.grey) != 3:
            raise ValueError(f"grey must be a boolean or three weights, got {self.grey!r}.")
        return tuple(check_real(f"grey[{i}]", weight) for i, weight in enumerate(self.grey))

    def _check_channels(self, shape):
        if self._grey_weights() is not None and full_shape(shape)[2] not in (1, 3):
            raise ValueError(
                f"grey={self.grey!r} needs images of three channels, or of one, got shape {shape}. "
                "Drop an alpha channel first, as in X[..., :3]."
            )

    def _normalise(self, images):
        """Normalise channels-first images."""
        axes = tuple(axis for axis in (2, 3) if images.shape[axis] > 1)
        if self.boundary != "constant":
            images = _without_offset(images)
        if self.kind == "laplacian":
            result = _laplacian(images, axes, self.boundary)
        else:
            result = self._gaussian(images, axes)
        if self.zero_mean:
            result = result - result.mean(axis=(1, 2, 3), keepdims=True)
        return result

    def _gaussian(self, images, axes):
        def blur(values):
            radius = None if self.window is None else self.window // 2
            return ndimage.gaussian_filter(
                values, self.sigma, radius=radius, mode=self.boundary, axes=axes
            )

        if not self.divisive:
            return images - blur(images)
        images = _of_unit_size(images)
        noise = 32 * np.finfo(images.dtype).eps
        mean = blur(images)
        high_pass = images - mean
        if self.two_pass:
            deviation = np.sqrt(blur(high_pass**2))
        else:
            deviation = np.sqrt(np.maximum(blur(images**2) - mean**2, 0))
            # The difference of two numbers about 1, before the root.
            noise = noise**0.5
        floor = _median(deviation, noise) if self.floor == "median" else _mean(deviation)
        denominator = np.maximum(deviation, floor)
        return np.divide(
            high_pass, denominator, out=np.zeros_like(images), where=denominator > noise
        )


def _grey(images, weights):
    """Weighted sum of three channels, as one; images of one channel as they are."""
    if images.shape[1] == 1:
        return images
    red, green, blue = weights
    return red * images[:, :1] + green * images[:, 1:2] + blue * images[:, 2:]


def _laplacian(images, axes, boundary):
    # Along an axis of one pixel nothing changes: the kernel is summed over it.
    flat = tuple(axis - 2 for axis in (2, 3) if axis not in axes)
    kernel = _LAPLACIAN.sum(axis=flat, keepdims=True)
    return ndimage.convolve(images, kernel[None, None], mode=boundary)


def _without_offset(images):
    """Images less the middle of their range where it dominates; zeros where nothing but it is left.

    High-passes ignore an offset but rounding does not. Other images pass unchanged, so that the
    published recipes are met to the last bits.
    """
    low = images.min(axis=(2, 3), keepdims=True) / 2
    high = images.max(axis=(2, 3), keepdims=True) / 2
    middle, half_range = high + low, high - low
    offset = np.where(np.abs(middle) / 4 > half_range, middle, 0)
    rounding = 4 * np.finfo(images.dtype).eps * np.maximum(np.abs(high), np.abs(low))
    return np.where(half_range > rounding, images - offset, 0)


def _of_unit_size(images):
    """Each channel times the power of two that brings it below one: squares stay in range."""
    size = np.abs(images).max(axis=(2, 3), keepdims=True)
    return np.ldexp(images, -np.frexp(size)[1])


def _mean(deviation):
    return deviation.mean(axis=(2, 3), keepdims=True)


def _median(deviation, noise):
    """Lower median of each channel, of its values above ``noise`` where the first is not."""
    flat = deviation.reshape(-1, deviation[0, 0].size)
    medians = [_lower_median(values) for values in flat]
    for i, median in enumerate(medians):
        if median <= noise:
            medians[i] = _lower_median(flat[i][flat[i] > noise])
    return np.array(medians, deviation.dtype).reshape(*deviation.shape[:2], 1, 1)


def _lower_median(values):
    if values.size == 0:
        return 0
    middle = (values.size - 1) // 2
    return np.partition(values, middle)[middle]
