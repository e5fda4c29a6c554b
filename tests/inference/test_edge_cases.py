"""Long rows, small weights at p < 1, and descents from init: what small examples do not show."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference.convolution import explicit_matrix
from reference.descent import coordinate_descent, disjoint_groups
from scipy.sparse import csr_array

from skdeconv.inference import SOLVERS, PowerPenalty, Problem
from skdeconv.operators import Convolution

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

each_solver = pytest.mark.parametrize("name", list(SOLVERS))
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
each_nonconvex_p = pytest.mark.parametrize("p", [0.5, 0.8])


def make(filters_shape, image_shape, n_samples, dtype=np.float64, seed=0):
    """Unit filters and images of noise."""
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(filters_shape)
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    images = rng.standard_normal((n_samples, filters_shape[1], *image_shape))
    return Convolution(filters.astype(dtype), image_shape), images.astype(dtype)


def solve(name, operator, images, p, weight=5.0, positive=False, **options):
    problem = Problem(operator, images, PowerPenalty(p, positive), weight)
    return SOLVERS[name]().solve(problem, **options)


@each_dtype
@pytest.mark.parametrize("p", [0.5, 1.0])
@each_solver
def test_long_rows_do_not_depend_on_their_neighbours(name, p, dtype):
    # numpy's buffers hold 8192 numbers: a sum over more of them may depend on the rows before.
    operator, images = make((2, 1, 3, 3), (91, 92), 2, dtype)
    assert images[0].size > 8192
    together = solve(name, operator, images, p, max_iter=2)
    for one in range(2):
        alone = solve(name, operator, images[one : one + 1], p, max_iter=2)
        assert_array_equal(alone.maps.toarray()[0], together.maps.toarray()[one])
        for field in ("cost", "n_iter", "optimality", "converged"):
            assert getattr(alone, field)[0] == getattr(together, field)[one], field


@each_sign
@each_nonconvex_p
def test_nonconvex_maps_of_the_default_vanish_below_the_least_weight(p, positive):
    operator, images = make((3, 1, 3, 3), (9, 8), 3)
    for image in images:
        score = operator.adjoint(image[None])
        largest = (score if positive else np.abs(score)).max()
        options = {"p": p, "positive": positive}
        below = solve(
            "coordinate_descent", operator, image[None], weight=0.999 / largest, **options
        )
        assert below.maps.nnz == 0
        assert below.converged.all()


@each_sign
@each_nonconvex_p
@pytest.mark.parametrize("name", ["coordinate_descent", "fista"])
def test_nonconvex_descent_from_any_maps_never_costs_more(name, p, positive):
    operator, images = make((3, 1, 3, 3), (9, 8), 3)
    rng = np.random.default_rng(1)
    maps = rng.standard_normal((3, np.prod(operator.maps_shape)))
    maps *= rng.random(maps.shape) < 0.1
    init = csr_array(np.abs(maps) if positive else maps)
    options = {"p": p, "positive": positive, "init": init}
    before = solve("fista", operator, images, max_iter=0, **options).cost
    for max_iter in (1, 5, 50):
        found = solve(name, operator, images, max_iter=max_iter, **options)
        assert (found.cost <= before * (1 + 1e-12)).all()


@each_sign
@each_nonconvex_p
def test_nonconvex_costs_of_small_problems_are_mostly_below_plain_descent(p, positive):
    below = []
    for seed in range(5):
        operator, images = make((3, 1, 3, 3), (12, 11), 1, seed=seed)
        found = solve("coordinate_descent", operator, images, p, positive=positive)
        matrix = explicit_matrix(operator.filters, images.shape[2:])
        groups = disjoint_groups(operator.filters.shape, operator.maps_shape)
        plain = coordinate_descent(matrix, images.ravel(), p, 5.0, groups, positive=positive)[1]
        below.append(found.cost[0] <= plain)
    assert np.count_nonzero(below) >= 4
