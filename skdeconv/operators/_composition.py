"""What all linear operators share, and compositions of them."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csc_array

from skdeconv.operators._atom_sweeps import AtomSweeps

# Maximum number of entries of the atoms that are built at once.
_ENTRIES = 2**22


class Operator:
    """Linear map from the maps of one image to the image; ``upper @ lower`` composes two.

    A subclass has ``forward(maps)``, ``adjoint(images)``, ``atoms(index)``, columns of its matrix,
    and ``norm()``, an upper bound on its spectral norm. From these follow the other methods, of
    which it may have faster ones.

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

    def best(self, images, positive, wanted) -> tuple[np.ndarray, np.ndarray]:
        """Find the filter with the largest score at each map position.

        Parameters
        ----------
        images : ndarray of shape (n_samples, n_channels, height, width)
            Images, usually residuals.
        positive : bool
            Whether the score is the inner product with the atom, or its modulus.
        wanted : callable
            Takes scores and returns a boolean mask: those whose filter is asked for.

        Returns
        -------
        scores : ndarray of shape (n_samples, map_height, map_width)
            The largest scores.
        kernels : ndarray of int of the same shape
            Their filters, where they are asked for.
        """
        every = self.adjoint(images)
        every = every if positive else np.abs(every)
        scores = every.max(axis=1)
        kernels = np.zeros(scores.shape, dtype=np.int32)
        sample, y, x = np.nonzero(wanted(scores))
        kernels[sample, y, x] = every[sample, :, y, x].argmax(axis=1)
        return scores, kernels

    def drawn(self, index, values) -> np.ndarray:
        """Reconstruct one image, (1, *images_shape), from a few coefficients of its maps.

        Parameters
        ----------
        index : ndarray of int of shape (n_chosen,)
            Flat indices of the coefficients into the maps, each at most once.
        values : ndarray of shape (n_chosen,)
            Their values.
        """
        maps = np.zeros((1, math.prod(self.maps_shape)), dtype=values.dtype)
        maps[0, index] = values
        return self.forward(maps.reshape(1, *self.maps_shape))

    def residual(self, images, index, values) -> np.ndarray:
        """Subtract the reconstruction from chosen coefficients, given as in ``descend``."""
        return AtomSweeps(self, images, index, 1, False).residual(values)

    def descend(
        self, images, residual, index, values, slopes, weight, positive, n_sweeps
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run sweeps of coordinate descent over chosen coefficients of a stack of images.

        Minimises ``weight / 2 * ||F z - y||^2 + sum slopes * |z|`` over these coefficients.

        Parameters
        ----------
        images, residual : ndarray of shape (n_samples, n_channels, height, width)
            y, and y - F z for the given values.
        index : ndarray of int64 of shape (n_chosen,)
            ``sample * n_coefficients + position`` of the coefficients, sorted by sample.
        values : ndarray of shape (n_chosen,)
            Their values.
        slopes : ndarray of shape (n_chosen,) or None
            Weight of the absolute value of each coefficient; None for ones.
        weight : float
            Weight of the squared error.
        positive : bool
            Whether the coefficients are non-negative.
        n_sweeps : int
            Number of sweeps.

        Returns
        -------
        values, residual : ndarray
            Those after the sweeps.
        """
        sweeps = AtomSweeps(self, images, index, weight, positive)
        return sweeps.descend(values, residual, slopes, n_sweeps)

    def lasso(self, images, index, values, weight, positive, tol, max_iter):
        """Minimise ``weight / 2 * ||F z - y||^2 + sum |z|`` of a stack of images, if fast.

        Parameters
        ----------
        images : ndarray of shape (n_samples, n_channels, height, width)
            y.
        index, values : ndarray of shape (n_chosen,)
            Initial coefficients, as in ``descend``, and sorted by sample, column, row and filter.
        weight, positive : float, bool
            As in ``descend``.
        tol : float
            Relative duality gap.
        max_iter : int
            Maximum number of rounds.

        Returns
        -------
        result : tuple of ndarray or None
            ``index`` and ``values`` of the solution, and for each image the number of rounds, the
            cost and the gap. None if there is no loop for this operator.
        """
        return None

    def highest_over(self, values) -> np.ndarray:
        """Largest of the values at the map positions whose atoms reach a pixel, or an upper bound.

        Parameters
        ----------
        values : ndarray of shape (n_samples, map_height, map_width)
            Non-negative values.

        Returns
        -------
        highest : ndarray of shape (n_samples, height, width)
            The maxima.
        """
        highest = values.max(axis=(1, 2), keepdims=True)
        return np.broadcast_to(highest, (len(values), *self.images_shape[1:]))

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
        return self._through(self.operators, maps)

    def drawn(self, index, values):
        """Reconstruct one image from a few coefficients of its maps."""
        return self._through(self.operators[:-1], self.operators[-1].drawn(index, values))

    @staticmethod
    def _through(operators, maps):
        for operator in reversed(operators):
            maps = operator.forward(maps)
        return maps

    def adjoint(self, images: np.ndarray) -> np.ndarray:
        """The inner product of every image with every atom, (n_samples, *maps_shape)."""
        for operator in self.operators:
            images = operator.adjoint(images)
        return images

    def best(self, images, positive, wanted):
        """Find the filter with the largest score at each map position."""
        for operator in self.operators[:-1]:
            images = operator.adjoint(images)
        return self.operators[-1].best(images, positive, wanted)

    def highest_over(self, values):
        """Largest of the values at the map positions whose atoms reach a pixel."""
        for operator in reversed(self.operators):
            values = operator.highest_over(values)
        return values

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
