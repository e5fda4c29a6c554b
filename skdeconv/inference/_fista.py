"""Accelerated proximal gradient: the plain baseline, and a check on the default solver."""

from __future__ import annotations

import numpy as np

from skdeconv.inference._result import (
    Finished,
    dense_maps,
    dual_value,
    power_sums,
    relative_gap,
    squared_norms,
    stationarity,
)


def solve(operator, images, penalty, weight, *, init=None, tol=1e-3, max_iter=50):
    r"""Infer sparse maps by FISTA with restarts, never raising the cost.

    From the extrapolated point v a step is
    :math:`z \leftarrow \operatorname{prox}_{t \sum |\cdot|^p}(v + t \lambda F^T (y - F v))` with
    :math:`t = 1 / (\lambda \|F\|^2)`. Where it would raise the cost, the momentum is dropped and
    the step is taken from z instead. At p < 1 this is a local method, from zeros or ``init``.

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
        Maps to start from; zeros by default.
    tol : float, default=1e-3
        At p = 1 the relative duality gap at which an image is done; at p < 1 the relative decrease
        of the cost in one step.
    max_iter : int, default=50
        Largest number of steps.

    Returns
    -------
    result : InferenceResult
        The maps with their certificates.

    References
    ----------
    A. Beck, M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse
    Problems", SIAM Journal on Imaging Sciences 2009.
    """
    step = 1.0 / (weight * operator.norm() ** 2)
    finished = Finished(len(images))
    going = np.arange(len(images))
    maps = dense_maps(operator, images, init)
    ahead, momentum = maps, np.ones(len(images))
    cost = np.full(len(images), np.inf)
    dual = np.full(len(images), -np.inf)
    for iteration in range(max_iter + 1):
        residual = images - operator.forward(maps)
        before, cost = cost, _cost(maps, residual, penalty, weight)
        gradient = weight * operator.adjoint(residual)
        if penalty.p == 1:
            score = gradient if penalty.positive else np.abs(gradient)
            largest = score.reshape(len(score), -1).max(axis=1)
            dual = np.maximum(dual, dual_value(images, residual, largest, weight))
            measure = relative_gap(cost, dual)
            settled = measure <= tol
        else:
            measure = stationarity(maps, gradient, penalty.p)
            settled = before - cost <= tol * cost
        done = settled | (iteration == max_iter)
        finished.add(maps[done], going[done], cost[done], measure[done], iteration, settled[done])
        if done.all():
            break
        going, images, maps, ahead, gradient = (
            array[~done] for array in (going, images, maps, ahead, gradient)
        )
        momentum, cost, dual = momentum[~done], cost[~done], dual[~done]
        maps, ahead, momentum = _step(
            operator, images, penalty, weight, step, maps, gradient, cost, ahead, momentum
        )
    return finished.result()


def _step(operator, images, penalty, weight, step, maps, gradient, cost, ahead, momentum):
    """One accelerated step for each image; a plain one, from its maps, where that costs more."""
    pull = weight * operator.adjoint(images - operator.forward(ahead))
    found = penalty.prox(ahead + ahead.dtype.type(step) * pull, step)
    worse = _cost(found, images - operator.forward(found), penalty, weight) > cost
    found[worse] = penalty.prox(maps[worse] + maps.dtype.type(step) * gradient[worse], step)
    momentum = np.where(worse, 1.0, momentum)
    following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
    factor = np.where(worse, 0.0, (momentum - 1) / following).astype(maps.dtype)
    return found, found + factor[:, None, None, None] * (found - maps), following


def _cost(maps, residual, penalty, weight):
    return 0.5 * weight * squared_norms(residual) + power_sums(maps, penalty.p)
