"""How far the solvers are from the optimum of small problems, by independent means."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from reference.descent import coordinate_descent, disjoint_groups
from scipy.sparse import csr_array
from sklearn.linear_model import Lasso

from skdeconv.inference import SOLVERS, HalfQuadratic, PowerPenalty, Problem
from skdeconv.operators import Convolution

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
each_certified = pytest.mark.parametrize("name", ["coordinate_descent", "fista"])
# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {
    "photo": ((4, 1, 5, 5), (13, 12)),
    "colour": ((5, 3, 3, 4), (12, 10)),
    "signal": ((3, 1, 1, 7), (1, 80)),
    "larger than the image": ((2, 1, 6, 6), (4, 5)),
}
each_shape = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())


def make(shapes, n_samples=3, seed=0):
    """Unit filters, and images drawn by few coefficients and noise."""
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(shapes[0])
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    operator = Convolution(filters, shapes[1])
    maps = rng.standard_normal((n_samples, *operator.maps_shape))
    maps *= rng.random(maps.shape) < 0.05
    images = operator.forward(maps)
    return operator, images + 0.1 * rng.standard_normal(images.shape)


def solve(name, operator, images, p=1.0, weight=5.0, positive=False, **options):
    problem = Problem(operator, images, PowerPenalty(p, positive), weight)
    return SOLVERS[name]().solve(problem, **options)


def optimum(operator, images, weight, positive=False):
    """Coefficients and cost of one image by scikit-learn's Lasso on the explicit matrix."""
    matrix, y = explicit_matrix(operator.filters, images.shape[2:]), images.ravel()
    # Its squared error is a mean, halved.
    lasso = Lasso(
        1 / (weight * len(y)), fit_intercept=False, positive=positive, tol=1e-11, max_iter=10_000
    ).fit(matrix, y)
    residual = y - matrix @ lasso.coef_
    return lasso.coef_, weight / 2 * residual @ residual + np.abs(lasso.coef_).sum()


@each_sign
@each_shape
def test_the_default_and_fista_agree(shapes, positive):
    operator, images = make(shapes)
    options = {"positive": positive, "tol": 1e-6}
    default = solve("coordinate_descent", operator, images, max_iter=200, **options)
    fista = solve("fista", operator, images, max_iter=3000, **options)
    assert default.converged.all()
    assert fista.converged.all()
    assert (default.optimality <= 1e-6).all()
    assert_allclose(default.cost, fista.cost, rtol=1e-5)
    assert (default.cost > 0).all()


@each_sign
@each_certified
@each_shape
def test_lasso_on_the_explicit_matrix_confirms_the_cost(shapes, name, positive):
    operator, images = make(shapes, n_samples=1)
    found = solve(name, operator, images, positive=positive, tol=1e-7, max_iter=5000)
    coefficients, cost = optimum(operator, images, 5.0, positive)
    assert np.count_nonzero(coefficients) > 3
    assert (coefficients < 0).any() == (not positive)
    assert_allclose(found.cost, cost, rtol=2e-7)
    drawn = operator.forward(found.maps.toarray().reshape(1, *operator.maps_shape))
    by_lasso = operator.forward(coefficients.reshape(1, *operator.maps_shape))
    assert_allclose(drawn, by_lasso, atol=2e-3)


@each_sign
@pytest.mark.parametrize("weight", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("name", ["coordinate_descent", "fista", "half_quadratic"])
def test_the_gap_bounds_the_distance_to_the_optimum(name, weight, positive):
    operator, images = make(((3, 1, 4, 4), (9, 8)), n_samples=1)
    best = optimum(operator, images, weight, positive)[1]
    for max_iter in (1, 2, 3, 5, 10, 30):
        options = {"weight": weight, "positive": positive, "tol": 1e-5, "max_iter": max_iter}
        found = solve(name, operator, images, **options)
        excess = (found.cost - best) / found.cost
        assert (excess >= -1e-10).all()
        assert (excess <= found.optimality + 1e-10).all()


@each_certified
def test_a_smaller_tolerance_is_met(name):
    operator, images = make(SHAPES["photo"])
    for tol in (1e-1, 1e-2, 1e-4, 1e-7):
        found = solve(name, operator, images, tol=tol, max_iter=3000)
        assert found.converged.all()
        assert (found.optimality <= tol).all()


@each_sign
@each_shape
def test_plain_descent_is_a_fair_rival(shapes, positive):
    operator, images = make(shapes, n_samples=1)
    problem = explicit_matrix(operator.filters, images.shape[2:]), images.ravel()
    groups = disjoint_groups(operator.filters.shape, operator.maps_shape)
    assert_array_equal(np.sort(np.concatenate(groups)), np.arange(np.prod(operator.maps_shape)))
    options = {"positive": positive, "tol": 1e-9, "max_iter": 300}
    cost = coordinate_descent(*problem, 1.0, 5.0, groups, **options)[1]
    assert cost == pytest.approx(optimum(operator, images, 5.0, positive)[1], rel=1e-4)


@pytest.mark.parametrize("p", [0.5, 0.8, 1.0])
@each_sign
def test_the_penalised_cost_never_rises_at_one_beta(p, positive):
    operator, images = make(SHAPES["photo"])
    penalty, weight = PowerPenalty(p, positive), 5.0
    problem = Problem(operator, images, penalty, weight)
    correlation = weight * operator.adjoint(images)
    smooth = np.random.default_rng(1).standard_normal(correlation.shape)

    def penalised(sparse, smooth, beta):
        residual = images - operator.forward(smooth)
        apart = smooth - sparse
        return [
            weight / 2 * np.sum(r**2) + beta / 2 * np.sum(a**2) + value
            for r, a, value in zip(residual, apart, penalty.value(sparse), strict=True)
        ]

    for beta in (1.0, 6.0, 36.0, 1000.0, 1e5):
        costs = []
        for _ in range(4):
            before = smooth
            for n_steps in range(4):
                solver = HalfQuadratic(cg_max_iter=n_steps)
                sparse, smooth = solver.alternate(problem, correlation, beta, before)
                costs.append(penalised(sparse, smooth, beta))
        costs = np.array(costs)
        assert (np.diff(costs, axis=0) <= 1e-11 * costs[:-1]).all()
        assert (costs[-1] < costs[0]).all()


@each_sign
def test_slow_continuation_comes_close_to_the_optimum(positive):
    operator, images = make(((2, 1, 3, 3), (7, 7)), n_samples=1)
    assert np.prod(operator.maps_shape) <= 200
    # From 1 to 1e4, as multiples of the weight.
    solver = HalfQuadratic(
        beta_min=1 / 5, beta_factor=1.4, beta_max=1e4 / 5, beta_repeats=10, cg_max_iter=20
    )
    problem = Problem(operator, images, PowerPenalty(1.0, positive), 5.0)
    found = solver.solve(problem, max_iter=1000)
    best = optimum(operator, images, 5.0, positive)[1]
    assert found.converged.all()
    assert best * (1 - 1e-10) <= found.cost[0] <= best * (1 + 1e-3)


def test_enough_conjugate_gradients_solve_the_system_of_equation_6():
    operator, images = make(((2, 1, 3, 3), (5, 6)), n_samples=2)
    matrix = explicit_matrix(operator.filters, images.shape[2:])
    correlation = 5.0 * operator.adjoint(images)
    start = np.random.default_rng(2).standard_normal(correlation.shape)
    penalty = PowerPenalty(0.5)
    problem = Problem(operator, images, penalty, 5.0)
    sparse, smooth = HalfQuadratic(cg_max_iter=200).alternate(problem, correlation, 2.0, start)
    assert_allclose(sparse, penalty.prox(start, 0.5))
    system = 5.0 * matrix.T @ matrix + 2.0 * np.eye(matrix.shape[1])
    right = correlation.reshape(2, -1) + 2.0 * sparse.reshape(2, -1)
    assert_allclose(smooth.reshape(2, -1), np.linalg.solve(system, right.T).T, atol=1e-9)


@pytest.mark.parametrize(
    ("solver", "weight", "first"),
    [
        (HalfQuadratic(), 1.0, 1.0),
        # By default multiples of the weight.
        (HalfQuadratic(), 5.0, 5.0),
        # The betas of the paper at another weight.
        (HalfQuadratic(beta_min=1 / 5, beta_max=1e5 / 5), 5.0, 1.0),
    ],
)
def test_half_quadratic_runs_the_schedule_of_the_paper(solver, weight, first):
    operator, images = make(((2, 1, 3, 3), (6, 6)), n_samples=2)
    penalty, smooth = PowerPenalty(0.8), np.zeros((2, *operator.maps_shape))
    problem = Problem(operator, images, penalty, weight)
    found = solver.solve(problem)
    correlation = weight * operator.adjoint(images)
    betas = [first * 6.0**exponent for exponent in range(7)]
    for beta in betas:
        _, smooth = HalfQuadratic().alternate(problem, correlation, beta, smooth)
    assert (found.n_iter == len(betas)).all()
    expected = csr_array(penalty.prox(smooth, 1 / betas[-1]).reshape(2, -1))
    assert_allclose(found.maps.toarray(), expected.toarray(), rtol=1e-12)
