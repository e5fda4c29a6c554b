"""Layouts that are read in another way than they were probably meant."""

from __future__ import annotations

import math

import numpy as np

# Smaller images, and rows of smaller photos, are left alone.
_LEAST_SIDE, _LEAST_PIXELS = 32, 1000
# Most channels that are looked for on another axis than the last of four.
_MOST_CHANNELS, _LONG = 8, 100
# Median correlation of consecutive rows of a photo, or of its channels, and how far that of rows is
# above that of random rows.
_CORRELATION, _MARGIN = 0.75, 0.4
# Number of pairs of rows that are compared, largest shift between copies, and the number of pixels
# along each axis by which channels are compared.
_PAIRS, _SHIFTS, _FEW = 64, 64, 64


def layout_trap(images, *, known_shape: bool) -> str | None:
    """Message on a layout that was probably meant differently, or None.

    Parameters
    ----------
    images : Images
        The images, as they were read.
    known_shape : bool
        Whether the shape of the images in rows is known.

    Returns
    -------
    message : str or None
        How X is read, and what to do if that was not meant.
    """
    if images.layout == "stack":
        return _trap_of_stack(images.source)
    if images.layout == "rows" and not known_shape:
        return _trap_of_rows(images.source)
    if images.layout == "list" and len(images.image_shape) == 2:
        return _trap_of_list(images.sizes)
    return None


def _trap_of_stack(X):
    shape = X.shape
    n, *middle, last = shape
    images = f"{n} image{'s' * (n != 1)}"
    large = min(n, middle[0]) >= _LEAST_SIDE and n * middle[0] >= _LEAST_PIXELS
    if len(shape) == 3 and last in (3, 4) and large:
        return (
            f"X of shape {shape} is read as {images} of {middle[0]} x {last} pixels. If it is a "
            f"single photo with {last} channels, pass X[None]; if it holds signals, pass "
            'skdeconv.preprocessing.as_signals(X, channels="last").'
        )
    if len(shape) == 3 and last * middle[0] == 1 and n >= _LEAST_PIXELS:
        return _of_one_sample(shape)
    if len(shape) == 3 and (where := _channels_of_signals(middle[0], last)):
        channels = middle[0] if where == "first" else last
        return (
            f"X of shape {shape} is read as {images} of {middle[0]} x {last} pixels. If it holds "
            f"signals of {channels} channels, pass "
            f'skdeconv.preprocessing.as_signals(X, channels="{where}").'
        )
    if len(shape) == n == 3 and _are_channels(X):
        return (
            f"X of shape {shape} is read as 3 images of {middle[0]} x {last} pixels, which are as "
            "similar as the channels of a photo. If it is a single photo with the channels first, "
            "pass X.transpose(1, 2, 0)[None]."
        )
    if len(shape) == 4:
        channels, height = middle
        large = min(height, last) >= _LEAST_SIDE and height * last >= _LEAST_PIXELS
        if large and (channels in (2, 3, 4) or (channels == 1 and height == last)):
            return (
                f"X of shape {shape} is read as {images} of {channels} x {height} pixels with "
                f"{last} channels. If the channels come first, pass X.transpose(0, 2, 3, 1)."
            )
    return None


def _trap_of_list(sizes):
    """The same for a list, all elements of which must have as many channels."""
    where = _channels_of_signals(*sizes[sizes.prod(axis=1).argmax()])
    numbers = np.unique(sizes[:, 0 if where == "first" else 1])
    if where is None or len(numbers) > 1:
        return None
    height, width = sizes[0]
    return (
        f"X is a list of {len(sizes)} arrays that are read as images, the first of {height} x "
        f"{width} pixels. If they are signals of {numbers[0]} channels, pass "
        f'skdeconv.preprocessing.as_signals(X, channels="{where}").'
    )


def _channels_of_signals(height, width):
    """Where the channels are, "first" or "last", if an image may be a signal, otherwise None."""
    if height * width < _LEAST_PIXELS:
        return None
    for channels, length, where in [(height, width, "first"), (width, height, "last")]:
        if 1 < channels <= _MOST_CHANNELS and length >= _LONG:
            return where
    return None


def _trap_of_rows(X):
    n_samples, n_features = X.shape
    if n_features == 1 and n_samples >= _LEAST_PIXELS:
        return _of_one_sample(X.shape)
    if _is_photo(X):
        return (
            f"X of shape {X.shape} is read as {n_samples} signals, the rows, but consecutive rows "
            "are as similar as those of a photo. If it is a single image, pass X[None]; a stack of "
            "images has the shape (n_samples, height, width)."
        )
    for channels in (1, 3):
        side = math.isqrt(n_features // channels)
        if side >= 8 and side * side * channels == n_features:
            shape = (side, side) if channels == 1 else (side, side, channels)
            return (
                f"Rows of {n_features} features are read as 1-D signals. If they are images, pass "
                f"image_shape={shape}, or a stack of shape (n_samples, height, width); a single "
                "image is X[None]."
            )
    return None


def _of_one_sample(shape):
    return (
        f"X of shape {shape} is read as {shape[0]} signals of one sample. If it is a single "
        "signal, pass skdeconv.preprocessing.as_signals(X.ravel())."
    )


def _is_photo(X):
    """Whether consecutive rows correlate as in a photo, and are no shifted copies of each other."""
    if min(X.shape) < _LEAST_SIDE or X.size < _LEAST_PIXELS:
        return False
    n_rows = len(X)
    first = np.linspace(0, n_rows - 2, min(_PAIRS, n_rows - 1)).astype(int)
    random = np.random.RandomState(0).randint(n_rows, size=(2, len(first)))
    random[1] += random[1] == random[0]
    of_any = _correlation(X[random[0]], X[random[1] % n_rows])
    alike = _correlation(X[first], X[first + 1]) > max(_CORRELATION, of_any + _MARGIN)
    return alike and not _are_shifted(X[first], X[first + 1])


def _are_channels(X):
    """Whether images are large, and as similar to each other as the channels of a photo."""
    _, height, width = X.shape
    if min(height, width) < _LEAST_SIDE or height * width < _LEAST_PIXELS:
        return False
    few = X[:, :: math.ceil(height / _FEW), :: math.ceil(width / _FEW)].reshape(len(X), -1)
    return _correlation(few[:-1], few[1:]) > _CORRELATION


def _correlation(some, others):
    """Median correlation of pairs of rows; NaN if none is defined."""
    some, others = (_standardised(rows) for rows in (some, others))
    products = (some * others).mean(axis=1)
    products = products[np.isfinite(products)]
    return np.median(products) if len(products) else np.nan


def _standardised(rows):
    rows = rows.astype(np.float64)
    with np.errstate(all="ignore"):
        largest = np.abs(rows).max(axis=1, keepdims=True)
        rows = rows / largest
        rows -= rows.mean(axis=1, keepdims=True)
        return rows / rows.std(axis=1, keepdims=True)


def _are_shifted(some, others):
    """Whether most rows are shifted copies of the others, as in windows cut from a signal."""
    some, others = some.astype(np.float64), others.astype(np.float64)
    near = 1e-6 * np.abs(some).max(axis=1)
    copies = np.zeros(len(some), dtype=bool)
    for shift in range(1, min(_SHIFTS, some.shape[1] // 2) + 1):
        for one, other in ((some, others), (others, some)):
            copies |= np.abs(one[:, shift:] - other[:, :-shift]).max(axis=1) <= near
    return copies.mean() > 0.5
