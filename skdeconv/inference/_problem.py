"""The optimisation problem of inference: a stack of images, an operator, a penalty and lambda."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from skdeconv.inference._penalty import PowerPenalty
from skdeconv.operators import Operator

# Number of pixels of an image, or coefficients, that are converted to float64 at once.
_BLOCK = 2**16


@dataclass(frozen=True)
class Problem:
    r"""Inference for a stack of images: minimise the cost of each over its maps z.

    .. math:: \frac{\lambda}{2} \|F z - y\|^2 + \sum |z|^p

    Parameters
    ----------
    operator : Operator
        F, the linear map from the maps of one image to the image.
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images y, of the dtype of the operator, zero where pixels are missing.
    penalty : PowerPenalty
        The sparsity term.
    weight : float
        lambda, the weight of the squared error.
    known : ndarray of bool of shape (n_channels, height, width), default=None
        Mask of the known pixels, the same for all images; the operator is then ``Masked``. None
        if no pixel is missing.
    unit : float, default=None
        lambda of the layer, of which parameters of solvers are multiples. In a net, whose factors
        scale images and filters, ``weight`` is smaller by the square of their product. None stands
        for ``weight``.
    """

    operator: Operator
    images: np.ndarray
    penalty: PowerPenalty
    weight: float
    known: np.ndarray | None = None
    unit: float | None = None

    def __post_init__(self) -> None:
        if self.unit is None:
            object.__setattr__(self, "unit", self.weight)

    def __len__(self) -> int:
        return len(self.images)

    def select(self, samples) -> Problem:
        """The problem for some of the images."""
        return replace(self, images=self.images[samples])

    def dense_maps(self, init: csr_array | None) -> np.ndarray:
        """Initial maps as a dense stack; zeros without ``init``."""
        shape = (len(self), *self.operator.maps_shape)
        if init is None:
            return np.zeros(shape, dtype=self.images.dtype)
        maps = init.toarray().reshape(shape).astype(self.images.dtype, copy=False)
        return np.maximum(maps, 0, out=maps) if self.penalty.positive else maps

    def residual(self, maps: np.ndarray) -> np.ndarray:
        """Residual y - F z of every image."""
        return self.images - self.operator.forward(maps)

    def gradient(self, residual: np.ndarray) -> np.ndarray:
        """Negative gradient lambda F^T r of the weighted squared error."""
        return self.weight * self.operator.adjoint(residual)

    def best(self, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Largest score of the gradient at each position and, where it exceeds 1, its filter."""

        def score(inner):
            return self.penalty.score(self.weight * inner)

        positive = self.penalty.positive
        inner, kernel = self.operator.best(residual, positive, lambda one: score(one) > 1)
        return score(inner), kernel

    def error(self, residual: np.ndarray) -> np.ndarray:
        """Lambda / 2 times the squared norm of the residual of every image, in float64."""
        return 0.5 * self.weight * squared_norms(residual)

    def cost(self, residual: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Cost of dense maps of every image, in float64."""
        return self.error(residual) + self.penalty.value(maps)


def inner_products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Inner products of corresponding images, or maps, of two stacks, in float64.

    The order of summation does not depend on the size of the stack. einsum is faster, but sums a
    single long row in another order, so that the last bits would depend on the stack.
    """
    flat, other = first.reshape(len(first), -1), second.reshape(len(second), -1)
    total = np.zeros(len(flat))
    for start in range(0, flat.shape[1], _BLOCK):
        part = flat[:, start : start + _BLOCK].astype(np.float64)
        part *= part if second is first else other[:, start : start + _BLOCK]
        total += part.sum(axis=1)
    return total


def squared_norms(images: np.ndarray) -> np.ndarray:
    """Squared norm of every image, summed in float64."""
    return inner_products(images, images)
