"""Linear maps to the known pixels of an image, where others are missing."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array


def zeros_for_nan(images: np.ndarray) -> np.ndarray:
    """Images with zeros where pixels are missing, which NaN stands for.

    Parameters
    ----------
    images : ndarray, float32 or float64
        Images of any shape.

    Returns
    -------
    images : ndarray of that shape and dtype
        A copy; the array itself where nothing is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import zeros_for_nan
    >>> zeros_for_nan(np.array([1.0, np.nan]))
    array([1., 0.])
    """
    missing = np.isnan(images)
    return np.where(missing, images.dtype.type(0), images) if missing.any() else images


class Masked:
    r"""An operator seen through a mask: of what it draws, unknown pixels are zero.

    .. math:: z \mapsto M F z, \quad M = \mathrm{diag}(m), \quad m_i \in \{0, 1\}

    With zeros for the unknown pixels of y, :math:`\|M F z - y\|^2` is the squared error over the
    known ones. The mask is that of one image.

    Parameters
    ----------
    operator : operator or None
        The linear map F from maps to images; None for the identity on images, so that the mask
        may come first in a :class:`Composition`.
    known : ndarray of bool of shape (n_channels, height, width)
        False where a pixel is missing from a channel.

    Attributes
    ----------
    images_shape, maps_shape : tuple of int
        Those of the operator.

    Raises
    ------
    ValueError
        If the mask is not of the shape of the images.

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
        self.images_shape, self.maps_shape = self.operator.images_shape, self.operator.maps_shape
        if self.known.shape != tuple(self.images_shape):
            raise ValueError(
                f"known must be of the shape of an image, {tuple(self.images_shape)}, got "
                f"{self.known.shape}."
            )

    @property
    def dtype(self) -> np.dtype:
        """Floating type of the operator."""
        return self.operator.dtype

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Images (n_samples, *images_shape) of maps (n_samples, *maps_shape)."""
        return self.known * self.operator.forward(maps)

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """The inner product of every image's known pixels with every atom."""
        return self.operator.adjoint(self.known * images)

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix, with stored zeros at unknown pixels."""
        atoms = self.operator.atoms(index)
        data = atoms.data * self.known.ravel()[atoms.indices]
        return csc_array((data, atoms.indices, atoms.indptr), shape=atoms.shape)

    def norm(self) -> float:
        """Upper bound on the spectral norm: that of the operator."""
        return self.operator.norm()


class _Identity:
    """Images as maps of their own."""

    def __init__(self, shape):
        self.images_shape = self.maps_shape = tuple(shape)

    def forward(self, maps):
        return maps

    def adjoint(self, images):
        return images

    def atoms(self, index):
        parts = (
            np.ones(len(index), dtype=np.float32),
            np.asarray(index, dtype=np.int32),
            np.arange(len(index) + 1, dtype=np.int32),
        )
        return csc_array(parts, shape=(int(np.prod(self.images_shape)), len(index)))

    def norm(self):
        return 1.0
