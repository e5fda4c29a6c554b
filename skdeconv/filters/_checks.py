"""Validation of filter size, connectivity and initial filters."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.utils.validation import check_array

from skdeconv._utils.parameters import of_each_axis
from skdeconv._utils.validation import check_integer
from skdeconv.layouts import plain


def check_filter_size(filter_size, size, name="filter_size", fitted=None) -> tuple[int, int]:
    """Check a filter size and return (h, w).

    ``size`` is the largest height and the largest width of the images. If one of them is 1, an
    integer is the size along the other axis. ``fitted`` are filters (n_filters, h, w, n_channels)
    that the images continue, if any: an integer that has given their size gives it again, for
    images of any size.
    """
    if isinstance(filter_size, tuple | list):
        if len(filter_size) != 2:
            raise ValueError(f"{name} must be an integer or a pair, got {filter_size!r}.")
        h, w = (check_integer(name, side, min_val=1) for side in filter_size)
        return h, w
    if not isinstance(filter_size, Integral):
        raise TypeError(f"{name} must be an integer or a pair, got {filter_size!r}.")
    side = check_integer(name, filter_size, min_val=1)
    if fitted is not None and fitted.shape[1:3] in ((side, side), (1, side), (side, 1)):
        return fitted.shape[1:3]
    return of_each_axis(side, size)


def check_connectivity(connectivity, n_filters, n_channels) -> np.ndarray | None:
    """Check that connectivity is None or a boolean array with a True in every row."""
    if connectivity is None:
        return None
    try:
        array = np.asarray(connectivity)
    except ValueError as error:
        raise ValueError(f"connectivity must not be ragged, got {connectivity!r}.") from error
    if array.dtype != bool:
        raise TypeError(
            f"connectivity must be a boolean array of shape (n_filters, n_channels), or None; got "
            f"{connectivity!r}."
        )
    if array.shape != (n_filters, n_channels):
        raise ValueError(
            f"connectivity must be of shape (n_filters, n_channels) = {(n_filters, n_channels)}, "
            f"got {array.shape}."
        )
    if not array.any(axis=1).all():
        rows = np.flatnonzero(~array.any(axis=1)).tolist()
        raise ValueError(
            f"connectivity must connect every filter to a channel; rows {rows} are all False."
        )
    return array


def check_any_filters(name, filters) -> np.ndarray:
    """Check filters of any number and size; returns them as (n_filters, h, w, n_channels)."""
    which = name if name == "filters" else f"The filters of {name}"
    filters = _as_filters(name, filters, "an array of filters", f"{which} must be finite numbers")
    if filters.ndim != 4 or not filters.size:
        advice = " Signals have filters of height 1; a single filter is filters[None]."
        raise ValueError(
            f"{which} must be of shape (n_filters, h, w, n_channels) or (n_filters, h, w), got "
            f"{filters.shape}.{advice if filters.ndim == 2 else ''}"
        )
    return filters


def check_filters(name, filters, shape, dtype) -> np.ndarray:
    """Check filters of the given public shape; returns them as (n_filters, n_channels, h, w)."""
    wanted = f"an array of filters of shape {shape}"
    array = _as_filters(name, filters, wanted, f"{name} must be {wanted}")
    if array.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {array.shape}.")
    with np.errstate(over="ignore"):
        filters = np.ascontiguousarray(array.transpose(0, 3, 1, 2)).astype(dtype)
    if not np.isfinite(filters).all():
        raise ValueError(
            f"{name} exceeds the range of {filters.dtype}, the dtype of the images; scale it, or "
            "pass images in float64."
        )
    return filters


def _as_filters(name, filters, wanted, fault):
    """Array of finite numbers, with the channel axis that three dimensions lack."""
    if not hasattr(filters, "__array__") and not isinstance(filters, list | tuple):
        raise TypeError(f"{name} must be {wanted}, got {filters!r}.")
    kind = {"dtype": [np.float64, np.float32], "ensure_2d": False, "allow_nd": True}
    try:
        array = check_array(plain(filters), **kind, input_name=name)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{fault}: {error}") from error
    return array[..., None] if array.ndim == 3 else array
