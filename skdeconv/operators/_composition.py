"""Linear maps that follow each other, as one."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csc_array


def compose(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    r"""Filters whose convolution is that with ``upper``, followed by that with ``lower``.

    A valid convolution of a valid convolution is again one, because the maps in between are drawn
    as a whole: :math:`F_1 F_2` has the filters :math:`\sum_b f_{2,k,b} * f_{1,b,c}` with the full
    convolution. So a stack of layers is one :class:`Convolution`, and needs no operator of its own.

    Parameters
    ----------
    upper : ndarray of shape (n_filters, n_maps, h, w)
        Filters that draw the maps of the layer below.
    lower : ndarray of shape (n_maps, n_channels, h2, w2)
        Filters of that layer.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h + h2 - 1, w + w2 - 1)
        What one coefficient of the upper layer draws through both.

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


class Composition:
    r"""Linear maps one after the other, such as the layers and switches of an adaptive network.

    .. math:: R_l = F_1 U_{s_1} F_2 U_{s_2} \cdots F_l

    It keeps the contract of its parts: ``forward``, ``adjoint``, ``atoms`` and ``norm``.

    Parameters
    ----------
    *operators : operator
        The one that draws the images first; each draws what the one before it takes.

    Attributes
    ----------
    images_shape, maps_shape : tuple of int
        Of the first and of the last.

    References
    ----------
    M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High Level
    Feature Learning", ICCV 2011, equations 6 and 7.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import Composition, Convolution
    >>> lower = Convolution(np.ones((9, 1, 7, 7)), (8, 8))
    >>> upper = Convolution(np.ones((45, 9, 7, 7)), lower.maps_shape[1:])
    >>> Composition(lower, upper).maps_shape
    (45, 20, 20)
    """

    def __init__(self, *operators):
        self.operators = operators
        self.images_shape, self.maps_shape = operators[0].images_shape, operators[-1].maps_shape

    def forward(self, maps: np.ndarray) -> np.ndarray:
        """Images (n_samples, *images_shape) of maps (n_samples, *maps_shape)."""
        for operator in reversed(self.operators):
            maps = operator.forward(maps)
        return maps

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """The inner product of every image with every atom, (n_samples, *maps_shape)."""
        for operator in self.operators:
            images = operator.adjoint(images)
        return images

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix, of the pixels that they reach."""
        product = self.operators[-1].atoms(index)
        for operator in self.operators[-2::-1]:
            reached, rows = np.unique(product.indices, return_inverse=True)
            shape = len(reached), len(index)
            chosen = csc_array((product.data, rows.astype(np.int32), product.indptr), shape=shape)
            product = operator.atoms(reached) @ chosen
        return product

    def norm(self) -> float:
        """Upper bound on the spectral norm: the product of those of the parts."""
        return math.prod(operator.norm() for operator in self.operators)
