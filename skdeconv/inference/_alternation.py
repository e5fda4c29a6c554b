"""Joint inference of sparse maps and low-frequency maps, by alternation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skdeconv.inference._problem import Problem
from skdeconv.inference._result import InferenceResult
from skdeconv.inference._solver import Solver, State, iterate

# Maximum number of alternations; raw photos need three to eight.
ALTERNATIONS = 30


class LowFrequencyAlternation(Solver):
    r"""Infer sparse maps and low-frequency maps in turn, until their joint cost converges.

    Minimises :math:`\lambda/2 \, (\|F z + A z_0 - y\|^2 + \psi \|\nabla z_0\|^2) + \sum |z|^p`: the
    low-frequency maps :math:`z_0` by a linear system for the residual of the sparse maps, then the
    sparse maps by a solver for the residual of the low-frequency maps. An image has converged if
    the solver has converged and the last alternation decreased the cost by at most the fraction
    ``tol / 10``.

    Parameters
    ----------
    solver : Solver
        The solver of the sparse maps.
    operator : LowFrequencyOperator
        A, including psi.
    n_alternations : int, default=30
        Maximum number of alternations.
    """

    def __init__(self, solver, operator, n_alternations=ALTERNATIONS):
        self.solver = solver
        self.operator = operator
        self.n_alternations = n_alternations

    def solve(self, problem, *, init=None, tol=1e-3, max_iter=50) -> InferenceResult:
        """Infer both kinds of maps; ``tol`` and ``max_iter`` are also passed to the solver."""
        before = np.full(len(problem), np.inf)
        state = self._alternate(problem, init, None, before, {"tol": tol, "max_iter": max_iter})
        return iterate(self, state, len(problem), tol, self.n_alternations - 1)

    def finished(self, state, tol):
        """Which images have a relative decrease of the cost of at most ``tol / 10``."""
        return state.cost_before - state.cost <= 0.1 * tol * state.cost

    def step(self, state, tol):
        """One more alternation."""
        start = state.sparse.maps, state.low_frequency
        return self._alternate(state.problem, *start, state.cost, state.limits)

    def _alternate(self, problem, maps, low_frequency, cost_before, limits):
        rest = problem.residual(problem.dense_maps(maps))
        if problem.known is not None:
            rest = np.where(problem.known, rest, rest.dtype.type(np.nan))
        low_frequency, roughness = self.operator.fit(rest, low_frequency)
        rest = problem.images - self.operator.forward(low_frequency)
        if problem.known is not None:
            rest = np.where(problem.known, rest, rest.dtype.type(0))
        sparse = self.solver.solve(replace(problem, images=rest), init=maps, **limits)
        cost = sparse.cost + 0.5 * problem.weight * roughness
        return _State(problem, limits, sparse, low_frequency, cost, cost_before)

    def result(self, state, n_iter, converged):
        """Both kinds of maps; ``n_iter`` is that of the last call of the solver."""
        # In learning there is only one alternation, so that the decrease of the cost is not tested.
        converged = state.sparse.converged & (converged | (self.n_alternations == 1))
        low_frequency = list(state.low_frequency)
        return replace(
            state.sparse, cost=state.cost, converged=converged, low_frequency=low_frequency
        )


@dataclass(frozen=True)
class _State(State):
    """Both kinds of maps, and their cost after the last two alternations."""

    problem: Problem
    limits: dict
    sparse: InferenceResult
    low_frequency: np.ndarray
    cost: np.ndarray
    cost_before: np.ndarray
