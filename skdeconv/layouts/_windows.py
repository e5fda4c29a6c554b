"""Windows of large images, which learning visits instead of the whole images."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from skdeconv.layouts._collection import Collection, Images
from skdeconv.layouts._layer_images import LayerImages


def in_windows(images: Collection, n_pixels: int, above: int) -> Collection:
    """Cut large images into windows, without copying pixels; a window of an image is an image.

    Windows do not overlap, cover the image, and differ in size by one pixel at most.

    Parameters
    ----------
    images : Collection
        The images.
    n_pixels : int
        Approximate number of pixels of a window.
    above : int
        Number of pixels of an image above which it is cut.

    Returns
    -------
    windows : Collection
        Windows and uncut images, in the order of the images; ``images`` itself if none is cut. If
        they have no pixels, only sizes, neither have the windows.
    """
    large = images.sizes.prod(axis=1) > above
    if not large.any():
        return images
    places = [
        (i, *window)
        for i, cut in enumerate(large)
        for window in _windows_of(images.size_of(i), n_pixels if cut else None)
    ]
    sizes = np.array([(bottom - top, right - left) for _, top, bottom, left, right in places])
    if isinstance(images, LayerImages):
        return images.windows(places, sizes)
    if not isinstance(images, Images):
        return Collection(sizes, images.n_channels, images.dtype)
    if images.is_lazy:
        source = _LazyWindows(images, places)
    else:
        source = [
            np.asarray(images.source[i]).reshape(*images.size_of(i), images.n_channels)[
                top:bottom, left:right
            ]
            for i, top, bottom, left, right in places
        ]
    windows = Images(source, sizes, images.n_channels, images.dtype, "list")
    windows.owners = np.array([i for i, *_ in places])
    return windows


def _windows_of(size, n_pixels):
    """Windows (top, bottom, left, right) of an image of a size; the whole image if None."""
    height, width = size
    if n_pixels is None:
        return [(0, height, 0, width)]
    # Squares, or as high or wide as the image where that is less.
    side = math.sqrt(n_pixels)
    shape = min(height, max(side, n_pixels / width)), min(width, max(side, n_pixels / height))
    rows, columns = (
        np.linspace(0, n, max(1, round(n / part)) + 1).astype(int).tolist()
        for n, part in zip(size, shape, strict=True)
    )
    return [
        (top, bottom, left, right)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]


class _LazyWindows:
    """Windows of images that are read on access; the last image is kept."""

    def __init__(self, images, places):
        self.images, self.places, self._last = images, places, (None, None)

    def __len__(self):
        return len(self.places)

    def __getitem__(self, key):
        i, top, bottom, left, right = self.places[key]
        if self._last[0] != i:
            image = self.images.stack(slice(i, i + 1))[0].transpose(1, 2, 0)
            self._last = i, image
        return self._last[1][top:bottom, left:right]

    def __getstate__(self):
        return vars(self) | {"_last": (None, None)}
