"""The coefficient of determination, pixel by pixel."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from skdeconv._utils.scores import r_squared


def parts_of(*shapes):
    rng = np.random.default_rng(0)
    for shape in shapes:
        images, drawn = rng.standard_normal((2, *shape))
        images[rng.random(shape) < 0.2] = np.nan
        yield images, drawn, ~np.isnan(images) & (rng.random(shape) < 0.5)


def test_chosen_pixels_of_several_stacks():
    parts = list(parts_of((3, 2, 4, 5), (1, 2, 6, 1)))
    error = variance = 0.0
    for images, drawn, chosen in parts:
        for index in np.argwhere(chosen):
            known = images[tuple(index[:2])]
            mean = np.mean(known[~np.isnan(known)])
            error += (images[tuple(index)] - drawn[tuple(index)]) ** 2
            variance += (images[tuple(index)] - mean) ** 2
    assert r_squared(iter(parts)) == pytest.approx(1 - error / variance)


def test_one_channel_of_one_image_is_that_of_scikit_learn():
    images, drawn, _ = next(parts_of((1, 1, 5, 6)))
    known = ~np.isnan(images)
    expected = r2_score(images[known], drawn[known])
    assert r_squared([(images, drawn, known)]) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.1, 1e6 + 0.3, -3.0])
def test_constant_channels_have_no_variance(value):
    images = np.full((2, 1, 5, 7), value)
    images[0, 0, 1] = np.nan
    known = ~np.isnan(images)
    assert r_squared([(images, np.full_like(images, value), known)]) == 1
    assert r_squared([(images, np.zeros_like(images), known)]) == 0


def test_channels_without_known_pixels_do_not_count():
    images, drawn, chosen = next(parts_of((2, 2, 4, 5)))
    expected = r_squared([(images[:, :1], drawn[:, :1], chosen[:, :1])])
    images[:, 1], chosen[:, 1] = np.nan, False
    assert r_squared([(images, drawn, chosen)]) == pytest.approx(expected)
