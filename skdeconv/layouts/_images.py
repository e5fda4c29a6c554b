"""Validation of images in any layout: rows, stacks, lists and lazy sequences become ``Images``.

Inside the package images are channels-first stacks, (n_samples, n_channels, height, width).
"""

from __future__ import annotations

import math
import reprlib

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_array, validate_data

from skdeconv._utils.validation import check_shape
from skdeconv._utils.warnings import warn_of_trap
from skdeconv.layouts._collection import Images, full_shape
from skdeconv.layouts._containers import (
    array_of,
    column_of_images,
    is_image_list,
    is_lazy,
    is_ragged,
    ndim_of,
    unpacked,
)
from skdeconv.layouts._traps import layout_trap

# Number of array elements that are searched for NaN at once.
_SEARCHED = 2**22
# Margin to the range of the dtype: sums are larger than their terms, small differences smaller.
_ROOM = 2.0**20


def check_image_shape(image_shape) -> tuple[int, ...] | None:
    """Validate the constructor parameter ``image_shape``; None stays None."""
    wanted = "a tuple (length,), (height, width) or (height, width, n_channels)"
    return check_shape("image_shape", image_shape, wanted, (1, 2, 3))


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
    image_shape, X = check_image_shape(image_shape), unpacked(X)
    if is_image_list(X) or is_ragged(X):
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
    images.trap = layout_trap(images, known_shape=not reset or image_shape is not None)
    if images.trap:
        warn_of_trap(images.trap)
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
    # scikit-learn does not check objects in nested sequences.
    X = array_of(X) if isinstance(X, list | tuple) else X
    # Not np.ndim(X), since array-likes that do not support numpy functions are valid input.
    ndim = ndim_of(X)
    if ndim > 4:
        raise ValueError(
            f"X has {ndim} dimensions; expected rows (n_samples, n_features), or images "
            "(n_samples, height, width) or (n_samples, height, width, n_channels)."
        )
    rules = {"dtype": "numeric", "ensure_all_finite": "allow-nan" if allow_nan else True}
    if ndim > 2 and not issparse(X):
        X = _numbers(check_array(X, allow_nd=True, estimator=estimator, input_name="X", **rules))
        _check_shape(estimator, X.shape[1:], image_shape, reset)
        if not X[0].size:
            raise ValueError(f"X of shape {X.shape} holds images of 0 features: without pixels.")
        if reset:
            # One image determines the number of features; flattening all might copy them.
            validate_data(estimator, X[:1].reshape(1, -1), **rules)
        return "stack", X, X.shape[1:]
    try:
        X = _numbers(validate_data(estimator, X, reset=reset, **rules))
    except (TypeError, ValueError) as error:
        if (name := column_of_images(X)) is not None:
            advice = f"Column {name!r} holds images or signals: pass X[{name!r}]."
        elif not isinstance(error, ValueError):
            raise
        elif ndim == 1:
            advice = "If X is a single signal, pass skdeconv.preprocessing.as_signals(X)."
        elif reset or ndim != 2 or X.shape[1] == getattr(estimator, "n_features_in_", X.shape[1]):
            raise
        else:
            advice = _of_another_size(estimator.image_shape_)
        raise ValueError(f"{error}\n{advice}") from None
    return "rows", X, _shape_of_rows(X, image_shape if reset else estimator.image_shape_)


def _shape_of_rows(X, shape):
    """Shape of one image of rows, which ``shape`` gives unless it is None or ragged signals."""
    if shape is None or shape == (None,):
        return (X.shape[1],)
    if None in shape:
        raise ValueError(
            f"X has shape {X.shape}, but the shape of the images in its rows is not known, since "
            "fit has seen a list of images of different sizes, or none. Pass a list of images, or "
            "a stack (n_samples, height, width); signals as skdeconv.preprocessing.as_signals(X)."
        )
    if math.prod(shape) != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features, which does not fit image_shape={shape}: it needs "
            f"{math.prod(shape)}. Pass the image_shape of the rows, or stacks of images."
        )
    return shape


def _of_another_size(shape):
    """How to pass images that have not the size seen in fit."""
    if len(shape) == 1:
        return (
            "Rows have the width seen in fit; pass signals of other lengths as "
            "skdeconv.preprocessing.as_signals(X)."
        )
    return (
        "Rows have the width seen in fit; pass images of other sizes as a stack (n_samples, "
        "height, width), or as a list. A single image is X[None]."
    )


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


def _of_list(estimator, X, allow_nan):
    """Check images one by one; those of a lazy sequence are not kept."""
    lazy = is_lazy(X)
    kept, shapes, dtypes, largest = [], [], set(), 0.0
    for i in range(len(X)):
        image = X[i]
        _check_kind(image, shapes, i)
        image = check_array(
            array_of(image),
            dtype="numeric",
            ensure_2d=False,
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
    sizes = np.array([full_shape(shape)[:2] for shape in shapes])
    source, n_channels = X if lazy else kept, full_shape(shapes[0])[2]
    one_size = (sizes == sizes[0]).all()
    shape = shapes[0] if one_size else without_size(shapes[0])
    return Images(source, sizes, n_channels, _floating(*dtypes), "list", shape), largest


def check_unpaired(image, i):
    """Raise if an element of a list is a pair of an image or a signal and its label."""
    is_pair = isinstance(image, list | tuple) and len(image) == 2
    if is_pair and ndim_of(image[0]) >= 1 and ndim_of(image[1]) == 0:
        what, name = ("a signal", "signal") if ndim_of(image[0]) == 1 else ("an image", "image")
        raise ValueError(
            f"X[{i}] is a pair of {what} and {image[1]!r}. Pass {name}s and labels separately: "
            f"[{name} for {name}, _ in X], and y=[label for _, label in X]."
        )


def _check_kind(image, shapes, i):
    """Raise if an element of a list is not what the first one is, an image or a signal."""
    check_unpaired(image, i)
    signals = len(shapes[0]) == 1 if shapes else ndim_of(image) == 1
    if signals != (ndim_of(image) == 1) or ndim_of(image) == 0:
        kind = "signals" if signals and shapes else "images"
        raise ValueError(
            f"X is a list of {kind}, and X[{i}] is {reprlib.repr(image)}; an image has shape "
            "(height, width) or (height, width, n_channels), a signal (length,)."
        )


def _check_one(image, first_shape, i):
    if image.ndim > 3:
        raise ValueError(
            f"X is a list of arrays with {image.ndim} dimensions; an image has shape (height, "
            "width) or (height, width, n_channels)."
        )
    if image.size == 0:
        raise ValueError(f"X[{i}] is an image without channels, of shape {image.shape}.")
    if full_shape(image.shape)[2] != full_shape(first_shape)[2]:
        raise ValueError(
            f"X is a list of images of different shapes: X[0] has {first_shape}, X[{i}] "
            f"{image.shape}. Height and width may differ, but the number of channels must not."
        )


def _check_shape(estimator, shape, image_shape, reset):
    """Check the shape of one image against ``image_shape`` in fit, and its channels later."""
    if reset and image_shape is not None and full_shape(shape) != full_shape(image_shape):
        raise ValueError(f"X holds images of {_words(shape)}, but image_shape is {image_shape}.")
    if reset:
        return
    if len(shape) == 1 and len(estimator.image_shape_) > 1 and estimator.image_shape_[0] != 1:
        raise ValueError(
            f"X is a list of signals, but {_seen(estimator)} images. Pass images of shape (height, "
            "width) or (height, width, n_channels), or skdeconv.preprocessing.as_signals(X)."
        )
    got, wanted = full_shape(shape)[2], full_shape(estimator.image_shape_)[2]
    if got != wanted:
        raise ValueError(
            f"X holds images of {_words(shape)}, with {got} channels, but {_seen(estimator)} "
            f"images with {wanted}. Images may have any size, but need the same number of channels."
            " A single image is X[None]."
        )


def _seen(estimator):
    """Where the shape of images is from, which is not a fit if the filters were given."""
    given = None in estimator.image_shape_ and getattr(estimator, "_layout", "list") == "stack"
    return "the filters are those of" if given else "fit has seen"


def _words(shape):
    return "different shapes" if None in shape else f"shape {tuple(shape)}"


def without_size(shape: tuple) -> tuple:
    """Shape of one image, with None for its height and width, or for the length of a signal."""
    return (None,) * min(len(shape), 2) + tuple(shape[2:])


def check_one_width(shape, seen):
    """Raise if images to be returned as rows do not have the size seen in fit."""
    if full_shape(shape) != full_shape(seen) or None in shape:
        but = "" if None in shape else f", but fit has seen {_words(seen)}"
        way = ""
        if but and None in seen:
            but += ", or none"
            way = " A fit with max_iter=0 to images of one size keeps the filters."
        raise ValueError(
            f"X holds images of {_words(shape)}{but}, so that rows would differ in width. Use "
            f'output="maps", which takes images of any size.{way}'
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
        if len(shape) == 3:
            return last
        last = [image[..., 0] for image in last]
        return [image[0] if len(shape) == len(image) == 1 else image for image in last]
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return last.reshape(len(last), *(shape if layout == "stack" else (-1,)))
