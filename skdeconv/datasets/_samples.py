"""Sample photos of scikit-learn, and synthetic images with known filters and maps."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_sample_image
from sklearn.utils import Bunch, check_random_state

from skdeconv._utils.validation import check_flag, check_integer, check_real
from skdeconv.filters import check_filter_size, normalized
from skdeconv.layouts import check_image_shape, full_shape
from skdeconv.operators import Convolution

__all__ = ["load_sample_photos", "make_sparse_images"]

_NAMES = ("china.jpg", "flower.jpg")
_REC_601 = np.array([0.299, 0.587, 0.114])


def load_sample_photos(size: int | None = 100, *, color: bool = False) -> np.ndarray:
    """Load square crops of the two sample photos of scikit-learn.

    The photos, a Chinese pavilion and a dahlia of 427 x 640 pixels each, are cut from the top left
    corner into adjacent squares of side ``size``: 48 squares of 100 x 100, or 12 of 200 x 200.

    Parameters
    ----------
    size : int or None, default=100
        Side of a square in pixels, 1 to 427. None returns the whole photos.
    color : bool, default=False
        Whether to keep the colours. If False, photos are converted to grey with the weights of
        Rec. 601.

    Returns
    -------
    photos : ndarray of shape (n_samples, size, size) or (n_samples, size, size, 3), float64
        Values in [0, 1]; the squares of the pavilion come first, row by row. Whole photos have the
        shape (2, 427, 640) or (2, 427, 640, 3).

    Raises
    ------
    ImportError
        If Pillow is not installed.
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If ``size`` is out of range.

    Examples
    --------
    >>> from skdeconv.datasets import load_sample_photos
    >>> load_sample_photos(size=100).shape
    (48, 100, 100)
    """
    if size is not None:
        size = check_integer("size", size, min_val=1, max_val=427)
    check_flag("color", color)
    try:
        photos = np.stack([load_sample_image(name) for name in _NAMES]) / 255
    except ImportError as error:
        raise ImportError(
            "Reading the sample photos needs Pillow: pip install 'skdeconv[plot]'."
        ) from error
    if size is not None:
        n, rows, columns = len(photos), photos.shape[1] // size, photos.shape[2] // size
        photos = photos[:, : rows * size, : columns * size]
        squares = photos.reshape(n, rows, size, columns, size, 3).swapaxes(2, 3)
        photos = squares.reshape(-1, size, size, 3)
    return photos if color else photos @ _REC_601


def make_sparse_images(
    n_samples: int = 20,
    image_shape: tuple[int, ...] = (32, 32),
    *,
    n_filters: int = 4,
    filter_size: int | tuple[int, int] = 5,
    density: float = 0.005,
    noise: float = 0.0,
    positive: bool = False,
    random_state=None,
) -> Bunch:
    r"""Generate images from random filters and random sparse maps.

    Images are :math:`y_c = \sum_k z_k * f_{k,c}` plus noise, with the valid convolution of
    :class:`skdeconv.DeconvNetLayer`. Filters are Gaussian noise, scaled to unit norm. Coefficients
    are non-zero with probability ``density``. The absolute value of a non-zero coefficient is 1
    plus that of a standard normal variable, so that no coefficient is close to zero.

    Parameters
    ----------
    n_samples : int, default=20
        Number of images.
    image_shape : tuple of int, default=(32, 32)
        (length,), (height, width) or (height, width, n_channels).
    n_filters : int, default=4
        Number of filters.
    filter_size : int or (int, int), default=5
        Height and width of the filters. For images of height 1 an integer is the width alone, for
        images of width 1 the height alone.
    density : float, default=0.005
        Probability of a non-zero coefficient, 0 to 1.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise.
    positive : bool, default=False
        Whether all coefficients are positive.
    random_state : int, RandomState instance or None, default=None
        Seed of filters, maps and noise.

    Returns
    -------
    data : Bunch
        ``images`` of shape ``(n_samples, *image_shape)``, ``filters`` of shape (n_filters, h, w,
        n_channels) and ``maps`` of shape (n_samples, height + h - 1, width + w - 1, n_filters),
        all float64.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> from skdeconv.datasets import make_sparse_images
    >>> data = make_sparse_images(3, (16, 16), n_filters=2, filter_size=5, random_state=0)
    >>> data.images.shape, data.filters.shape, data.maps.shape
    ((3, 16, 16), (2, 5, 5, 1), (3, 20, 20, 2))
    """
    n_samples = check_integer("n_samples", n_samples, min_val=1)
    n_filters = check_integer("n_filters", n_filters, min_val=1)
    if image_shape is None:
        raise TypeError("image_shape must be a tuple of integers, got None.")
    image_shape = check_image_shape(image_shape)
    height, width, n_channels = full_shape(image_shape)
    h, w = check_filter_size(filter_size, (height, width))
    density = check_real("density", density, min_val=0, max_val=1)
    noise = check_real("noise", noise, min_val=0)
    check_flag("positive", positive)
    rng = check_random_state(random_state)
    filters = normalized(rng.standard_normal((n_filters, n_channels, h, w)))
    operator = Convolution(filters, (height, width))
    maps = rng.standard_normal((n_samples, *operator.maps_shape))
    spikes = np.copysign(1 + np.abs(maps), maps)
    maps = np.where(rng.uniform(size=maps.shape) < density, spikes, 0.0)
    maps = np.abs(maps) if positive else maps
    images = operator.forward(maps)
    images = images + noise * rng.standard_normal(images.shape)
    return Bunch(
        images=images.transpose(0, 2, 3, 1).reshape(n_samples, *image_shape),
        filters=np.ascontiguousarray(filters.transpose(0, 2, 3, 1)),
        maps=np.ascontiguousarray(maps.transpose(0, 2, 3, 1)),
    )
