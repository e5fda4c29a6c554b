"""Local contrast normalisation of channels-first arrays, over the known pixels.

NaN marks a missing pixel. ``known`` is a boolean array that is False at missing pixels, or True for
images without missing pixels, which are then processed without a mask.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import ndimage

_LAPLACIAN = np.array([[1.0, 4.0, 1.0], [4.0, -20.0, 4.0], [1.0, 4.0, 1.0]]) / 6


def grey(images, weights):
    """Weighted sum of three channels; images of one channel are returned unchanged."""
    if images.shape[1] == 1:
        return images
    red, green, blue = weights
    return red * images[:, :1] + green * images[:, 1:2] + blue * images[:, 2:]


def normalise(images, **options):
    """Normalise every channel of every image independently.

    Parameters
    ----------
    images : ndarray of shape (n, n_channels, height, width), float64 or float32
        The images, with at least one known pixel in every channel; NaN marks a missing pixel.
    **options : dict
        ``kind``, ``sigma``, ``window``, ``boundary``, ``divisive``, ``two_pass``, ``floor`` and
        ``zero_mean`` of the estimator.

    Returns
    -------
    result : ndarray of shape (n, n_channels, height, width)
        The normalised images, with NaN at missing pixels.
    """
    missing = np.isnan(images)
    with_holes = missing.any(axis=(1, 2, 3))
    if not with_holes.any():
        return _normalise(images, True, **options)
    result = np.full_like(images, np.nan)
    whole, known = ~with_holes, ~missing[with_holes]
    if whole.any():
        result[whole] = _normalise(images[whole], True, **options)
    filled = _normalise(np.where(known, images[with_holes], 0), known, **options)
    result[with_holes] = np.where(known, filled, np.nan)
    return result


def _normalise(images, known, *, kind, boundary, zero_mean, **options):
    axes = tuple(axis for axis in (2, 3) if images.shape[axis] > 1)
    if boundary != "constant":
        images = _without_offset(images, known)
    if kind == "laplacian":
        result = _laplacian(images, known, axes, boundary)
    else:
        result = _gaussian(images, known, axes, boundary, **options)
    if zero_mean:
        result = result - result.mean(axis=(1, 2, 3), keepdims=True, where=known)
    return result


def _laplacian(images, known, axes, boundary):
    # Images are constant along an axis of one pixel, so the kernel is summed over it.
    flat = tuple(axis - 2 for axis in (2, 3) if axis not in axes)
    kernel = _LAPLACIAN.sum(axis=flat, keepdims=True)[None, None]
    if known is True:
        return ndimage.convolve(images, kernel, mode=boundary)
    # Sum of k_j (x_j - x_0) over the known neighbours j of pixel 0.
    weights = ndimage.convolve(known.astype(images.dtype), kernel, mode=boundary, cval=1)
    sums = ndimage.convolve(np.where(known, images, 0), kernel, mode=boundary)
    return sums - weights * images


def _gaussian(images, known, axes, boundary, *, sigma, window, divisive, two_pass, floor):
    radius = None if window is None else window // 2
    blur = partial(ndimage.gaussian_filter, sigma=sigma, radius=radius, mode=boundary, axes=axes)
    if known is not True:
        blur = _over_known(blur, known, images.dtype)
    if not divisive:
        return images - blur(images)
    images = _of_unit_size(images)
    noise = 32 * np.finfo(images.dtype).eps
    mean = blur(images)
    high_pass = images - mean
    if two_pass:
        deviation = np.sqrt(blur(high_pass**2))
    else:
        deviation = np.sqrt(np.maximum(blur(images**2) - mean**2, 0))
        # The rounding error of a difference of numbers near 1, before the square root.
        noise = noise**0.5
    if floor == "median":
        lowest = _median(deviation, known, noise)
    else:
        lowest = deviation.mean(axis=(2, 3), keepdims=True, where=known)
    denominator = np.maximum(deviation, lowest)
    return np.divide(high_pass, denominator, out=np.zeros_like(images), where=denominator > noise)


def _over_known(blur, known, dtype):
    """Blur that returns the weighted mean of the known pixels in the window of each pixel."""
    # The zeros that boundary="constant" pads with count as known.
    weights = blur(known.astype(dtype), cval=1)
    # Known pixels have a positive weight. Missing pixels are discarded later; 1 avoids 0 / 0.
    weights[~known] = 1
    return lambda values: blur(np.where(known, values, 0)) / weights


def _without_offset(images, known):
    """Subtract the mid-range from images with a large offset; constant images become zero.

    A high-pass filter removes an offset anyway, but with a rounding error that is proportional to
    it. Images without a large offset stay unchanged, so that the published recipes are reproduced
    to the last bit.
    """
    low = images.min(axis=(2, 3), keepdims=True, where=known, initial=np.inf) / 2
    high = images.max(axis=(2, 3), keepdims=True, where=known, initial=-np.inf) / 2
    middle, half_range = high + low, high - low
    offset = np.where(np.abs(middle) / 4 > half_range, middle, 0)
    rounding = 4 * np.finfo(images.dtype).eps * np.maximum(np.abs(high), np.abs(low))
    return np.where((half_range > rounding) & known, images - offset, 0)


def _of_unit_size(images):
    """Scale each channel by a power of two to below one: squares do not overflow or underflow."""
    size = np.abs(images).max(axis=(2, 3), keepdims=True)
    return np.ldexp(images, -np.frexp(size)[1])


def _median(deviation, known, noise):
    """Lower median of each channel; if it does not exceed ``noise``, that of the larger values."""
    flat = deviation.reshape(-1, deviation[0, 0].size)
    if known is not True:
        flat = [values[mask] for values, mask in zip(flat, known.reshape(flat.shape), strict=True)]
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
