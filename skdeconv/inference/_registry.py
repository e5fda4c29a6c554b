"""Solvers that can be passed as a string to the parameter ``solver``."""

from __future__ import annotations

from skdeconv.inference._coordinate_descent import CoordinateDescent
from skdeconv.inference._fista import Fista
from skdeconv.inference._half_quadratic import HalfQuadratic

SOLVERS = {
    "coordinate_descent": CoordinateDescent,
    "fista": Fista,
    "half_quadratic": HalfQuadratic,
}
