"""Smallest useful ``lam``, below which all maps are zero."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from skdeconv._utils.validation import check_flag
from skdeconv.filters import check_filter_size, check_filters
from skdeconv.inference import PowerPenalty, dual_norms, largest_patch_norms
from skdeconv.layouts import check_images
from skdeconv.operators import zeros_for_nan


def lam_min(
    images: ArrayLike,
    filters: ArrayLike | None = None,
    *,
    filter_size: int | tuple[int, int] | None = None,
    positive: bool = False,
    image_shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    r"""Weight of the squared error up to which all maps of an image are zero.

    For p = 1 the maps are zero if and only if :math:`\lambda \le 1 / \max |F^T y|`, without the
    absolute value if maps are non-negative. Without filters the value is one over the largest norm
    of a patch of the image, below which the maps are zero for any filters of unit norm. A grid of
    multiples of it makes the choice of ``lam`` independent of the scale of the images.

    For an estimator with ``low_frequency=True`` pass the images without what its low-frequency maps
    represent, or at least without the mean of each image and channel, as ``lam_scale="median"``
    does.

    Parameters
    ----------
    images : array-like
        Images in any layout that ``DeconvNetLayer`` accepts. Missing pixels are ignored.
    filters : array-like of shape (n_filters, h, w, n_channels), default=None
        Unit-norm filters, such as ``filters_`` of a fitted layer.
    filter_size : int or (int, int), default=None
        Size of the patches. Required if ``filters`` is None.
    positive : bool, default=False
        Whether the maps are non-negative. Ignored if ``filters`` is None.
    image_shape : tuple of int, default=None
        Shape of one image if ``images`` are rows.

    Returns
    -------
    lam : ndarray of shape (n_samples,)
        One value per image; infinite for an image whose maps are zero for any ``lam``.

    Raises
    ------
    ValueError
        If neither ``filters`` nor ``filter_size`` is given, or the shapes do not agree.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv import lam_min
    >>> lam_min(np.full((1, 8, 8), 0.5), filter_size=4)
    array([0.5])
    """
    check_flag("positive", positive)
    options = {"image_shape": image_shape, "reset": True, "power": 1}
    images = check_images(BaseEstimator(), images, **options)
    if filters is None:
        if filter_size is None:
            raise ValueError("lam_min needs filters or filter_size; got neither.")
        size = check_filter_size(filter_size, images.sizes.max(axis=0))
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
            largest[part] = largest_patch_norms(zeros_for_nan(stack), *size)
        else:
            largest[part] = dual_norms(stack, filters, PowerPenalty(1.0, positive))
    with np.errstate(divide="ignore", over="ignore"):
        return 1 / largest
