"""Maps of images with missing pixels: the problem over the known ones, and nothing but it."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from reference.images import collection
from scipy.sparse import csc_array, csr_array
from sklearn.linear_model import Lasso

from skdeconv.inference import SOLVERS, Coding, InferenceResult, PowerPenalty, Problem, Solver
from skdeconv.inference._missing import problems_by_mask
from skdeconv.operators import Convolution, SparseOperator, Synthesis

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

WEIGHT = 5.0
each_solver = pytest.mark.parametrize("name", list(SOLVERS))
each_certified = pytest.mark.parametrize("name", ["coordinate_descent", "fista"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
each_p = pytest.mark.parametrize("p", [0.5, 1.0], ids=["half", "one"])
# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {
    "photo": ((4, 1, 4, 4), (10, 9)),
    "colour": ((4, 3, 3, 3), (9, 8)),
    "signal": ((3, 2, 1, 6), (1, 50)),
    "larger than the image": ((2, 1, 6, 6), (4, 5)),
}
each_shape = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())


def make(shapes=SHAPES["colour"], n_samples=1, share=0.3, dtype=np.float64, seed=0):
    """Unit filters, and noisy images of few coefficients, of which some pixels are missing."""
    rng = np.random.default_rng(seed)
    filters = rng.standard_normal(shapes[0])
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    operator = Convolution(filters.astype(dtype), shapes[1])
    maps = rng.standard_normal((n_samples, *operator.maps_shape))
    images = operator.forward((maps * (rng.random(maps.shape) < 0.1)).astype(dtype))
    images = (images + 0.1 * rng.standard_normal(images.shape)).astype(dtype)
    # Each channel by itself.
    images[rng.random(images.shape) < share] = np.nan
    return operator, images


def infer(solver, operator, images, penalty, init=None, tol=1e-3, max_iter=50):
    coding = Coding(solver, penalty, WEIGHT, tol, max_iter)
    return coding.infer(Synthesis(operator.filters), collection(images), init)


def solve(name, operator, images, p=1.0, positive=False, **options):
    return infer(SOLVERS[name](), operator, images, PowerPenalty(p, positive), **options)


class Recorder(Solver):
    """Keeps what it is given, and marks all results with the first pixel of their images."""

    def __init__(self):
        self.calls = []

    def solve(self, problem, **options):
        """The first pixel of every image in place of all numbers."""
        mark = problem.images[:, 0, 0, 0]
        low_frequency = list(problem.images[:, :, :1])
        maps = csr_array(mark[:, None])
        result = InferenceResult(maps, mark, mark, mark, mark > 1, low_frequency)
        self.calls.append((problem, options, result))
        return result


def known_rows(operator, image):
    """Rows of the explicit matrix, and values, of the known pixels."""
    seen = ~np.isnan(image.ravel())
    return explicit_matrix(operator.filters, image.shape[1:])[seen], image.ravel()[seen]


def assert_same(found, expected):
    """Equality of two results to the last bit."""
    assert_array_equal(found.maps.indptr, expected.maps.indptr)
    assert_array_equal(found.maps.indices, expected.maps.indices)
    assert_array_equal(found.maps.data, expected.maps.data)
    for field in ("cost", "n_iter", "optimality", "converged"):
        assert_array_equal(getattr(found, field), getattr(expected, field))


@each_sign
@each_certified
@each_shape
def test_lasso_on_the_rows_of_known_pixels_confirms_the_maps(shapes, name, positive):
    operator, images = make(shapes)
    found = solve(name, operator, images, positive=positive, tol=1e-7, max_iter=5000)
    matrix, y = known_rows(operator, images[0])
    lasso = Lasso(
        1 / (WEIGHT * len(y)), fit_intercept=False, positive=positive, tol=1e-11, max_iter=20_000
    ).fit(matrix, y)
    residual = y - matrix @ lasso.coef_
    assert np.count_nonzero(lasso.coef_) > 3
    best = WEIGHT / 2 * residual @ residual + np.abs(lasso.coef_).sum()
    assert found.converged.all()
    assert_allclose(found.cost, best, rtol=2e-7)
    assert_allclose(matrix @ found.maps.toarray()[0], matrix @ lasso.coef_, atol=2e-3)


@each_sign
@each_p
@each_solver
def test_cost_and_optimality_are_those_of_the_known_pixels(name, p, positive):
    operator, images = make(n_samples=3)
    found = solve(name, operator, images, p, positive, max_iter=20)
    for i, (image, z) in enumerate(zip(images, found.maps.toarray(), strict=True)):
        matrix, y = known_rows(operator, image)
        residual = y - matrix @ z
        cost = WEIGHT / 2 * residual @ residual + np.sum(np.abs(z) ** p)
        assert found.cost[i] == pytest.approx(cost)
        assert z.any()
        gradient = WEIGHT * matrix.T @ residual
        if p == 1:
            scale = 1 / max(1, (gradient if positive else np.abs(gradient)).max())
            theta = WEIGHT * scale * residual
            gap = 1 - (theta @ y - theta @ theta / (2 * WEIGHT)) / cost
            assert found.optimality[i] == pytest.approx(gap) or found.optimality[i] < gap
        else:
            used = z != 0
            wanted = p * np.abs(z[used]) ** (p - 1) * np.sign(z[used])
            assert found.optimality[i] == pytest.approx(np.abs(gradient[used] - wanted).max())


@each_sign
@each_certified
@each_shape
def test_nonconvex_maps_are_as_good_as_those_of_the_explicit_problem(shapes, name, positive):
    operator, images = make(shapes)
    known = ~np.isnan(images)
    matrix = known.reshape(-1, 1) * explicit_matrix(operator.filters, shapes[1])
    explicit = SparseOperator(csc_array(matrix), operator.images_shape, operator.maps_shape)
    # Of another bound on the norm FISTA's steps are shorter, and end in another minimum.
    explicit.norm = operator.norm
    options = {"tol": 1e-8, "max_iter": 300}
    penalty = PowerPenalty(0.5, positive)
    filled = np.where(known, images, 0)
    expected = SOLVERS[name]().solve(Problem(explicit, filled, penalty, WEIGHT), **options)
    found = solve(name, operator, images, 0.5, positive, **options)
    assert_allclose(found.cost, expected.cost, rtol=1e-6)
    if name == "coordinate_descent":
        assert found.optimality[0] < 1e-2


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
@each_p
@each_solver
def test_each_image_is_solved_as_if_alone_and_complete_ones_as_before(name, p, dtype):
    operator, images = make(n_samples=6, dtype=dtype)
    complete = make(n_samples=6, share=0, dtype=dtype)[1]
    images[[1, 4]] = complete[[1, 4]]
    # Two images with one mask.
    images[5] = np.where(np.isnan(images[0]), np.nan, complete[5])
    problem = Problem(operator, complete, PowerPenalty(p), WEIGHT)
    plain = SOLVERS[name]().solve(problem, max_iter=7)
    assert_same(solve(name, operator, complete, p, max_iter=7), plain)
    found = solve(name, operator, images, p, max_iter=7)
    assert found.maps.dtype == dtype
    assert found.maps.has_sorted_indices
    assert found.maps.indices.dtype == np.int32
    assert_same(found.select([1, 4]), plain.select([1, 4]))
    for one in range(6):
        assert_same(found.select([one]), solve(name, operator, images[[one]], p, max_iter=7))


def test_without_missing_pixels_the_solver_gets_what_the_caller_gave():
    operator, images = make(n_samples=2, share=0)
    start = np.zeros((2, int(np.prod(operator.maps_shape))))
    start[1, 3] = 4.0
    init, penalty = csr_array(start), PowerPenalty(0.5)
    ((problem, start, samples),) = problems_by_mask(operator, images, penalty, 2.0, init)
    assert problem.operator is operator
    assert problem.images is images
    assert problem.penalty is penalty
    assert problem.weight == 2.0
    assert problem.known is None
    assert start is init
    assert_array_equal(samples, [0, 1])
    solver = Recorder()
    found = infer(solver, operator, images, penalty, init=init, tol=3, max_iter=4)
    ((problem, options, result),) = solver.calls
    assert found is result
    assert_array_equal(problem.images, images)
    assert problem.penalty is penalty
    assert problem.weight == WEIGHT
    assert problem.known is None
    assert_array_equal(options.pop("init").toarray(), init.toarray())
    assert options == {"tol": 3, "max_iter": 4}


def test_each_mask_is_a_problem_without_nan():
    operator, images = make(n_samples=4, dtype=np.float32)
    images[2] = np.where(np.isnan(images[0]), np.nan, 7)
    images[3] = 1
    init = csr_array(np.ones((4, int(np.prod(operator.maps_shape)))))
    seen = []
    for problem, start, samples in problems_by_mask(operator, images, PowerPenalty(), 2.0, init):
        known = ~np.isnan(images[samples])
        assert_array_equal(problem.images, np.where(known, images[samples], 0))
        assert problem.images.dtype == np.float32
        assert problem.weight == 2.0
        assert start.shape[0] == len(problem) == len(samples)
        drawn = problem.operator.forward(np.ones((len(samples), *operator.maps_shape), np.float32))
        if samples[0] == 3:
            assert problem.known is None
            assert problem.operator is operator
        else:
            assert_array_equal(np.broadcast_to(problem.known, known.shape), known)
            assert_array_equal(drawn != 0, known)
        seen.append(list(samples))
    assert sorted(seen) == [[0, 2], [1], [3]]
    assert init.nnz == init.shape[0] * init.shape[1]


def test_masks_come_in_the_order_of_the_first_image_of_each():
    rng = np.random.default_rng(0)
    masks = np.ones((5, 1, 3, 7), dtype=bool)
    # They differ in the last pixels alone, which do not fill a byte.
    masks[1:, 0, 2, 6] = masks[2:, 0, 2, 5] = False
    masks[3:, 0, 0, 0] = masks[4:] = False
    chosen = rng.integers(5, size=20)
    images = np.where(masks[chosen], rng.standard_normal((20, 1, 3, 7)), np.nan)
    operator = Convolution(np.ones((1, 1, 2, 2)), (3, 7))
    parts = list(problems_by_mask(operator, images, PowerPenalty(), 1.0))
    order = list(dict.fromkeys(chosen))
    assert len(parts) == len(order) == 5
    for one, (problem, _, samples) in zip(order, parts, strict=True):
        assert_array_equal(samples, np.flatnonzero(chosen == one))
        if one:
            assert_array_equal(problem.known, masks[one])


@each_p
@each_solver
def test_warm_starts_belong_to_their_images(name, p):
    operator, images = make(n_samples=5)
    images[[0, 3]] = make(n_samples=5, share=0)[1][[0, 3]]
    first = solve(name, operator, images, p)
    found = solve(name, operator, images, p, init=first.maps, max_iter=2)
    for one in range(5):
        start = first.maps[[one]]
        alone = solve(name, operator, images[[one]], p, init=start, max_iter=2)
        assert_same(found.select([one]), alone)
    if name != "half_quadratic":
        assert (found.cost <= first.cost * (1 + 1e-6)).all()


@each_p
@each_solver
def test_coefficients_that_reach_no_known_pixel_are_zero(name, p):
    operator, images = make(n_samples=2, share=0)
    images[1, :, :6] = np.nan
    start = np.ones((2, *operator.maps_shape))
    init = csr_array(start.reshape(2, -1))
    found = solve(name, operator, images, p, init=init, tol=1e-4, max_iter=500)
    maps = found.maps.toarray().reshape(start.shape)
    # Three rows of a filter: the first six of the maps end above the first known row.
    assert not maps[1, :, :6].any()
    assert maps[1, :, 6:].any()
    assert maps[0, :, :6].any()
    assert init.nnz == start.size
    if name != "half_quadratic":
        assert found.converged.all()


@each_p
@each_solver
def test_an_image_without_known_pixels_has_no_maps(name, p):
    operator, images = make(n_samples=2)
    images[0] = np.nan
    init = csr_array(np.ones((2, int(np.prod(operator.maps_shape)))))
    for start in (None, init):
        found = solve(name, operator, images, p, init=start)
        assert found.maps[[0]].nnz == 0
        assert found.maps[[1]].nnz > 0
        assert found.cost[0] == found.optimality[0] == 0
        assert found.converged[0]


def test_low_frequency_maps_are_kept_in_order():
    operator, images = make(n_samples=4)
    images[2] = 0
    images[:, 0, 0, 0] = np.arange(4)
    solver = Recorder()
    found = infer(solver, operator, images, PowerPenalty())
    assert len(solver.calls) == 4
    low_frequency = [maps[0, 0, 0] for maps in found.low_frequency]
    for field in (found.maps.toarray().ravel(), found.cost, low_frequency):
        assert_array_equal(field, np.arange(4))
    assert_array_equal(found.converged, [False, False, True, True])
