"""The default solver: coordinate descent on a growing working set, reweighted for p < 1."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skdeconv.inference._certificate import dual_value, relative_gap, scaled_locally
from skdeconv.inference._penalty import PowerPenalty
from skdeconv.inference._result import InferenceResult, cheaper
from skdeconv.inference._solver import Solver, State
from skdeconv.inference._working_set import WorkingSet
from skdeconv.kernels import FIRST_SWEEPS, MORE_SWEEPS, NEARLY, SCALINGS

# Sweeps per reweighting round, and the values of eps in the smoothing rounds, relative to the mean
# magnitude on the support. The first are large, so that coefficients that are small at the start
# are not removed.
_SWEEPS = 10
_SMOOTHING = np.geomspace(1e-2, 1e-3, 8)


class CoordinateDescent(Solver):
    r"""Coordinate descent on a working set.

    Minimises :math:`\lambda/2 \|F z - y\|^2 + \sum |z|^p` for each image. At p = 1 every round
    correlates the residual with all atoms, adds at each map position the coefficient that violates
    optimality most, and sweeps over the working set, with more sweeps than in the round before,
    until the duality gap of the whole problem is below the tolerance. At p < 1 this solution and
    the initial maps are each refined on their support by iterative reweighting: a sequence of
    tangent weighted-l1 problems with slopes :math:`p (|z| + \epsilon)^{p-1}`. The result of lower
    cost is kept.

    ``tol`` is the relative duality gap at p = 1. At p < 1 reweighting ends when a round decreases
    the cost by less than the fraction ``tol / 100``. ``max_iter`` is the maximum number of rounds,
    and of the reweighting rounds without smoothing.

    See Also
    --------
    Fista : Accelerated proximal gradient.
    HalfQuadratic : The inference of the CVPR 2010 paper.

    Examples
    --------
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.inference import CoordinateDescent
    >>> DeconvNetLayer(solver=CoordinateDescent())
    DeconvNetLayer(solver=CoordinateDescent())
    """

    def solve(self, problem, *, init=None, tol=1e-3, max_iter=50) -> InferenceResult:
        """Infer the maps of every image; see ``Solver.solve``."""
        convex = replace(problem, penalty=problem.penalty.relaxed)
        lasso = _solved_at_once(convex, init, tol, max_iter)
        if lasso is None:
            lasso = super().solve(convex, init=init, tol=tol, max_iter=max_iter)
        if problem.penalty.is_convex:
            return lasso
        limits = {"tol": tol, "max_iter": max_iter}
        result = _Reweighting(_SMOOTHING).solve(problem, init=lasso.maps, **limits)
        if init is None:
            return result
        return cheaper(result, _Reweighting(()).solve(problem, init=init, **limits))

    def start(self, problem, init):
        """Initial maps with their duality gap."""
        working, unknown = WorkingSet(problem, init), np.full(len(problem), np.inf)
        return _certified(working, unknown, -unknown, n_rounds=0)

    def finished(self, state, tol):
        """Which images have a duality gap of at most ``tol``."""
        return state.gap <= tol

    def step(self, state, tol):
        """One round: extend the working set, sweep over it, and compute the duality gap."""
        working = state.working
        # In the order of the working set, where two sorted runs are merged in linear time.
        sample, x, y = np.nonzero((state.score > 1 + min(tol, 1) / 2).swapaxes(1, 2))
        place = state.kernel[sample, y, x].astype(np.int64), y, x
        position = np.ravel_multi_index(place, working.problem.operator.maps_shape)
        working.add(sample * working.n_coefficients + position)
        # Those of the l1 norm are ones, with which there is nothing to weigh.
        slopes = working.problem.penalty.slope(working.values, 0)
        weighted = (slopes != 1).any()
        working.descend(FIRST_SWEEPS + MORE_SWEEPS * state.n_rounds, slopes if weighted else None)
        return _tightened(_certified(working, state.cost, state.dual, state.n_rounds + 1), tol)

    def result(self, state, n_iter, converged):
        """The maps, with their cost and duality gap."""
        return InferenceResult(state.working.maps(), state.cost, n_iter, state.gap, converged)


def _solved_at_once(problem, init, tol, max_iter) -> InferenceResult | None:
    """Solution by a compiled loop over all rounds, if the operator has one for such images."""
    if type(problem.penalty) is not PowerPenalty:  # A penalty of a user may weigh coefficients.
        return None
    working, positive = WorkingSet(problem, init), problem.penalty.positive
    found = problem.operator.lasso(
        problem.images, working.index, working.values, problem.weight, positive, tol, max_iter
    )
    if found is None:
        return None
    working.index, working.values, n_iter, cost, gap = found
    return InferenceResult(working.maps(), cost, n_iter, gap, gap <= tol)


@dataclass(frozen=True)
class _Certified(State):
    """A working set, the best filter at each position, and the duality gap of every image."""

    working: WorkingSet
    score: np.ndarray
    kernel: np.ndarray
    cost: np.ndarray
    cost_before: np.ndarray
    dual: np.ndarray
    gap: np.ndarray
    n_rounds: int


def _certified(working, cost_before, dual, n_rounds) -> _Certified:
    problem, residual, cost = working.problem, working.residual, working.cost()
    score, kernel = problem.best(residual)
    dual = np.maximum(dual, dual_value(problem, residual, score.max(axis=(1, 2))))
    gap = relative_gap(cost, dual)
    return _Certified(working, score, kernel, cost, cost_before, dual, gap, n_rounds)


def _tightened(state, tol) -> _Certified:
    """Improve the lower bounds of images that may be finished by locally scaled residuals."""
    cost, dual = state.cost, state.dual.copy()
    # An image whose cost has just fallen by more than the tolerance is hardly finished.
    some = np.flatnonzero((state.gap > tol) & (state.cost_before - cost <= tol * cost))
    residual, score = state.working.residual[some], state.score[some]
    for _ in range(SCALINGS):
        if not len(some):
            break
        problem = state.working.problem.select(some)
        residual = scaled_locally(problem, residual, score)
        score, _ = problem.best(residual)
        found = dual_value(problem, residual, score.max(axis=(1, 2)))
        dual[some] = np.maximum(dual[some], found)
        gap = relative_gap(cost[some], dual[some])
        left = (gap > tol) & (gap <= NEARLY * tol)
        some, residual, score = some[left], residual[left], score[left]
    return replace(state, dual=dual, gap=relative_gap(cost, dual))


class _Reweighting(Solver):
    """Iteratively reweighted l1 minimisation at p < 1, on the support of the initial maps.

    Parameters
    ----------
    smoothing : sequence of float
        Values of eps in the initial smoothing rounds, relative to the mean magnitude of the
        non-zero coefficients of an image.
    """

    def __init__(self, smoothing):
        self.smoothing = smoothing

    def start(self, problem, init):
        """Initial maps after the smoothing rounds."""
        working = WorkingSet(problem, init)
        typical = working.per_image(np.abs(working.values)) / np.maximum(np.diff(init.indptr), 1)
        for fraction in self.smoothing:
            eps = (fraction * typical)[working.sample].astype(problem.images.dtype)
            working.descend(_SWEEPS, problem.penalty.slope(working.values, eps))
        return _Reweighted(working, working.cost(), np.full(len(problem), np.inf))

    def finished(self, state, tol):
        """Which images have a relative decrease of the cost of at most ``tol / 100``."""
        return state.cost_before - state.cost <= 0.01 * tol * state.cost

    def step(self, state, tol):
        """Solve one weighted-l1 problem, in which the penalty is replaced by its tangent.

        Without smoothing this majorises the cost, so that no round can raise it.
        """
        working = state.working
        working.descend(_SWEEPS, working.problem.penalty.slope(working.values, 0))
        return _Reweighted(working, working.cost(), state.cost)

    def result(self, state, n_iter, converged):
        """The maps, with their cost and violation of stationarity."""
        maps, problem = state.working.maps(), state.working.problem
        violation = problem.penalty.violation(maps, problem.gradient(state.working.residual))
        return InferenceResult(maps, state.cost, n_iter, violation, converged)


@dataclass(frozen=True)
class _Reweighted(State):
    """A working set, its cost and that of the round before."""

    working: WorkingSet
    cost: np.ndarray
    cost_before: np.ndarray
