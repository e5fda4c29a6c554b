"""Division of the maps of an image into blocks, and the pixels under the filters of a block."""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np


class Span(NamedTuple):
    """Consecutive map positions along one axis, and the pixels under the filters placed there.

    ``margins`` are the numbers of filter taps before the first and after the last of these pixels,
    outside of the image. ``shifts`` has a triple for each tap that reaches the image from any of
    the positions: the tap, and the slices of ``pixels`` and of ``places`` that it connects.
    """

    places: slice
    pixels: slice
    margins: tuple[int, int]
    shifts: list[tuple[int, slice, slice]]


def slices(n: int, size: int) -> list[slice]:
    """Consecutive slices of ``size`` that cover ``range(n)``; the last one may be shorter."""
    return [slice(first, min(first + size, n)) for first in range(0, n, size)]


def blocks(image_shape, filter_size, at_once: int) -> list[tuple[Span, Span, slice]]:
    """Divide maps into bands of rows or, if a row is too large, into parts of rows.

    Parameters
    ----------
    image_shape, filter_size : tuple of two ints
        Height and width of the image, and of the filters.
    at_once : int
        Maximum number of map positions of a block, at least 1.

    Returns
    -------
    blocks : list of triples (Span, Span, slice)
        Rows and columns of each block, and its positions in the flattened map, which are
        consecutive.
    """
    height, width = (n + taps - 1 for n, taps in zip(image_shape, filter_size, strict=True))
    spans = [
        [_span(places, n, taps) for places in slices(length, size)]
        for length, size, n, taps in zip(
            (height, width),
            (max(1, at_once // width), min(width, at_once)),
            image_shape,
            filter_size,
            strict=True,
        )
    ]
    return [(*pair, _flat(*pair, width)) for pair in product(*spans)]


def _flat(rows, columns, width):
    first, last = rows.places.start, rows.places.stop - 1
    return slice(first * width + columns.places.start, last * width + columns.places.stop)


def _span(places, n_pixels, n_taps):
    before = places.start - n_taps + 1
    pixels = slice(max(0, before), min(n_pixels, places.stop))
    margins = pixels.start - before, places.stop - pixels.stop
    sizes = places.stop - places.start, pixels.stop - pixels.start
    return Span(places, pixels, margins, _shifts(n_taps, margins[0], *sizes))


# Most blocks of an image have the same.
@lru_cache(maxsize=256)
def _shifts(n_taps, margin, n_places, n_pixels):
    shifts = []
    for tap in range(n_taps):
        # The pixel under this tap at the first position.
        first = tap - margin
        start, stop = max(first, 0), min(first + n_places, n_pixels)
        if start < stop:
            shifts.append((tap, slice(start, stop), slice(start - first, stop - first)))
    return shifts


def overlap(planes: np.ndarray, axis: int, span: Span) -> np.ndarray:
    """Sum the planes of all taps along the first axis, each shifted by its tap and cropped.

    ``axis`` of ``planes`` has the positions of the span, and becomes that of its pixels.
    """
    if len(planes) == 1:
        return planes[0]
    ahead = (slice(None),) * (axis - 1)
    shifts = iter(span.shifts)
    tap, pixels, places = next(shifts)
    n_pixels = span.pixels.stop - span.pixels.start
    if pixels.stop - pixels.start == n_pixels:
        total = planes[tap][*ahead, places].copy()
    else:
        shape = list(planes.shape[1:])
        shape[axis - 1], shifts = n_pixels, span.shifts
        total = np.zeros(shape, dtype=planes.dtype)
    for tap, pixels, places in shifts:
        total[*ahead, pixels] += planes[tap][*ahead, places]
    return total
