"""Half-quadratic continuation: the inference of the CVPR 2010 paper, kept as the reference."""

from __future__ import annotations

import math

import numpy as np

from skdeconv.inference._result import (
    Finished,
    certify,
    dense_maps,
    inner_products,
    residual_and_cost,
)


def solve(
    operator,
    images,
    penalty,
    weight,
    *,
    init=None,
    tol=1e-3,
    max_iter=50,
    beta_min=1.0,
    beta_factor=6.0,
    beta_max=1e5,
    beta_repeats=1,
    cg_max_iter=2,
):
    r"""Infer sparse maps by alternating between a sparse and a smooth copy of them.

    Minimises :math:`\lambda/2 \|F z - y\|^2 + \beta/2 \|z - x\|^2 + \sum |x|^p` (equation 4 of the
    paper) over x and z in turn, for growing :math:`\beta`: x by the proximal operator (equation
    8), then z by conjugate gradients on :math:`(\lambda F^T F + \beta I) z = \lambda F^T y + \beta
    x` (equation 6), started from the z before. x is returned, from the last z and beta. Nothing
    bounds its distance to the optimum: ``optimality`` reports it.

    Parameters
    ----------
    operator : operator
        Linear map from one image's maps to the image.
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images y, of the operator's floating type.
    penalty : PowerPenalty
        The sparsity term.
    weight : float
        lambda, the weight of the squared error.
    init : csr_array of shape (n_samples, n_coefficients), default=None
        z to start from; zeros by default.
    tol : float, default=1e-3
        Not used: the schedule of beta is the stopping rule.
    max_iter : int, default=50
        Largest number of values of beta.
    beta_min, beta_factor, beta_max : float, default=1.0, 6.0, 1e5
        First beta, its growth, and the bound below which it stays.
    beta_repeats : int, default=1
        Alternations at each beta.
    cg_max_iter : int, default=2
        Steps of conjugate gradients in each alternation.

    Returns
    -------
    result : InferenceResult
        ``n_iter`` counts values of beta, and ``converged`` says that the schedule was completed.

    References
    ----------
    M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010,
    equations 4 to 8 and algorithm 1.
    """
    n_betas = math.ceil(round(math.log(beta_max / beta_min, beta_factor), 9))
    correlation = weight * operator.adjoint(images)
    smooth = dense_maps(operator, images, init)
    for beta in beta_min * beta_factor ** np.arange(min(n_betas, max_iter)):
        for _ in range(beta_repeats):
            _, smooth = alternate(operator, correlation, penalty, weight, beta, smooth, cg_max_iter)
    sparse = penalty.prox(smooth, 1.0 / beta)
    residual, cost = residual_and_cost(operator, images, penalty, weight, sparse)
    gradient = weight * operator.adjoint(residual)
    measure, _ = certify(images, sparse, residual, gradient, cost, penalty, weight)
    finished = Finished(len(images))
    n_iter = min(n_betas, max_iter)
    finished.add(sparse, np.arange(len(images)), cost, measure, n_iter, n_betas <= max_iter)
    return finished.result()


def alternate(operator, correlation, penalty, weight, beta, smooth, cg_max_iter):
    """One alternation at fixed beta: x for the given z, then z for that x.

    Neither half can raise the penalised cost of equation 4.

    Parameters
    ----------
    operator, penalty, weight, beta, cg_max_iter
        As in ``solve``.
    correlation : ndarray of shape (n_samples, n_filters, map_height, map_width)
        lambda F^T y.
    smooth : ndarray of the same shape
        z.

    Returns
    -------
    sparse, smooth : ndarray
        x and the new z.
    """
    sparse = penalty.prox(smooth, 1.0 / beta)
    factor = smooth.dtype.type(beta)

    def system(maps):
        return weight * operator.adjoint(operator.forward(maps)) + factor * maps

    residual = correlation + factor * sparse - system(smooth)
    direction, energy = residual, inner_products(residual, residual)
    for _ in range(cg_max_iter):
        image = system(direction)
        curvature = inner_products(direction, image)
        length = _ratio(energy, curvature).astype(smooth.dtype)[:, None, None, None]
        smooth = smooth + length * direction
        residual = residual - length * image
        before, energy = energy, inner_products(residual, residual)
        turn = _ratio(energy, before).astype(smooth.dtype)[:, None, None, None]
        direction = residual + turn * direction
    return sparse, smooth


def _ratio(numerator, denominator):
    # An image that is solved exactly has nothing left to divide by.
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
