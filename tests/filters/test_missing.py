"""Filter learning from images with missing pixels, against explicit matrices without their rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from scipy.sparse import csr_array

from skdeconv.filters import ImplicitStatistics, Statistics, flattened, normalized, update_filters
from skdeconv.operators import Convolution

few_examples = settings(max_examples=30, deadline=None, derandomize=True)
each_kind = pytest.mark.parametrize("kind", [Statistics, ImplicitStatistics])


def gram_of(statistics):
    return statistics.product(np.eye(len(statistics.gram)))


def shifted_maps(maps, filters_shape, image_shape):
    """P of one image and channel: a column for each tap of each filter."""
    n_filters, _, h, w = filters_shape
    taps = np.eye(n_filters * h * w).reshape(-1, n_filters, 1, h, w)
    return np.stack([explicit_matrix(tap, image_shape) @ maps for tap in taps], axis=1)


def make(filters_shape, image_shape, n_samples, share, rng, whole=False):
    """Maps of a few coefficients, and images of which a share of pixels is missing."""
    n_filters, n_channels, h, w = filters_shape
    shape = n_samples, n_filters * (image_shape[0] + h - 1) * (image_shape[1] + w - 1)
    maps = rng.standard_normal(shape) * (rng.random(shape) < 0.3)
    images = rng.standard_normal((n_samples, n_channels, *image_shape))
    missing = rng.random((n_samples, 1 if whole else n_channels, *image_shape)) < share
    return csr_array(maps), np.where(missing, np.nan, images)


def explicit(filters_shape, stacks, whole=False):
    """Gram (one for each channel) and cross products, of weighted stacks, over known pixels.

    ``whole``: over those that are known in any channel.
    """
    n_filters, n_channels, h, w = filters_shape
    gram, cross = np.zeros((n_channels, *2 * [n_filters * h * w])), 0
    cross = np.zeros((n_filters * h * w, n_channels))
    for weight, maps, images in stacks:
        for one, image in zip(maps.toarray(), images, strict=True):
            P = shifted_maps(one, filters_shape, image.shape[1:])
            for c, channel in enumerate(image):
                known = ~np.isnan(channel).ravel()
                seen = ~np.isnan(image).all(axis=0).ravel() if whole else known
                gram[c] += weight * P[seen].T @ P[seen]
                cross[:, c] += weight * P[known].T @ channel.ravel()[known]
    return gram, cross


@st.composite
def problems(draw):
    """Shape of filters, and two stacks of images of different sizes with their maps."""
    filters_shape = tuple(draw(st.integers(1, most)) for most in (3, 3, 3, 3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    stacks = []
    for n_samples in (2, 1):
        image_shape = draw(st.integers(1, 5)), draw(st.integers(1, 5))
        share = draw(st.sampled_from([0, 0.1, 0.6, 1]))
        stacks.append(make(filters_shape, image_shape, n_samples, share, rng))
    return filters_shape, stacks


@few_examples
@given(problems())
def test_statistics_of_mixed_sizes_leave_out_what_is_missing(problem):
    filters_shape, (first, second) = problem
    statistics, stacks = Statistics(filters_shape), [(0.5, *first), (1.0, *second)]
    n_filters, n_channels, h, w = filters_shape
    flat = np.random.default_rng(1).standard_normal((n_filters * h * w, n_channels))
    statistics.add(*first, flat)
    statistics.fade(0.5)
    statistics.add(*second, flat)
    gram, cross = gram_of(statistics), statistics.cross
    # All channels share the Gram of the pixels that any of them knows, and at the present filters
    # the slope is that of the error over known pixels alone.
    assert_allclose(gram, explicit(filters_shape, stacks, whole=True)[0][0], atol=1e-11)
    exact, target = explicit(filters_shape, stacks)
    assert_allclose(cross - gram @ flat, target - np.einsum("cij,jc->ic", exact, flat), atol=1e-10)


@few_examples
@given(problems())
def test_kept_maps_of_mixed_sizes_leave_out_what_is_missing_by_channel(problem):
    filters_shape, (first, second) = problem
    kept = ImplicitStatistics(filters_shape)
    kept.add(*first)
    kept.fade(0.5)
    kept.add(*second)
    gram, cross = explicit(filters_shape, [(0.5, *first), (1.0, *second)])
    flat = np.random.default_rng(1).standard_normal(cross.shape)
    product = np.einsum("cij,jc->ic", gram, flat)
    energy = 0.5 * np.nansum(first[1] ** 2) + np.nansum(second[1] ** 2)
    assert_allclose(kept.curvature(flat), product, atol=1e-11)
    assert_allclose(kept.descent(flat), cross - product, atol=1e-11)
    error = 0.5 * (np.sum(flat * product) - 2 * np.sum(flat * cross) + energy)
    assert kept.error(flat) == pytest.approx(error, abs=1e-10)


@each_kind
def test_cleared_filters_leave_no_trace(kind):
    rng = np.random.default_rng(0)
    filters = rng.standard_normal((3, 2, 3, 2))
    maps, images = make(filters.shape, (7, 6), 2, 0.3, rng, whole=True)
    cleared, other = kind(filters.shape), kind(filters.shape)
    cleared.add(maps, images)
    cleared.clear([0], flattened(filters))
    operator = Convolution(filters, (7, 6))
    silent = maps.toarray().reshape(2, *operator.maps_shape)
    alone = silent.copy()
    silent[:, 0], alone[:, 1:] = 0, 0
    other.add(csr_array(silent.reshape(maps.shape)), images - operator.forward(alone))
    if kind is Statistics:
        assert_allclose(gram_of(cleared), gram_of(other), atol=1e-10)
        assert_allclose(cleared.cross, other.cross, atol=1e-10)
    else:
        flat = flattened(rng.standard_normal(filters.shape))
        assert_allclose(cleared.descent(flat), other.descent(flat), atol=1e-10)


@each_kind
def test_planted_filters_are_found_where_half_of_the_pixels_are_missing(kind):
    rng = np.random.default_rng(0)
    planted = normalized(rng.standard_normal((4, 2, 3, 3)))
    problem = kind(planted.shape)
    for size in ((20, 17), (12, 25)):
        operator = Convolution(planted, size)
        maps = rng.standard_normal((3, *operator.maps_shape))
        maps *= rng.random(maps.shape) < 0.1
        images = operator.forward(maps)
        missing = rng.random((3, 1, *size)) < 0.5
        problem.add(csr_array(maps.reshape(3, -1)), np.where(missing, np.nan, images))
    filters = normalized(rng.standard_normal(planted.shape))
    for _ in range(80):
        filters, _ = update_filters(problem, filters)
    assert_allclose(filters, planted, atol=2e-3)


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
def test_values_beneath_missing_pixels_and_the_images_themselves_do_not_matter(kind, dtype):
    maps, images = make((2, 1, 3, 3), (8, 9), 2, 0.2, np.random.default_rng(0))
    images = images.astype(dtype)
    before, problem = images.copy(), kind((2, 1, 3, 3))
    problem.add(maps, images)
    problem.clear([1], np.ones((18, 1)))
    filters, norms = update_filters(problem, np.full((2, 1, 3, 3), dtype(1 / 3)))
    assert np.isfinite(filters).all()
    assert np.isfinite(norms).all()
    assert_array_equal(images, before)


@each_kind
def test_images_without_known_pixels_say_nothing(kind):
    problem = kind((2, 1, 3, 3))
    maps, images = make((2, 1, 3, 3), (8, 9), 2, 1.0, np.random.default_rng(0))
    problem.add(maps, images)
    filters = normalized(np.random.default_rng(1).standard_normal((2, 1, 3, 3)))
    updated, norms = update_filters(problem, filters)
    assert_allclose(updated, filters, rtol=1e-12)
    assert_allclose(norms, 1, rtol=1e-12)


@each_kind
def test_coefficients_that_draw_missing_pixels_alone_change_no_bit(kind):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((2, 1, 12, 7))
    images[:, :, 5:] = np.nan
    maps = rng.standard_normal((2, 2, 14, 9))
    # Filters of three rows, so that the map's row 7 is the first to miss the known ones.
    other = maps.copy()
    maps[:, :, 7:], other[:, :, 7:] = 0, 1e8 * maps[:, :, 7:]
    updated = []
    for one in (maps, other):
        problem = kind((2, 1, 3, 3))
        problem.add(csr_array(one.reshape(2, -1)), images)
        updated.append(update_filters(problem, np.full((2, 1, 3, 3), 1 / 3)))
    assert_array_equal(updated[0][0], updated[1][0])
    assert_array_equal(updated[0][1], updated[1][1])


@each_kind
def test_filters_that_draw_missing_pixels_alone_stay(kind):
    rng = np.random.default_rng(0)
    maps = np.zeros((1, 2, 22, 9))
    maps[:, 0, :8], maps[:, 1, 14:] = rng.standard_normal((2, 1, 8, 9))
    images = rng.standard_normal((1, 1, 20, 7))
    images[:, :, 12:] = np.nan
    problem = kind((2, 1, 3, 3))
    problem.add(csr_array(maps.reshape(1, -1)), images)
    filters = normalized(rng.standard_normal((2, 1, 3, 3)))
    updated, norms = update_filters(problem, filters)
    assert not np.allclose(updated[0], filters[0], atol=1e-2)
    assert_allclose(updated[1], filters[1], rtol=1e-12)
    assert norms[1] == pytest.approx(1)
