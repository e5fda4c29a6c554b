"""Sums and maxima of maps over windows, for dense maps and for sparse ones."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, kron, vstack


class Pooling:
    """Pool non-negative maps of one size over products of windows.

    Parameters
    ----------
    grids : list of (ndarray of shape (n_rows, map_height), ndarray of shape (n_columns, map_width))
        Weights of windows along both axes; a grid has n_rows * n_columns windows.
    kind : {"sum", "max", "energy"}
        What is taken of the values in a window: their weighted sum, their largest among the
        positions of any weight, or the weighted sum of their squares.
    """

    def __init__(self, grids: list[tuple[np.ndarray, np.ndarray]], kind: str):
        self.grids, self.kind = grids, kind

    def dense(self, maps: np.ndarray) -> np.ndarray:
        """Pool maps (n_samples, map_height, map_width, n_maps).

        Returns
        -------
        pooled : ndarray of shape (n_samples, n_windows * n_maps)
            Window by window.
        """
        if self.kind == "max":
            parts = [_largest(maps, *grid) for grid in self.grids]
        else:
            maps = maps**2 if self.kind == "energy" else maps
            parts = self._sums(maps)
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
        # One product per image, whatever the stack: the last bits never depend on it.
        lines = np.matmul(rows, maps.reshape(n_samples, height, -1))
        lines = lines.reshape(n_samples, len(rows), width, n_maps)
        first = 0
        for rows, columns in self.grids:
            yield np.matmul(columns.astype(maps.dtype), lines[:, first : first + len(rows)])
            first += len(rows)

    @cached_property
    def _matrix(self):
        """Weights of all positions in all windows."""
        # CSR throughout: of dense factors kron would keep the zeros.
        parts = [
            kron(csr_array(rows), csr_array(columns), format="csr") for rows, columns in self.grids
        ]
        return csr_array(vstack(parts, format="csr"))

    @cached_property
    def _positions(self):
        matrix = self._matrix
        return np.split(matrix.indices, matrix.indptr[1:-1])


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Non-negative rows scaled to unit Euclidean norm, in place; zeros stay zero."""
    # Squares of rows below 1 stay in range. scikit-learn's normalize leaves small rows alone.
    largest = rows.max(axis=1, keepdims=True)
    np.divide(rows, largest, out=rows, where=largest > 0)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=rows, where=norms > 0)


def _largest(maps, rows, columns):
    n_samples, _, _, n_maps = maps.shape
    result = np.empty((n_samples, len(rows), len(columns), n_maps), dtype=maps.dtype)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            inside = maps[:, _extent(row), _extent(column)]
            result[:, i, j] = inside.max(axis=(1, 2))
    return result


def _extent(weights):
    """The run of positions that have a weight."""
    used = np.flatnonzero(weights)
    return slice(used[0], used[-1] + 1)
