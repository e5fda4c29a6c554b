"""Pooling of dense and sparse maps over windows, such as the cells of a pyramid."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, kron, vstack


class Pooling:
    """Pool non-negative maps of one size over grids of windows.

    Parameters
    ----------
    grids : list of (ndarray of shape (n_rows, map_height), ndarray of shape (n_columns, map_width))
        Weights of the windows along both axes. The weights of a window are the products of those
        of its row and column; a grid has n_rows * n_columns windows.
    kind : {"sum", "mean", "max", "energy"}
        Weighted sum of the values in a window, which is the mean for weights of sum 1, maximum over
        the positions of non-zero weight, or weighted sum of the squared values.
    """

    def __init__(self, grids: list[tuple[np.ndarray, np.ndarray]], kind: str):
        self.grids, self.kind = grids, kind

    def dense(self, maps: np.ndarray) -> np.ndarray:
        """Pool maps (n_samples, map_height, map_width, n_maps).

        Returns
        -------
        pooled : ndarray of shape (n_samples, n_windows * n_maps)
            Pooled values, ordered by window, then by map.
        """
        if self.kind == "max":
            parts = [_largest_coefficients(maps, *grid) for grid in self.grids]
        else:
            maps = maps**2 if self.kind == "energy" else maps
            # OpenBLAS sometimes raises the floating-point flag "invalid" for finite factors.
            with np.errstate(invalid="ignore"):
                parts = list(self._sums(maps))
        return np.concatenate([part.reshape(len(maps), -1) for part in parts], axis=1)

    def sparse(self, maps: csr_array) -> np.ndarray:
        """Pool the maps (map_height * map_width, n_maps) of one image, as one row."""
        if self.kind == "max":
            parts = [maps[window].max(axis=0).toarray() for window in self._positions]
            return np.concatenate(parts, axis=None)[None]
        maps = maps.power(2) if self.kind == "energy" else maps
        return (self._matrix.astype(maps.dtype, copy=False) @ maps).toarray().reshape(1, -1)

    def _sums(self, maps):
        n_samples, height, width, n_maps = maps.shape
        rows = np.concatenate([rows for rows, _ in self.grids]).astype(maps.dtype)
        # One product per image, so that results do not depend on the batch to the last bit.
        lines = np.matmul(rows, maps.reshape(n_samples, height, -1))
        lines = lines.reshape(n_samples, len(rows), width, n_maps)
        first = 0
        for rows, columns in self.grids:
            yield np.matmul(columns.astype(maps.dtype), lines[:, first : first + len(rows)])
            first += len(rows)

    @cached_property
    def _matrix(self):
        """Weights of all positions in all windows, (n_windows, map_height * map_width)."""
        # CSR factors, because kron stores the zeros of dense ones.
        parts = [
            kron(csr_array(rows), csr_array(columns), format="csr") for rows, columns in self.grids
        ]
        return csr_array(vstack(parts, format="csr"))

    @cached_property
    def _positions(self):
        matrix = self._matrix
        return np.split(matrix.indices, matrix.indptr[1:-1])


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Scale non-negative rows to unit Euclidean norm, in place; zero rows stay zero."""
    # Rows are scaled first, so that their squares neither overflow nor underflow. scikit-learn's
    # normalize does not scale rows of tiny norm.
    largest = rows.max(axis=1, keepdims=True)
    np.divide(rows, largest, out=rows, where=largest > 0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=rows, where=norms > 0)


def _largest_coefficients(maps, rows, columns):
    n_samples, _, _, n_maps = maps.shape
    result = np.empty((n_samples, len(rows), len(columns), n_maps), dtype=maps.dtype)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            inside = maps[:, _extent(row), _extent(column)]
            result[:, i, j] = inside.max(axis=(1, 2))
    return result


def _extent(weights):
    """Slice from the first to the last position of non-zero weight."""
    used = np.flatnonzero(weights)
    return slice(used[0], used[-1] + 1)
