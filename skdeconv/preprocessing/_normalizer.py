"""Local contrast normalisation as a scikit-learn transformer."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skdeconv._images import check_image_shape, check_images, full_shape, images_in_layout
from skdeconv._persistence import Versioned
from skdeconv._validation import (
    check_flag,
    check_in,
    check_integer,
    check_real,
    restored_on_failure,
)
from skdeconv.preprocessing._contrast import grey, normalise

_BOUNDARIES = ("reflect", "mirror", "nearest", "wrap", "constant")
_REC_601 = (0.299, 0.587, 0.114)


class LocalContrastNormalizer(Versioned, OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
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
        their own shape, which must then agree; None takes lists of mixed sizes as well.

    Attributes
    ----------
    image_shape_ : tuple of int
        Shape of one image seen in ``fit``; height and width are None where they differ.
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

    NaN marks a missing pixel, in one channel or, with ``grey``, in all. It stays NaN, and the
    others are computed from known pixels alone: with :math:`M` one where a pixel is known and
    zero elsewhere, :math:`G x` becomes :math:`G(M x) / G M`, the weighted mean of the known pixels
    in the window, and every mean, median and range is taken over known pixels. The Laplacian is
    the sum of :math:`k_j (x_j - x_0)` over the known neighbours :math:`j` of pixel 0, as if a
    missing one had the value of the centre: what "reflect" makes of the end of a signal. The
    zeros beyond the border of "constant" are known. Images without NaN are not affected, and a
    change of the holes has local effects alone but for the floor and ``zero_mean``.

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

    Lists may hold images of several sizes, and pixels may be missing:

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
            The images, real numbers; NaN where a pixel is missing. The images of a list may be
            of several sizes, and a sequence that is neither list nor array is read one by one.
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
            If a parameter is out of range, or ``X`` is empty, complex, infinite, does not fit
            ``image_shape``, has channels that ``grey`` cannot weigh, or holds an image without a
            known pixel. An earlier fit stays usable.
        """
        with restored_on_failure(self):
            self._check_parameters()
            expected = check_image_shape(self.image_shape)
            _, _, shape = check_images(self, X, image_shape=expected, reset=True, power=0)
            self._check_channels(shape)
            self.image_shape_ = shape
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Normalise images.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), (n_samples, height, width) or \
                (n_samples, height, width, n_channels), or list of images
            Images of the shape seen in ``fit``; where that was a list, of its number of channels.
            NaN where a pixel is missing.

        Returns
        -------
        X_new : ndarray or list of ndarray, float64 or float32
            The images in the layout of ``X``: rows, a stack or a list. With ``grey`` they have no
            channel axis. NaN where a pixel was missing.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``X`` is empty, complex, infinite or of another shape than in ``fit``, or a channel
            of an image has no known pixel.
        """
        check_is_fitted(self, "image_shape_")
        images, layout, shape = check_images(self, X, reset=False, power=0)
        # Again, since parameters may have been set after fit.
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
        """Say that stacks of images and missing pixels are taken and that float32 is kept."""
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

    def _normalise(self, images, positions, weights):
        """Normalise channels-first images of one size, which stand at these positions of X."""
        if weights is not None:
            images = grey(images, weights)
        unknown = np.isnan(images).all(axis=(2, 3))
        if unknown.any():
            i, channel = np.argwhere(unknown)[0]
            where = f"in channel {channel}" if weights is None else "with all its channels"
            raise ValueError(
                f"X[{positions[i]}] has no known pixel {where}: there is nothing to normalise. "
                "Leave the image out, or the channel."
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
