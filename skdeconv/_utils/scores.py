"""Coefficient of determination of reconstructions, over chosen pixels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def r_squared(parts: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> float:
    r"""Coefficient of determination over the chosen pixels of all images.

    :math:`1 - \sum \|y - \hat y\|^2 / \sum \|y - \bar y\|^2`, with both sums over the chosen
    pixels, and the mean over all known pixels of each image and channel.

    Parameters
    ----------
    parts : iterable of tuple of three ndarray of shape (n_samples, n_channels, height, width)
        Images, with NaN for missing pixels; their reconstructions; and a boolean mask of the
        chosen pixels, all of them known.

    Returns
    -------
    score : float
        At most 1. If all chosen pixels are equal to the mean, 1 if the reconstruction is exact,
        otherwise 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv._utils.scores import r_squared
    >>> image = np.array([[[[0.0, 2.0]]]])
    >>> r_squared([(image, image / 2, image == 2)])
    0.0
    """
    error = variance = 0.0
    for images, reconstructed, chosen in parts:
        residual = np.subtract(images, reconstructed, dtype=np.float64)
        error += float(np.sum(np.where(chosen, residual, 0) ** 2))
        variance += float(np.sum(np.where(chosen, centred(images), 0) ** 2))
    if variance == 0:
        return float(error == 0)
    return 1 - error / variance


def means_of_known(images: np.ndarray) -> np.ndarray:
    """Mean over the known pixels of each image and channel, in float64; 0 if there are none.

    Its shape is (n_samples, n_channels, 1, 1), and NaN marks missing pixels of the images.
    """
    missing = np.isnan(images)
    known = np.maximum((~missing).sum(axis=(2, 3), keepdims=True), 1)
    total = np.where(missing, 0, images).sum(axis=(2, 3), keepdims=True, dtype=np.float64)
    return total / known


def centred(images: np.ndarray) -> np.ndarray:
    """Images minus the mean over their known pixels, per image and channel, in float64.

    Their shape is (n_samples, n_channels, height, width), and NaN marks missing pixels.
    """
    missing, result = np.isnan(images), images - means_of_known(images)
    # Constant channels become 0 exactly, in spite of rounding errors of the mean.
    highest = np.where(missing, -np.inf, images).max(axis=(2, 3))
    result[highest <= np.where(missing, np.inf, images).min(axis=(2, 3))] = 0
    return result
