"""Weighted-l1 problems restricted to chosen coefficients of a stack of images."""

from __future__ import annotations

import numpy as np
import sklearn
from scipy.sparse import csc_array, csr_array
from sklearn.linear_model import lasso_path

from skdeconv.inference._pass import keep_quiet
from skdeconv.inference._result import squared_norms

# A fixed number of sweeps is separable over a block-diagonal stack bit for bit; a common stopping
# test or screening would tie an image's codes to its neighbours.
_FIXED_SWEEPS = {"tol": 0.0, "precompute": False, "check_input": False}
if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8):
    _FIXED_SWEEPS["do_screening"] = False


class WorkingSet:
    """Chosen coefficients of a stack of images, their values and the residual they leave.

    Parameters
    ----------
    operator : operator
        Linear map of one image's maps to the image.
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images.
    weight : float
        lambda, the weight of the squared error.
    positive : bool
        Whether the values are kept non-negative.
    init : csr_array of shape (n_samples, n_coefficients) or None
        Maps to start from; None starts from zeros.

    Attributes
    ----------
    samples : ndarray of int of shape (n_samples,)
        Where the images stood in the stack that this working set was selected from.
    index : ndarray of int64 of shape (n_chosen,)
        ``sample * n_coefficients + position``, sorted by sample.
    values : ndarray of shape (n_chosen,)
        The coefficients.
    residual : ndarray, shape and dtype of ``images``
        ``y - F z``.
    """

    def __init__(self, operator, images, weight, positive, init=None):
        self.operator, self.images, self.weight, self.positive = operator, images, weight, positive
        self.samples = np.arange(len(images))
        self.n_coefficients = int(np.prod(operator.maps_shape))
        self.n_positions = self.n_coefficients // operator.maps_shape[0]
        self.index = np.empty(0, dtype=np.int64)
        self.values = np.empty(0, dtype=images.dtype)
        self.residual = images
        if init is not None and init.nnz:
            sample = np.repeat(np.arange(init.shape[0]), np.diff(init.indptr))
            self.index = sample * self.n_coefficients + init.indices
            self.values = init.data.astype(images.dtype)
            # A stored zero would have an infinite slope at p < 1.
            self.keep(self.values != 0)
            self._sort()
            self._update_residual(self._atoms())

    @property
    def sample(self) -> np.ndarray:
        """The image that each chosen coefficient belongs to."""
        return self.index // self.n_coefficients

    def cost(self, p: float) -> np.ndarray:
        """``weight / 2 * ||F z - y||^2 + sum |z|^p`` of every image, in float64."""
        sparsity = self.per_image(np.abs(self.values) ** p)
        return 0.5 * self.weight * squared_norms(self.residual) + sparsity

    def per_image(self, values: np.ndarray) -> np.ndarray:
        """Sum of ``values``, one per chosen coefficient, over each image, in float64."""
        return np.bincount(self.sample, weights=values, minlength=len(self.images))

    def add(self, index: np.ndarray) -> None:
        """Choose further coefficients; they start at zero."""
        new = np.setdiff1d(index, self.index, assume_unique=True)
        self.index = np.concatenate([self.index, new])
        self.values = np.concatenate([self.values, np.zeros(len(new), self.values.dtype)])
        self._sort()

    def keep(self, chosen: np.ndarray) -> None:
        """Forget all chosen coefficients outside of the boolean mask ``chosen``."""
        self.index, self.values = self.index[chosen], self.values[chosen]

    def descend(self, n_sweeps: int, slopes: np.ndarray | None = None) -> None:
        """Sweep coordinate descent over the chosen coefficients, then drop those at zero.

        Minimises ``weight / 2 * ||F z - y||^2 + sum slopes * |z|`` on the working set.

        Parameters
        ----------
        n_sweeps : int
            Number of sweeps.
        slopes : ndarray of shape (n_chosen,), default=None
            Weight of each coefficient's modulus; None stands for ones.
        """
        if not len(self.index):
            return
        atoms = self._atoms()
        data, start = atoms.data, self.values
        if slopes is not None:
            data = data / np.repeat(slopes, np.diff(atoms.indptr))
            start = self.values * slopes
        # The path multiplies alpha by the number of rows. Empty rows make that a power of two, or
        # else the last bit of the product would depend on the size of the stack.
        n_rows = 1 << (self.images.size - 1).bit_length()
        pixels = np.zeros(n_rows, dtype=self.images.dtype)
        pixels[: self.images.size] = self.images.ravel()
        keep_quiet()
        _, path, _ = lasso_path(
            csc_array((data, atoms.indices, atoms.indptr), shape=(n_rows, len(start))),
            pixels,
            alphas=[1.0 / (self.weight * n_rows)],
            coef_init=start,
            max_iter=n_sweeps,
            positive=self.positive,
            **_FIXED_SWEEPS,
        )
        self.values = path[:, 0] if slopes is None else path[:, 0] / slopes
        self._update_residual(atoms)
        self.keep(self.values != 0)

    def select(self, samples: np.ndarray) -> WorkingSet:
        """The working set of some of the images, given by their sorted positions."""
        chosen = WorkingSet(self.operator, self.images[samples], self.weight, self.positive)
        chosen.residual = self.residual[samples]
        chosen.samples = self.samples[samples]
        place = np.full(len(self.images), -1)
        place[samples] = np.arange(len(samples))
        sample, position = np.divmod(self.index, self.n_coefficients)
        inside = place[sample] >= 0
        chosen.index = place[sample[inside]] * self.n_coefficients + position[inside]
        chosen.values = self.values[inside]
        return chosen

    def maps(self) -> csr_array:
        """The coefficients, one row per image, with sorted 32-bit indices."""
        indptr = np.zeros(len(self.images) + 1, dtype=np.int32)
        np.cumsum(np.bincount(self.sample, minlength=len(self.images)), out=indptr[1:])
        order = np.argsort(self.index)
        position = (self.index[order] % self.n_coefficients).astype(np.int32)
        shape = (len(self.images), self.n_coefficients)
        return csr_array((self.values[order], position, indptr), shape=shape)

    def _sort(self):
        # Neighbouring pixels follow each other, so that a sweep stays within the cache.
        sample, position = np.divmod(self.index, self.n_coefficients)
        order = np.argsort(sample * self.n_positions + position % self.n_positions, kind="stable")
        self.index, self.values = self.index[order], self.values[order]

    def _atoms(self):
        """Block-diagonal matrix of the chosen atoms; its rows are the pixels of the stack."""
        sample, position = np.divmod(self.index, self.n_coefficients)
        atoms = self.operator.atoms(position)
        if len(self.images) == 1:
            return atoms
        first = (sample * self.images[0].size).astype(np.int32)
        rows = atoms.indices + np.repeat(first, np.diff(atoms.indptr))
        shape = (self.images.size, len(position))
        return csc_array((atoms.data, rows, atoms.indptr), shape=shape)

    def _update_residual(self, atoms):
        drawn = (atoms @ self.values).reshape(self.images.shape)
        self.residual = self.images - drawn
