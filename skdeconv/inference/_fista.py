"""Accelerated proximal gradient: the plain baseline, and a check on the default solver."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from skdeconv.inference._result import Finished, certify, dense_maps, residual_and_cost


def solve(operator, images, penalty, weight, *, init=None, tol=1e-3, max_iter=50):
    r"""Infer sparse maps by FISTA with restarts, never raising the cost.

    Minimises :math:`\lambda/2 \|F z - y\|^2 + \sum |z|^p`. From the extrapolated point v a step is

    .. math:: z \leftarrow \operatorname{prox}_{t \sum |\cdot|^p} (v + t \lambda F^T (y - F v)),
        \quad t = 1 / (\lambda \|F\|^2).

    Where it would raise the cost, the momentum is dropped and the step is taken from z instead.
    At p = 1 this is the accelerated method with its proven rate. At p < 1 it is a local method,
    which descends from zeros or ``init`` and ends near a stationary point.

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
        At p = 1 the relative duality gap, with the best dual value so far, at which an image is
        done; at p < 1 the relative decrease of the cost in one step.
    max_iter : int, default=50
        Largest number of steps.

    Returns
    -------
    result : InferenceResult
        The maps with their certificates.

    References
    ----------
    A. Beck, M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse
    Problems", SIAM Journal on Imaging Sciences 2009, section 4.

    B. O'Donoghue, E. Candes, "Adaptive Restart for Accelerated Gradient Schemes", Foundations of
    Computational Mathematics 2015, section 3.2 (restart by function values).
    """
    finished = Finished(len(images))
    step = 1.0 / (weight * operator.norm() ** 2)
    state = _start(operator, images, penalty, weight, init)
    for iteration in range(max_iter + 1):
        measure, settled = _assess(state, penalty, weight, tol)
        done = settled | (iteration == max_iter)
        if done.any():
            finished.add(
                state.maps[done],
                state.samples[done],
                state.cost[done],
                measure[done],
                iteration,
                settled[done],
            )
            if done.all():
                break
            state = state.select(~done)
        state = _advance(state, operator, penalty, weight, step)
    return finished.result()


@dataclass
class _State:
    """What is known of the images that are still going; every field has the sample axis first."""

    samples: np.ndarray
    images: np.ndarray
    maps: np.ndarray
    residual: np.ndarray
    gradient: np.ndarray
    cost: np.ndarray
    # Of the step before, for the momentum and the decrease.
    last_maps: np.ndarray
    last_gradient: np.ndarray
    last_cost: np.ndarray
    momentum: np.ndarray
    dual: np.ndarray

    def select(self, samples):
        return _State(*(getattr(self, field.name)[samples] for field in fields(self)))


def _start(operator, images, penalty, weight, init):
    maps = dense_maps(operator, images, init)
    residual, cost = residual_and_cost(operator, images, penalty, weight, maps)
    gradient = weight * operator.adjoint(residual)
    return _State(
        samples=np.arange(len(images)),
        images=images,
        maps=maps,
        residual=residual,
        gradient=gradient,
        cost=cost,
        last_maps=maps,
        last_gradient=gradient,
        last_cost=np.full(len(images), np.inf),
        momentum=np.ones(len(images)),
        dual=np.full(len(images), -np.inf),
    )


def _assess(state, penalty, weight, tol):
    """Optimality of every image, and whether it is done; remembers the best dual value."""
    known = state.images, state.maps, state.residual, state.gradient, state.cost
    measure, state.dual = certify(*known, penalty, weight, state.dual)
    if penalty.p < 1:
        return measure, state.last_cost - state.cost <= tol * state.cost
    return measure, measure <= tol


def _advance(state, operator, penalty, weight, step):
    """One accelerated step for each image; a plain one, from its maps, where that costs more."""
    length = state.images.dtype.type(step)
    momentum = (1 + np.sqrt(1 + 4 * state.momentum**2)) / 2
    factor = ((state.momentum - 1) / momentum).astype(state.images.dtype)[:, None, None, None]
    # The gradient is affine in the maps: it is extrapolated as they are.
    ahead = state.maps + factor * (state.maps - state.last_maps)
    pull = state.gradient + factor * (state.gradient - state.last_gradient)
    maps = penalty.prox(ahead + length * pull, step)
    residual, cost = residual_and_cost(operator, state.images, penalty, weight, maps)
    worse = np.flatnonzero(cost > state.cost)
    if len(worse):
        maps[worse] = penalty.prox(state.maps[worse] + length * state.gradient[worse], step)
        residual[worse], cost[worse] = residual_and_cost(
            operator, state.images[worse], penalty, weight, maps[worse]
        )
        momentum[worse] = 1
    return _State(
        samples=state.samples,
        images=state.images,
        maps=maps,
        residual=residual,
        gradient=weight * operator.adjoint(residual),
        cost=cost,
        last_maps=state.maps,
        last_gradient=state.gradient,
        last_cost=state.cost,
        momentum=momentum,
        dual=state.dual,
    )
