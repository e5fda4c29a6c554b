"""Coordinate descent over explicit atoms, or over their Gram matrices, of bounded size."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from scipy.sparse import csc_array

from skdeconv.kernels import sweep_atoms, sweep_gram

# Number of sweeps over a part of the coefficients of an image before the next part.
_SWEEPS_OF_PART = 8
# Maximum size of the Gram matrix of a part, and of what is kept of the sparse one of an image.
_GRAM, _KEPT = 2**20, 2**23


class AtomSweeps:
    """Sweeps over chosen coefficients of a stack of images.

    Parameters
    ----------
    operator : Operator
        Gives the atoms.
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images y.
    index : ndarray of int64 of shape (n_chosen,)
        ``sample * n_coefficients + position`` of the coefficients, sorted by sample.
    weight : float
        Weight of the squared error.
    positive : bool
        Whether coefficients are non-negative.
    """

    def __init__(self, operator, images, index, weight, positive):
        self.operator, self.images, self.index = operator, images, index
        self.penalty = {"weight": weight, "positive": positive}
        self.n_coefficients = math.prod(operator.maps_shape)

    def residual(self, values):
        """The images minus their reconstruction from the values of the coefficients."""
        residual = self.images.copy()
        for samples, parts in self._groups():
            for part in parts:
                drawn = self._atoms(samples, part) @ values[part]
                residual[samples] -= drawn.reshape(residual[samples].shape)
        return residual

    def descend(self, values, residual, slopes, n_sweeps):
        """Values and residual after sweeps from given ones; ``slopes`` may be None for ones."""
        values, residual = values.copy(), residual.copy()
        sweep = self._sweep_gram if self.operator.has_gram else self._sweep_atoms
        for samples, parts in self._groups():
            sweep(samples, parts, n_sweeps, slopes, values, residual)
        return values, residual

    def _sweep_atoms(self, samples, parts, n_sweeps, slopes, values, residual):
        """Sweep over the atoms of a group, and update its values and residuals."""
        images = self.images[samples]
        at_once = n_sweeps if len(parts) == 1 else _SWEEPS_OF_PART
        for first in range(0, n_sweeps, at_once):
            limit = {"n_sweeps": min(at_once, n_sweeps - first), **self.penalty}
            for part in parts:
                atoms, start = self._atoms(samples, part), values[part]
                if len(parts) > 1:
                    images = residual[samples] + (atoms @ start).reshape(images.shape)
                steep = None if slopes is None else slopes[part]
                values[part] = sweep_atoms(atoms, images, start, steep, **limit)
                residual[samples] = images - (atoms @ values[part]).reshape(images.shape)

    def _sweep_gram(self, samples, parts, n_sweeps, slopes, values, residual):
        """The same for one image, by the Gram matrix of its atoms."""
        if not parts:
            return
        begin = parts[0].start
        position = self.index[begin : parts[-1].stop] % self.n_coefficients
        grams = _Grams(self.operator, position)
        # Of the residual; updated with the coefficients.
        correlation = self.operator.adjoint(residual[samples]).ravel()[position]
        at_once = n_sweeps if len(parts) == 1 else _SWEEPS_OF_PART
        for first in range(0, n_sweeps, at_once):
            limit = {"n_sweeps": min(at_once, n_sweeps - first), **self.penalty}
            for part in parts:
                here = slice(part.start - begin, part.stop - begin)
                rows, start = grams.rows(here), values[part].copy()
                block = rows[:, here].toarray()
                wanted = correlation[here] + block @ start
                steep = None if slopes is None else slopes[part]
                values[part] = sweep_gram(block, wanted, start, steep, **limit)
                correlation -= rows.T @ (values[part] - start)
        maps = np.zeros((1, self.n_coefficients), dtype=values.dtype)
        maps[0, position] = values[begin : parts[-1].stop]
        drawn = self.operator.forward(maps.reshape(1, *self.operator.maps_shape))
        residual[samples] = self.images[samples] - drawn

    def _groups(self):
        """Divide the coefficients into parts whose atoms, or Gram matrix, are built at once.

        A group holds several images as one part or, if the atoms of an image are too many, this
        image in several parts, which do not depend on the other images. With Gram matrices each
        image is a group.

        Yields
        ------
        samples : slice
            The images of a group.
        parts : list of slice
            Their coefficients.
        """
        counts = np.bincount(self.index // self.n_coefficients, minlength=len(self.images))
        if self.operator.has_gram:
            at_once, firsts = math.isqrt(_GRAM), range(len(counts))
        else:
            at_once = self.operator.atoms_at_once
            firsts = _first_of_groups(counts, at_once)
        ends = np.concatenate([[0], np.cumsum(counts)])
        for first, last in pairwise([*firsts, len(counts)]):
            n_parts = -(-(ends[last] - ends[first]) // at_once)
            edges = np.linspace(ends[first], ends[last], n_parts + 1).astype(int)
            yield slice(first, last), [slice(a, b) for a, b in pairwise(edges.tolist())]

    def _atoms(self, samples, part):
        """Atoms of a part, block-diagonal over the images of its group."""
        sample, position = np.divmod(self.index[part], self.n_coefficients)
        atoms = self.operator.atoms(position)
        size, n_samples = atoms.shape[0], samples.stop - samples.start
        if n_samples == 1:
            return atoms
        offset = (sample - samples.start).astype(np.int32) * np.int32(size)
        rows = atoms.indices + np.repeat(offset, np.diff(atoms.indptr))
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
