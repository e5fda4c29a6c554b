"""Resizer: interpolation against direct computations and Pillow, layouts, names and checks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.contract import assert_number_of_checks, configurations, parameters_of

from skdeconv.preprocessing import Resizer, as_signals

ESTIMATORS = [Resizer(), *configurations([Resizer(4)])]


def smooth(*shape):
    """A sum of slow waves over the pixels, and over the channels."""
    axes = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing="ij")
    return sum(np.sin(3 * axis + i) for i, axis in enumerate(axes))


@pytest.mark.parametrize(("estimator", "check"), parameters_of(ESTIMATORS))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_number_of_scikit_learn_checks(estimator):
    assert_number_of_checks(estimator)


# What is computed


@given(
    st.integers(1, 30), st.integers(1, 30), st.integers(1, 3), st.integers(1, 40),
    st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_sides_range_and_dtype(height, width, n_channels, size, dtype):
    image = np.random.default_rng(0).random((height, width, n_channels)).astype(dtype)
    (result,) = Resizer(size).fit_transform([image])
    longer = max(height, width)
    assert result.shape[2] == n_channels
    assert max(result.shape[:2]) == size
    for before, after in zip(image.shape[:2], result.shape[:2], strict=True):
        assert after == 1 or abs(after - before * size / longer) <= 0.5
        assert after == 1 or before > 1 or (longer == 1 and after == size)
    assert result.dtype == dtype
    rounding = 16 * np.finfo(dtype).eps
    for one, other in zip(result.T, image.T, strict=True):
        assert other.min() - rounding <= one.min() <= one.max() <= other.max() + rounding


def test_an_image_of_this_size_is_unchanged():
    image = np.random.default_rng(0).random((5, 8))
    assert_array_equal(Resizer(8).fit_transform([image])[0], image)


def test_lines_are_interpolated_exactly_when_they_grow():
    line = np.arange(6.0)
    (found,) = Resizer(12).fit_transform(line[None])
    centres = (np.arange(12) + 0.5) / 2 - 0.5
    assert_allclose(found, np.clip(centres, 0, 5), atol=1e-12)


@pytest.mark.parametrize("size", [60, 23, 10])
def test_photos_look_as_by_pillow(size):
    Image = pytest.importorskip("PIL.Image")
    photo = smooth(90, 60).astype(np.float32)
    (found,) = Resizer(size).fit_transform([photo])
    wanted = Image.fromarray(photo).resize(found.shape[::-1], Image.Resampling.BILINEAR)
    assert_allclose(found, np.asarray(wanted), atol=0.03 * np.ptp(photo))


def test_stripes_that_are_too_fine_become_grey():
    stripes = np.tile([0.0, 1.0], (40, 20))
    (found,) = Resizer(10).fit_transform([stripes])
    assert_allclose(found, 0.5, atol=0.15)


# Layouts and names


@pytest.mark.parametrize("shape", [(12,), (6, 4), (6, 4, 3)])
def test_layouts_agree(shape):
    rows = np.random.default_rng(0).random((5, int(np.prod(shape))))
    of_rows = Resizer(3, image_shape=shape).fit(rows)
    found = of_rows.transform(rows)
    assert len(of_rows.get_feature_names_out()) == found.shape[1]
    images = list(rows.reshape(5, *shape))
    of_list = Resizer(3).fit_transform(images)
    assert_array_equal([one.ravel() for one in of_list], found)
    if len(shape) > 1:
        stack = Resizer(3).fit_transform(np.stack(images))
        assert_array_equal(stack, of_list)


def test_names():
    images = np.random.default_rng(0).random((4, 6, 3, 3))
    assert list(Resizer(2).fit(images).get_feature_names_out()[:4]) == [
        "y0_x0_c0", "y0_x0_c1", "y0_x0_c2", "y1_x0_c0"
    ]  # fmt: skip
    grey = Resizer(2).fit(images[..., 0])
    assert list(grey.get_feature_names_out()) == ["y0_x0", "y1_x0"]
    assert list(Resizer(2).fit(np.eye(4)).get_feature_names_out()) == ["x0", "x1"]
    # Images in a list have no columns, and must not prevent the names of a step behind.
    mixed = Resizer(2).fit([np.eye(3), np.eye(4)])
    assert list(mixed.get_feature_names_out()) == ["x0"]


def test_a_signal_of_one_sample_stays_a_signal():
    assert Resizer(5).fit_transform(np.ones((3, 1))).shape == (3, 5)
    assert len(Resizer(5).fit(np.ones((3, 1))).get_feature_names_out()) == 5
    mixed = Resizer(5).fit_transform(as_signals([np.ones(1), np.ones(3)]))
    assert [one.shape[:2] for one in mixed] == [(1, 5), (1, 5)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_pixels_do_not_overflow(dtype):
    largest = np.finfo(dtype).max
    assert np.isfinite(Resizer(6).fit_transform(np.full((1, 13, 9), largest / 2**30))).all()
    if dtype == np.float64:
        with pytest.raises(ValueError, match="overflow"):
            Resizer(6).fit(np.full((1, 13, 9), largest))


# Missing pixels


def test_missing_pixels_do_not_count():
    image = np.full((20, 20), 3.0)
    image[4:12, 4:12] = np.nan
    (found,) = Resizer(10).fit_transform([image])
    missing = np.isnan(found)
    assert 9 <= missing.sum() <= 16
    assert missing[3:5, 3:5].all()
    assert_allclose(found[~missing], 3)


def test_a_channel_without_known_pixels_stays_so():
    image = np.dstack([np.eye(4), np.full((4, 4), np.nan)])
    (found,) = Resizer(2).fit_transform([image])
    assert_array_equal(np.isnan(found).all(axis=(0, 1)), [False, True])


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (1.5, TypeError), (None, TypeError)])
def test_wrong_sizes(size, error):
    with pytest.raises(error, match="size"):
        Resizer(size).fit([np.eye(3)])
