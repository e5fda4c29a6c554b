"""Inference of sparse maps for given filters: one module per solver, and a registry.

A solver is a subclass of ``Solver``. To add one, write a module with the class and add it to
``SOLVERS`` in ``_registry.py``; see the page on solvers in the user guide.
"""

from skdeconv.inference._adapted_maps import AdaptedMaps, adapt, adapt_by_descent
from skdeconv.inference._adaptive_coding import AdaptiveCoding
from skdeconv.inference._certificate import certify
from skdeconv.inference._coding import Coding, check_coding
from skdeconv.inference._coordinate_descent import CoordinateDescent
from skdeconv.inference._diagnostics import (
    dual_norms,
    largest_patch_norms,
    warn_of_unconverged,
    warn_of_zero_maps,
    without_low_frequency,
)
from skdeconv.inference._fista import Fista
from skdeconv.inference._half_quadratic import HalfQuadratic
from skdeconv.inference._penalty import PowerPenalty
from skdeconv.inference._problem import Problem
from skdeconv.inference._registry import SOLVERS
from skdeconv.inference._result import InferenceResult
from skdeconv.inference._solver import Solver, State, iterate

__all__ = [
    "SOLVERS",
    "AdaptedMaps",
    "AdaptiveCoding",
    "Coding",
    "CoordinateDescent",
    "Fista",
    "HalfQuadratic",
    "InferenceResult",
    "PowerPenalty",
    "Problem",
    "Solver",
    "State",
    "adapt",
    "adapt_by_descent",
    "certify",
    "check_coding",
    "dual_norms",
    "iterate",
    "largest_patch_norms",
    "warn_of_unconverged",
    "warn_of_zero_maps",
    "without_low_frequency",
]
