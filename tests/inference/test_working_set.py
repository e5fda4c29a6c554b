"""Coordinate descent whose atoms do not exist all at once: the same optimum, in less memory."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skdeconv.inference import CoordinateDescent, Fista, PowerPenalty, Problem
from skdeconv.inference._working_set import WorkingSet
from skdeconv.operators import Convolution, Masked

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.usefixtures("portable_kernels"),
]

WEIGHT = 3.0
ENTRIES = "skdeconv.operators._composition._ENTRIES"
each_p = pytest.mark.parametrize("p", [0.5, 1.0], ids=["half", "one"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])
# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {
    "grey": ((3, 1, 4, 3), (12, 9)),
    "colour": ((2, 3, 3, 3), (7, 8)),
    "signal": ((3, 2, 1, 5), (1, 40)),
}
each_shape = pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES.keys())


def make(shapes=SHAPES["grey"], p=1.0, positive=False, n_samples=4, dtype=np.float64):
    """A problem of images of different strength, of which one is zero."""
    rng = np.random.default_rng(0)
    filters = rng.standard_normal(shapes[0])
    filters /= np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    operator = Convolution(filters.astype(dtype), shapes[1])
    images = rng.standard_normal((n_samples, *operator.images_shape))
    images *= np.array([1, 0.3, 0, 2.0])[:n_samples, None, None, None]
    return Problem(operator, images.astype(dtype), PowerPenalty(p, positive), WEIGHT)


def limit_atoms(monkeypatch, problem, number):
    monkeypatch.setattr(ENTRIES, number * problem.operator.atom_size)
    assert problem.operator.atoms_at_once == number


def assert_same(found, expected):
    assert_array_equal(found.maps.toarray(), expected.maps.toarray())
    for field in ("cost", "n_iter", "optimality", "converged"):
        assert_array_equal(getattr(found, field), getattr(expected, field))


@pytest.mark.parametrize("number", [9, 30])
@each_sign
@each_shape
def test_the_optimum_does_not_depend_on_the_number_of_atoms(shapes, positive, number, monkeypatch):
    problem = make(shapes, positive=positive)
    limits = {"tol": 1e-6, "max_iter": 60}
    expected = CoordinateDescent().solve(problem, **limits)
    assert np.diff(expected.maps.indptr).max() > 30
    limit_atoms(monkeypatch, problem, number)
    found = CoordinateDescent().solve(problem, **limits)
    assert found.converged.all()
    assert_allclose(found.cost, expected.cost, rtol=2e-6)
    # The gap is that of the residual, which is updated part by part.
    dense = found.maps.toarray().reshape(-1, *problem.operator.maps_shape)
    assert_allclose(found.cost, problem.cost(problem.residual(dense), dense), rtol=1e-12)


@each_p
@each_shape
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
def test_each_image_is_divided_as_if_alone(shapes, p, dtype, monkeypatch):
    problem = make(shapes, p, dtype=dtype)
    # The second image fits as a whole, the others do not.
    limit_atoms(monkeypatch, problem, 25)
    options = {"tol": 1e-3, "max_iter": 6}
    found = CoordinateDescent().solve(problem, **options)
    assert found.maps.dtype == dtype
    for one in range(4):
        alone = CoordinateDescent().solve(problem.select([one]), **options)
        assert_same(found.select([one]), alone)
    warm = CoordinateDescent().solve(problem, init=found.maps, **options)
    for one in range(4):
        start = found.maps[[one]]
        alone = CoordinateDescent().solve(problem.select([one]), init=start, **options)
        assert_same(warm.select([one]), alone)


@each_p
@each_shape
def test_whole_images_in_several_groups_keep_every_bit(shapes, p, monkeypatch):
    problem = make(shapes, p)
    expected = CoordinateDescent().solve(problem, max_iter=6)
    most = int(np.prod(problem.operator.maps_shape))
    limit_atoms(monkeypatch, problem, most)
    assert_same(CoordinateDescent().solve(problem, max_iter=6), expected)


@pytest.mark.parametrize("masked", [False, True])
def test_no_more_atoms_are_built_at_once_than_allowed(masked, monkeypatch):
    problem = make()
    operator = problem.operator
    if masked:
        operator = Masked(operator, np.random.default_rng(0).random(operator.images_shape) < 0.7)
        problem = Problem(operator, operator.known * problem.images, problem.penalty, WEIGHT)
    limit_atoms(monkeypatch, problem, 11)
    sizes, atoms = [], operator.atoms
    monkeypatch.setattr(
        operator, "atoms", lambda index: (sizes.append(len(index)), atoms(index))[1]
    )
    found = CoordinateDescent().solve(problem)
    CoordinateDescent().solve(problem, init=found.maps, max_iter=1)
    assert max(sizes) == 11
    assert found.converged.all()


def test_the_images_of_the_problem_are_left_alone(monkeypatch):
    problem = make()
    limit_atoms(monkeypatch, problem, 10)
    before = problem.images.copy()
    maps = csr_array(np.ones((4, int(np.prod(problem.operator.maps_shape)))))
    for init in (None, maps):
        working = WorkingSet(problem, init)
        working.add(np.arange(50))
        working.descend(2)
        assert_array_equal(problem.images, before)


def test_added_coefficients_take_their_place_unless_they_are_there():
    working = WorkingSet(make())
    n_filters, height, width = working.problem.operator.maps_shape
    there = np.ravel_multi_index(([1, 0, 1], [1, 2, 1], [0, 0, 1]), (n_filters, height, width))
    working.add(there)
    working.values = np.arange(1.0, 4)[np.argsort(np.argsort(working.index))]
    values = dict(zip(working.index, working.values, strict=True))
    new = np.ravel_multi_index(([0, 1, 0], [1, 1, 0], [0, 0, 2]), (n_filters, height, width))
    working.add(np.append(new, working.n_coefficients))
    assert len(working.index) == len(set(working.index)) == 6
    kept = dict(zip(working.index, working.values, strict=True))
    assert kept == dict.fromkeys(kept, 0.0) | values
    sample, rest = np.divmod(working.index, working.n_coefficients)
    kernel, y, x = np.unravel_index(rest, (n_filters, height, width))
    places = list(zip(sample, x, y, kernel, strict=True))
    assert places == sorted(places)


@pytest.mark.parametrize("n_channels", [40, 41], ids=["atoms", "gram"])
def test_memory_does_not_grow_with_the_working_set(n_channels, monkeypatch):
    monkeypatch.setattr("skdeconv.operators._convolution._BLOCK", 2**16)
    monkeypatch.setattr("skdeconv.operators._gram._PAIRS", 2**14)
    filters = np.random.default_rng(0).standard_normal((2, n_channels, 5, 5))
    operator = Convolution(filters, (40, 40))
    assert operator.has_gram == (n_channels == 41)
    images = np.random.default_rng(1).standard_normal((1, *operator.images_shape))
    problem = Problem(operator, images, PowerPenalty(), 1e-2)
    monkeypatch.setattr(ENTRIES, 2**16)
    monkeypatch.setattr("skdeconv.operators._atom_sweeps._GRAM", 2**16)
    monkeypatch.setattr("skdeconv.operators._atom_sweeps._KEPT", 2**16)
    working = WorkingSet(problem)
    working.add(np.arange(int(np.prod(operator.maps_shape[1:]))))
    tracemalloc.start()
    working.descend(1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All atoms have 30 times as many entries as the image has pixels, of 12 bytes each.
    assert peak < 20 * images.nbytes


@pytest.fixture
def gram_of_everything(monkeypatch):
    """Gram matrices instead of atoms for small filters too."""
    monkeypatch.setattr("skdeconv.operators._gram._LARGE_ATOM", 1)


@pytest.mark.parametrize("number", [9, 30, 1000])
@each_sign
@each_shape
def test_gram_matrices_give_the_same_optimum(
    shapes, positive, number, monkeypatch, gram_of_everything
):
    problem = make(shapes, positive=positive)
    assert problem.operator.has_gram
    limits = {"tol": 1e-6, "max_iter": 60}
    monkeypatch.setattr("skdeconv.operators._atom_sweeps._GRAM", number**2)
    monkeypatch.setattr(problem.operator, "atoms", None)
    found = CoordinateDescent().solve(problem, **limits)
    assert found.converged.all()
    expected = Fista().solve(problem, tol=1e-6, max_iter=5000)
    assert expected.converged.all()
    assert_allclose(found.cost, expected.cost, rtol=2e-6)
    dense = found.maps.toarray().reshape(-1, *problem.operator.maps_shape)
    assert_allclose(found.cost, problem.cost(problem.residual(dense), dense), rtol=1e-12)


@pytest.mark.parametrize("kept", [0, 700])
def test_rows_of_gram_matrices_need_not_be_kept(kept, monkeypatch, gram_of_everything):
    problem = make()
    monkeypatch.setattr("skdeconv.operators._atom_sweeps._GRAM", 25**2)
    expected = CoordinateDescent().solve(problem)
    monkeypatch.setattr("skdeconv.operators._atom_sweeps._KEPT", kept)
    assert_same(CoordinateDescent().solve(problem), expected)


@each_p
@each_sign
@each_shape
def test_gram_matrices_give_the_same_rounds(shapes, p, positive, monkeypatch):
    problem = make(shapes, p, positive)
    start = CoordinateDescent().solve(problem, max_iter=1).maps
    options = {"init": start, "tol": 1e-9, "max_iter": 4}
    expected = CoordinateDescent().solve(problem, **options)
    monkeypatch.setattr("skdeconv.operators._gram._LARGE_ATOM", 1)
    found = CoordinateDescent().solve(problem, **options)
    assert_allclose(found.maps.toarray(), expected.maps.toarray(), atol=1e-7)
    assert_allclose(found.cost, expected.cost, rtol=1e-9)


@each_p
@each_shape
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
def test_with_gram_matrices_each_image_is_solved_as_if_alone(
    shapes, p, dtype, monkeypatch, gram_of_everything
):
    problem = make(shapes, p, dtype=dtype)
    monkeypatch.setattr("skdeconv.operators._atom_sweeps._GRAM", 25**2)
    options = {"tol": 1e-3, "max_iter": 6}
    found = CoordinateDescent().solve(problem, **options)
    warm = CoordinateDescent().solve(problem, init=found.maps, **options)
    assert found.maps.dtype == warm.maps.dtype == dtype
    for one in range(4):
        alone, start = problem.select([one]), found.maps[[one]]
        assert_same(found.select([one]), CoordinateDescent().solve(alone, **options))
        assert_same(warm.select([one]), CoordinateDescent().solve(alone, init=start, **options))
