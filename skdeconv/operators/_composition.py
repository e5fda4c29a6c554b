"""What all linear operators share, and compositions of them."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csc_array

# Maximum number of entries of the atoms that are built at once.
_ENTRIES = 2**22


class Operator:
    """Linear map from the maps of one image to the image; ``upper @ lower`` composes two.

    A subclass has ``forward(maps)``, ``adjoint(images)``, ``atoms(index)``, columns of its matrix,
    and ``norm()``, an upper bound on its spectral norm.

    Parameters
    ----------
    images_shape, maps_shape : tuple of int
        (n_channels, height, width) of the images, and of the maps.
    dtype : dtype
        Floating type of its matrix.
    """

    def __init__(self, images_shape, maps_shape, dtype):
        self.images_shape, self.maps_shape = tuple(images_shape), tuple(maps_shape)
        self.dtype = np.dtype(dtype)

    #: Whether the operator has a method ``gram``, which is faster than products of atoms.
    has_gram = False

    @property
    def atom_size(self) -> int:
        """Maximum number of entries that ``atoms`` stores for each column."""
        return math.prod(self.images_shape)

    @property
    def atoms_at_once(self) -> int:
        """Number of atoms, at least one, that fit into a moderate amount of memory."""
        return max(1, _ENTRIES // max(1, self.atom_size))

    def __matmul__(self, other: Operator) -> Composition:
        return Composition(self, other)


def compose(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    r"""Filters whose convolution equals that with ``upper`` followed by that with ``lower``.

    The composition of two valid convolutions is a valid convolution: :math:`F_1 F_2` has the
    filters :math:`\sum_b f_{2,k,b} * f_{1,b,c}`, with the full convolution. A stack of layers is
    therefore a single :class:`Convolution` and needs no operator of its own.

    Parameters
    ----------
    upper : ndarray of shape (n_filters, n_maps, h, w)
        Filters of the upper layer, which reconstruct the maps of the lower layer.
    lower : ndarray of shape (n_maps, n_channels, h2, w2)
        Filters of the lower layer.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h + h2 - 1, w + w2 - 1)
        The composed filters: the image of one coefficient of the upper layer.

    References
    ----------
    M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010, section
    3.3 and equation 12.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import compose
    >>> compose(np.ones((45, 9, 7, 7)), np.ones((9, 1, 7, 7))).shape
    (45, 1, 13, 13)
    """
    n_filters, _, h, w = upper.shape
    _, n_channels, h2, w2 = lower.shape
    filters = np.zeros((n_filters, n_channels, h + h2 - 1, w + w2 - 1), dtype=upper.dtype)
    flat = lower.reshape(len(lower), -1)
    for a in range(h):
        for b in range(w):
            part = (upper[:, :, a, b] @ flat).reshape(n_filters, n_channels, h2, w2)
            filters[:, :, a : a + h2, b : b + w2] += part
    return filters


class Composition(Operator):
    r"""Product of linear operators, such as the layers and unpoolings of an adaptive network.

    .. math:: R_l = F_1 U_{s_1} F_2 U_{s_2} \cdots F_l

    Like its factors it has ``forward``, ``adjoint``, ``atoms`` and ``norm``.

    Parameters
    ----------
    *operators : operator
        The factors from left to right: the first one outputs the images, and every other one
        outputs the maps that its predecessor takes.

    Attributes
    ----------
    images_shape, maps_shape : tuple of int
        ``images_shape`` of the first operator and ``maps_shape`` of the last one.

    References
    ----------
    M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High Level
    Feature Learning", ICCV 2011, equations 6 and 7.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import Convolution
    >>> lower = Convolution(np.ones((9, 1, 7, 7)), (8, 8))
    >>> upper = Convolution(np.ones((45, 9, 7, 7)), lower.maps_shape[1:])
    >>> (lower @ upper).maps_shape
    (45, 20, 20)
    """

    def __init__(self, *operators):
        self.operators = operators
        dtype = np.result_type(*(operator.dtype for operator in operators))
        super().__init__(operators[0].images_shape, operators[-1].maps_shape, dtype)

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Reconstruct images (n_samples, *images_shape) from maps (n_samples, *maps_shape)."""
        for operator in reversed(self.operators):
            maps = operator.forward(maps)
        return maps

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """The inner product of every image with every atom, (n_samples, *maps_shape)."""
        for operator in self.operators:
            images = operator.adjoint(images)
        return images

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix."""
        product = self.operators[-1].atoms(index)
        for operator in self.operators[-2::-1]:
            reached, rows = np.unique(product.indices, return_inverse=True)
            shape = len(reached), len(index)
            chosen = csc_array((product.data, rows.astype(np.int32), product.indptr), shape=shape)
            product = operator.atoms(reached) @ chosen
        return product

    def norm(self) -> float:
        """Upper bound on the spectral norm: the product of the bounds of the factors."""
        return math.prod(operator.norm() for operator in self.operators)
