"""Accelerated proximal gradient: a simple baseline for the default solver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from skdeconv.inference._certificate import certify
from skdeconv.inference._problem import Problem
from skdeconv.inference._result import InferenceResult
from skdeconv.inference._solver import Solver, State


class Fista(Solver):
    r"""FISTA with restarts, which never raises the cost.

    Minimises :math:`\lambda/2 \|F z - y\|^2 + \sum |z|^p`. From the extrapolated point v a step is

    .. math:: z \leftarrow \operatorname{prox}_{t \sum |\cdot|^p} (v + t \lambda F^T (y - F v)),
        \quad t = 1 / (\lambda \|F\|^2).

    If it would raise the cost, the momentum is reset and the step is taken from z instead. At p = 1
    this is the accelerated method, with its convergence rate. At p < 1 it is a local method, which
    descends from zeros or the initial maps to the neighbourhood of a stationary point.

    At p = 1 ``tol`` is the relative duality gap, with the best dual value so far; at p < 1 ten
    times the relative decrease of the cost in one step.

    See Also
    --------
    CoordinateDescent : The default, which is faster.

    References
    ----------
    A. Beck, M. Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm for Linear Inverse
    Problems", SIAM Journal on Imaging Sciences 2009, section 4.

    B. O'Donoghue, E. Candes, "Adaptive Restart for Accelerated Gradient Schemes", Foundations of
    Computational Mathematics 2015, section 3.2 (restart by function values).

    Examples
    --------
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.inference import Fista
    >>> DeconvNetLayer(solver=Fista())
    DeconvNetLayer(solver=Fista())
    """

    def start(self, problem, init):
        """Evaluate the initial maps."""
        maps = problem.dense_maps(init)
        residual = problem.residual(maps)
        length = 1.0 / (problem.weight * problem.operator.norm() ** 2)
        cost = problem.cost(residual, maps)
        ones = np.ones(len(problem))
        return _evaluated(problem, length, maps, residual, cost, ones, -np.inf * ones)

    def finished(self, state, tol):
        """Which images have a gap, or at p < 1 ten times a decrease, of at most ``tol``."""
        if not state.problem.penalty.is_convex:
            return state.last_cost - state.cost <= 0.1 * tol * state.cost
        return state.optimality <= tol

    def step(self, state, tol):
        """One accelerated step per image, or one without momentum if that would raise the cost."""
        problem, dtype = state.problem, state.maps.dtype
        momentum = (1 + np.sqrt(1 + 4 * state.momentum**2)) / 2
        factor = ((state.momentum - 1) / momentum).astype(dtype)[:, None, None, None]
        # The gradient is affine in the maps, so it can be extrapolated like them.
        ahead = state.maps + factor * (state.maps - state.last_maps)
        gradient = state.gradient + factor * (state.gradient - state.last_gradient)
        maps = self._prox(problem, state.length, ahead, gradient)
        residual = problem.residual(maps)
        cost = problem.cost(residual, maps)
        worse = np.flatnonzero(cost > state.cost)
        if len(worse):
            part, start = problem.select(worse), (state.maps[worse], state.gradient[worse])
            maps[worse] = self._prox(part, state.length, *start)
            residual[worse] = part.residual(maps[worse])
            cost[worse] = part.cost(residual[worse], maps[worse])
            momentum[worse] = 1
        return _evaluated(
            problem, state.length, maps, residual, cost, momentum, state.dual, last=state
        )

    def _prox(self, problem, length, maps, gradient):
        """Proximal gradient step; ``gradient`` is the negative one, as in ``Problem.gradient``."""
        return problem.penalty.prox(maps + maps.dtype.type(length) * gradient, length)

    def result(self, state, n_iter, converged):
        """The maps with their certificates."""
        maps = csr_array(state.maps.reshape(len(converged), -1))
        return InferenceResult(maps, state.cost, n_iter, state.optimality, converged)


@dataclass(frozen=True)
class _State(State):
    """Maps, their gradient and cost, and those of the step before."""

    problem: Problem
    length: float
    maps: np.ndarray
    gradient: np.ndarray
    cost: np.ndarray
    last_maps: np.ndarray
    last_gradient: np.ndarray
    last_cost: np.ndarray
    momentum: np.ndarray
    dual: np.ndarray
    optimality: np.ndarray


def _evaluated(problem, length, maps, residual, cost, momentum, dual, last=None) -> _State:
    """State of maps with their gradient, their optimality and the best dual value so far."""
    gradient = problem.gradient(residual)
    optimality, dual = certify(problem, maps, residual, gradient, cost, dual)
    return _State(
        problem=problem,
        length=length,
        maps=maps,
        gradient=gradient,
        cost=cost,
        last_maps=maps if last is None else last.maps,
        last_gradient=gradient if last is None else last.gradient,
        last_cost=np.full(len(maps), np.inf) if last is None else last.cost,
        momentum=momentum,
        dual=dual,
        optimality=optimality,
    )
