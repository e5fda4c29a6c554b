"""Sparse maps beside low-frequency ones: against the joint optimum, and what any inference owes."""

import pickle

import numpy as np
import pytest
from joblib import Parallel
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from reference.images import collection
from scipy.linalg import block_diag
from scipy.sparse import csr_array
from sklearn.linear_model import Lasso

from skdeconv.inference import SOLVERS, Coding, PowerPenalty, Problem
from skdeconv.inference._alternation import LowFrequencyAlternation
from skdeconv.operators import Convolution, LowFrequencyOperator, LowFrequencySynthesis, Synthesis

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

each_solver = pytest.mark.parametrize("name", list(SOLVERS))
each_certified = pytest.mark.parametrize("name", ["coordinate_descent", "fista"])
each_p = pytest.mark.parametrize("p", [0.5, 1.0], ids=["half", "one"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
# Filters (n_filters, n_channels, h, w), flat filter (h, w), image (height, width).
SHAPES = {
    "grey": ((2, 1, 3, 3), (3, 3), (6, 5)),
    "colour": ((2, 2, 3, 2), (3, 2), (4, 5)),
    "signal": ((2, 1, 1, 4), (1, 4), (1, 20)),
    "larger than the image": ((2, 1, 4, 5), (4, 5), (3, 4)),
    "another flat filter": ((2, 1, 4, 4), (2, 3), (6, 6)),
}
each_shape = pytest.mark.parametrize("shape", list(SHAPES))
WEIGHT = 4.0


def make(shape="grey", smoothness=1.0, n_samples=3, dtype=np.float64, seed=0):
    """Both operators, and images that few coefficients draw, beside brightness and noise."""
    filters_shape, flat_size, image_shape = SHAPES[shape]
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(filters_shape)
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    operator = Convolution(filters.astype(dtype), image_shape)
    low_operator = LowFrequencyOperator(flat_size, operator.images_shape, smoothness, dtype)
    maps = rng.standard_normal((n_samples, *operator.maps_shape))
    maps = (2 * maps * (rng.random(maps.shape) < 0.1)).astype(dtype)
    shade = 2 + np.linspace(-1, 1, image_shape[1])
    images = operator.forward(maps) + shade + 0.1 * rng.standard_normal(image_shape)
    return operator, low_operator, images.astype(dtype)


def solve(name, operator, low_operator, images, p=1.0, positive=False, alternations=5, **options):
    problem = Problem(operator, images, PowerPenalty(p, positive), WEIGHT)
    alternation = LowFrequencyAlternation(SOLVERS[name](), low_operator, alternations)
    return alternation.solve(problem, **options)


def matrices(operator, low_operator):
    """F, A for all channels, and the gradient of all channels' low-frequency maps."""
    n_channels, height, width = low_operator.maps_shape
    flat = np.full(
        (1, 1, *low_operator.filter_size), 1 / np.sqrt(np.prod(low_operator.filter_size))
    )
    A = explicit_matrix(flat, low_operator.images_shape[1:])
    down = np.kron(np.diff(np.eye(height), axis=0), np.eye(width))
    across = np.kron(np.eye(height), np.diff(np.eye(width), axis=0))
    D = np.vstack([down, across])
    F = explicit_matrix(operator.filters, operator.images_shape[1:])
    return F, block_diag(*[A] * n_channels), block_diag(*[D] * n_channels)


def costs_of(operator, low_operator, images, maps, low, p=1.0):
    """The joint cost of every image over its known pixels, by explicit matrices in float64."""
    F, A, D = matrices(operator, low_operator)
    n_samples = len(images)
    z, z0 = maps.toarray().astype(np.float64), np.reshape(low, (n_samples, -1)).astype(np.float64)
    residual = images.reshape(n_samples, -1) - z @ F.T - z0 @ A.T
    roughness = low_operator.smoothness * ((z0 @ D.T) ** 2).sum(axis=1)
    squares = np.nansum(residual**2, axis=1) + roughness
    return WEIGHT / 2 * squares + np.where(z == 0, 0, np.abs(z) ** p).sum(axis=1)


def joint_optimum(operator, low_operator, image, positive):
    """Least cost of one image: the low-frequency maps are eliminated, which leaves a Lasso."""
    F, A, D = matrices(operator, low_operator)
    known = ~np.isnan(image.ravel())
    F, A, y = F[known], A[known], image.ravel()[known]
    kept = np.linalg.solve(A.T @ A + low_operator.smoothness * D.T @ D, A.T)
    values, vectors = np.linalg.eigh(np.eye(len(y)) - A @ kept)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    lasso = Lasso(
        1 / (WEIGHT * len(y)), fit_intercept=False, positive=positive, tol=1e-12, max_iter=10**6
    ).fit(root @ F, root @ y)
    z = lasso.coef_
    assert np.count_nonzero(z)
    return WEIGHT / 2 * np.sum((root @ (y - F @ z)) ** 2) + np.abs(z).sum()


@pytest.mark.parametrize(
    ("name", "smoothness", "positive"),
    [
        ("coordinate_descent", 0.1, False),
        ("coordinate_descent", 100.0, True),
        ("fista", 1.0, False),
    ],
)
@each_shape
def test_the_joint_optimum_is_reached(shape, name, smoothness, positive):
    operator, low_operator, images = make(shape, smoothness, n_samples=2)
    options = {"tol": 1e-5, "max_iter": 5000, "alternations": 1000}
    found = solve(name, operator, low_operator, images, positive=positive, **options)
    least = [joint_optimum(operator, low_operator, image, positive) for image in images]
    assert found.converged.all()
    assert_allclose(found.cost, least, rtol=1e-4)
    assert (found.cost >= np.array(least) * (1 - 1e-7)).all()
    if positive:
        assert (found.maps.data > 0).all()


@each_sign
@each_p
@each_solver
@pytest.mark.parametrize("shape", ["colour", "another flat filter"])
@pytest.mark.parametrize("alternations", [1, 5])
def test_cost_is_that_of_the_maps(alternations, shape, name, p, positive):
    operator, low_operator, images = make(shape)
    options = {"p": p, "positive": positive, "alternations": alternations}
    found = solve(name, operator, low_operator, images, **options)
    assert found.maps.nnz
    expected = costs_of(operator, low_operator, images, found.maps, found.low_frequency, p)
    assert_allclose(found.cost, expected, rtol=1e-11)


@pytest.mark.parametrize(("name", "positive"), [("coordinate_descent", False), ("fista", True)])
@pytest.mark.parametrize("shape", ["colour", "another flat filter"])
def test_the_joint_optimum_over_the_known_pixels_is_reached(shape, name, positive):
    operator, low_operator, images = make(shape)
    images[:2][np.random.default_rng(3).random(images[:2].shape) < 0.3] = np.nan
    low = LowFrequencySynthesis(
        low_operator.filter_size, low_operator.smoothness, operator.images_shape[0], images.dtype
    )
    coding = Coding(
        SOLVERS[name](), PowerPenalty(1.0, positive), WEIGHT, 1e-5, 5000, n_alternations=1000
    )
    found = coding.infer(Synthesis(operator.filters, low), collection(images))
    maps = found.maps, found.low_frequency
    assert_allclose(found.cost, costs_of(operator, low_operator, images, *maps), rtol=1e-11)
    least = [joint_optimum(operator, low_operator, image, positive) for image in images]
    assert found.converged.all()
    assert_allclose(found.cost, least, rtol=1e-4)


@each_dtype
@each_p
@each_solver
def test_result_is_well_formed(name, p, dtype):
    operator, low_operator, images = make("another flat filter", dtype=dtype)
    found = solve(name, operator, low_operator, images, p)
    assert isinstance(found.maps, csr_array)
    assert found.maps.shape == (3, np.prod(operator.maps_shape))
    assert found.maps.indices.dtype == np.int32
    assert found.maps.has_sorted_indices
    assert [maps.shape for maps in found.low_frequency] == [low_operator.maps_shape] * 3
    assert found.maps.dtype == dtype
    assert [maps.dtype for maps in found.low_frequency] == [dtype] * 3
    assert found.cost.dtype == found.optimality.dtype == np.float64
    assert found.converged.dtype == bool
    for field in ("cost", "n_iter", "optimality", "converged"):
        assert getattr(found, field).shape == (3,)
    expected = costs_of(operator, low_operator, images, found.maps, found.low_frequency, p)
    assert_allclose(found.cost, expected, rtol=1e-11 if dtype == np.float64 else 1e-4)


@each_sign
@each_p
@each_certified
def test_alternation_never_raises_the_cost(name, p, positive):
    operator, low_operator, images = make("grey")
    options = {"p": p, "positive": positive, "tol": 1e-6, "max_iter": 2000}
    costs = np.array(
        [
            solve(name, operator, low_operator, images, alternations=n, **options).cost
            for n in (1, 2, 3, 6)
        ]
    )
    assert (np.diff(costs, axis=0) <= 1e-6 * costs[:-1]).all()
    assert (costs[-1] < 0.99 * costs[0]).any()


@each_p
@each_certified
def test_the_solution_is_where_it_stays(name, p):
    operator, low_operator, images = make("colour")
    options = {"p": p, "tol": 1e-6, "max_iter": 3000, "alternations": 500}
    solution = solve(name, operator, low_operator, images, **options)
    again = solve(name, operator, low_operator, images, init=solution.maps, **options)
    assert_allclose(again.cost, solution.cost, rtol=1e-5)
    assert (again.cost <= solution.cost * (1 + 1e-8)).all()
    one = solve(name, operator, low_operator, images, init=solution.maps, p=p, alternations=1)
    assert_allclose(one.cost, solution.cost, rtol=1e-4)


def test_low_frequency_maps_are_fitted_to_what_the_first_maps_leave():
    operator, low_operator, images = make()
    init = csr_array(np.random.default_rng(2).standard_normal((3, np.prod(operator.maps_shape))))
    options = {"init": init, "max_iter": 0, "alternations": 1}
    found = solve("coordinate_descent", operator, low_operator, images, **options)
    drawn = operator.forward(init.toarray().reshape(3, *operator.maps_shape))
    assert_array_equal(found.low_frequency, low_operator.fit(images - drawn)[0])
    assert_array_equal(found.maps.toarray(), init.toarray())


def test_too_few_alternations_are_owned_up_to():
    operator, low_operator, images = make()
    options = {"tol": 1e-7, "max_iter": 5000}
    few = solve("coordinate_descent", operator, low_operator, images, alternations=2, **options)
    assert not few.converged.any()
    many = solve("coordinate_descent", operator, low_operator, images, alternations=2000, **options)
    assert many.converged.all()
    # Learning asks for one alternation and for its solver's word alone.
    one = solve("coordinate_descent", operator, low_operator, images, alternations=1, **options)
    assert one.converged.all()


def test_too_few_rounds_of_the_solver_are_owned_up_to():
    operator, low_operator, images = make()
    for alternations in (1, 5):
        options = {"tol": 1e-9, "max_iter": 1, "alternations": alternations}
        found = solve("fista", operator, low_operator, images, **options)
        assert not found.converged.any()


@each_p
@each_solver
@pytest.mark.parametrize(("shape", "dtype"), [("colour", np.float32), ("signal", np.float64)])
def test_an_image_does_not_depend_on_its_neighbours(shape, name, p, dtype):
    operator, low_operator, images = make(shape, n_samples=4, dtype=dtype)
    # Images that settle after different numbers of alternations.
    images[1] *= 5
    images[2] = 0
    options = {"p": p, "max_iter": 10}
    together = solve(name, operator, low_operator, images, **options)
    shuffled = [3, 0, 1]
    other = solve(name, operator, low_operator, images[shuffled], **options)
    for one in range(4):
        alone = solve(name, operator, low_operator, images[[one]], **options)
        pairs = [(together, one)]
        if one in shuffled:
            pairs.append((other, shuffled.index(one)))
        for stack, place in pairs:
            assert_array_equal(alone.maps.toarray()[0], stack.maps.toarray()[place])
            for field in ("low_frequency", "cost", "n_iter", "optimality", "converged"):
                assert_array_equal(getattr(alone, field)[0], getattr(stack, field)[place])


@each_p
@each_solver
def test_images_need_different_numbers_of_alternations(name, p, monkeypatch):
    # Without this the test of neighbours would not see images that leave the stack early.
    operator, low_operator, images = make(n_samples=4)
    images[1] *= 5
    images[2] = 0
    sizes, fit = [], low_operator.fit

    def recorded(rest, init):
        sizes.append(len(rest))
        return fit(rest, init)

    monkeypatch.setattr(low_operator, "fit", recorded)
    solve(name, operator, low_operator, images, p, max_iter=10)
    assert sizes[0] == 4
    assert len(set(sizes)) > 1


def test_each_alternation_starts_from_the_maps_of_the_last_one(monkeypatch):
    operator, low_operator, images = make()
    starts, found, fit = [], [], low_operator.fit

    def recorded(rest, init):
        starts.append(init)
        found.append(fit(rest, init))
        return found[-1]

    monkeypatch.setattr(low_operator, "fit", recorded)
    solve("coordinate_descent", operator, low_operator, images, tol=0, max_iter=10)
    assert len(starts) == 5
    assert starts[0] is None
    for start, (maps, _) in zip(starts[1:], found, strict=False):
        assert_array_equal(start, maps)


@each_p
@each_solver
def test_black_images_have_neither_maps(name, p):
    operator, low_operator, images = make()
    images[1] = 0
    found = solve(name, operator, low_operator, images, p)
    assert found.maps[[1]].nnz == 0
    assert not found.low_frequency[1].any()
    assert found.cost[1] == 0
    assert found.low_frequency[0].any()


@each_certified
def test_constant_images_have_no_sparse_maps(name):
    operator, low_operator, images = make()
    images[:] = np.array([1.0, -3.0, 20.0])[:, None, None, None]
    found = solve(name, operator, low_operator, images)
    assert found.maps.nnz == 0
    assert_allclose(low_operator.forward(np.stack(found.low_frequency)), images, rtol=1e-4)
    assert (found.cost < 1e-6).all()


@each_solver
def test_arguments_are_left_alone(name):
    operator, low_operator, images = make()
    init = solve(name, operator, low_operator, images).maps
    before = images.copy(), init.toarray()
    solve(name, operator, low_operator, images, 0.5, init=init)
    assert_array_equal(images, before[0])
    assert_array_equal(init.toarray(), before[1])


@each_p
@each_solver
def test_a_pass_in_chunks_is_the_whole(name, p, monkeypatch):
    operator, low_operator, images = make("colour", n_samples=3)
    coding = Coding(SOLVERS[name](), PowerPenalty(p), WEIGHT, 1e-3, 50, n_alternations=5)
    expected = solve(name, operator, low_operator, images, p)
    monkeypatch.setattr("skdeconv.inference._coding._CHUNK", 2 * int(np.prod(operator.maps_shape)))
    low = LowFrequencySynthesis(low_operator.filter_size, low_operator.smoothness, 2, images.dtype)
    synthesis = Synthesis(operator.filters, low)
    found = coding.infer(synthesis, collection(images), parallel=Parallel(n_jobs=1))
    assert_array_equal(found.maps.toarray(), expected.maps.toarray())
    for field in ("low_frequency", "cost", "n_iter", "optimality", "converged"):
        assert_array_equal(getattr(found, field), getattr(expected, field))


def test_low_frequency_of_workers_is_that_of_the_parent():
    low = LowFrequencySynthesis((5, 5), 10.0, 2, np.dtype(np.float32))
    there, here = pickle.loads(pickle.dumps(low)).at(9, 8), low.at(9, 8)
    images = np.random.default_rng(0).standard_normal((1, 2, 9, 8)).astype(np.float32)
    for ours, theirs in zip(here.fit(images), there.fit(images), strict=True):
        assert_array_equal(theirs, ours)
