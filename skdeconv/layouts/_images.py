"""Validation of images in any layout: rows, stacks, lists and lazy sequences become ``Images``.

Inside the package images are channels-first stacks, (n_samples, n_channels, height, width).
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array, validate_data

from skdeconv._utils.validation import check_shape
from skdeconv._utils.warnings import warn
from skdeconv.layouts._collection import Images

# Number of array elements that are searched for NaN at once.
_SEARCHED = 2**22
# Margin to the range of the dtype: sums are larger than their terms, small differences smaller.
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
    """Whether ``X`` is a sequence that is neither a built-in container nor an array."""
    if isinstance(X, list | tuple | Mapping | str | bytes):
        return False
    if hasattr(X, "__array__") or issparse(X):
        return False
    sequence = hasattr(X, "__len__") and hasattr(X, "__getitem__")
    return sequence and len(getattr(X, "shape", (0,))) == 1


def _ndim(image) -> int:
    """Number of dimensions of an array, DataFrame or nested sequence, without converting it."""
    if hasattr(image, "ndim"):
        return image.ndim
    if hasattr(image, "shape"):
        return len(image.shape)
    if isinstance(image, list | tuple) and len(image):
        return 1 + _ndim(image[0])
    return 0


def check_images(estimator, X, *, image_shape=None, reset, allow_nan=True, power=2):
    """Validate images in any layout and convert them to ``Images``.

    Parameters
    ----------
    estimator : estimator
        If ``reset``, its ``n_features_in_`` and ``feature_names_in_`` are set; otherwise ``X`` is
        checked against these and ``image_shape_``.
    X : array-like, DataFrame or sequence of images
        Rows, a stack (n, H, W) or (n, H, W, C), or a list of images of any sizes. A sequence that
        is neither list nor array is read one image at a time, here and later.
    image_shape : tuple of int or None
        The constructor parameter; only used if ``reset``.
    reset : bool
        True in ``fit``, False in all other methods.
    allow_nan : bool, default=True
        Whether NaN marks a missing pixel; otherwise it is an error.
    power : {0, 1, 2}, default=2
        Power of the pixels whose sums must not overflow, nor, in fit, underflow; 0 if no sums are
        computed.

    Returns
    -------
    images : Images
        The images, with their layout and shape as passed.
    """
    image_shape = check_image_shape(image_shape)
    if is_image_list(X):
        images, largest = _of_list(estimator, X, allow_nan)
        _check_shape(estimator, images.image_shape, image_shape, reset)
        if reset:
            forget_features(estimator)
    else:
        layout, stack, shape = _rows_or_stack(estimator, X, image_shape, reset, allow_nan)
        height, width, n_channels = full_shape(shape)
        sizes = np.broadcast_to([height, width], (len(stack), 2))
        shape, largest = tuple(int(n) for n in shape), _largest(stack)
        images = Images(stack, sizes, n_channels, _floating(stack.dtype), layout, shape)
    check_range(largest, images.dtype, power, learning=reset)
    return images


def _floating(*dtypes):
    """float32 if all dtypes are, otherwise float64, also for integers."""
    single = all(dtype.kind == "f" and dtype.itemsize == 4 for dtype in dtypes)
    return np.dtype(np.float32 if single else np.float64)


def _rows_or_stack(estimator, X, image_shape, reset, allow_nan):
    """Check rows and stacks as scikit-learn does.

    The dtype is converted only when images are read, so that a large array, such as a memory map,
    is not copied.
    """
    if not hasattr(X, "shape") and hasattr(X, "__array__"):
        X = np.asarray(X)
    X = _as_array(X)
    # Not np.ndim(X), since array-likes that do not support numpy functions are valid input.
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
        # One image determines the number of features; flattening all of them might copy them.
        validate_data(estimator, X[:1].reshape(1, -1), reset=reset, **rules)
        return "stack", X, shape
    X = _numbers(validate_data(estimator, X, reset=reset, **rules))
    if shape is None:
        shape = (X.shape[1],)
        _warn_of_square(X.shape[1])
    elif None in shape:
        raise ValueError(
            "fit has seen a list of images of different sizes; pass a list of images, not X of "
            f"shape {X.shape}."
        )
    elif math.prod(shape) != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features, which does not fit image_shape={shape}: it needs "
            f"{math.prod(shape)}. Pass the image_shape of the rows, or stacks of images."
        )
    return "rows", X, shape


def _as_array(X):
    """Convert nested sequences to an array, since scikit-learn does not check objects in them."""
    return np.asarray(X) if isinstance(X, list | tuple) else X


def _numbers(X):
    """Convert objects to numbers, or raise: old scikit-learn versions accept frames of text."""
    return X.astype(np.float64) if X.dtype.kind == "O" else X


def _largest(X, first=0) -> float:
    """Largest magnitude of floating-point images, each of which must have a known pixel."""
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
    """Raise if all pixels of an image are missing."""
    for part in gen_batches(len(X), max(1, _SEARCHED // X[0].size)):
        unknown = np.isnan(X[part].reshape(len(X[part]), -1)).all(axis=1)
        if unknown.any():
            index = first + part.start + int(unknown.argmax())
            raise ValueError(
                f"X[{index}] has no known pixel: all its values are NaN. Leave the image out."
            )


def in_native_order(X):
    """Convert an array to the native byte order; anything else is returned unchanged.

    If both floating types are allowed, scikit-learn converts float32 of the other byte order to
    float64.
    """
    if isinstance(X, np.ndarray) and not X.dtype.isnative:
        return X.astype(X.dtype.newbyteorder("="))
    return X


def largest_modulus(values) -> float:
    """Largest magnitude in an array, computed without a copy; NaN if it contains one."""
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def check_range(largest, dtype, power, *, learning=False):
    """Raise if sums of the given power overflow, or underflow in learning.

    ``largest`` is the largest magnitude.
    """
    info, what = np.finfo(dtype), "their squares" if power == 2 else "sums of them"
    highest = (float(info.max) / _ROOM) ** (1 / power) if power else float(info.max)
    lowest = (float(info.tiny) * _ROOM) ** 0.5 if learning and power == 2 else 0.0
    if largest <= highest and not 0 < largest < lowest:
        return
    fault = "overflow" if largest > highest else "underflow"
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
            warn(
                f"Rows of {n_features} features are read as 1-D signals. If they are images, pass "
                f"image_shape={shape}, or a stack of shape (n_samples, height, width); a single "
                "image is X[None].",
                UserWarning,
            )
            return


def _of_list(estimator, X, allow_nan):
    """Check images one by one; those of a lazy sequence are not kept."""
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
    source, n_channels = X if lazy else kept, full_shape(shapes[0])[2]
    one_size = (sizes == sizes[0]).all()
    shape = (*(shapes[0][:2] if one_size else (None, None)), *shapes[0][2:])
    return Images(source, sizes, n_channels, _floating(*dtypes), "list", shape), largest


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
            f"{image.shape}. Height and width may differ, but the number of channels must not."
        )


def _check_shape(estimator, shape, image_shape, reset):
    """Check the shape of one image against ``image_shape`` in fit, and against fit later.

    After a fit on a list only the number of channels must match; ``n_features_in_`` is not set.
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
    """Raise if images to be returned as rows do not have the size seen in fit."""
    if full_shape(shape) != full_shape(seen) or None in shape:
        raise ValueError(
            f"X holds images of {_words(shape)}, but fit has seen {_words(seen)}, so that rows "
            f"would differ in width.{advice}"
        )


def forget_features(estimator):
    """Delete the attributes of a fit on rows or stacks that a fit on a list does not set."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            delattr(estimator, name)


def images_in_layout(images, layout, shape):
    """Convert channels-first images to the layout in which images were passed.

    Parameters
    ----------
    images : ndarray of shape (n_samples, n_channels, height, width), or list of arrays of shape \
            (n_channels, height, width)
        The images; a list only if ``layout`` is "list".
    layout : {"rows", "stack", "list"}
        Layout to return.
    shape : tuple
        Shape of one image. For lists only its length is used.
    """
    if layout == "list":
        last = [np.ascontiguousarray(image.transpose(1, 2, 0)) for image in images]
        return [image[:, :, 0] for image in last] if len(shape) == 2 else last
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return last.reshape(len(last), *(shape if layout == "stack" else (-1,)))
