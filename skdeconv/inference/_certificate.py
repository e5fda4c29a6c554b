"""Measures of optimality: the duality gap at p = 1, the violation of stationarity at p < 1."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array

from skdeconv.inference._problem import inner_products, squared_norms
from skdeconv.kernels import MARGIN


def dual_value(problem, residual: np.ndarray, norm: np.ndarray) -> np.ndarray:
    r"""Dual objective of the residual, after scaling to feasibility.

    With :math:`\theta = \lambda s r`, where s is the best factor up to
    :math:`1 / \max|\lambda F^T r|`, it is
    :math:`\langle\theta, y\rangle - \|\theta\|^2 / (2\lambda)`.

    Parameters
    ----------
    problem : Problem
        The problem, with p = 1.
    residual : ndarray of the shape of its images
        r, usually y - F z.
    norm : ndarray of shape (n_samples,)
        Dual norm of lambda F^T r.

    Returns
    -------
    dual : ndarray of shape (n_samples,), float64
        A lower bound on the optimal cost of every image.
    """
    # With a margin for rounding errors of the inner products.
    norm = norm.astype(np.float64) * (1 + MARGIN * np.finfo(residual.dtype).eps)
    inner = inner_products(problem.images, residual)
    energy = squared_norms(residual)
    tiny = np.finfo(np.float64).tiny
    scale = np.clip(inner / np.maximum(energy, tiny), 0, 1 / np.maximum(norm, tiny))
    return problem.weight * scale * (inner - 0.5 * scale * energy)


def scaled_locally(problem, residual: np.ndarray, score: np.ndarray) -> np.ndarray:
    r"""Shrink a residual where the atoms that reach a pixel violate dual feasibility.

    A global factor is set by the one atom that violates it most. Here each pixel is divided by the
    largest violation of the atoms that reach it, so that the rest of the image keeps its residual.
    What is left of the violation is small, and is removed by a global factor.

    Parameters
    ----------
    problem : Problem
        The problem, with p = 1.
    residual : ndarray of the shape of its images
        r.
    score : ndarray of shape (n_samples, map_height, map_width)
        Largest score of lambda F^T r at each map position.

    Returns
    -------
    residual : ndarray of the shape of the images
        The residual, divided by at least 1 at each pixel.
    """
    violation = problem.operator.highest_over(np.maximum(score, 1))
    return residual / violation[:, None]


def relative_gap(cost: np.ndarray, dual: np.ndarray) -> np.ndarray:
    """Relative duality gap ``(cost - dual) / cost``; zero where the cost is zero."""
    return np.where(cost > 0, (cost - dual) / np.where(cost > 0, cost, 1.0), 0.0)


def certify(problem, maps, residual, gradient, cost, dual=-np.inf) -> tuple[np.ndarray, np.ndarray]:
    r"""Compute the ``optimality`` of the dense maps of every image.

    Parameters
    ----------
    problem : Problem
        The problem.
    maps : ndarray of shape (n_samples, n_filters, map_height, map_width)
        z.
    residual, gradient : ndarray of the shapes of the images and of ``maps``
        r = y - F z, and lambda F^T r.
    cost : ndarray of shape (n_samples,)
        Cost of the maps.
    dual : ndarray of shape (n_samples,), default=-inf
        Best lower bound on the optimal cost so far.

    Returns
    -------
    optimality : ndarray of shape (n_samples,), float64
        As in ``InferenceResult``.
    dual : ndarray of shape (n_samples,)
        The larger of the given bound and that of the residual; at p < 1 the given one.
    """
    penalty = problem.penalty
    if not penalty.is_convex:
        return penalty.violation(csr_array(maps.reshape(len(maps), -1)), gradient), dual
    dual = np.maximum(dual, dual_value(problem, residual, penalty.dual_norm(gradient)))
    return relative_gap(cost, dual), dual
