"""Codes as used inside the package: a csr_array with one row per image, the filters first.

A row is in C order of (n_filters, map_height, map_width). In the public order the filters are last.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array


def rows_of(codes: csr_array, positions, width: int) -> csr_array:
    """Select codes of images of one size, which have ``width`` coefficients each."""
    part = codes[positions]
    return csr_array((part.data, part.indices, part.indptr), shape=(part.shape[0], width))


def stacked_rows(parts: list[csr_array]) -> csr_array:
    """Stack codes of images of different sizes vertically; the width is that of the largest."""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([0] + [part.nnz for part in parts])
    indptr = [part.indptr[1:] + end for part, end in zip(parts, ends[:-1], strict=True)]
    index_dtype = np.int32 if ends[-1] <= np.iinfo(np.int32).max else np.int64
    indices = np.concatenate([part.indices for part in parts]).astype(index_dtype, copy=False)
    return csr_array(
        (
            np.concatenate([part.data for part in parts]),
            indices,
            np.concatenate([[0], *indptr]).astype(index_dtype),
        ),
        shape=(sum(part.shape[0] for part in parts), max(part.shape[1] for part in parts)),
    )


def rows_of_codes(codes: csr_array, maps_shape: tuple[int, int, int]) -> csr_array:
    """Convert codes to the public order, with the filters last and sorted indices."""
    n_filters, height, width = maps_shape
    kernel, position = np.divmod(codes.indices, height * width)
    return reordered(codes, position * n_filters + kernel)


def codes_of_rows(rows: csr_array, maps_shape: tuple[int, int, int]) -> csr_array:
    """Convert rows in the public order to codes, with the filters first."""
    n_filters, height, width = maps_shape
    position, kernel = np.divmod(rows.indices, n_filters)
    return reordered(rows, kernel * (height * width) + position)


def reordered(matrix, indices) -> csr_array:
    """Replace the column indices of a matrix and sort them, with 32 bits if these suffice."""
    # liblinear, libsvm and the forests do not accept 64-bit indices.
    if max(matrix.shape[1], matrix.nnz) <= np.iinfo(np.int32).max:
        index_dtype = np.int32
    else:
        index_dtype = np.int64
    indices = indices.astype(index_dtype)
    indptr = matrix.indptr.astype(index_dtype)
    # A copy, since sorting reorders the values in place, which belong to the caller.
    result = csr_array((matrix.data.copy(), indices, indptr), shape=matrix.shape)
    result.sort_indices()
    return result
