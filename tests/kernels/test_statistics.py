"""Sums over non-zero coefficients by compiled and portable kernels, against naive loops."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skdeconv.kernels import (
    _portable,
    compiled,
    draw_patches,
    pair_sums,
    patch_sums,
    subtract_unseen,
)

# Filters (n_filters, n_channels, h, w), image (height, width).
SHAPES = {
    "square": ((3, 1, 3, 3), (9, 8)),
    "even, colour": ((2, 3, 4, 2), (7, 9)),
    "signal": ((4, 2, 1, 5), (1, 30)),
    "larger than the image": ((2, 1, 5, 7), (3, 4)),
    "single taps": ((2, 2, 1, 1), (4, 4)),
}


@pytest.fixture(params=["compiled", "portable"], autouse=True)
def kernels(request, monkeypatch):
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDECONV_KERNELS", request.param)


@pytest.fixture(params=[None, 1, 500], ids=["at once", "one by one", "in parts"])
def parts(request, kernels, monkeypatch):
    if request.param is not None:
        monkeypatch.setattr(_portable, "_PAIRS", request.param)
        monkeypatch.setattr(_portable, "_PATCHES", request.param)
        if compiled() is not None:
            monkeypatch.setattr(compiled(), "_WORK", 16 * request.param)


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def case(request):
    """Shapes, and coefficients of three images, the second without any, with float64 values."""
    (n_filters, _, h, w), (height, width) = request.param
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((3, height + h - 1, width + w - 1, n_filters))
    maps[rng.random(maps.shape) < 0.7] = 0
    maps[1] = 0
    sample, y, x, kernel = np.nonzero(maps)
    return *request.param, (sample, y, x, kernel, maps[sample, y, x, kernel])


def corners(shapes, image_shape, sample, y, x):
    """Places in a padded stack, and its rows and columns."""
    (_, _, h, w), (height, width) = shapes, image_shape
    rows, line = height + 2 * (h - 1), width + 2 * (w - 1)
    return (sample * rows + y) * line + x, rows, line


def test_pairs(case, parts):
    (n_filters, _, h, w), (height, width), (sample, y, x, kernel, values) = case
    expected = np.zeros((n_filters, n_filters, h, 2 * w - 1))
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            dy, dx = y[j] - y[i], x[j] - x[i]
            if sample[i] == sample[j] and dy < h and abs(dx) < w:
                expected[kernel[i], kernel[j], dy, dx + w - 1] += values[i] * values[j]
    stride = width + 3 * w
    key = (sample * (height + 2 * h) + y) * stride + x
    found = pair_sums(key, kernel, values, stride, n_filters, (h, w))
    assert_allclose(found, expected, atol=1e-12)


def test_patches(case, parts):
    (n_filters, n_channels, h, w), image_shape, (sample, y, x, kernel, values) = case
    corner, rows, line = corners((n_filters, n_channels, h, w), image_shape, sample, y, x)
    padded = np.random.default_rng(1).standard_normal((3, rows, line, n_channels))
    expected = np.zeros((n_filters, h, w, n_channels))
    for s, a, b, k, value in zip(sample, y, x, kernel, values, strict=True):
        expected[k] += value * padded[s, a : a + h, b : b + w]
    flat = padded.reshape(-1, n_channels)
    found = patch_sums(corner, kernel, values, flat, line, n_filters, (h, w))
    assert_allclose(found, expected.reshape(n_filters, -1), atol=1e-12)


def test_drawn_patches(case, parts):
    (n_filters, n_channels, h, w), image_shape, (sample, y, x, kernel, values) = case
    corner, rows, line = corners((n_filters, n_channels, h, w), image_shape, sample, y, x)
    filters = np.random.default_rng(1).standard_normal((n_filters, h, w, n_channels))
    expected = np.zeros((3, rows, line, n_channels))
    for s, a, b, k, value in zip(sample, y, x, kernel, values, strict=True):
        expected[s, a : a + h, b : b + w] += value * filters[k]
    flat = filters.reshape(-1, n_channels)
    found = draw_patches(corner, kernel, values, flat, line, 3 * rows * line, (h, w))
    assert_allclose(found, expected.reshape(-1, n_channels), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_unseen_pixels(case, parts, share, dtype):
    (n_filters, n_channels, h, w), image_shape, (sample, y, x, kernel, values) = case
    corner, rows, line = corners((n_filters, n_channels, h, w), image_shape, sample, y, x)
    known = np.random.default_rng(1).random((3, rows, line)) >= share
    shifted = np.zeros((3, rows, line, n_filters, h, w))
    for s, a, b, k, value in zip(sample, y, x, kernel, values, strict=True):
        for row in range(h):
            for column in range(w):
                shifted[s, a + row, b + column, k, row, column] += value
    unseen = shifted.reshape(-1, n_filters * h * w)[~known.ravel()]
    first = np.random.default_rng(2).standard_normal((n_filters * h * w,) * 2)
    gram = first.astype(dtype)
    subtract_unseen(gram, corner, kernel, values, known.ravel(), line, (h, w))
    assert_allclose(gram, first - unseen.T @ unseen, atol=1e-12 if dtype == np.float64 else 2e-5)


def test_no_coefficients():
    place, values = np.zeros(0, np.int64), np.zeros(0)
    assert not pair_sums(place, place, values, 9, 2, (3, 2)).any()
    assert not patch_sums(place, place, values, np.ones((30, 1)), 6, 2, (3, 2)).any()
    assert not draw_patches(place, place, values, np.ones((12, 1)), 6, 30, (3, 2)).any()
    gram = np.ones((12, 12))
    subtract_unseen(gram, place, place, values, np.zeros(30, bool), 6, (3, 2))
    assert (gram == 1).all()
