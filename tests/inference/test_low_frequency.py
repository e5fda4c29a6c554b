"""Sparse maps beside smooth ones: against the joint optimum, and what any inference owes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from reference.images import collection
from scipy.linalg import block_diag
from scipy.sparse import csr_array
from sklearn.linear_model import Lasso
from sklearn.utils.parallel import Parallel

from skdeconv._drawing import Drawing, SmoothDrawing
from skdeconv._penalty import PowerPenalty
from skdeconv.inference import SOLVERS, infer, solve_with_low
from skdeconv.operators import Convolution, UniformConvolution

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

each_solver = pytest.mark.parametrize("name", list(SOLVERS))
each_certified = pytest.mark.parametrize("name", ["coordinate_descent", "fista"])
each_p = pytest.mark.parametrize("p", [0.5, 1.0], ids=["half", "one"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
# Filters (n_filters, n_channels, h, w), uniform filter (h, w), image (height, width).
SHAPES = {
    "grey": ((2, 1, 3, 3), (3, 3), (6, 5)),
    "colour": ((2, 2, 3, 2), (3, 2), (4, 5)),
    "signal": ((2, 1, 1, 4), (1, 4), (1, 20)),
    "larger than the image": ((2, 1, 4, 5), (4, 5), (3, 4)),
    "another uniform filter": ((2, 1, 4, 4), (2, 3), (6, 6)),
}
each_shape = pytest.mark.parametrize("shape", list(SHAPES))
WEIGHT = 4.0


def make(shape="grey", smoothness=1.0, n_samples=3, dtype=np.float64, seed=0):
    """Both operators, and images that few coefficients draw, beside brightness and noise."""
    filters_shape, uniform_size, image_shape = SHAPES[shape]
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(filters_shape)
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    operator = Convolution(filters.astype(dtype), image_shape)
    uniform = UniformConvolution(uniform_size, operator.images_shape, smoothness, dtype)
    maps = rng.standard_normal((n_samples, *operator.maps_shape))
    maps = (2 * maps * (rng.random(maps.shape) < 0.1)).astype(dtype)
    shade = 2 + np.linspace(-1, 1, image_shape[1])
    images = operator.forward(maps) + shade + 0.1 * rng.standard_normal(image_shape)
    return operator, uniform, images.astype(dtype)


def solve(name, operator, uniform, images, p=1.0, positive=False, init=None, **options):
    penalty = PowerPenalty(p, positive)
    function = SOLVERS[name].solve
    return solve_with_low(
        function, uniform, operator, images, penalty, WEIGHT, init=init, **options
    )


def matrices(operator, uniform):
    """F, A for all channels, and the gradient of all channels' smooth maps."""
    n_channels, height, width = uniform.maps_shape
    flat = np.full((1, 1, *uniform.filter_size), 1 / np.sqrt(np.prod(uniform.filter_size)))
    A = explicit_matrix(flat, uniform.images_shape[1:])
    down = np.kron(np.diff(np.eye(height), axis=0), np.eye(width))
    across = np.kron(np.eye(height), np.diff(np.eye(width), axis=0))
    D = np.vstack([down, across])
    F = explicit_matrix(operator.filters, operator.images_shape[1:])
    return F, block_diag(*[A] * n_channels), block_diag(*[D] * n_channels)


def costs_of(operator, uniform, images, maps, low, p=1.0):
    """The joint cost of every image, by explicit matrices in float64."""
    F, A, D = matrices(operator, uniform)
    n_samples = len(images)
    z, z0 = maps.toarray().astype(np.float64), low.reshape(n_samples, -1).astype(np.float64)
    residual = images.reshape(n_samples, -1) - z @ F.T - z0 @ A.T
    squares = (residual**2).sum(axis=1) + uniform.smoothness * ((z0 @ D.T) ** 2).sum(axis=1)
    return WEIGHT / 2 * squares + np.where(z == 0, 0, np.abs(z) ** p).sum(axis=1)


def joint_optimum(operator, uniform, image, positive):
    """Least cost of one image: the smooth maps are eliminated, which leaves a Lasso."""
    F, A, D = matrices(operator, uniform)
    y = image.ravel()
    kept = np.linalg.solve(A.T @ A + uniform.smoothness * D.T @ D, A.T)
    values, vectors = np.linalg.eigh(np.eye(len(y)) - A @ kept)
    root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    lasso = Lasso(
        1 / (WEIGHT * len(y)), fit_intercept=False, positive=positive, tol=1e-12, max_iter=10**6
    ).fit(root @ F, root @ y)
    z = lasso.coef_
    assert np.count_nonzero(z)
    return WEIGHT / 2 * np.sum((root @ (y - F @ z)) ** 2) + np.abs(z).sum()


@each_sign
@pytest.mark.parametrize(
    ("name", "smoothness"),
    [
        ("coordinate_descent", 0.1),
        ("coordinate_descent", 1.0),
        ("coordinate_descent", 100.0),
        ("fista", 1.0),
    ],
)
@each_shape
def test_the_joint_optimum_is_reached(shape, name, smoothness, positive):
    operator, uniform, images = make(shape, smoothness, n_samples=2)
    options = {"tol": 1e-7, "max_iter": 5000, "alternations": 1000}
    found = solve(name, operator, uniform, images, positive=positive, **options)
    least = [joint_optimum(operator, uniform, image, positive) for image in images]
    assert found.converged.all()
    assert_allclose(found.cost, least, rtol=1e-4)
    assert (found.cost >= np.array(least) * (1 - 1e-7)).all()
    if positive:
        assert (found.maps.data > 0).all()


@each_sign
@each_p
@each_solver
@pytest.mark.parametrize("shape", ["colour", "another uniform filter"])
@pytest.mark.parametrize("alternations", [1, 30])
def test_cost_is_that_of_the_maps(alternations, shape, name, p, positive):
    operator, uniform, images = make(shape)
    options = {"p": p, "positive": positive, "alternations": alternations}
    found = solve(name, operator, uniform, images, **options)
    assert found.maps.nnz
    expected = costs_of(operator, uniform, images, found.maps, found.low, p)
    assert_allclose(found.cost, expected, rtol=1e-11)


@each_dtype
@each_p
@each_solver
def test_result_is_well_formed(name, p, dtype):
    operator, uniform, images = make("another uniform filter", dtype=dtype)
    found = solve(name, operator, uniform, images, p)
    assert isinstance(found.maps, csr_array)
    assert found.maps.shape == (3, np.prod(operator.maps_shape))
    assert found.maps.indices.dtype == np.int32
    assert found.maps.has_sorted_indices
    assert found.low.shape == (3, *uniform.maps_shape)
    assert found.maps.dtype == found.low.dtype == dtype
    assert found.cost.dtype == found.optimality.dtype == np.float64
    assert found.converged.dtype == bool
    for field in ("cost", "n_iter", "optimality", "converged"):
        assert getattr(found, field).shape == (3,)
    expected = costs_of(operator, uniform, images, found.maps, found.low, p)
    assert_allclose(found.cost, expected, rtol=1e-11 if dtype == np.float64 else 1e-4)


@each_sign
@pytest.mark.parametrize("p", [0.5, 0.8, 1.0])
@each_certified
def test_alternation_never_raises_the_cost(name, p, positive):
    operator, uniform, images = make("grey")
    options = {"p": p, "positive": positive, "tol": 1e-7, "max_iter": 2000}
    costs = np.array(
        [
            solve(name, operator, uniform, images, alternations=n, **options).cost
            for n in (1, 2, 3, 4, 6, 9)
        ]
    )
    assert (np.diff(costs, axis=0) <= 1e-6 * costs[:-1]).all()
    assert (costs[-1] < 0.99 * costs[0]).any()


@each_p
@each_certified
def test_the_solution_is_where_it_stays(name, p):
    operator, uniform, images = make("colour")
    options = {"p": p, "tol": 1e-6, "max_iter": 3000, "alternations": 500}
    solution = solve(name, operator, uniform, images, **options)
    again = solve(name, operator, uniform, images, init=solution.maps, **options)
    assert_allclose(again.cost, solution.cost, rtol=1e-5)
    assert (again.cost <= solution.cost * (1 + 1e-8)).all()
    one = solve(name, operator, uniform, images, init=solution.maps, p=p, alternations=1)
    assert_allclose(one.cost, solution.cost, rtol=1e-4)


def test_smooth_maps_are_fitted_to_what_the_first_maps_leave():
    operator, uniform, images = make()
    init = csr_array(np.random.default_rng(2).standard_normal((3, np.prod(operator.maps_shape))))
    options = {"init": init, "max_iter": 0, "alternations": 1}
    found = solve("coordinate_descent", operator, uniform, images, **options)
    drawn = operator.forward(init.toarray().reshape(3, *operator.maps_shape))
    assert_array_equal(found.low, uniform.fit(images - drawn)[0])
    assert_array_equal(found.maps.toarray(), init.toarray())


def test_too_few_alternations_are_owned_up_to():
    operator, uniform, images = make()
    options = {"tol": 1e-7, "max_iter": 5000}
    few = solve("coordinate_descent", operator, uniform, images, alternations=2, **options)
    assert not few.converged.any()
    many = solve("coordinate_descent", operator, uniform, images, alternations=2000, **options)
    assert many.converged.all()
    # Learning asks for one alternation and for its solver's word alone.
    one = solve("coordinate_descent", operator, uniform, images, alternations=1, **options)
    assert one.converged.all()


def test_too_few_rounds_of_the_solver_are_owned_up_to():
    operator, uniform, images = make()
    for alternations in (1, 30):
        options = {"tol": 1e-9, "max_iter": 1, "alternations": alternations}
        found = solve("fista", operator, uniform, images, **options)
        assert not found.converged.any()


@each_dtype
@each_p
@each_solver
@pytest.mark.parametrize("shape", ["colour", "signal"])
def test_an_image_does_not_depend_on_its_neighbours(shape, name, p, dtype):
    operator, uniform, images = make(shape, n_samples=4, dtype=dtype)
    # Images that settle after different numbers of alternations.
    images[1] *= 5
    images[2] = 0
    options = {"p": p, "max_iter": 10, "alternations": 8}
    together = solve(name, operator, uniform, images, **options)
    shuffled = [3, 0, 1]
    other = solve(name, operator, uniform, images[shuffled], **options)
    for one in range(4):
        alone = solve(name, operator, uniform, images[[one]], **options)
        pairs = [(together, one)]
        if one in shuffled:
            pairs.append((other, shuffled.index(one)))
        for stack, place in pairs:
            assert_array_equal(alone.maps.toarray()[0], stack.maps.toarray()[place])
            for field in ("low", "cost", "n_iter", "optimality", "converged"):
                assert_array_equal(getattr(alone, field)[0], getattr(stack, field)[place])


@each_p
@each_solver
def test_images_need_different_numbers_of_alternations(name, p, monkeypatch):
    # Without this the test of neighbours would not see images that leave the stack early.
    operator, uniform, images = make(n_samples=4)
    images[1] *= 5
    images[2] = 0
    sizes, fit = [], uniform.fit
    monkeypatch.setattr(uniform, "fit", lambda rest: (sizes.append(len(rest)), fit(rest))[1])
    solve(name, operator, uniform, images, p, max_iter=10, alternations=8)
    assert sizes[0] == 4
    assert len(set(sizes)) > 1


@each_p
@each_solver
def test_black_images_have_neither_maps(name, p):
    operator, uniform, images = make()
    images[1] = 0
    found = solve(name, operator, uniform, images, p)
    assert found.maps[[1]].nnz == 0
    assert not found.low[1].any()
    assert found.cost[1] == 0
    assert found.low[0].any()


@each_certified
def test_constant_images_have_no_sparse_maps(name):
    operator, uniform, images = make()
    images[:] = np.array([1.0, -3.0, 20.0])[:, None, None, None]
    found = solve(name, operator, uniform, images)
    assert found.maps.nnz == 0
    assert_allclose(uniform.forward(found.low), images, rtol=1e-4)
    assert (found.cost < 1e-6).all()


@each_solver
def test_arguments_are_left_alone(name):
    operator, uniform, images = make()
    init = solve(name, operator, uniform, images).maps
    before = images.copy(), init.toarray()
    solve(name, operator, uniform, images, 0.5, init=init)
    assert_array_equal(images, before[0])
    assert_array_equal(init.toarray(), before[1])


@pytest.mark.parametrize("n_jobs", [1, 2])
@each_p
@each_solver
def test_a_pass_in_chunks_is_the_whole(name, p, n_jobs, monkeypatch):
    operator, uniform, images = make("colour", n_samples=5)
    penalty = PowerPenalty(p)
    expected = solve(name, operator, uniform, images, p)
    monkeypatch.setattr("skdeconv.inference._pass._CHUNK", 2 * int(np.prod(operator.maps_shape)))
    parallel = Parallel(n_jobs=n_jobs)
    smooth = SmoothDrawing(uniform.filter_size, uniform.smoothness, 2, images.dtype)
    drawing, parts = Drawing(operator.filters, smooth), collection(images)
    found = infer(SOLVERS[name].solve, drawing, parts, penalty, WEIGHT, parallel=parallel)
    assert_array_equal(found.maps.toarray(), expected.maps.toarray())
    for field in ("low", "cost", "n_iter", "optimality", "converged"):
        assert_array_equal(getattr(found, field), getattr(expected, field))
