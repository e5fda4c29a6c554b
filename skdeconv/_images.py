"""Layouts of images: rows, stacks, lists and lazy sequences, as the one collection inside.

Inside images are channels-first, (n_samples, n_channels, height, width), in stacks of one size.
"""

from __future__ import annotations

import math
import reprlib
import warnings
from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array, validate_data

from skdeconv._collection import Images
from skdeconv._validation import check_shape

# Numbers that are searched for missing ones at once.
_SEARCHED = 2**22
# What sums may add to a number, and small differences take from it.
_ROOM = 2.0**20


def full_shape(image_shape: tuple) -> tuple:
    """(height, width, n_channels) of an image of shape (L,), (H, W) or (H, W, C)."""
    if len(image_shape) == 1:
        return 1, image_shape[0], 1
    return (*image_shape, 1) if len(image_shape) == 2 else tuple(image_shape)


def check_image_shape(image_shape) -> tuple[int, ...] | None:
    """Validate the constructor parameter ``image_shape``; None stays None."""
    wanted = "a tuple (length,), (height, width) or (height, width, n_channels)"
    return check_shape("image_shape", image_shape, wanted, (1, 2, 3))


def is_image_list(X) -> bool:
    """Whether ``X`` is a list, tuple, object array or lazy sequence of arrays of >= 2 axes."""
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and any(_ndim(image) >= 2 for image in X)
    if isinstance(X, list | tuple):
        return any(_ndim(image) >= 2 for image in X)
    return _is_lazy(X) and len(X) > 0 and _ndim(X[0]) >= 2


def _is_lazy(X):
    """Whether ``X`` is a sequence that is neither a container of Python nor an array."""
    if isinstance(X, list | tuple | Mapping | str | bytes):
        return False
    if hasattr(X, "__array__") or issparse(X):
        return False
    sequence = hasattr(X, "__len__") and hasattr(X, "__getitem__")
    return sequence and len(getattr(X, "shape", (0,))) == 1


def _ndim(image) -> int:
    """Dimensions of an array, frame or nested sequence, without converting it."""
    if hasattr(image, "ndim"):
        return image.ndim
    if hasattr(image, "shape"):
        return len(image.shape)
    if isinstance(image, list | tuple) and len(image):
        return 1 + _ndim(image[0])
    return 0


def check_images(estimator, X, *, image_shape=None, reset, allow_nan=True, power=2):
    """Validate images in any layout and bring them to one.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_`` where ``reset``; otherwise its own, and
        ``image_shape_``, are what ``X`` must fit.
    X : array-like, DataFrame or sequence of images
        Rows, a stack (n, H, W) or (n, H, W, C), or a list of images of any sizes. A sequence that
        is neither list nor array is read an image at a time, here and wherever it is looked at.
    image_shape : tuple of int or None
        The constructor parameter; only read where ``reset``.
    reset : bool
        True in fit.
    allow_nan : bool, default=True
        Whether NaN marks a missing pixel; otherwise it is an error.
    power : {0, 1, 2}, default=2
        Of which power of the pixels sums are to be computed, which must not overflow, nor all
        vanish in fit; 0 for none.

    Returns
    -------
    images : Images
        The images.
    layout : {"rows", "stack", "list"}
        How they came.
    shape : tuple
        Shape of one image as it came: (L,), (H, W) or (H, W, C). Height and width are None where
        they differ.
    """
    if is_image_list(X):
        images, shape, largest = _of_list(estimator, X, allow_nan)
        _check_shape(estimator, shape, image_shape, reset)
        if reset:
            forget_features(estimator)
        layout = "list"
    else:
        layout, stack, shape = _rows_or_stack(estimator, X, image_shape, reset, allow_nan)
        height, width, n_channels = full_shape(shape)
        sizes = np.broadcast_to([height, width], (len(stack), 2))
        shape, largest = tuple(int(n) for n in shape), _largest(stack)
        images = Images(stack, sizes, n_channels, _floating(stack.dtype))
    check_range(largest, images.dtype, power, learning=reset)
    return images, layout, shape


def _floating(*dtypes):
    """float32 if all are, otherwise float64; integers become float64."""
    single = all(dtype.kind == "f" and dtype.itemsize == 4 for dtype in dtypes)
    return np.dtype(np.float32 if single else np.float64)


def _rows_or_stack(estimator, X, image_shape, reset, allow_nan):
    """Check rows and stacks by scikit-learn's own rules.

    Numbers stay as they are until they are looked at: a large array, maybe one that is mapped from
    a file, is not copied.
    """
    if not hasattr(X, "shape") and hasattr(X, "__array__"):
        X = np.asarray(X)
    X = _as_array(X)
    # Not np.ndim(X): array-likes that refuse numpy's functions are legal input.
    ndim = _ndim(X)
    shape = image_shape if reset else estimator.image_shape_
    if ndim > 4:
        raise ValueError(
            f"X has {ndim} dimensions; expected rows (n_samples, n_features), or images "
            "(n_samples, height, width) or (n_samples, height, width, n_channels)."
        )
    rules = {"dtype": "numeric", "ensure_all_finite": "allow-nan" if allow_nan else True}
    if ndim > 2 and not issparse(X):
        X = _numbers(check_array(X, allow_nd=True, estimator=estimator, input_name="X", **rules))
        shape = X.shape[1:]
        _check_shape(estimator, shape, image_shape, reset)
        # One image tells the number of features; to flatten all of them might be to copy them.
        validate_data(estimator, X[:1].reshape(1, -1), reset=reset, **rules)
        return "stack", X, shape
    X = _numbers(validate_data(estimator, X, reset=reset, **rules))
    if shape is None:
        shape = (X.shape[1],)
        _warn_of_square(X.shape[1])
    elif None in shape:
        raise ValueError(
            f"fit has seen a list of images of different sizes; pass one, not X of shape {X.shape}."
        )
    elif math.prod(shape) != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features, which does not fit image_shape={shape}: it needs "
            f"{math.prod(shape)}. Pass the image_shape of the rows, or stacks of images."
        )
    return "rows", X, shape


def _as_array(X):
    """Nested sequences as an array; scikit-learn leaves the objects in them unchecked."""
    return np.asarray(X) if isinstance(X, list | tuple) else X


def _numbers(X):
    """Numbers of objects, or scikit-learn's error: old versions let frames of text pass."""
    return X.astype(np.float64) if X.dtype.kind == "O" else X


def _largest(X, first=0) -> float:
    """Largest modulus of images of a floating type, each of which must have a known pixel."""
    if X.dtype.kind not in "biuf":
        raise TypeError(f"X must hold real numbers, got {X.dtype}.")
    if X.dtype.kind != "f":
        return 0.0
    largest = largest_modulus(X)
    if math.isnan(largest):
        _check_known(X, first)
        largest = max(float(np.fmax.reduce(X, axis=None)), -float(np.fmin.reduce(X, axis=None)))
    return largest


def _check_known(X, first):
    """Require that each image has a pixel that is not missing."""
    for part in gen_batches(len(X), max(1, _SEARCHED // X[0].size)):
        unknown = np.isnan(X[part].reshape(len(X[part]), -1)).all(axis=1)
        if unknown.any():
            index = first + part.start + int(unknown.argmax())
            raise ValueError(
                f"X[{index}] has no known pixel: all its values are NaN. Leave the image out."
            )


def in_native_order(X):
    """An array in the byte order of the machine; anything else as it is.

    scikit-learn would make float64 of float32 in the other order, where it is asked for either.
    """
    if isinstance(X, np.ndarray) and not X.dtype.isnative:
        return X.astype(X.dtype.newbyteorder("="))
    return X


def largest_modulus(values) -> float:
    """Largest modulus of an array, without a copy of it; NaN where it holds one."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def check_range(largest, dtype, power, *, learning=False):
    """Require of the largest modulus that sums of its power fit into a floating type.

    And that they do not all vanish, where something is to be learned from them.
    """
    info, what = np.finfo(dtype), "their squares" if power == 2 else "sums of them"
    highest = (float(info.max) / _ROOM) ** (1 / power) if power else float(info.max)
    lowest = (float(info.tiny) * _ROOM) ** 0.5 if learning and power == 2 else 0.0
    if largest <= highest and not 0 < largest < lowest:
        return
    fault = "overflow" if largest > highest else "vanish"
    limit = f"above {highest:.1e}" if largest > highest else f"below {lowest:.1e}"
    raise ValueError(
        f"X has values of up to {largest:.3g}; {limit} {what} {fault} in {info.dtype}. Scale X"
        f"{', or pass it as float64' if info.bits < 64 else ''}."
    )


def _warn_of_square(n_features):
    for channels in (1, 3):
        side = math.isqrt(n_features // channels)
        if side >= 8 and side * side * channels == n_features:
            shape = (side, side) if channels == 1 else (side, side, channels)
            warnings.warn(
                f"Rows of {n_features} features are read as 1-D signals. If they are images, pass "
                f"image_shape={shape}, or a stack of shape (n_samples, height, width); a single "
                "image is X[None].",
                UserWarning,
                # Of who called fit: this, _rows_or_stack, check_images, fit.
                stacklevel=5,
            )
            return


def _of_list(estimator, X, allow_nan):
    """Check images one by one; those that are read on access are not kept."""
    lazy = _is_lazy(X)
    kept, shapes, dtypes, largest = [], [], set(), 0.0
    for i in range(len(X)):
        image = X[i]
        if _ndim(image) < 2:
            raise ValueError(
                f"X is a list of images, and X[{i}] is {reprlib.repr(image)}; an image has shape "
                "(height, width) or (height, width, n_channels)."
            )
        image = check_array(
            _as_array(image),
            dtype="numeric",
            allow_nd=True,
            ensure_all_finite="allow-nan" if allow_nan else True,
            estimator=estimator,
            input_name=f"X[{i}]",
        )
        _check_one(image, shapes[0] if shapes else image.shape, i)
        largest = max(largest, _largest(image[None], first=i))
        shapes.append(image.shape)
        dtypes.add(image.dtype)
        if not lazy:
            kept.append(image)
    sizes = np.array([shape[:2] for shape in shapes])
    images = Images(X if lazy else kept, sizes, full_shape(shapes[0])[2], _floating(*dtypes))
    height_and_width = images.size or (None, None)
    return images, (*height_and_width, *shapes[0][2:]), largest


def _check_one(image, first_shape, i):
    if image.ndim > 3:
        raise ValueError(
            f"X is a list of arrays with {image.ndim} dimensions; an image has shape (height, "
            "width) or (height, width, n_channels)."
        )
    if image.size == 0:
        raise ValueError(f"X[{i}] is an image without channels, of shape {image.shape}.")
    if image.shape[2:] != first_shape[2:]:
        raise ValueError(
            f"X is a list of images of different shapes: X[0] has {first_shape}, X[{i}] "
            f"{image.shape}. Height and width may differ, the channels must not."
        )


def _check_shape(estimator, shape, image_shape, reset):
    """Compare one image's shape with ``image_shape`` in fit, later with what fit has seen.

    Of a list fit fixes the number of channels alone, and sets no ``n_features_in_``.
    """
    expected = image_shape if reset else estimator.image_shape_
    if expected is None:
        return
    got, wanted = full_shape(shape), full_shape(expected)
    if not (reset or hasattr(estimator, "n_features_in_")):
        got, wanted = got[2], wanted[2]
    if got != wanted:
        raise ValueError(
            f"X holds images of {_words(shape)}, but "
            f"{'image_shape is' if reset else 'fit has seen images of shape'} {expected}."
        )


def _words(shape):
    return "different shapes" if None in shape else f"shape {shape}"


def check_one_width(shape, seen, advice):
    """Require images of the size seen in fit, where each becomes a row."""
    if full_shape(shape) != full_shape(seen) or None in shape:
        raise ValueError(
            f"X holds images of {_words(shape)}, fit has seen {_words(seen)}; rows of one width do "
            f"not exist for both.{advice}"
        )


def forget_features(estimator):
    """Drop what an earlier fit on rows or stacks has left, which a list does not overwrite."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            delattr(estimator, name)


def images_in_layout(images, layout, shape):
    """Channels-first images in the layout of ``check_images``.

    Parameters
    ----------
    images : ndarray of shape (n_samples, n_channels, height, width), or list of arrays of shape \
            (n_channels, height, width)
        The images; a list only in the layout of a list.
    layout : {"rows", "stack", "list"}
        What they are to become.
    shape : tuple
        Shape of one image. Of a list only its number of dimensions counts.
    """
    if layout == "list":
        last = [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in images]
        return [image[:, :, 0] for image in last] if len(shape) == 2 else last
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return last.reshape(len(last), *(shape if layout == "stack" else (-1,)))
