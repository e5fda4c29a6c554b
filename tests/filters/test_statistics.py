"""The least-squares problem of the filters, against an explicit matrix of shifted maps."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skdeconv.filters import ImplicitStatistics, Statistics, flattened
from skdeconv.operators import Convolution

SHAPES = {
    "square": ((3, 1, 3, 3), (1, 9, 8)),
    "even": ((2, 1, 4, 2), (1, 7, 9)),
    "colour": ((2, 3, 3, 2), (3, 6, 7)),
    "signal": ((4, 1, 1, 5), (1, 1, 30)),
    "larger than the image": ((2, 1, 5, 7), (1, 3, 4)),
    "single pixel": ((2, 2, 1, 1), (2, 4, 4)),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def problem(request):
    filters_shape, images_shape = request.param
    rng = np.random.default_rng(0)
    maps_shape = Convolution(np.zeros(filters_shape), images_shape[1:]).maps_shape
    maps = rng.standard_normal((4, np.prod(maps_shape))) * (
        rng.random((4, np.prod(maps_shape))) < 0.3
    )
    images = rng.standard_normal((4, *images_shape))
    return filters_shape, images_shape, csr_array(maps), images


def shifted_maps(maps, filters_shape, images_shape):
    """P of one image: a column for each tap of each filter, drawn with that tap alone."""
    n_filters, _, h, w = filters_shape
    columns = []
    for tap in np.ndindex(n_filters, h, w):
        filters = np.zeros((n_filters, 1, h, w))
        filters[tap[0], 0, tap[1], tap[2]] = 1
        operator = Convolution(filters, images_shape[1:])
        columns.append(operator.forward(maps.reshape(1, *operator.maps_shape)).ravel())
    return np.stack(columns, axis=1)


def explicit(maps, images, filters_shape, images_shape):
    gram, cross = 0, 0
    for one, image in zip(maps.toarray(), images, strict=True):
        matrix = shifted_maps(one, filters_shape, images_shape)
        gram = gram + matrix.T @ matrix
        cross = cross + matrix.T @ image.reshape(len(image), -1).T
    return gram, cross


def gram_of(statistics):
    return statistics.product(np.eye(len(statistics.gram)))


def test_statistics_are_the_explicit_products(problem):
    filters_shape, images_shape, maps, images = problem
    statistics = Statistics(filters_shape)
    statistics.add(maps, images)
    gram, cross = explicit(maps, images, filters_shape, images_shape)
    np.testing.assert_allclose(gram_of(statistics), gram, atol=1e-10)
    np.testing.assert_allclose(statistics.cross, cross, atol=1e-10)


def test_statistics_add_up_and_fade(problem):
    filters_shape, images_shape, maps, images = problem
    statistics = Statistics(filters_shape)
    statistics.add(maps[:3], images[:3])
    statistics.fade(0.25)
    statistics.add(maps[3:], images[3:])
    early = explicit(maps[:3], images[:3], filters_shape, images_shape)
    late = explicit(maps[3:], images[3:], filters_shape, images_shape)
    both = gram_of(statistics), statistics.cross
    for found, first, second in zip(both, early, late, strict=True):
        np.testing.assert_allclose(found, 0.25 * first + second, atol=1e-10)


def test_fading_to_nothing_leaves_only_what_is_new(problem):
    filters_shape, images_shape, maps, images = problem
    statistics = Statistics(filters_shape)
    statistics.add(maps, images)
    for factor in (0.0, 1e-8, 1e-8):
        statistics.fade(factor)
    statistics.add(maps[:1], images[:1])
    gram, cross = explicit(maps[:1], images[:1], filters_shape, images_shape)
    np.testing.assert_allclose(gram_of(statistics), gram, atol=1e-10)
    np.testing.assert_allclose(statistics.cross, cross, atol=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_filter_that_has_faded_away_is_left_alone(dtype):
    statistics, rng = Statistics((2, 1, 1, 3), dtype), np.random.default_rng(0)
    both = csr_array(rng.standard_normal((1, 2 * 12)))
    image = rng.standard_normal((1, 1, 1, 10))
    statistics.add(both, image)
    last = csr_array(np.concatenate([both.toarray()[:, :12], np.zeros((1, 12))], axis=1))
    flat = rng.standard_normal((6, 1)) / 3
    seen = set()
    for _ in range(400):
        statistics.fade(0.05)
        statistics.add(last, image)
        found = statistics.descend(flat.copy(), 1.0)
        assert np.isfinite(found).all()
        assert (found[:3] != flat[:3]).all()
        seen.add(bool((found[3:] == flat[3:]).all()))
    assert seen == {False, True}


def test_rescaling_follows_the_maps(problem):
    filters_shape, images_shape, maps, images = problem
    norms = np.linspace(0.5, 2, filters_shape[0])
    statistics = Statistics(filters_shape)
    statistics.add(maps, images)
    statistics.rescale(norms)
    scaled = maps.toarray().reshape(len(images), filters_shape[0], -1) * norms[:, None]
    expected = explicit(csr_array(scaled.reshape(maps.shape)), images, filters_shape, images_shape)
    np.testing.assert_allclose(gram_of(statistics), expected[0], atol=1e-10)
    np.testing.assert_allclose(statistics.cross, expected[1], atol=1e-10)


@pytest.mark.parametrize("kind", [Statistics, ImplicitStatistics])
def test_cleared_filters_leave_no_trace(problem, kind):
    filters_shape, images_shape, maps, images = problem
    filters = np.random.default_rng(1).standard_normal(filters_shape)
    cleared, other = kind(filters_shape), kind(filters_shape)
    cleared.add(maps, images)
    cleared.clear([0], flattened(filters))
    operator = Convolution(filters, images_shape[1:])
    silent, alone = np.zeros((2, len(images), *operator.maps_shape))
    silent[:, 1:] = maps.toarray().reshape(silent.shape)[:, 1:]
    alone[:, 0] = maps.toarray().reshape(silent.shape)[:, 0]
    other.add(csr_array(silent.reshape(maps.shape)), images - operator.forward(alone))
    if kind is Statistics:
        np.testing.assert_allclose(gram_of(cleared), gram_of(other), atol=1e-10)
        np.testing.assert_allclose(cleared.cross, other.cross, atol=1e-10)
    else:
        flat = flattened(np.random.default_rng(2).standard_normal(filters_shape))
        np.testing.assert_allclose(cleared.descent(flat), other.descent(flat), atol=1e-10)


def test_kept_maps_are_the_same_problem(problem):
    filters_shape, images_shape, maps, images = problem
    kept = ImplicitStatistics(filters_shape)
    kept.add(maps[:3], images[:3])
    kept.fade(0.25)
    kept.add(maps[3:], images[3:])
    early = explicit(maps[:3], images[:3], filters_shape, images_shape)
    late = explicit(maps[3:], images[3:], filters_shape, images_shape)
    gram, cross = (0.25 * first + second for first, second in zip(early, late, strict=True))
    rng = np.random.default_rng(1)
    flat = rng.standard_normal(cross.shape)
    np.testing.assert_allclose(kept.curvature(flat), gram @ flat, atol=1e-9)
    np.testing.assert_allclose(kept.descent(flat), cross - gram @ flat, atol=1e-9)
    energy = 0.25 * np.sum(images[:3] ** 2) + np.sum(images[3:] ** 2)
    error = 0.5 * (np.sum(flat * (gram @ flat)) - 2 * np.sum(flat * cross) + energy)
    assert kept.error(flat) == pytest.approx(error)


def test_no_maps_no_statistics(problem):
    filters_shape, _, maps, images = problem
    statistics = Statistics(filters_shape)
    statistics.add(csr_array(maps.shape), images)
    assert not statistics.gram.any()
    assert not statistics.cross.any()


@pytest.mark.parametrize("size", [1e-15, 1e15])
def test_squares_of_maps_of_any_size_fit_in_single_precision(problem, size):
    filters_shape, images_shape, maps, images = problem
    statistics, parts = (Statistics(filters_shape, np.float32) for _ in range(2))
    for _ in range(3):
        statistics.add(size * maps, size * images)
        statistics.fade(1e-9)
        statistics.rescale(np.full(filters_shape[0], 0.1))
    statistics.add(size * maps, size * images)
    gram, _ = explicit(maps, images, filters_shape, images_shape)
    np.testing.assert_allclose(gram_of(statistics) / size**2, gram, atol=1e-3)
    for part in (maps[:3], images[:3]), (maps[3:], images[3:]):
        one = Statistics(filters_shape, np.float32)
        one.add(*(size * x for x in part))
        parts.merge(one.state())
    np.testing.assert_allclose(gram_of(parts) / size**2, gram, atol=1e-3)
    np.testing.assert_allclose(parts.cross, statistics.cross, rtol=1e-6, atol=1e-6 * size**2)
