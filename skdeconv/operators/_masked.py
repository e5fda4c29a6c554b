"""Linear operators restricted to the known pixels of an image."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array

from skdeconv.operators._composition import Operator
from skdeconv.operators._convolution import Convolution


def zeros_for_nan(images: np.ndarray) -> np.ndarray:
    """Replace missing pixels, which are NaN, by zeros.

    Parameters
    ----------
    images : ndarray, float32 or float64
        Images of any shape.

    Returns
    -------
    images : ndarray of the same shape and dtype
        A copy, or the array itself if no pixel is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import zeros_for_nan
    >>> zeros_for_nan(np.array([1.0, np.nan]))
    array([1., 0.])
    """
    missing = np.isnan(images)
    return np.where(missing, images.dtype.type(0), images) if missing.any() else images


class Masked(Operator):
    r"""An operator followed by a mask that sets missing pixels to zero.

    .. math:: z \mapsto M F z, \quad M = \mathrm{diag}(m), \quad m_i \in \{0, 1\}

    If the missing pixels of y are zero, :math:`\|M F z - y\|^2` is the squared error over the
    known pixels. The mask belongs to one image.

    Parameters
    ----------
    operator : operator or None
        The linear operator F from maps to images. None stands for the identity on images, which
        makes the mask the first factor of a :class:`Composition`.
    known : ndarray of bool of shape (n_channels, height, width)
        False where a pixel is missing from a channel.

    Attributes
    ----------
    images_shape, maps_shape : tuple of int
        Shapes of the operator.

    Raises
    ------
    ValueError
        If the shape of the mask is not ``images_shape``.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import Convolution, Masked
    >>> operator = Convolution(np.ones((1, 1, 1, 2)), (1, 3))
    >>> masked = Masked(operator, np.array([[[True, False, True]]]))
    >>> masked.forward(np.ones((1, 1, 1, 4)))
    array([[[[2., 0., 2.]]]])
    """

    def __init__(self, operator, known: np.ndarray):
        self.known = np.asarray(known, dtype=bool)
        self.operator = _Identity(self.known.shape) if operator is None else operator
        shapes = self.operator.images_shape, self.operator.maps_shape
        super().__init__(*shapes, self.operator.dtype)
        if self.known.shape != tuple(self.images_shape):
            raise ValueError(
                f"known must be of the shape of an image, {tuple(self.images_shape)}, got "
                f"{self.known.shape}."
            )

    @property
    def atom_size(self) -> int:
        """Maximum number of entries that ``atoms`` stores for each column."""
        return self.operator.atom_size

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Reconstruct images (n_samples, *images_shape) from maps (n_samples, *maps_shape)."""
        return self.known * self.operator.forward(maps)

    def drawn(self, index, values):
        """Reconstruct one image from a few coefficients of its maps."""
        return self.known * self.operator.drawn(index, values)

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """Inner products of the known pixels of every image with every atom."""
        return self.operator.adjoint(self.known * images)

    def best(self, images, positive, wanted):
        """Find the filter with the largest score at each map position."""
        return self.operator.best(self.known * images, positive, wanted)

    def highest_over(self, values):
        """Largest of the values at the map positions whose atoms reach a pixel."""
        return self.operator.highest_over(values)

    def residual(self, images, index, values):
        """Subtract the reconstruction from chosen coefficients."""
        if self._is_compiled:
            return self.operator.residual(images, index, values, self.known)
        return super().residual(images, index, values)

    def descend(self, images, residual, index, values, *options):
        """Run sweeps of coordinate descent over chosen coefficients of a stack of images."""
        if self._is_compiled:
            return self.operator.descend(images, residual, index, values, *options, self.known)
        return super().descend(images, residual, index, values, *options)

    def lasso(self, images, index, values, *options):
        """Minimise the cost at p = 1 over the known pixels, if there is a loop for it."""
        if self._is_compiled:
            return self.operator.lasso(images, index, values, *options, self.known)
        return super().lasso(images, index, values, *options)

    @property
    def _is_compiled(self):
        return isinstance(self.operator, Convolution) and self.operator.bank is not None

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix, with explicit zeros at missing pixels."""
        atoms = self.operator.atoms(index)
        data = atoms.data * self.known.ravel()[atoms.indices]
        return csc_array((data, atoms.indices, atoms.indptr), shape=atoms.shape)

    def norm(self) -> float:
        """Upper bound on the spectral norm: the bound of the operator."""
        return self.operator.norm()


class _Identity(Operator):
    """Identity operator on images."""

    def __init__(self, shape):
        # The narrowest, so that in a composition the other parts decide.
        super().__init__(shape, shape, np.float32)

    def forward(self, maps):
        return maps

    def adjoint(self, images):
        return images

    def atoms(self, index):
        parts = (
            np.ones(len(index), dtype=self.dtype),
            np.asarray(index, dtype=np.int32),
            np.arange(len(index) + 1, dtype=np.int32),
        )
        return csc_array(parts, shape=(int(np.prod(self.images_shape)), len(index)))

    def norm(self):
        return 1.0
