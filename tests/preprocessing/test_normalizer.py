"""Local contrast normalisation against published results and direct computations."""

from itertools import product

import numpy as np
import pytest
from reference.contrast import PADDING, check_gaussian, gaussian
from scipy import ndimage
from scipy.io import loadmat
from scipy.signal import convolve2d

from skdeconv.preprocessing import LocalContrastNormalizer

# As Zeiler's toolbox has it: the grey of its rgb2gray, the window and sigma of its local_cn.
TOOLBOX = {
    "sigma": 3 * 1.591,
    "window": 13,
    "boundary": "mirror",
    "two_pass": False,
    "floor": "median",
    "zero_mean": True,
    "grey": (0.298936, 0.587043, 0.114021),
}


def photos(*shape, dtype=np.float64):
    """Values in [0, 1) with something like the smoothness of photos."""
    noise = np.random.default_rng(0).random(shape)
    return ((noise + noise.cumsum(1) / shape[1]) / 2).astype(dtype)


def reference(image):
    """The preprocessing of the figures, for one grey image."""
    high_pass = image - ndimage.gaussian_filter(image, 2)
    deviation = np.sqrt(ndimage.gaussian_filter(high_pass**2, 2))
    return high_pass / np.maximum(deviation, deviation.mean())


# What is computed


@pytest.mark.data
@pytest.mark.parametrize("name", ["fruit", "city"])
def test_published_photos(data_dir, name):
    Image = pytest.importorskip("PIL.Image")
    # The published order is that of the names as text: 1, 10, 2, ..., 9.
    paths = sorted((data_dir / f"{name}_100_100").glob("*.jpg"), key=lambda path: path.name)
    colour = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    published = loadmat(data_dir / "lcn" / f"{name}_local_cn.mat")["b"].transpose(2, 0, 1)
    normalizer = LocalContrastNormalizer(**TOOLBOX)
    np.testing.assert_allclose(normalizer.fit_transform(colour), published, rtol=0, atol=1e-5)
    float32 = (colour / 255).astype(np.float32)
    np.testing.assert_allclose(normalizer.fit_transform(float32), published, rtol=0, atol=5e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(40, 50), (3, 200), (9, 2), (2, 2)])
def test_defaults_are_the_reference(shape, dtype):
    images = photos(4, *shape, dtype=dtype)
    expected = np.stack([reference(image) for image in images])
    result = LocalContrastNormalizer().fit_transform(images)
    assert result.dtype == dtype
    tol = 1e-12 if dtype == np.float64 else 2e-5
    np.testing.assert_allclose(result, expected, rtol=tol, atol=tol)


@pytest.mark.parametrize("boundary", list(PADDING))
@pytest.mark.parametrize("divisive", [True, False])
def test_gaussian_against_loops(boundary, divisive):
    check_gaussian(photos(2, 9, 8), boundary, divisive)


def test_window_may_be_larger_than_the_image():
    image = photos(1, 5, 4)
    options = {"sigma": 3.0, "window": 7, "boundary": "reflect", "divisive": True}
    options |= {"two_pass": True, "floor": "mean", "zero_mean": False}
    expected = gaussian(image[0], **options)
    result = LocalContrastNormalizer(**options).fit_transform(image)[0]
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


def test_laplacian_of_the_toolbox():
    alpha = 0.2
    side, corner = (1 - alpha) / (alpha + 1), alpha / (alpha + 1)
    kernel = np.full((3, 3), corner)
    kernel[1, :] = kernel[:, 1] = side
    kernel[1, 1] = -4 / (alpha + 1)
    images = photos(2, 9, 8, 3)
    result = LocalContrastNormalizer("laplacian", boundary="constant").fit_transform(images)
    for i, channel in np.ndindex(2, 3):
        expected = convolve2d(images[i, ..., channel], kernel, mode="same")
        np.testing.assert_allclose(result[i, ..., channel], expected, rtol=1e-12, atol=1e-12)
    reflected = LocalContrastNormalizer("laplacian").fit_transform(images)
    np.testing.assert_allclose(reflected[:, 1:-1, 1:-1], result[:, 1:-1, 1:-1], atol=1e-12)


@pytest.mark.parametrize("boundary", list(PADDING))
def test_signals_are_filtered_along_their_length(boundary):
    signals = photos(3, 30)
    result = LocalContrastNormalizer(boundary=boundary, divisive=False).fit_transform(signals)
    expected = signals - ndimage.gaussian_filter1d(signals, 2, mode=boundary)
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-12)
    second = LocalContrastNormalizer("laplacian", boundary=boundary).fit_transform(signals)
    expected = ndimage.convolve1d(signals, [1, -2, 1], mode=boundary)
    np.testing.assert_allclose(second, expected, rtol=1e-12, atol=1e-12)
    upright = LocalContrastNormalizer("laplacian", boundary=boundary)
    np.testing.assert_array_equal(upright.fit_transform(signals[..., None])[..., 0], second)


def test_median_floor_skips_flat_parts():
    image = np.zeros((1, 20, 30))
    image[0, :, 24:] = photos(20, 6)
    normalizer = LocalContrastNormalizer(sigma=1, window=3, floor="median")
    result = normalizer.fit_transform(image)[0]
    high_pass = image[0] - ndimage.gaussian_filter(image[0], 1, radius=1)
    deviation = np.sqrt(ndimage.gaussian_filter(high_pass**2, 1, radius=1))
    values = np.sort(deviation[deviation > 0])
    assert values.size < image.size / 2
    expected = high_pass / np.maximum(deviation, values[(values.size - 1) // 2])
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
    assert not result[:, :20].any()


def test_channels_and_images_are_treated_alone():
    images = photos(4, 12, 11, 3)
    normalizer = LocalContrastNormalizer().fit(images)
    result = normalizer.transform(images)
    for i, channel in np.ndindex(4, 3):
        one = normalizer.transform(images[i : i + 1])[0]
        np.testing.assert_array_equal(result[i], one)
        expected = reference(images[i, ..., channel])
        np.testing.assert_allclose(result[i, ..., channel], expected, rtol=1e-12, atol=1e-12)


def test_many_images_are_worked_through_in_parts(monkeypatch):
    images = photos(7, 6, 5)
    whole = LocalContrastNormalizer().fit_transform(images)
    for pixels in (1, 60, 100):
        monkeypatch.setattr("skdeconv.layouts._collection._PIXELS", pixels)
        np.testing.assert_array_equal(LocalContrastNormalizer().fit_transform(images), whole)


def test_zero_mean_is_over_all_channels():
    result = LocalContrastNormalizer(zero_mean=True).fit_transform(photos(4, 12, 11, 3))
    np.testing.assert_allclose(result.mean(axis=(1, 2, 3)), 0, atol=1e-12)
    assert np.abs(result.mean(axis=(1, 2))).max() > 1e-3


# Grey


def test_grey():
    images = photos(4, 12, 11, 3)
    grey = images @ [0.299, 0.587, 0.114]
    expected = LocalContrastNormalizer().fit_transform(grey)
    result = LocalContrastNormalizer(grey=True).fit_transform(images)
    assert result.shape == (4, 12, 11)
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
    green = LocalContrastNormalizer(grey=(0, 1, 0)).fit_transform(images)
    np.testing.assert_array_equal(green, LocalContrastNormalizer().fit_transform(images[..., 1]))


@pytest.mark.parametrize("layout", ["rows", "stack", "list"])
@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3), (1, 30, 3), (30,)])
def test_grey_has_no_channel_axis(shape, layout):
    images = photos(4, *shape, dtype=np.float32)
    if layout == "rows" or len(shape) == 1:
        X, expected = images.reshape(4, -1), (30,)
    else:
        X, expected = (list(images) if layout == "list" else images), shape[:2]
    result = LocalContrastNormalizer(grey=True, image_shape=shape).fit_transform(X)
    assert type(result) is type(X)
    assert np.shape(result) == (4, *expected)
    assert result[0].dtype == np.float32


def test_grey_of_one_channel_changes_nothing():
    images = photos(4, 6, 5)
    result = LocalContrastNormalizer(grey=True).fit_transform(images)
    np.testing.assert_array_equal(result, LocalContrastNormalizer().fit_transform(images))


@pytest.mark.parametrize("n_channels", [2, 4])
def test_grey_of_other_channels_is_refused(n_channels):
    normalizer = LocalContrastNormalizer(grey=True)
    with pytest.raises(ValueError, match=r"three channels, or of one, got shape \(6, 5, "):
        normalizer.fit(photos(4, 6, 5, n_channels))
    assert not hasattr(normalizer, "n_features_in_")


# Robustness

CONFIGURATIONS = [
    {},
    {"kind": "laplacian"},
    {"kind": "laplacian", "zero_mean": True},
    {"divisive": False},
    {"two_pass": False},
    {"floor": "median"},
    TOOLBOX,
    {"sigma": 60.0, "boundary": "nearest"},
    {"sigma": 1e-9, "boundary": "wrap"},
]
SHAPES = [(1, 1), (1, 9), (9, 1), (7, 6), (2, 2, 3), (1, 1, 3)]


@pytest.mark.parametrize("options", CONFIGURATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_constant_images_give_zeros(shape, options):
    values = [0, 1 / 3, -0.1, 255, 1e4 + 0.1, 5e-324, 1e-200, -1e300]
    for value, dtype in product(values, [np.float32, np.float64]):
        if abs(value) < 1e38 or dtype == np.float64:
            images = np.full((2, *shape), value, dtype=dtype)
            result = LocalContrastNormalizer(**options).fit_transform(images)
            np.testing.assert_array_equal(result, 0)


@pytest.mark.parametrize("options", CONFIGURATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_no_contrast(options, dtype):
    images = np.ones((1, 20, 20), dtype)
    images[0, ::3, ::2] -= np.finfo(dtype).eps / 2
    result = LocalContrastNormalizer(**options).fit_transform(images)
    np.testing.assert_array_equal(result, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("two_pass", [True, False])
@pytest.mark.parametrize("floor", ["mean", "median"])
def test_one_bright_pixel_leaves_the_rest_flat(floor, two_pass, dtype):
    images = np.full((1, 300, 300), 0.3, dtype)
    images[0, 150, 150] = 1
    options = {"floor": floor, "two_pass": two_pass, "sigma": 1}
    result = LocalContrastNormalizer(**options).fit_transform(images)[0]
    assert np.isfinite(result).all()
    assert result[150, 150] > 1
    assert np.abs(result[:100]).max() < 0.05


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("two_pass", [True, False])
def test_scale_and_offset_cancel(two_pass, dtype):
    images = photos(3, 20, 15, dtype=dtype)
    normalizer = LocalContrastNormalizer(two_pass=two_pass).fit(images)
    expected = normalizer.transform(images)
    tiny, huge = np.finfo(dtype).tiny, np.finfo(dtype).max
    for scale in (2.0**-60, 2.0**60, dtype(huge / 4), dtype(tiny * 2.0**30)):
        result = normalizer.transform(images * dtype(scale))
        np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)
    result = normalizer.transform(images + dtype(1000))
    np.testing.assert_allclose(result, expected, atol=5e-3 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("options", [*CONFIGURATIONS, {"boundary": "constant"}])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_size_works(shape, options):
    images = photos(2, *shape)
    result = LocalContrastNormalizer(**options).fit_transform(images)
    assert np.isfinite(result).all()
    assert result.shape == (
        images.shape[:-1] if "grey" in options and len(shape) == 3 else images.shape
    )


def test_extreme_values_stay_finite():
    huge = np.finfo(np.float64).max
    images = np.zeros((1, 8, 8))
    images[0, ::2] = huge
    images[0, 1::2] = -huge
    for options in ({}, {"two_pass": False}, {"floor": "median"}, {"boundary": "constant"}):
        assert np.isfinite(LocalContrastNormalizer(**options).fit_transform(images)).all()


def test_integers_become_float64_and_are_not_rescaled():
    images = (photos(3, 8, 9) * 255).astype(np.uint8)
    normalizer = LocalContrastNormalizer(divisive=False)
    result = normalizer.fit_transform(images)
    assert result.dtype == np.float64
    expected = images - ndimage.gaussian_filter(images.astype(float), (0, 2, 2))
    np.testing.assert_allclose(result, expected, atol=1e-9)


def test_input_is_left_alone():
    images = photos(3, 8, 9)
    before = images.copy()
    for options in (*CONFIGURATIONS, {"boundary": "constant"}):
        LocalContrastNormalizer(**options).fit_transform(images)
        np.testing.assert_array_equal(images, before)
