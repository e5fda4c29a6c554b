"""Filter updates: the error never rises, the constraints hold, both problems agree."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skdeconv.filters import ImplicitStatistics, Statistics, normalized, redraw, update_filters
from skdeconv.operators import Convolution


@pytest.fixture(params=[1, 3], ids=["grey", "colour"])
def data(request):
    rng = np.random.default_rng(0)
    planted = normalized(rng.standard_normal((4, request.param, 3, 3)))
    operator = Convolution(planted, (20, 20))
    maps = rng.standard_normal((3, *operator.maps_shape)) * (rng.random(operator.maps_shape) < 0.1)
    return planted, csr_array(maps.reshape(3, -1)), operator.forward(maps)


def problem_of(kind, filters, maps, images):
    problem = kind(filters.shape)
    problem.add(maps, images)
    return problem


def error(filters, maps, images):
    operator = Convolution(filters, images.shape[2:])
    return np.sum(
        (operator.forward(maps.toarray().reshape(-1, *operator.maps_shape)) - images) ** 2
    )


@pytest.mark.parametrize("kind", [Statistics, ImplicitStatistics])
def test_planted_filters_are_found_from_their_maps(data, kind):
    planted, maps, images = data
    filters = normalized(np.random.default_rng(1).standard_normal(planted.shape))
    problem = problem_of(kind, planted, maps, images)
    for _ in range(60):
        filters, norms = update_filters(problem, filters)
    np.testing.assert_allclose(filters, planted, atol=1e-3)
    np.testing.assert_allclose(norms, 1, atol=1e-3)


@pytest.mark.parametrize("kind", [Statistics, ImplicitStatistics])
def test_error_never_rises_and_filters_have_unit_norm(data, kind):
    planted, maps, images = data
    filters = normalized(np.random.default_rng(2).standard_normal(planted.shape))
    for _ in range(5):
        before = error(filters, maps, images)
        filters, norms = update_filters(problem_of(kind, planted, maps, images), filters)
        assert np.all(norms <= 1 + 1e-12)
        np.testing.assert_allclose(np.linalg.norm(filters.reshape(4, -1), axis=1), 1)
        scaled = maps.toarray().reshape(3, 4, -1) * norms[:, None]
        maps = csr_array(scaled.reshape(3, -1))
        assert error(filters, maps, images) <= before * (1 + 1e-12)


@pytest.mark.parametrize("kind", [Statistics, ImplicitStatistics])
def test_unconnected_channels_stay_zero(kind):
    rng = np.random.default_rng(0)
    connectivity = np.array([[True, False], [True, True], [False, True]])
    filters = normalized(rng.standard_normal((3, 2, 3, 3)), connectivity)
    operator = Convolution(filters, (12, 12))
    maps = csr_array(rng.standard_normal((2, np.prod(operator.maps_shape))))
    problem = problem_of(kind, filters, maps, rng.standard_normal((2, 2, 12, 12)))
    updated, _ = update_filters(problem, filters, connectivity)
    assert not np.array_equal(updated, filters)
    assert not updated[~connectivity].any()
    np.testing.assert_allclose(np.linalg.norm(updated.reshape(3, -1), axis=1), 1)


def test_unused_filters_stay(data):
    planted, maps, images = data
    silent = maps.toarray().reshape(3, 4, -1)
    silent[:, 2] = 0
    problem = problem_of(Statistics, planted, csr_array(silent.reshape(3, -1)), images)
    filters = normalized(np.random.default_rng(3).standard_normal(planted.shape))
    updated, norms = update_filters(problem, filters)
    np.testing.assert_allclose(updated[2], filters[2])
    assert norms[2] == pytest.approx(1)


def test_redraw_takes_bad_patches():
    images = np.zeros((2, 1, 10, 10))
    images[1, 0, 4:7, 4:7] = np.arange(1, 10).reshape(3, 3)
    filters = normalized(np.ones((3, 1, 3, 3)))
    drawn = redraw(filters, np.array([1]), [images], None, np.random.RandomState(0))
    np.testing.assert_array_equal(drawn[[0, 2]], filters[[0, 2]])
    assert not np.array_equal(drawn[1], filters[1])
    assert np.linalg.norm(drawn[1]) == pytest.approx(1)
    correlation = Convolution(drawn, (10, 10)).adjoint(images)[1, 1].max()
    assert correlation > 0.5 * np.linalg.norm(images[1])


def test_redraw_from_nothing_changes_nothing():
    filters = normalized(np.ones((3, 1, 3, 3)))
    drawn = redraw(filters, np.arange(3), [np.zeros((2, 1, 8, 8))], None, np.random.RandomState(0))
    np.testing.assert_array_equal(drawn, filters)
