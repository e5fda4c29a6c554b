"""Layouts of images: rows, stacks and lists, and the one stack that all else works on.

Outside of this module images are channels-first, (n_samples, n_channels, height, width).
"""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from skdeconv._validation import check_shape

_FLOATS = [np.float64, np.float32]


def full_shape(image_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(height, width, n_channels) of an image of shape (L,), (H, W) or (H, W, C)."""
    if len(image_shape) == 1:
        return 1, image_shape[0], 1
    return (*image_shape, 1) if len(image_shape) == 2 else tuple(image_shape)


def check_image_shape(image_shape) -> tuple[int, ...] | None:
    """Validate the constructor parameter ``image_shape``; None stays None."""
    wanted = "a tuple (length,), (height, width) or (height, width, n_channels)"
    return check_shape("image_shape", image_shape, wanted, (1, 2, 3))


def is_image_list(X) -> bool:
    """Whether ``X`` is a list, tuple or object array of images of two or more dimensions."""
    if isinstance(X, np.ndarray):
        if X.dtype != object or X.ndim != 1:
            return False
    elif not isinstance(X, list | tuple):
        return False
    return any(_ndim(image) >= 2 for image in X)


def _ndim(image) -> int:
    """Dimensions of an array, frame or nested sequence, without converting it."""
    if hasattr(image, "ndim"):
        return image.ndim
    if hasattr(image, "shape"):
        return len(image.shape)
    if isinstance(image, list | tuple) and len(image):
        return 1 + _ndim(image[0])
    return 0


def check_images(estimator, X, *, image_shape=None, reset):
    """Validate images in any layout and bring them to one.

    Parameters
    ----------
    estimator : estimator
        Gets ``n_features_in_`` and ``feature_names_in_`` where ``reset``; otherwise its own, and
        ``image_shape_``, are what ``X`` must fit.
    X : array-like, DataFrame or list of images
        Rows, a stack (n, H, W) or (n, H, W, C), or a list of images.
    image_shape : tuple of int or None
        The constructor parameter; only read where ``reset``.
    reset : bool
        True in fit.

    Returns
    -------
    images : ndarray of shape (n_samples, n_channels, height, width), float64 or float32
        The images.
    layout : {"rows", "stack", "list"}
        How they came.
    shape : tuple of int
        Shape of one image as it came: (L,), (H, W) or (H, W, C).
    """
    if is_image_list(X):
        layout, stack = "list", _stack_of_list(estimator, X)
        shape = stack.shape[1:]
        _check_shape(estimator, shape, image_shape, reset)
        if reset:
            forget_features(estimator)
    else:
        layout, stack, shape = _rows_or_stack(estimator, X, image_shape, reset)
    height, width, n_channels = full_shape(shape)
    images = stack.reshape(len(stack), height, width, n_channels).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images), layout, tuple(int(n) for n in shape)


def _rows_or_stack(estimator, X, image_shape, reset):
    """Check rows and stacks by scikit-learn's own rules, flattened first."""
    if not hasattr(X, "shape") and hasattr(X, "__array__"):
        X = np.asarray(X)
    # Not np.ndim(X): array-likes that refuse numpy's functions are legal input.
    ndim = _ndim(X)
    shape = image_shape if reset else estimator.image_shape_
    if ndim > 4:
        raise ValueError(
            f"X has {ndim} dimensions; expected rows (n_samples, n_features), or images "
            "(n_samples, height, width) or (n_samples, height, width, n_channels)."
        )
    if ndim > 2 and not issparse(X):
        X = check_array(
            X, dtype=_FLOATS, allow_nd=True, order="C", estimator=estimator, input_name="X"
        )
        shape = X.shape[1:]
        _check_shape(estimator, shape, image_shape, reset)
        X = X.reshape(len(X), -1)
    X = validate_data(estimator, X, reset=reset, dtype=_FLOATS, order="C")
    if shape is None:
        shape = (X.shape[1],)
        _warn_of_square(X.shape[1])
    elif math.prod(shape) != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features, which does not fit image_shape={shape}: it needs "
            f"{math.prod(shape)}. Pass the image_shape of the rows, or stacks of images."
        )
    return ("stack" if ndim > 2 else "rows"), X, shape


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


def _stack_of_list(estimator, X):
    images = [
        check_array(image, dtype=_FLOATS, allow_nd=True, estimator=estimator, input_name=f"X[{i}]")
        for i, image in enumerate(X)
    ]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise ValueError(
            f"X is a list of images of different shapes, {sorted(shapes)}; they must have one "
            "shape. Crop or pad them first."
        )
    if images[0].ndim > 3:
        raise ValueError(
            f"X is a list of arrays with {images[0].ndim} dimensions; an image has shape "
            "(height, width) or (height, width, n_channels)."
        )
    if images[0].size == 0:
        raise ValueError(f"X is a list of images without channels, of shape {images[0].shape}.")
    return np.stack(images)


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
            f"X holds images of shape {shape}, but "
            f"{'image_shape is' if reset else 'fit has seen images of shape'} {expected}."
        )


def check_one_width(shape, seen, advice):
    """Require images of the size seen in fit, where each becomes a row."""
    if full_shape(shape) != full_shape(seen):
        raise ValueError(
            f"X holds images of shape {shape}, fit has seen {seen}; rows of one width do not exist "
            f"for both.{advice}"
        )


def forget_features(estimator):
    """Drop what an earlier fit on rows or stacks has left, which a list does not overwrite."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(estimator, name):
            delattr(estimator, name)


def images_in_layout(images, layout, shape):
    """Channels-first images in the layout of ``check_images``: rows, a stack or a list."""
    last = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    if layout == "rows":
        return last.reshape(len(last), -1)
    stack = last.reshape(len(last), *shape)
    return list(stack) if layout == "list" else stack
