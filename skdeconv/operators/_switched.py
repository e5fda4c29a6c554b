"""Convolution of maps that are unpooled by switches."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.sparse import csc_array

from skdeconv.kernels import compiled
from skdeconv.operators._composition import Composition, Operator
from skdeconv.operators._convolution import Convolution
from skdeconv.operators._pooling import Unpooling
from skdeconv.operators._sparse import SparseOperator

# Up to this filter size, a sparse matrix of the atoms that the switches select is cheaper than the
# convolution, if there are no compiled kernels.
_LARGEST_ATOM = 150


class SwitchedConvolution(Operator):
    r"""Linear operator from the pooled maps of a layer to its image, by the switches of one image.

    .. math:: p \mapsto F U_s p

    It is the composition of a :class:`Convolution` with an :class:`Unpooling`, without the atoms
    that the switches do not select.

    Parameters
    ----------
    convolution : Convolution
        F.
    unpooling : Unpooling
        The switches s.
    """

    def __init__(self, convolution: Convolution, unpooling: Unpooling):
        self.convolution, self.unpooling = convolution, unpooling
        super().__init__(convolution.images_shape, unpooling.maps_shape, convolution.dtype)

    def __reduce__(self):
        return SwitchedConvolution, (self.convolution, self.unpooling)

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Reconstruct images (n_samples, *images_shape) from maps (n_samples, *maps_shape)."""
        if compiled() is None:
            return self._portable.forward(maps)
        values = self._contiguous(maps.reshape(len(maps), -1))
        return self._selected.draw(values, self.convolution.atom_rows)

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """The inner product of every image with every selected atom, (n_samples, *maps_shape)."""
        if compiled() is None:
            return self._portable.adjoint(images)
        values = self._selected.inner(self._contiguous(images), self.convolution.atom_rows)
        return values.reshape(-1, *self.maps_shape)

    def _contiguous(self, array):
        return np.ascontiguousarray(array, dtype=self.dtype)

    @cached_property
    def _selected(self):
        """Atoms of the compiled kernels."""
        filters, index = self.convolution.filters, self.unpooling.index.ravel()
        return compiled().Atoms(filters.shape, self.images_shape, index)

    @cached_property
    def _portable(self):
        if self.convolution.filters[0].size > _LARGEST_ATOM:
            return Composition(self.convolution, self.unpooling)
        atoms = self.convolution.atoms(self.unpooling.index.ravel())
        return SparseOperator(atoms, self.images_shape, self.maps_shape)

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix."""
        return self.convolution.atoms(self.unpooling.index.ravel()[index])

    def norm(self) -> float:
        """Upper bound on the spectral norm."""
        return self.convolution.norm()
