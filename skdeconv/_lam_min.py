"""The scale of ``lam``: where the maps begin to be non-zero."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from skdeconv._images import check_image_shape, check_images, full_shape
from skdeconv._parameters import check_filter_size, check_filters
from skdeconv._validation import check_flag
from skdeconv.operators import Convolution


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
        Images in any layout that ``DeconvNetLayer`` takes.
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
    images, _, shape = check_images(
        BaseEstimator(), images, image_shape=check_image_shape(image_shape), reset=True
    )
    if filters is None:
        if filter_size is None:
            raise ValueError("lam_min needs filters or filter_size; got neither.")
        h, w = check_filter_size(filter_size, full_shape(shape)[0])
        largest = _largest_patch_norms(images, h, w)
    else:
        size = ()
        with suppress(ValueError):  # ragged: check_filters says so
            size = np.shape(filters)
        wanted = (*size[:3], images.shape[1])
        filters = check_filters("filters", filters, wanted, images.dtype)
        operator = Convolution(filters, images.shape[2:])
        scores = (operator.adjoint(images[i : i + 1]) for i in range(len(images)))
        largest = np.array([max(0, (one if positive else np.abs(one)).max()) for one in scores])
    with np.errstate(divide="ignore"):
        return 1 / largest


def _largest_patch_norms(images, h, w):
    energy = np.pad(
        (images.astype(np.float64) ** 2).sum(axis=1), ((0, 0), (h - 1, h - 1), (w - 1, w - 1))
    )
    sums = sliding_window_view(energy, h, axis=1).sum(axis=-1)
    sums = sliding_window_view(sums, w, axis=2).sum(axis=-1)
    return np.sqrt(sums.reshape(len(images), -1).max(axis=1))
