"""Images made of known maps and filters, and the photos that scikit-learn ships."""

import sys

import numpy as np
import pytest
from reference.faults import check_each

from skdeconv.datasets import load_sample_photos, make_sparse_images


def draw(maps, filters):
    """Valid convolution by its definition, in loops."""
    _, h, w, n_channels = filters.shape
    height, width = maps.shape[0] - h + 1, maps.shape[1] - w + 1
    image = np.zeros((height, width, n_channels))
    for y in range(height):
        for x in range(width):
            for i in range(h):
                for j in range(w):
                    image[y, x] += maps[y + h - 1 - i, x + w - 1 - j] @ filters[:, i, j]
    return image


@pytest.mark.parametrize(
    ("shape", "filter_size", "size"),
    [
        ((7, 9), (2, 3), (2, 3)),
        ((6, 8, 3), 3, (3, 3)),
        ((6, 5, 2), (3, 2), (3, 2)),
        ((20,), 4, (1, 4)),
        ((1, 12), 3, (1, 3)),
    ],
)
def test_images_are_maps_convolved_with_filters(shape, filter_size, size):
    data = make_sparse_images(
        2, shape, n_filters=3, filter_size=filter_size, density=0.3, random_state=0
    )
    full = (1, *shape, 1) if len(shape) == 1 else (*shape, 1)[:3]
    assert data.images.shape == (2, *shape)
    assert data.filters.shape == (3, *size, full[2])
    assert data.maps.shape == (2, full[0] + size[0] - 1, full[1] + size[1] - 1, 3)
    for image, maps in zip(data.images, data.maps, strict=True):
        np.testing.assert_allclose(image, draw(maps, data.filters).reshape(shape), atol=1e-12)


def test_filters_have_unit_norm():
    filters = make_sparse_images(1, (9, 9, 3), n_filters=6, random_state=0).filters
    np.testing.assert_allclose((filters**2).sum(axis=(1, 2, 3)), 1)


@pytest.mark.parametrize("density", [0.0, 0.05, 0.5, 1.0])
def test_density_and_size_of_coefficients(density):
    maps = make_sparse_images(20, (30, 30), density=density, random_state=0).maps
    assert (maps != 0).mean() == pytest.approx(density, abs=0.01)
    assert (np.abs(maps[maps != 0]) >= 1).all()
    assert not np.signbit(maps[maps == 0]).any()
    if density:
        assert (maps[maps != 0] > 0).mean() == pytest.approx(0.5, abs=0.05)


def test_positive():
    maps = make_sparse_images(4, density=0.1, positive=True, random_state=0).maps
    assert maps.min() == 0
    assert maps.max() > 1


def test_noise():
    clean = make_sparse_images(5, random_state=0)
    noisy = make_sparse_images(5, noise=0.1, random_state=0)
    np.testing.assert_array_equal(clean.maps, noisy.maps)
    assert np.std(noisy.images - clean.images) == pytest.approx(0.1, rel=0.05)


def test_random_state():
    first, again, other = (make_sparse_images(2, random_state=seed) for seed in (0, 0, 1))
    for name in ("images", "filters", "maps"):
        np.testing.assert_array_equal(first[name], again[name])
        assert first[name].dtype == np.float64
        assert not np.array_equal(first[name], other[name])


REFUSED = [
    ({"n_samples": 0}, ValueError, "n_samples"),
    ({"n_samples": 2.5}, TypeError, "n_samples"),
    ({"n_filters": 0}, ValueError, "n_filters"),
    ({"image_shape": None}, TypeError, "image_shape"),
    ({"image_shape": (8, 0)}, ValueError, "image_shape"),
    ({"image_shape": (2, 3, 4, 5)}, ValueError, "image_shape"),
    ({"filter_size": 0}, ValueError, "filter_size"),
    ({"density": 1.5}, ValueError, "density"),
    ({"density": "much"}, TypeError, "density"),
    ({"noise": -0.1}, ValueError, "noise"),
    ({"positive": "yes"}, TypeError, "positive"),
]


def test_wrong_parameters_are_named():
    def check(parameters, error, name):
        with pytest.raises(error, match=name):
            make_sparse_images(**parameters)

    check_each(((str(row[0]), row) for row in REFUSED), check)


@pytest.mark.parametrize(("size", "n_samples"), [(100, 48), (200, 12), (427, 2)])
def test_photos(size, n_samples):
    pytest.importorskip("PIL")
    grey, color = load_sample_photos(size), load_sample_photos(size, color=True)
    assert grey.shape == (n_samples, size, size)
    assert color.shape == (n_samples, size, size, 3)
    assert grey.dtype == color.dtype == np.float64
    assert 0 <= color.min() < 0.1
    assert 0.9 < color.max() <= 1
    np.testing.assert_allclose(grey, color @ [0.299, 0.587, 0.114])


def test_photos_are_cut_row_by_row():
    pytest.importorskip("PIL")
    large, small = load_sample_photos(200), load_sample_photos(100)
    np.testing.assert_array_equal(large[0, :100, 100:], small[1])
    np.testing.assert_array_equal(large[0, 100:, :100], small[6])


def test_whole_photos():
    pytest.importorskip("PIL")
    whole = load_sample_photos(None)
    assert whole.shape == (2, 427, 640)
    assert load_sample_photos(None, color=True).shape == (2, 427, 640, 3)
    np.testing.assert_array_equal(whole[:, :427, :427], load_sample_photos(427))


def test_photos_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"skdeconv\[plot\]"):
        load_sample_photos()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [({"size": 0}, ValueError), ({"size": 428}, ValueError), ({"color": 1}, TypeError)],
)
def test_wrong_photos(parameters, error):
    with pytest.raises(error, match=next(iter(parameters))):
        load_sample_photos(**parameters)
