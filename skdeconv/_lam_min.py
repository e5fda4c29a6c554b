"""The scale of ``lam``: where the maps begin to be non-zero."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from skdeconv._images import check_image_shape, check_images
from skdeconv._parameters import check_filter_size, check_filters
from skdeconv._validation import check_flag
from skdeconv.operators import Convolution, zeros_for_nan


def lam_min(
    images: ArrayLike,
    filters: ArrayLike | None = None,
    *,
    filter_size: int | tuple[int, int] | None = None,
    positive: bool = False,
    image_shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    r"""Weight of the squared error up to which all maps of an image are zero.

    At p = 1 the maps are zero exactly when :math:`\lambda \le 1 / \max |F^T y|`, without the
    modulus if they are non-negative. Without filters it is one over the largest norm of any patch
    of the image, below which the maps are zero whatever the unit-norm filters. A grid of multiples
    of it does not depend on the scale of the images.

    Parameters
    ----------
    images : array-like
        Images in any layout that ``DeconvNetLayer`` takes; missing pixels do not count.
    filters : array-like of shape (n_filters, h, w, n_channels), default=None
        Unit-norm filters, such as ``filters_`` of a fitted layer.
    filter_size : int or (int, int), default=None
        Size of the patches; needed where ``filters`` is None.
    positive : bool, default=False
        Whether the maps are non-negative. Only read with ``filters``.
    image_shape : tuple of int, default=None
        Shape of one image where ``images`` are rows.

    Returns
    -------
    lam : ndarray of shape (n_samples,)
        One value per image; infinite for an image whose maps are always zero.

    Raises
    ------
    ValueError
        If neither ``filters`` nor ``filter_size`` is given, or the shapes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv import lam_min
    >>> lam_min(np.full((1, 8, 8), 0.5), filter_size=4)
    array([0.5])
    """
    check_flag("positive", positive)
    images, _, _ = check_images(
        BaseEstimator(), images, image_shape=check_image_shape(image_shape), reset=True, power=1
    )
    if filters is None:
        if filter_size is None:
            raise ValueError("lam_min needs filters or filter_size; got neither.")
        size = check_filter_size(filter_size, images.sizes[:, 0].max())
    else:
        shape = ()
        with suppress(ValueError):  # ragged: check_filters says so
            shape = np.shape(filters)
        wanted = (*shape[:3], images.n_channels)
        filters = check_filters("filters", filters, wanted, images.dtype)
    largest = np.empty(len(images))
    for part in images.portions():
        stack = images.stack(part)
        if filters is None:
            largest[part] = _largest_patch_norms(zeros_for_nan(stack), *size)
        else:
            largest[part] = largest_pulls(stack, filters, positive)
    with np.errstate(divide="ignore", over="ignore"):
        return 1 / largest


def largest_pulls(images, filters, positive) -> np.ndarray:
    """Max F^T y of every image of a stack, with modulus unless ``positive``; at least 0.

    Filters are (n_filters, n_channels, h, w), and NaN marks missing pixels.
    """
    operator, images = Convolution(filters, images.shape[2:]), zeros_for_nan(images)
    pulls = (operator.adjoint(images[i : i + 1]) for i in range(len(images)))
    return np.array([max(0, (one if positive else np.abs(one)).max()) for one in pulls])


def _largest_patch_norms(images, h, w):
    # Squares of scaled images stay in range.
    largest = np.abs(images).max(axis=(1, 2, 3), initial=0, keepdims=True).astype(np.float64)
    images = np.divide(images, largest, out=np.zeros(images.shape), where=largest > 0)
    energy = np.pad((images**2).sum(axis=1), ((0, 0), (h - 1, h - 1), (w - 1, w - 1)))
    sums = sliding_window_view(energy, h, axis=1).sum(axis=-1)
    sums = sliding_window_view(sums, w, axis=2).sum(axis=-1)
    return largest.ravel() * np.sqrt(sums.reshape(len(images), -1).max(axis=1))
