"""Conversion of codes to and from their public forms: rows, stacks of maps, ``SparseMaps``."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array, hstack, issparse, vstack
from sklearn.utils.validation import check_array

from skdeconv.layouts._codes import codes_of_rows, reordered, rows_of, rows_of_codes
from skdeconv.layouts._containers import array_of, is_image_list, ndim_of, plain, unpacked
from skdeconv.layouts._images import check_range, largest_modulus
from skdeconv.layouts._sparse_maps import SparseMaps


def present_codes(codes, maps_shape, output, sparse_output, low_frequency=None):
    """Convert codes to the form given by ``output`` and ``sparse_output``.

    Parameters
    ----------
    codes : csr_array of shape (n_samples, n_filters * map_height * map_width)
        The sparse maps.
    maps_shape : tuple of int
        (n_filters, map_height, map_width).
    output : {"rows", "maps"}
        Rows (n_samples, map_height * map_width * n_filters), dense or CSR, or maps (n_samples,
        map_height, map_width, n_filters), dense or ``SparseMaps``.
    sparse_output : bool
        Whether the result is sparse.
    low_frequency : list of ndarray of shape (n_channels, map_height, map_width), default=None
        Low-frequency maps of each image. They are appended to rows with the channels last; maps are
        then always a ``SparseMaps``, which contains them.

    Returns
    -------
    result : ndarray, csr_array or SparseMaps
        The codes in the given form.
    """
    rows = rows_of_codes(codes, maps_shape)
    if output == "rows":
        if low_frequency is not None:
            rows = _with_low_frequency(rows, np.stack(low_frequency))
        return rows if sparse_output else rows.toarray()
    n_filters, height, width = maps_shape
    if not sparse_output and low_frequency is None:
        return rows.toarray().reshape(len(codes.indptr) - 1, height, width, n_filters)
    maps = maps_of_rows(rows, (height, width, n_filters))
    return SparseMaps(maps.maps, maps.map_shapes, _channels_last(low_frequency))


def present_mixed(codes, maps_shapes, low_frequency=None) -> SparseMaps:
    """Convert codes of images of different sizes to ``SparseMaps``.

    Parameters
    ----------
    codes : csr_array of shape (n_samples, n_coefficients)
        The sparse maps, each row in C order of its own (n_filters, map_height, map_width).
    maps_shapes : list of tuple of int
        (n_filters, map_height, map_width) of each image.
    low_frequency : list of ndarray of shape (n_channels, height, width), default=None
        Low-frequency maps of each image.
    """
    maps = []
    for i, shape in enumerate(maps_shapes):
        row = rows_of_codes(rows_of(codes, [i], math.prod(shape)), shape)
        maps += maps_of_rows(row, (*shape[1:], shape[0])).maps
    return SparseMaps(maps, [shape[1:] for shape in maps_shapes], _channels_last(low_frequency))


def maps_of_rows(rows: csr_array, maps_shape: tuple[int, int, int]) -> SparseMaps:
    """Convert rows in public order to maps of shape (map_height, map_width, n_filters)."""
    height, width, n_filters = maps_shape
    rows, maps, size = csr_array(rows), [], height * width
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    for begin, end in pairwise(rows.indptr):
        position, kernel = np.divmod(rows.indices[begin:end], n_filters)
        indptr = np.zeros(size + 1, dtype=np.int32)
        np.cumsum(np.bincount(position, minlength=size), out=indptr[1:])
        parts = rows.data[begin:end].copy(), kernel.astype(np.int32, copy=False), indptr
        maps.append(csr_array(parts, shape=(size, n_filters)))
    return SparseMaps(maps, [(height, width)] * len(maps))


def _channels_last(low_frequency):
    if low_frequency is None:
        return None
    return [np.ascontiguousarray(maps.transpose(1, 2, 0)) for maps in low_frequency]


def _with_low_frequency(rows, maps):
    """Append low-frequency maps to rows, with 32-bit indices if the matrix is small enough."""
    dense = csr_array(maps.transpose(0, 2, 3, 1).reshape(len(maps), -1))
    joined = hstack([rows, dense], format="csr")
    return reordered(joined, joined.indices)


def map_shape_of(codes):
    """(map_height, map_width) of maps, None for rows."""
    if isinstance(codes, SparseMaps):
        return codes.map_shapes[0] if len(codes) else None
    return tuple(plain(codes).shape[1:3]) if ndim_of(codes) == 4 else None


def check_codes(estimator, X, maps_shape, low_frequency_shape=None):
    """Check codes in any form that ``present_codes`` returns, and convert them back.

    Returns
    -------
    codes : csr_array of shape (n_samples, n_filters * map_height * map_width)
        The sparse maps.
    low_frequency : ndarray of shape (n_samples, *low_frequency_shape) or None
        The low-frequency maps of rows and of ``SparseMaps`` that have some; None for other maps,
        and without ``low_frequency_shape``.

    Raises
    ------
    ValueError
        If the width of rows or the shape of maps does not match.
    """
    n_filters, height, width = maps_shape
    size = n_filters * height * width
    n_low = 0 if low_frequency_shape is None else math.prod(low_frequency_shape)
    X, low_frequency = plain(X), None
    if isinstance(X, SparseMaps):
        if not len(X):
            raise ValueError("X holds maps of 0 samples; at least one is required.")
        if n_low and X.low_frequency is not None:
            low_frequency = _checked_low_frequency(X.low_frequency, low_frequency_shape)
        X, n_low = _rows_of_sparse_maps(X, maps_shape), 0
    elif not issparse(X) and getattr(X, "ndim", 2) > 2:
        if X.ndim != 4 or X.shape[1:] != (height, width, n_filters):
            raise ValueError(
                f"X has shape {X.shape}; expected maps of shape (n_samples, {height}, {width}, "
                f"{n_filters}), or rows of {size + n_low} features."
            )
        X, n_low = X.reshape(len(X), -1), 0
    X = check_array(
        X,
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        ensure_all_finite=False,
        estimator=estimator,
        input_name="X",
    )
    largest = largest_modulus(X.data if issparse(X) else X)
    if not math.isfinite(largest):
        raise ValueError("X contains NaN or infinity, but codes must be finite.")
    check_range(largest, X.dtype, power=1)
    if X.shape[1] != size + n_low:
        more = f" + {n_low} of the low-frequency maps" if n_low else ""
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{size + n_low} = {height} x {width} positions x {n_filters} filters{more}."
        )
    if n_low:
        n_channels, *low_size = low_frequency_shape
        low_frequency = X[:, size:].toarray() if issparse(X) else X[:, size:]
        low_frequency = low_frequency.reshape(-1, *low_size, n_channels).transpose(0, 3, 1, 2)
    return codes_of_rows(csr_array(X[:, :size]), maps_shape), low_frequency


def _checked_low_frequency(maps, shape):
    n_channels, *size = shape
    for one in maps:
        if np.shape(one) != (*size, n_channels):
            raise ValueError(
                f"X holds low-frequency maps of shape {np.shape(one)}; expected "
                f"{(*size, n_channels)}."
            )
    maps = check_array(
        np.stack(maps), dtype=[np.float64, np.float32], allow_nd=True, input_name="X.low_frequency"
    )
    return maps.transpose(0, 3, 1, 2)


def _rows_of_sparse_maps(maps, maps_shape):
    """Convert ``SparseMaps`` of one shape to rows in public order."""
    n_filters, height, width = maps_shape
    for one, shape in zip(maps.maps, maps.map_shapes, strict=True):
        if shape != (height, width) or one.shape[1] != n_filters:
            raise ValueError(
                f"X holds maps of shape {(*shape, one.shape[1])}; expected "
                f"{(height, width, n_filters)}."
            )
    size = n_filters * height * width
    return vstack([one.reshape((1, size)) for one in maps.maps], format="csr")


def one_by_one(codes):
    """Iterate over codes of single images, if images differ in size; otherwise None."""
    if isinstance(codes, SparseMaps):
        mixed = len(set(codes.map_shapes)) > 1
        return (codes[[i]] for i in range(len(codes))) if mixed else None
    codes = unpacked(codes)
    return (array_of(one)[None] for one in codes) if is_image_list(codes) else None
