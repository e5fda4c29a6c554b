"""Images resized to one length of their longer side."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def resized(images, *longer: int) -> list[list[np.ndarray]]:
    """Resize a collection of images to several sizes, reading each image once.

    Parameters
    ----------
    images : Images
        The images; NaN marks a missing pixel.
    *longer : int
        Longer sides of the resized images.

    Returns
    -------
    images : list of list of ndarray of shape (n_channels, height, width)
        For each size the resized images.
    """
    results, positions = [[None] * len(images) for _ in longer], np.arange(len(images))
    for part in images.portions():
        stack = images.stack(part)
        sizes = [scaled(stack.shape[2:], side) for side in longer]
        for i, image in zip(positions[part], stack, strict=True):
            for result, size in zip(results, sizes, strict=True):
                result[i] = _over_known(image, size)
    return results


def scaled(size, longer):
    """(height, width) after resizing to a longer side; the one row of a signal stays one."""
    if max(size) == 1:
        return 1, longer
    return tuple(1 if n == 1 else max(1, round(n * longer / max(size))) for n in size)


def _over_known(image, size):
    """Resized channels of an image, (n_channels, *size); NaN marks missing pixels."""
    missing = np.isnan(image)
    if not missing.any():
        return _interpolated(image, size)
    known = _interpolated((~missing).astype(image.dtype), size)
    sums = _interpolated(np.where(missing, image.dtype.type(0), image), size)
    # Half of the weight, up to rounding.
    enough = known > 0.5 - 1e-4
    return np.divide(sums, known, out=np.full_like(sums, np.nan), where=enough)


def _interpolated(image, size):
    """Resized channels of an image without missing pixels."""
    if image.shape[1:] == size:
        return image
    shrinking = [before / after for before, after in zip(image.shape[1:], size, strict=True)]
    sigma = [max(0.0, (factor - 1) / 2) for factor in shrinking]
    growth = [after / before for before, after in zip(image.shape[1:], size, strict=True)]
    channels = [
        ndimage.zoom(
            ndimage.gaussian_filter(channel, sigma, mode="nearest"),
            growth, order=1, mode="nearest", grid_mode=True,
        )
        for channel in image
    ]  # fmt: skip
    return np.stack(channels)
