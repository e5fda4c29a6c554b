"""Containers of other packages: what they hold becomes an array, a list, or stays a sequence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.sparse import issparse


def plain(X):
    """Convert array-likes to arrays of the native byte order, with NaN for masked entries.

    Data frames, sparse matrices and sequences are returned unchanged.

    Parameters
    ----------
    X : object
        Images, codes, or one image.

    Raises
    ------
    TypeError
        If X is an array of another library that cannot be converted.
    """
    if isinstance(X, np.ma.MaskedArray):
        X = _nan_for_masked(X)
    elif not isinstance(X, np.ndarray) and _is_array_like(X) and not hasattr(X, "to_numpy"):
        # While scikit-learn dispatches, it hands arrays of other libraries back as they are.
        X = _converted(X)
    if isinstance(X, np.ndarray) and not X.dtype.isnative:
        # If both floating types are allowed, scikit-learn converts float32 of the other byte order
        # to float64.
        return X.astype(X.dtype.newbyteorder("="))
    return X


def array_of(X):
    """Convert nested lists and tuples to an array as well, and the rest as ``plain`` does.

    Parameters
    ----------
    X : object
        Rows, or one image.
    """
    if not isinstance(X, list | tuple):
        return plain(X)
    # NumPy drops the masks of the arrays in a list.
    return np.asarray([array_of(one) for one in X] if ndim_of(X) > 1 else X)


def unpacked(X):
    """Unpack a Series, a column of a data frame, or an object array that holds images or signals.

    Parameters
    ----------
    X : object
        Images in any layout.

    Returns
    -------
    X : object
        A list of the images; anything else as ``plain`` returns it.
    """
    column = X
    if issparse(X) or not hasattr(X, "shape"):
        return plain(X)
    if len(X.shape) == 2 and X.shape[1] == 1:
        if hasattr(X, "columns"):
            column = X[X.columns[0]]
        elif isinstance(X, np.ndarray) and X.dtype.hasobject:
            column = X[:, 0]
    if len(column.shape) == 1 and hasattr(column, "to_numpy"):
        column = _cells_of(column)
    if isinstance(column, np.ndarray) and len(column):
        in_cells = column.dtype == object and column.ndim == 1 and _has_arrays(column)
        if in_cells or (column is not X and column.ndim > 2):
            return list(column)
        if column is not X and column.ndim == 2:
            return column
    return plain(X)


def column_of_images(X):
    """Name of the first column of a data frame that holds images or signals, or None."""
    for name in X.columns if hasattr(X, "columns") and hasattr(X, "to_numpy") else ():
        if _has_arrays(_cells_of(X[name])):
            return name
    return None


def is_image_list(X) -> bool:
    """Whether ``X`` is a list, tuple, object array or lazy sequence of arrays of >= 2 axes."""
    if isinstance(X, np.ndarray):
        return X.dtype == object and X.ndim == 1 and any(ndim_of(image) >= 2 for image in X)
    if isinstance(X, list | tuple):
        return any(ndim_of(image) >= 2 for image in X)
    return is_lazy(X) and len(X) > 0 and ndim_of(X[0]) >= 2


def is_ragged(X) -> bool:
    """Whether ``X`` is a list or tuple of signals of different lengths."""
    if not isinstance(X, list | tuple) or not all(ndim_of(signal) == 1 for signal in X):
        return False
    sized = (one if hasattr(one, "__len__") else np.asarray(one) for one in X)
    return len({len(signal) for signal in sized}) > 1


def is_lazy(X) -> bool:
    """Whether ``X`` is a sequence that is neither a built-in container nor an array."""
    if isinstance(X, list | tuple | Mapping | str | bytes):
        return False
    if _is_array_like(X) or issparse(X):
        return False
    sequence = hasattr(X, "__len__") and hasattr(X, "__getitem__")
    return sequence and len(getattr(X, "shape", (0,))) == 1


def ndim_of(image) -> int:
    """Number of dimensions of an array, DataFrame or nested sequence, without converting it."""
    if hasattr(image, "ndim"):
        return image.ndim
    if hasattr(image, "shape"):
        return len(image.shape)
    if isinstance(image, list | tuple):
        return 1 + ndim_of(image[0]) if len(image) else 0
    return np.asarray(image).ndim if _is_array_like(image) else 0


def _has_arrays(cells):
    return any(ndim_of(cell) >= 1 for cell in cells)


def _cells_of(series):
    """The cells of a Series; nested lists are not converted by all libraries."""
    cells = series.to_numpy()
    if not (cells.dtype.hasobject and len(cells) and getattr(cells[0], "dtype", None) == "O"):
        return cells
    found = np.empty(len(cells), dtype=object)
    found[:] = series.to_list()
    return found


def _is_array_like(X):
    # Images of Pillow have the second alone, arrays on a device may have the third alone.
    names = ("__array__", "__array_interface__", "__array_namespace__")
    return any(hasattr(X, name) for name in names)


def _nan_for_masked(X):
    if not np.ma.is_masked(X):
        return X.data
    return X.astype(X.dtype if X.dtype.kind == "f" else np.float64).filled(np.nan)


def _converted(X):
    """Convert an array of another library."""
    try:
        return np.asarray(X)
    except Exception:
        try:
            return np.from_dlpack(X)
        except Exception as error:
            raise TypeError(
                f"X is of type {type(X).__name__}, which cannot be converted to a NumPy array: "
                f"{error} Move it to the CPU, or convert it, first."
            ) from error
