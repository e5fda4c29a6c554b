"""The loop of all solvers, run by a solver whose images finish after given numbers of steps."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skdeconv.inference import InferenceResult, PowerPenalty, Problem, Solver, State
from skdeconv.operators import Convolution

ONE_PIXEL = Convolution(np.ones((1, 1, 1, 1)), (1, 1))


@dataclass(frozen=True)
class Counted(State):
    """Maps of each image, what is left to be added to them, and the steps so far."""

    problem: Problem
    maps: np.ndarray
    left: np.ndarray
    label: str
    n_steps: int


class CountDown(Solver):
    """Adds one to the map of an image, of one pixel, until it equals the image, but for ``tol``."""

    def __init__(self):
        self.stacks = []

    def start(self, problem, init):
        """From ``init``."""
        maps = problem.dense_maps(init).ravel()
        return Counted(problem, maps, problem.images.ravel() - maps, "kept", 0)

    def finished(self, state, tol):
        """No more than ``tol`` is left."""
        return state.left <= tol

    def step(self, state, tol):
        """Add one to each map."""
        assert state.label == "kept"
        assert len(state.problem) == len(state.maps) == len(state.left)
        self.stacks.append(state.problem.images.ravel().tolist())
        return replace(state, maps=state.maps + 1, left=state.left - 1, n_steps=state.n_steps + 1)

    def result(self, state, n_iter, converged):
        """The images as the cost, what is left as the optimality."""
        assert_array_equal(n_iter, state.n_steps)
        images = state.problem.images.ravel()
        maps = csr_array(state.maps[:, None])
        return InferenceResult(maps, images, n_iter, state.left, converged)


def problem_of(numbers):
    images = np.array(numbers, dtype=np.float64).reshape(-1, 1, 1, 1)
    return Problem(ONE_PIXEL, images, PowerPenalty(), 1.0)


def assert_same(found, expected):
    assert_array_equal(found.maps.toarray(), expected.maps.toarray())
    for field in ("cost", "n_iter", "optimality", "converged"):
        assert_array_equal(getattr(found, field), getattr(expected, field))


NUMBERS = [3, 0, 5, 1, 3, 4]


def test_results_are_in_the_order_of_the_images():
    found = CountDown().solve(problem_of(NUMBERS))
    assert_array_equal(found.n_iter, NUMBERS)
    assert_array_equal(found.maps.toarray().ravel(), NUMBERS)
    assert_array_equal(found.cost, NUMBERS)
    assert not found.optimality.any()
    assert found.converged.all()
    assert found.low_frequency is None


def test_an_image_that_is_finished_leaves_the_stack():
    solver = CountDown()
    solver.solve(problem_of(NUMBERS))
    expected = [[one for one in NUMBERS if one > done] for done in range(5)]
    assert solver.stacks == expected


@pytest.mark.parametrize("max_iter", [0, 1, 3, 4, 5, 50])
def test_steps_are_limited(max_iter):
    solver, numbers = CountDown(), np.array(NUMBERS)
    found = solver.solve(problem_of(NUMBERS), max_iter=max_iter)
    assert_array_equal(found.n_iter, np.minimum(numbers, max_iter))
    assert_array_equal(found.maps.toarray().ravel(), found.n_iter)
    assert_array_equal(found.optimality, numbers - found.n_iter)
    assert_array_equal(found.converged, numbers <= max_iter)
    assert len(solver.stacks) == min(max_iter, 5)


def test_tolerance_is_that_of_the_solver():
    found = CountDown().solve(problem_of(NUMBERS), tol=2.0)
    assert_array_equal(found.n_iter, np.maximum(np.array(NUMBERS) - 2, 0))
    assert found.converged.all()


@pytest.mark.parametrize("max_iter", [2, 50])
def test_no_image_influences_another(max_iter):
    together = CountDown().solve(problem_of(NUMBERS), max_iter=max_iter)
    for place, number in enumerate(NUMBERS):
        alone = CountDown().solve(problem_of([number]), max_iter=max_iter)
        assert_same(alone, together.select([place]))
    order = [4, 2, 0, 5]
    others = CountDown().solve(problem_of(np.array(NUMBERS)[order]), max_iter=max_iter)
    assert_same(others, together.select(order))


def test_each_image_has_its_init():
    init = csr_array(np.array([[1.0], [0.0], [5.0], [0.0], [3.0], [2.0]]))
    found = CountDown().solve(problem_of(NUMBERS), init=init)
    assert_array_equal(found.n_iter, NUMBERS - init.toarray().ravel())
    assert_array_equal(found.maps.toarray().ravel(), NUMBERS)


def test_images_that_finish_together_are_one_stack():
    solver = CountDown()
    found = solver.solve(problem_of([2, 2, 2]))
    assert solver.stacks == [[2, 2, 2], [2, 2, 2]]
    assert_array_equal(found.n_iter, [2, 2, 2])


def test_a_part_of_a_state_leaves_what_belongs_to_no_image():
    state = CountDown().start(problem_of(NUMBERS), None)
    part = state.select(np.array([0, 2]))
    assert_array_equal(part.left, [3, 5])
    assert_array_equal(part.problem.images.ravel(), [3, 5])
    assert part.problem.operator is ONE_PIXEL
    assert (part.label, part.n_steps) == ("kept", 0)
    assert_array_equal(state.left, NUMBERS)


@pytest.mark.parametrize("method", ["finished", "step", "result", "start"])
def test_a_solver_needs_its_methods(method):
    class Lacking(CountDown):
        pass

    setattr(Lacking, method, getattr(Solver, method))
    with pytest.raises(NotImplementedError):
        Lacking().solve(problem_of([1]))
