"""Coordinate descent on the coefficients of a working set, for a stack of images."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.sparse import csc_array, csr_array

from skdeconv.inference._sweeps import sweep_atoms, sweep_gram

# Number of sweeps over a part of the coefficients of an image before the next part.
_SWEEPS_OF_PART = 8
# Maximum size of the Gram matrix of a part, and of what is kept of the sparse one of an image.
_GRAM, _KEPT = 2**20, 2**23


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
        ``sample * n_coefficients + position``, sorted by sample.
    values : ndarray of shape (n_chosen,)
        Values of the coefficients.
    residual : ndarray, shape and dtype of the images
        ``y - F z``.
    """

    def __init__(self, problem, init=None):
        self.problem = problem
        maps_shape, images = problem.operator.maps_shape, problem.images
        self.n_coefficients = int(np.prod(maps_shape))
        self.n_positions = self.n_coefficients // maps_shape[0]
        self.index = np.empty(0, dtype=np.int64)
        self.values = np.empty(0, dtype=images.dtype)
        self.residual = images
        if init is not None and init.nnz:
            sample = np.repeat(np.arange(init.shape[0]), np.diff(init.indptr))
            self.index = sample * self.n_coefficients + init.indices
            self.values = init.data.astype(images.dtype)
            # A stored zero would have an infinite slope at p < 1.
            self.keep(self.values > 0 if problem.penalty.positive else self.values != 0)
            self._sort()
            self.residual = images.copy()
            for samples, parts in self._groups():
                for part in parts:
                    drawn = self._atoms(samples, part) @ self.values[part]
                    self.residual[samples] -= drawn.reshape(self.residual[samples].shape)

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
        return np.bincount(self.sample, weights=values, minlength=len(self.residual))

    def add(self, index: np.ndarray) -> None:
        """Add coefficients to the working set, with value zero."""
        new = np.setdiff1d(index, self.index, assume_unique=True)
        self.index = np.concatenate([self.index, new])
        self.values = np.concatenate([self.values, np.zeros(len(new), self.values.dtype)])
        self._sort()

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
        values, residual = self.values.copy(), self.residual.copy()
        sweep = self._sweep_gram if self.problem.operator.has_gram else self._sweep_atoms
        for samples, parts in self._groups():
            sweep(samples, parts, n_sweeps, slopes, values, residual)
        self.values, self.residual = values, residual
        self.keep(self.values != 0)

    def _sweep_atoms(self, samples, parts, n_sweeps, slopes, values, residual):
        """Sweep over the atoms of a group, and update its values and residuals."""
        images = self.problem.images[samples]
        at_once = n_sweeps if len(parts) == 1 else _SWEEPS_OF_PART
        for first in range(0, n_sweeps, at_once):
            for part in parts:
                atoms, start = self._atoms(samples, part), values[part]
                if len(parts) > 1:
                    images = residual[samples] + (atoms @ start).reshape(images.shape)
                weights = None if slopes is None else slopes[part]
                limit = min(at_once, n_sweeps - first)
                values[part] = sweep_atoms(self.problem, atoms, images, start, weights, limit)
                residual[samples] = images - (atoms @ values[part]).reshape(images.shape)

    def _sweep_gram(self, samples, parts, n_sweeps, slopes, values, residual):
        """The same for one image, by the Gram matrix of its atoms."""
        if not parts:
            return
        operator, begin = self.problem.operator, parts[0].start
        position = self.index[begin : parts[-1].stop] % self.n_coefficients
        grams = _Grams(operator, position)
        # Of the residual; updated with the coefficients.
        correlation = operator.adjoint(residual[samples]).ravel()[position]
        at_once = n_sweeps if len(parts) == 1 else _SWEEPS_OF_PART
        for first in range(0, n_sweeps, at_once):
            for part in parts:
                here = slice(part.start - begin, part.stop - begin)
                rows, start = grams.rows(here), values[part].copy()
                block = rows[:, here].toarray()
                wanted = correlation[here] + block @ start
                weights = None if slopes is None else slopes[part]
                limit = min(at_once, n_sweeps - first)
                values[part] = sweep_gram(self.problem, block, wanted, start, weights, limit)
                correlation -= rows.T @ (values[part] - start)
        chosen = slice(begin, parts[-1].stop)
        residual[samples] = self._residual_by_maps(samples, chosen, values)

    def _residual_by_maps(self, samples, chosen, values):
        """Residual of one image, by its dense maps."""
        maps = np.zeros((1, self.n_coefficients), dtype=values.dtype)
        maps[0, self.index[chosen] % self.n_coefficients] = values[chosen]
        part = self.problem.select(samples)
        return part.residual(maps.reshape(1, *part.operator.maps_shape))

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
        indptr = np.zeros(len(self.residual) + 1, dtype=np.int32)
        np.cumsum(np.bincount(self.sample, minlength=len(self.residual)), out=indptr[1:])
        order = np.argsort(self.index)
        position = (self.index[order] % self.n_coefficients).astype(np.int32)
        shape = (len(self.residual), self.n_coefficients)
        return csr_array((self.values[order], position, indptr), shape=shape)

    def _sort(self):
        # Sorted by position, so that consecutive coordinates access memory that is in the cache.
        sample, position = np.divmod(self.index, self.n_coefficients)
        order = np.argsort(sample * self.n_positions + position % self.n_positions, kind="stable")
        self.index, self.values = self.index[order], self.values[order]

    def _groups(self):
        """Divide the working set into parts whose atoms, or Gram matrix, are built at once.

        A group holds several images as one part or, if the atoms of an image are too many, this
        image in several parts, which do not depend on the other images. With Gram matrices each
        image is a group.

        Yields
        ------
        samples : slice
            The images of a group.
        parts : list of slice
            Their coefficients in the working set.
        """
        operator = self.problem.operator
        counts = np.bincount(self.sample, minlength=len(self.residual))
        if operator.has_gram:
            at_once, firsts = math.isqrt(_GRAM), range(len(counts))
        else:
            at_once = operator.atoms_at_once
            firsts = _first_of_groups(counts, at_once)
        ends = np.concatenate([[0], np.cumsum(counts)])
        for first, last in pairwise([*firsts, len(counts)]):
            n_parts = -(-(ends[last] - ends[first]) // at_once)
            borders = np.linspace(ends[first], ends[last], n_parts + 1).astype(int)
            yield slice(first, last), [slice(*part) for part in pairwise(borders)]

    def _atoms(self, samples, part):
        """Block-diagonal matrix of the atoms of a part; its rows are the pixels of its images."""
        sample, position = np.divmod(self.index[part], self.n_coefficients)
        atoms, n_samples = self.problem.operator.atoms(position), samples.stop - samples.start
        if n_samples == 1:
            return atoms
        size = self.residual[0].size
        first = ((sample - samples.start) * size).astype(np.int32)
        rows = atoms.indices + np.repeat(first, np.diff(atoms.indptr))
        return csc_array((atoms.data, rows, atoms.indptr), shape=(n_samples * size, len(position)))


class _Grams:
    """Rows of the Gram matrix of an image's atoms, which are kept as far as memory allows."""

    def __init__(self, operator, position):
        self._operator, self._position = operator, position
        self._kept, self._size = {}, 0

    def rows(self, part):
        if part.start in self._kept:
            return self._kept[part.start]
        rows = self._operator.gram(self._position, part)
        if self._size + rows.nnz <= _KEPT:
            self._kept[part.start] = rows
            self._size += rows.nnz
        return rows


def _first_of_groups(counts, most):
    """First images of groups with at most ``most`` coefficients, or of a single image."""
    firsts, size = [0], 0
    for sample, count in enumerate(counts):
        if size + count > most and sample > firsts[-1]:
            firsts.append(sample)
            size = 0
        size += count
    return firsts
