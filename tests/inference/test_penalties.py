"""A penalty of somebody else's: solvers use its methods, and know nothing of its kind."""

from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skdeconv.inference import SOLVERS, Coding, CoordinateDescent, Fista, PowerPenalty, Problem
from skdeconv.layouts import Images
from skdeconv.operators import Convolution, Synthesis


@dataclass(frozen=True)
class ScaledNorm:
    """A multiple of the l1 norm."""

    factor: float
    positive: bool = False
    is_convex = True

    @property
    def relaxed(self):
        return self

    def terms(self, values):
        return self.factor * np.abs(values)

    def value(self, maps):
        return self.terms(maps.reshape(len(maps), -1)).sum(axis=1, dtype=np.float64)

    def prox(self, maps, step):
        return PowerPenalty().prox(maps, self.factor * step)

    def slope(self, maps, eps):
        return np.full(np.shape(maps), self.factor)

    def score(self, gradient):
        return np.abs(gradient) / self.factor

    def dual_norm(self, gradient):
        return self.score(gradient).reshape(len(gradient), -1).max(axis=1, initial=0)


@pytest.fixture
def operator():
    rng = np.random.default_rng(0)
    return Convolution(rng.standard_normal((2, 1, 3, 3)) / 3, (8, 8))


@pytest.fixture
def images():
    return np.random.default_rng(1).standard_normal((3, 1, 8, 8))


@pytest.mark.filterwarnings("ignore:Objective did not converge")
@pytest.mark.parametrize("solver", [CoordinateDescent(), Fista()])
def test_a_multiple_of_the_norm_is_a_fraction_of_lam(solver, operator, images):
    limits = {"tol": 1e-7, "max_iter": 20_000}
    found = solver.solve(Problem(operator, images, ScaledNorm(3.0), 6.0), **limits)
    wanted = solver.solve(Problem(operator, images, PowerPenalty(1.0), 2.0), **limits)
    assert found.converged.all()
    np.testing.assert_allclose(found.cost, 3 * wanted.cost, rtol=1e-6)
    np.testing.assert_allclose(found.maps.toarray(), wanted.maps.toarray(), atol=1e-3)


@pytest.mark.parametrize("name", SOLVERS)
def test_any_coding_takes_it(name, operator):
    digits = load_digits().images[:5] / 16
    images = Images(digits, np.full((5, 2), 8), 1, np.float64)
    codings = [
        Coding(SOLVERS[name](), penalty, weight, 1e-6, 5000)
        for penalty, weight in ((ScaledNorm(2.0), 8.0), (PowerPenalty(1.0), 4.0))
    ]
    found, wanted = (coding.infer(Synthesis(operator.filters), images) for coding in codings)
    np.testing.assert_allclose(found.cost, 2 * wanted.cost, rtol=2e-3)
