"""Images resized to one length of their longer side."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def resized(images, longer: int) -> list[np.ndarray]:
    """Resize a collection of images.

    Parameters
    ----------
    images : Images
        The images; NaN marks a missing pixel.
    longer : int
        Longer side of the resized images.

    Returns
    -------
    images : list of ndarray of shape (n_channels, height, width)
        The resized images.
    """
    result, positions = [None] * len(images), np.arange(len(images))
    for part in images.portions():
        stack = images.stack(part)
        size = scaled(stack.shape[2:], longer)
        for i, image in zip(positions[part], stack, strict=True):
            result[i] = _over_known(image, size)
    return result


def scaled(size, longer):
    """(height, width) after resizing to a longer side; the one row of a signal stays one."""
    return tuple(1 if n == 1 < max(size) else max(1, round(n * longer / max(size))) for n in size)


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
