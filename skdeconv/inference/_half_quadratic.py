"""Half-quadratic continuation: the inference of the CVPR 2010 paper, kept as a reference."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from skdeconv._utils.validation import check_integer, check_real
from skdeconv.inference._certificate import certify
from skdeconv.inference._problem import Problem, inner_products
from skdeconv.inference._result import InferenceResult
from skdeconv.inference._solver import Solver, State


class HalfQuadratic(Solver):
    r"""Half-quadratic continuation, which alternates between a sparse and a smooth copy of maps.

    Minimises :math:`\lambda/2 \|F z - y\|^2 + \lambda\beta/2 \|z - x\|^2 + \sum |x|^p` (equation 4
    of the paper) over x and z in turn, for growing :math:`\beta`: x by the proximal operator
    (equation 8), then z by conjugate gradients on :math:`\lambda (F^T F + \beta I) z = \lambda (F^T
    y + \beta x)` (equation 6), warm-started from the previous z. The x of the last z and
    :math:`\beta` is returned. Its distance to the optimum is not bounded, but reported as
    ``optimality``.

    ``tol`` is not used, since the solver stops at the end of the schedule of :math:`\beta`.
    ``max_iter`` is the maximum number of values of :math:`\beta`; an image has converged if the
    schedule was completed.

    Parameters
    ----------
    beta_min : float, default=1.0
        First :math:`\beta`, as a multiple of ``lam``, above 0. At ``lam=1``, as in the paper, it
        equals the :math:`\beta` of the paper.
    beta_factor : float, default=6.0
        Factor by which :math:`\beta` grows, above 1.
    beta_max : float, default=1e5
        Upper bound of :math:`\beta`, which is not reached, above ``beta_min``.
    beta_repeats : int, default=1
        Number of alternations at each :math:`\beta`.
    cg_max_iter : int, default=2
        Number of conjugate gradient steps in each alternation.

    See Also
    --------
    CoordinateDescent : The default, which reaches lower costs in less time.

    References
    ----------
    M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010,
    equations 4 to 8 and algorithm 1.

    Examples
    --------
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.inference import HalfQuadratic
    >>> layer = DeconvNetLayer(solver=HalfQuadratic(beta_max=1e4))
    >>> layer.set_params(solver__beta_max=1e3).solver
    HalfQuadratic(beta_max=1000.0)
    """

    def __init__(self, beta_min=1.0, beta_factor=6.0, beta_max=1e5, beta_repeats=1, cg_max_iter=2):
        self.beta_min = beta_min
        self.beta_factor = beta_factor
        self.beta_max = beta_max
        self.beta_repeats = beta_repeats
        self.cg_max_iter = cg_max_iter

    def check_parameters(self) -> None:
        """Raise a TypeError or ValueError if a parameter is invalid."""
        above_zero = {"min_val": 0, "include_boundaries": "neither"}
        check_real("beta_min", self.beta_min, **above_zero)
        check_real("beta_factor", self.beta_factor, min_val=1, include_boundaries="neither")
        check_real("beta_max", self.beta_max, **above_zero)
        check_integer("beta_repeats", self.beta_repeats, min_val=1)
        check_integer("cg_max_iter", self.cg_max_iter, min_val=1)
        if self.beta_max <= self.beta_min:
            raise ValueError(
                f"beta_max must be above beta_min={self.beta_min}, got {self.beta_max}."
            )

    def start(self, problem, init):
        """Initial maps as z."""
        correlation = problem.gradient(problem.images)
        return _State(problem, correlation, problem.dense_maps(init), None, n_betas=0)

    def finished(self, state, tol):
        """All images, when the schedule of beta is completed."""
        growth = math.log(self.beta_max / self.beta_min, self.beta_factor)
        n_betas = max(1, math.ceil(round(growth, 9)))
        return np.full(len(state.problem), state.n_betas >= n_betas)

    def step(self, state, tol):
        """Alternations at the next value of beta."""
        beta = state.problem.unit * self.beta_min * float(self.beta_factor) ** state.n_betas
        smooth = state.smooth
        for _ in range(self.beta_repeats):
            _, smooth = self.alternate(state.problem, state.correlation, beta, smooth)
        return replace(state, smooth=smooth, beta=beta, n_betas=state.n_betas + 1)

    def alternate(self, problem, correlation, beta, smooth):
        """One alternation at fixed beta: x for the given z, then z for that x.

        Neither half can raise the penalised cost of equation 4.

        Parameters
        ----------
        problem : Problem
            The problem.
        correlation : ndarray of shape (n_samples, n_filters, map_height, map_width)
            lambda F^T y.
        beta : float
            Weight of the coupling of x and z, lambda included.
        smooth : ndarray of the shape of ``correlation``
            z.

        Returns
        -------
        sparse, smooth : ndarray
            x and the new z.
        """
        sparse = problem.penalty.prox(smooth, 1.0 / beta)
        factor = smooth.dtype.type(beta)

        def system(maps):
            return problem.gradient(problem.operator.forward(maps)) + factor * maps

        residual = correlation + factor * sparse - system(smooth)
        direction, energy = residual, inner_products(residual, residual)
        for _ in range(self.cg_max_iter):
            image = system(direction)
            curvature = inner_products(direction, image)
            length = _ratio(energy, curvature).astype(smooth.dtype)[:, None, None, None]
            smooth = smooth + length * direction
            residual = residual - length * image
            before, energy = energy, inner_products(residual, residual)
            turn = _ratio(energy, before).astype(smooth.dtype)[:, None, None, None]
            direction = residual + turn * direction
        return sparse, smooth

    def result(self, state, n_iter, converged):
        """The x of the last z and beta, with its cost and optimality."""
        problem = state.problem
        sparse = problem.penalty.prox(state.smooth, 1.0 / state.beta)
        residual = problem.residual(sparse)
        cost = problem.cost(residual, sparse)
        optimality, _ = certify(problem, sparse, residual, problem.gradient(residual), cost)
        maps = csr_array(sparse.reshape(len(sparse), -1))
        return InferenceResult(maps, cost, n_iter, optimality, converged)


@dataclass(frozen=True)
class _State(State):
    """z of every image, lambda F^T y, and the last beta."""

    problem: Problem
    correlation: np.ndarray
    smooth: np.ndarray
    beta: float | None
    n_betas: int


def _ratio(numerator, denominator):
    # 0 / 0, for an image that is solved exactly, is 0.
    return np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
