"""Sparse maps for given filters: one module per solver, one registry.

A solver is a function ``solve(operator, images, penalty, weight, *, init=None, tol, max_iter)``
that returns an ``InferenceResult`` for a small stack of images of one size, never letting one
image depend on its neighbours. To add one, write a module with ``solve`` and name it here, with
the further keyword arguments that it takes from the estimator's parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from skdeconv.inference import _coordinate_descent, _fista, _half_quadratic
from skdeconv.inference._adaptive import AdaptedMaps, adapt, adapt_by_descent
from skdeconv.inference._low_frequency import solve_with_low
from skdeconv.inference._pass import infer, map_tasks, quiet_single_thread, workers
from skdeconv.inference._result import (
    Finished,
    InferenceResult,
    rows_of,
    stacked_rows,
)

__all__ = [
    "SOLVERS",
    "AdaptedMaps",
    "Finished",
    "InferenceResult",
    "Solver",
    "adapt",
    "adapt_by_descent",
    "infer",
    "map_tasks",
    "quiet_single_thread",
    "rows_of",
    "solve_with_low",
    "stacked_rows",
    "workers",
]


class Solver(NamedTuple):
    """A solver and the estimator parameters that it takes besides the common ones."""

    solve: Callable[..., InferenceResult]
    options: tuple[str, ...] = ()


SOLVERS = {
    "coordinate_descent": Solver(_coordinate_descent.solve),
    "fista": Solver(_fista.solve),
    "half_quadratic": Solver(
        _half_quadratic.solve,
        ("beta_min", "beta_factor", "beta_max", "beta_repeats", "cg_max_iter"),
    ),
}
