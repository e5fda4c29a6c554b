"""Coordinate descent on the coefficients of a working set, for a stack of images."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array


class WorkingSet:
    """Working set of coefficients of a stack of images, with their values and the residual.

    Parameters
    ----------
    problem : Problem
        The problem of the stack. If ``penalty.positive``, values are non-negative.
    init : csr_array of shape (n_samples, n_coefficients) or None
        Initial maps; None for zeros.

    Attributes
    ----------
    index : ndarray of int64 of shape (n_chosen,)
        ``sample * n_coefficients + position``, sorted by sample, column, row and filter.
    values : ndarray of shape (n_chosen,)
        Values of the coefficients.
    """

    def __init__(self, problem, init=None):
        self.problem = problem
        maps_shape, images = problem.operator.maps_shape, problem.images
        self.n_coefficients = math.prod(maps_shape)
        self.n_positions = self.n_coefficients // maps_shape[0]
        self.index = np.empty(0, dtype=np.int64)
        self.values = np.empty(0, dtype=images.dtype)
        if init is not None and init.nnz:
            sample = np.repeat(np.arange(init.shape[0]), np.diff(init.indptr))
            self.index = sample * self.n_coefficients + init.indices
            self.values = init.data.astype(images.dtype)
            # A stored zero would have an infinite slope at p < 1.
            self.keep(self.values > 0 if problem.penalty.positive else self.values != 0)
            self._sort()

    @cached_property
    def residual(self) -> np.ndarray:
        """``y - F z``, of the shape and dtype of the images."""
        problem = self.problem
        if not len(self.index):
            return problem.images
        return problem.operator.residual(problem.images, self.index, self.values)

    @property
    def sample(self) -> np.ndarray:
        """Index of the image of each coefficient in the working set."""
        return self.index // self.n_coefficients

    def cost(self) -> np.ndarray:
        """``weight / 2 * ||F z - y||^2 + sum |z|^p`` of every image, in float64."""
        problem = self.problem
        sparsity = self.per_image(problem.penalty.terms(self.values))
        return problem.error(self.residual) + sparsity

    def per_image(self, values: np.ndarray) -> np.ndarray:
        """Sum over each image of ``values``, one per coefficient in the working set, in float64."""
        return np.bincount(self.sample, weights=values, minlength=len(self.problem))

    def add(self, index: np.ndarray) -> None:
        """Add coefficients to the working set, with value zero, unless they are there."""
        self.index = np.concatenate([self.index, index])
        self.values = np.concatenate([self.values, np.zeros(len(index), self.values.dtype)])
        self._sort()
        # The sort is stable: the one that was there comes first.
        self.keep(np.diff(self.index, prepend=-1) != 0)

    def keep(self, chosen: np.ndarray) -> None:
        """Remove all coefficients outside of the boolean mask ``chosen`` from the working set."""
        self.index, self.values = self.index[chosen], self.values[chosen]

    def descend(self, n_sweeps: int, slopes: np.ndarray | None = None) -> None:
        """Run sweeps of coordinate descent over the working set, then remove zero coefficients.

        Minimises ``weight / 2 * ||F z - y||^2 + sum slopes * |z|`` on the working set.

        Parameters
        ----------
        n_sweeps : int
            Number of sweeps.
        slopes : ndarray of shape (n_chosen,), default=None
            Weight of the absolute value of each coefficient; None for ones.
        """
        if not len(self.index):
            return
        problem = self.problem
        self.values, self.residual = problem.operator.descend(
            problem.images, self.residual, self.index, self.values, slopes, problem.weight,
            problem.penalty.positive, n_sweeps,
        )  # fmt: skip
        self.keep(self.values != 0)

    def select(self, samples: np.ndarray) -> WorkingSet:
        """The working set of some of the images, given by their sorted positions."""
        chosen = WorkingSet(self.problem.select(samples))
        chosen.residual = self.residual[samples]
        place = np.full(len(self.residual), -1)
        place[samples] = np.arange(len(samples))
        sample, position = np.divmod(self.index, self.n_coefficients)
        inside = place[sample] >= 0
        chosen.index = place[sample[inside]] * self.n_coefficients + position[inside]
        chosen.values = self.values[inside]
        return chosen

    def maps(self) -> csr_array:
        """The coefficients, one row per image, with sorted 32-bit indices."""
        indptr = np.zeros(len(self.problem) + 1, dtype=np.int32)
        np.cumsum(np.bincount(self.sample, minlength=len(self.problem)), out=indptr[1:])
        order = np.argsort(self.index)
        position = (self.index[order] % self.n_coefficients).astype(np.int32)
        shape = (len(self.problem), self.n_coefficients)
        return csr_array((self.values[order], position, indptr), shape=shape)

    def _sort(self):
        # By column and row, so that consecutive coordinates access the same parts of rows, which a
        # processor forwards from a store to the next load.
        n_filters, height, width = self.problem.operator.maps_shape
        sample, position = np.divmod(self.index, self.n_coefficients)
        kernel, position = np.divmod(position, self.n_positions)
        y, x = np.divmod(position, width)
        key = ((sample * width + x) * height + y) * n_filters + kernel
        order = np.argsort(key, kind="stable")
        self.index, self.values = self.index[order], self.values[order]
