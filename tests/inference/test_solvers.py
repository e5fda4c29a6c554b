"""What every solver owes its caller: independence of neighbours, signs, dtypes and honesty."""

import numpy as np
import pytest
from joblib import Parallel
from numpy.testing import assert_allclose, assert_array_equal
from reference.images import collection
from scipy.sparse import csr_array

from skdeconv.inference import SOLVERS, Coding, PowerPenalty, Problem
from skdeconv.operators import Convolution, Synthesis

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

each_solver = pytest.mark.parametrize("name", list(SOLVERS))
each_certified = pytest.mark.parametrize("name", ["coordinate_descent", "fista"])
each_p = pytest.mark.parametrize("p", [0.5, 1.0], ids=["half", "one"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {
    "digit": ((5, 1, 5, 5), (20, 20)),
    "odd": ((3, 3, 3, 4), (13, 17)),
    "signal": ((3, 1, 1, 9), (1, 101)),
    "tiny": ((2, 1, 7, 7), (4, 5)),
}


def make(shape="odd", n_samples=3, dtype=np.float64, seed=0):
    """Unit filters, and images that few coefficients draw, but for noise."""
    filters_shape, image_shape = SHAPES[shape]
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(filters_shape)
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    operator = Convolution(filters.astype(dtype), image_shape)
    maps = rng.standard_normal((n_samples, *operator.maps_shape))
    images = operator.forward((maps * (rng.random(maps.shape) < 0.05)).astype(dtype))
    return operator, (images + 0.1 * rng.standard_normal(images.shape)).astype(dtype)


def solve(name, operator, images, p=1.0, weight=5.0, positive=False, **options):
    problem = Problem(operator, images, PowerPenalty(p, positive), weight)
    return SOLVERS[name]().solve(problem, **options)


def assert_same(found, expected):
    """Equality of two results to the last bit."""
    assert_array_equal(found.maps.indptr, expected.maps.indptr)
    assert_array_equal(found.maps.indices, expected.maps.indices)
    assert_array_equal(found.maps.data, expected.maps.data)
    for field in ("cost", "n_iter", "optimality", "converged"):
        assert_array_equal(getattr(found, field), getattr(expected, field))


def largest_score(operator, images, positive):
    score = operator.adjoint(images)
    score = score if positive else np.abs(score)
    return score.reshape(len(images), -1).max(axis=1)


@each_dtype
@each_sign
@each_p
@each_solver
def test_result_is_well_formed(name, p, positive, dtype):
    operator, images = make(dtype=dtype)
    found = solve(name, operator, images, p, positive=positive)
    n_coefficients = np.prod(operator.maps_shape)
    assert isinstance(found.maps, csr_array)
    assert found.maps.shape == (3, n_coefficients)
    assert found.maps.dtype == dtype
    assert found.maps.indices.dtype == np.int32
    assert found.maps.has_sorted_indices
    assert 0 < found.maps.nnz < 0.9 * 3 * n_coefficients
    # What is stored is not zero, of either sign.
    assert found.maps.data.all()
    assert (found.maps.data < 0).any() == (not positive)
    assert found.cost.dtype == found.optimality.dtype == np.float64
    assert found.converged.dtype == bool
    for field in ("cost", "n_iter", "optimality", "converged"):
        assert getattr(found, field).shape == (3,)


@each_sign
@each_p
@each_solver
@pytest.mark.parametrize("max_iter", [0, 3, 50])
def test_cost_is_that_of_the_maps(name, p, positive, max_iter):
    if name == "half_quadratic" and max_iter == 0:
        pytest.skip("no beta, no maps")
    operator, images = make()
    found = solve(name, operator, images, p, positive=positive, max_iter=max_iter)
    maps = found.maps.toarray().reshape(3, *operator.maps_shape)
    residual = (images - operator.forward(maps)).reshape(3, -1)
    powers = np.where(maps == 0, 0, np.abs(maps) ** p).reshape(3, -1)
    assert_allclose(found.cost, 2.5 * (residual**2).sum(axis=1) + powers.sum(axis=1), rtol=1e-11)


@each_dtype
@pytest.mark.parametrize("shape", list(SHAPES))
@each_sign
@each_p
@each_solver
def test_an_image_does_not_depend_on_its_neighbours(name, p, positive, shape, dtype):
    operator, images = make(shape, 4, dtype)
    # Images that end in different rounds.
    images[1] *= 5
    images[2] = 0
    options = {"p": p, "positive": positive, "max_iter": 10}
    together = solve(name, operator, images, **options)
    shuffled = [3, 0, 1]
    other = solve(name, operator, images[shuffled], **options)
    for one in range(4):
        alone = solve(name, operator, images[one : one + 1], **options)
        assert_array_equal(alone.maps.toarray()[0], together.maps.toarray()[one])
        assert alone.cost[0] == together.cost[one]
        assert alone.n_iter[0] == together.n_iter[one]
        assert alone.optimality[0] == together.optimality[one]
        if one in shuffled:
            place = shuffled.index(one)
            assert_array_equal(alone.maps.toarray()[0], other.maps.toarray()[place])
            assert alone.cost[0] == other.cost[place]


@each_dtype
@each_sign
@each_p
@each_solver
def test_black_images_have_no_maps(name, p, positive, dtype):
    operator, images = make(dtype=dtype)
    images[1] = 0
    found = solve(name, operator, images, p, positive=positive)
    assert_array_equal(np.diff(found.maps.indptr) > 0, [True, False, True])
    assert found.cost[1] == found.optimality[1] == 0
    assert found.converged[1]
    if name != "half_quadratic":
        assert found.n_iter[1] <= (p < 1)
    none = solve(name, operator, np.zeros_like(images), p, positive=positive)
    assert none.maps.nnz == 0
    assert not none.cost.any()


@each_sign
@each_certified
def test_maps_vanish_below_the_least_weight(name, positive):
    operator, images = make()
    for one, largest in zip(images, largest_score(operator, images, positive), strict=True):
        stack = one[None]
        options = {"positive": positive, "tol": 1e-9, "max_iter": 500}
        below = solve(name, operator, stack, weight=0.999 / largest, **options)
        above = solve(name, operator, stack, weight=1.01 / largest, **options)
        assert below.maps.nnz == 0
        assert below.n_iter == 0
        assert below.converged
        assert above.maps.nnz > 0


@each_sign
@each_certified
def test_too_few_rounds_are_owned_up_to(name, positive):
    operator, images = make()
    for max_iter in (0, 1, 2):
        options = {"positive": positive, "max_iter": max_iter}
        found = solve(name, operator, images, tol=1e-9, **options)
        assert not found.converged.any()
        assert (found.n_iter == max_iter).all()
        assert (found.optimality > 1e-9).all()
    enough = solve(name, operator, images, positive=positive, tol=1e-2, max_iter=3000)
    assert enough.converged.all()
    assert (enough.optimality <= 1e-2).all()


def test_an_unfinished_schedule_is_not_converged():
    operator, images = make()
    assert not solve("half_quadratic", operator, images, max_iter=6).converged.any()
    assert solve("half_quadratic", operator, images, max_iter=7).converged.all()


@each_certified
def test_the_solution_needs_no_further_round(name):
    operator, images = make()
    solution = solve(name, operator, images, tol=1e-6, max_iter=5000)
    again = solve(name, operator, images, init=solution.maps, tol=1e-5)
    assert (again.n_iter == 0).all()
    assert again.converged.all()
    assert_array_equal(again.maps.toarray(), solution.maps.toarray())
    assert_allclose(again.cost, solution.cost, rtol=1e-12)


@each_sign
@pytest.mark.parametrize("p", [0.3, 0.5, 0.8])
def test_nonconvex_maps_are_never_costlier_than_those_to_start_from(p, positive):
    operator, images = make()
    truth = np.random.default_rng(5)
    start = solve("coordinate_descent", operator, images, p, positive=positive)
    for noise in (0, 1e-3, 0.1):
        init = start.maps.copy()
        init.data *= 1 + noise * truth.random(init.nnz)
        before = solve("fista", operator, images, p, positive=positive, init=init, max_iter=0)
        found = solve("coordinate_descent", operator, images, p, positive=positive, init=init)
        assert (found.cost <= before.cost * (1 + 1e-12)).all()


@each_sign
@pytest.mark.parametrize("p", [0.5, 0.8, 1.0])
def test_fista_never_raises_the_cost(p, positive):
    operator, images = make(n_samples=2)
    options = {"positive": positive, "tol": 0.0}
    numbers = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)
    costs = [solve("fista", operator, images, p, max_iter=n, **options).cost for n in numbers]
    costs = np.array(costs)
    assert (np.diff(costs, axis=0) <= 1e-12 * costs[:-1]).all()
    assert (costs[-1] < costs[0]).all()


@each_certified
def test_init_is_where_a_solver_starts(name):
    operator, images = make()
    init = csr_array(np.random.default_rng(2).standard_normal((3, np.prod(operator.maps_shape))))
    found = solve(name, operator, images, init=init, max_iter=0)
    assert_array_equal(found.maps.toarray(), init.toarray())
    assert (found.n_iter == 0).all()


def test_half_quadratic_starts_from_init():
    operator, images = make()
    init = csr_array(np.random.default_rng(2).standard_normal((3, np.prod(operator.maps_shape))))
    without = solve("half_quadratic", operator, images, max_iter=1)
    assert solve("half_quadratic", operator, images, init=init, max_iter=1).cost != pytest.approx(
        without.cost
    )
    nothing = csr_array(init.shape)
    assert_same(solve("half_quadratic", operator, images, init=nothing, max_iter=1), without)


@each_solver
def test_arguments_are_left_alone(name):
    operator, images = make()
    init = solve(name, operator, images, max_iter=2).maps
    before = images.copy(), init.toarray()
    solve(name, operator, images, 0.5, init=init)
    solve(name, operator, images, 1.0, init=init)
    assert_array_equal(images, before[0])
    assert_array_equal(init.toarray(), before[1])


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
@each_p
@each_solver
def test_a_pass_in_chunks_is_the_solver(name, p, n_jobs, monkeypatch):
    operator, images = make(n_samples=5)
    coding = Coding(SOLVERS[name](), PowerPenalty(p), weight=5.0, tol=1e-3, max_iter=10)
    init = solve(name, operator, images, 1.0, max_iter=2).maps
    monkeypatch.setattr("skdeconv.inference._coding._CHUNK", 2 * int(np.prod(operator.maps_shape)))
    parallel = None if n_jobs is None else Parallel(n_jobs=n_jobs)
    for start in (None, init):
        expected = solve(name, operator, images, p, init=start, max_iter=10)
        found = coding.infer(Synthesis(operator.filters), collection(images), start, parallel)
        assert isinstance(found.maps, csr_array)
        assert_same(found, expected)
