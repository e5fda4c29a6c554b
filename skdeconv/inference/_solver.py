"""Base class of solvers, which define single steps, and the loop over the steps."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from skdeconv.inference._problem import Problem
from skdeconv.inference._result import InferenceResult, concatenated


class State:
    """Base class of the states of solvers, which are dataclasses.

    Arrays, dense or sparse, have the sample axis first. ``select`` keeps some of the images: of
    arrays, of whatever has a method ``select`` itself, such as a ``Problem``, and leaves all other
    fields as they are.
    """

    def select(self, samples: np.ndarray):
        """The state of some of the images, given by their sorted positions."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {
            name: one[samples]
            for name, one in values.items()
            if isinstance(one, np.ndarray) or issparse(one)
        }
        parts = {
            name: one.select(samples) for name, one in values.items() if hasattr(one, "select")
        }
        return replace(self, **arrays, **parts)


class Solver(BaseEstimator):
    """Base class of solvers, which infer the maps of a stack of images.

    A subclass defines ``start``, ``finished``, ``step`` and ``result``, which pass on a ``State``
    of the subclass's own. No image may depend on another one of the stack. Parameters of the
    constructor are stored unchanged, as in any scikit-learn estimator, checked in
    ``check_parameters``, and never changed by inference.
    """

    def check_parameters(self) -> None:
        """Check the parameters of the constructor.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If it is out of range.
        """

    def start(self, problem: Problem, init) -> State:
        """Make the state before the first step.

        Parameters
        ----------
        problem : Problem
            The images, and what is minimised for each.
        init : csr_array of shape (n_samples, n_coefficients) or None
            Maps to start from; zeros if None.

        Returns
        -------
        state : State
            The state of all images.
        """
        raise NotImplementedError

    def finished(self, state: State, tol: float) -> np.ndarray:
        """Find the images that meet the tolerance.

        Parameters
        ----------
        state : State
            State of the images that are left.
        tol : float
            Tolerance of the solver's own stopping criterion.

        Returns
        -------
        finished : ndarray of bool of shape (n_samples,)
            Whether each image is finished.
        """
        raise NotImplementedError

    def step(self, state: State, tol: float) -> State:
        """Make one more step for each image; the given state may be consumed.

        Parameters
        ----------
        state : State
            State of the images that are left.
        tol : float
            Tolerance of the solver's own stopping criterion.

        Returns
        -------
        state : State
            The state after the step.
        """
        raise NotImplementedError

    def result(self, state: State, n_iter: np.ndarray, converged: np.ndarray) -> InferenceResult:
        """Give the maps of all images of a state, with their cost and optimality.

        Parameters
        ----------
        state : State
            State of images that leave the stack.
        n_iter : ndarray of int of shape (n_samples,)
            Number of steps that were made.
        converged : ndarray of bool of shape (n_samples,)
            Whether the images are finished; the others have reached ``max_iter``.

        Returns
        -------
        result : InferenceResult
            The maps, in the order of the images.
        """
        raise NotImplementedError

    def solve(self, problem: Problem, *, init=None, tol=1e-3, max_iter=50) -> InferenceResult:
        """Infer the maps of every image.

        Parameters
        ----------
        problem : Problem
            The images, operator and penalty.
        init : csr_array of shape (n_samples, n_coefficients), default=None
            Initial maps; zeros by default.
        tol : float, default=1e-3
            Tolerance of the stopping criterion, whose meaning depends on the solver.
        max_iter : int, default=50
            Maximum number of steps.

        Returns
        -------
        result : InferenceResult
            Maps, cost and optimality, in the order of the images.
        """
        return iterate(self, self.start(problem, init), len(problem), tol, max_iter)


def iterate(solver, state, n_samples: int, tol: float, max_iter: int) -> InferenceResult:
    """Run the steps of a solver until all images are finished, or for ``max_iter`` steps.

    Finished images are removed from the stack at once, so that their result does not depend on the
    number of steps that the others need.
    """
    samples, results, places = np.arange(n_samples), [], []
    for iteration in range(max_iter + 1):
        finished = solver.finished(state, tol)
        leaving = finished if iteration < max_iter else np.ones_like(finished)
        if leaving.any():
            chosen, going = np.flatnonzero(leaving), np.flatnonzero(~leaving)
            part = state.select(chosen) if len(going) else state
            n_iter = np.full(len(chosen), iteration)
            results.append(solver.result(part, n_iter, finished[chosen]))
            places.append(samples[chosen])
            if not len(going):
                break
            state, samples = state.select(going), samples[going]
        state = solver.step(state, tol)
    return concatenated(results, places)
