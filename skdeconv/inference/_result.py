"""What every solver returns, and the certificate that comes with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack


@dataclass(frozen=True)
class InferenceResult:
    """Sparse maps of a stack of images; every field has the sample axis first.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_filters * map_height * map_width)
        One row per image, C order of the operator's ``maps_shape``.
    cost : ndarray of shape (n_samples,), float64
        ``weight / 2 * ||F z - y||^2 + sum |z|^p`` of the returned maps.
    n_iter : ndarray of shape (n_samples,), int
        Iterations used, in the solver's own unit.
    optimality : ndarray of shape (n_samples,), float64
        At p = 1 the relative duality gap, a proven bound on the relative suboptimality. At p < 1
        the largest violation of stationarity on the support: no certificate.
    converged : ndarray of shape (n_samples,), bool
        Whether the image met the tolerance.
    low : ndarray of shape (n_samples, n_channels, map_height, map_width) or list, default=None
        Smooth maps of the low frequencies, where they were asked for; ``cost`` then includes
        their roughness, and ``optimality`` is that of the sparse maps beside them.
    """

    maps: csr_array
    cost: np.ndarray
    n_iter: np.ndarray
    optimality: np.ndarray
    converged: np.ndarray
    low: np.ndarray | list | None = None


def rows_of(codes: csr_array, positions, width: int) -> csr_array:
    """Codes of some images of one size, which have ``width`` coefficients each."""
    part = codes[positions]
    return csr_array((part.data, part.indices, part.indptr), shape=(part.shape[0], width))


def stacked_rows(parts: list[csr_array]) -> csr_array:
    """Codes of images of several sizes under each other; the width is that of the largest."""
    if len(parts) == 1:
        return parts[0]
    ends = np.cumsum([0] + [part.nnz for part in parts])
    indptr = [part.indptr[1:] + end for part, end in zip(parts, ends[:-1], strict=True)]
    index_dtype = np.int32 if ends[-1] <= np.iinfo(np.int32).max else np.int64
    indices = np.concatenate([part.indices for part in parts]).astype(index_dtype, copy=False)
    return csr_array(
        (
            np.concatenate([part.data for part in parts]),
            indices,
            np.concatenate([[0], *indptr]).astype(index_dtype),
        ),
        shape=(sum(part.shape[0] for part in parts), max(part.shape[1] for part in parts)),
    )


def inner_products(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Inner product of every image, or its maps, with its partner in the other stack, in float64.

    Each is summed like any other row. einsum would do it faster, but sums a long row in another
    order when it stands alone, and so the last bits would depend on the stack.
    """
    flat = first.reshape(len(first), -1), second.reshape(len(second), -1)
    return np.multiply(*flat, dtype=np.float64).sum(axis=1)


def squared_norms(images: np.ndarray) -> np.ndarray:
    """Squared norm of every image, summed in float64."""
    return inner_products(images, images)


def power_sums(maps: np.ndarray, p: float) -> np.ndarray:
    """Sum of |z|^p over every image's maps, in float64."""
    return np.sum(np.abs(maps.reshape(len(maps), -1)) ** p, axis=1, dtype=np.float64)


def dense_maps(operator, images: np.ndarray, init: csr_array | None) -> np.ndarray:
    """Maps to start from as a dense stack; zeros without ``init``."""
    shape = (len(images), *operator.maps_shape)
    if init is None:
        return np.zeros(shape, dtype=images.dtype)
    return init.toarray().reshape(shape).astype(images.dtype, copy=False)


def residual_and_cost(operator, images, penalty, weight, maps) -> tuple[np.ndarray, np.ndarray]:
    """``y - F z``, and ``weight / 2 * ||F z - y||^2 + sum |z|^p`` of every image, in float64."""
    residual = images - operator.forward(maps)
    return residual, 0.5 * weight * squared_norms(residual) + power_sums(maps, penalty.p)


def dual_value(
    images: np.ndarray, residual: np.ndarray, largest: np.ndarray, weight: float
) -> np.ndarray:
    r"""Dual objective of the residual, scaled to be feasible.

    With :math:`\theta = \lambda s r`, where :math:`s = \min(1, 1 / \max|\lambda F^T r|)`, it is
    :math:`\langle\theta, y\rangle - \|\theta\|^2 / (2\lambda)`.

    Parameters
    ----------
    images, residual : ndarray of shape (n_samples, n_channels, height, width)
        The images y, and r = y - F z.
    largest : ndarray of shape (n_samples,)
        max of lambda F^T r, with modulus unless the maps are non-negative.
    weight : float
        lambda.

    Returns
    -------
    dual : ndarray of shape (n_samples,), float64
        A lower bound on the optimal cost of every image.
    """
    scale = 1.0 / np.maximum(1.0, largest.astype(np.float64))
    inner = inner_products(images, residual)
    return weight * scale * (inner - 0.5 * scale * squared_norms(residual))


def relative_gap(cost: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """Relative duality gap ``(cost - dual) / cost``; zero where the cost is zero."""
    return np.where(cost > 0, (cost - dual) / np.where(cost > 0, cost, 1.0), 0.0)


def stationarity(maps: csr_array, gradient: np.ndarray, p: float) -> np.ndarray:
    r"""Largest violation of :math:`\lambda F^T r = p |z|^{p-1} \mathrm{sign} z` on the support.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_coefficients), or ndarray of n_samples maps
        z.
    gradient : ndarray of shape (n_samples, ...)
        lambda F^T r.
    p : float
        Exponent of the penalty.

    Returns
    -------
    violation : ndarray of shape (n_samples,), float64
        Zero where the support is empty.
    """
    if isinstance(maps, np.ndarray):
        maps = csr_array(maps.reshape(len(maps), -1))
    sample = np.repeat(np.arange(maps.shape[0]), np.diff(maps.indptr))
    wanted = p * np.abs(maps.data) ** (p - 1) * np.sign(maps.data)
    violation = np.zeros(maps.shape[0])
    apart = np.abs(gradient.reshape(maps.shape)[sample, maps.indices] - wanted)
    np.maximum.at(violation, sample, apart)
    return violation


def certify(
    images, maps, residual, gradient, cost, penalty, weight, dual=-np.inf
) -> tuple[np.ndarray, np.ndarray]:
    r"""The ``optimality`` of every image's maps.

    Parameters
    ----------
    images, maps : ndarray of four dimensions
        y and z.
    residual, gradient : ndarray of the shapes of ``images`` and ``maps``
        r = y - F z, and lambda F^T r.
    cost : ndarray of shape (n_samples,)
        Cost of the maps.
    penalty : PowerPenalty
        The sparsity term.
    weight : float
        lambda.
    dual : ndarray of shape (n_samples,), default=-inf
        Best lower bound on the optimal cost that is known so far.

    Returns
    -------
    optimality : ndarray of shape (n_samples,), float64
        As in ``InferenceResult``.
    dual : ndarray of shape (n_samples,)
        The better of the bound given and that of the residual; at p < 1 the one given.
    """
    if penalty.p < 1:
        return stationarity(maps, gradient, penalty.p), dual
    score = gradient if penalty.positive else np.abs(gradient)
    largest = score.reshape(len(score), -1).max(axis=1)
    dual = np.maximum(dual, dual_value(images, residual, largest, weight))
    return relative_gap(cost, dual), dual


class Finished:
    """Collects the images of a stack as their solver is done with them."""

    def __init__(self, n_samples: int):
        self.cost = np.empty(n_samples)
        self.n_iter = np.empty(n_samples, dtype=int)
        self.optimality = np.empty(n_samples)
        self.converged = np.empty(n_samples, dtype=bool)
        self._samples, self._maps = [], []

    def add(self, maps, samples, cost, optimality, n_iter, converged) -> None:
        """Store the results of ``samples``, their positions in the stack; maps dense or CSR."""
        if isinstance(maps, np.ndarray):
            maps = csr_array(maps.reshape(len(maps), int(np.prod(maps.shape[1:]))))
        self._samples.append(samples)
        self._maps.append(maps)
        self.cost[samples] = cost
        self.n_iter[samples] = n_iter
        self.optimality[samples] = optimality
        self.converged[samples] = converged

    def result(self) -> InferenceResult:
        """All of them, in the order of the stack."""
        maps = self._maps[0]
        if len(self._maps) > 1:
            order = np.argsort(np.concatenate(self._samples))
            maps = vstack(self._maps, format="csr")[order]
        return InferenceResult(maps, self.cost, self.n_iter, self.optimality, self.converged)


def cheaper(first: InferenceResult, second: InferenceResult) -> InferenceResult:
    """For every image the result of lower cost; the first one at a tie."""
    better = second.cost < first.cost
    row = np.arange(len(better)) + better * len(better)
    return InferenceResult(
        vstack([first.maps, second.maps], format="csr")[row],
        *(
            np.where(better, getattr(second, name), getattr(first, name))
            for name in ("cost", "n_iter", "optimality", "converged")
        ),
    )
