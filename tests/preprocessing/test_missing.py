"""Missing pixels and images of several sizes in local contrast normalisation."""

import numpy as np
import pytest
from reference.contrast import PADDING, check_gaussian, laplacian

from skdeconv.preprocessing import LocalContrastNormalizer

RNG = np.random.default_rng(0)
RECIPES = [
    {},
    {"divisive": False},
    {"two_pass": False, "floor": "median", "zero_mean": True, "boundary": "mirror", "window": 13},
    {"boundary": "constant"},
    {"kind": "laplacian"},
    {"kind": "laplacian", "boundary": "constant", "zero_mean": True},
]


def with_holes(*shape, share=0.3, dtype=np.float64):
    """Images in [0, 1) with a block and single pixels missing, and a known pixel among holes."""
    images = RNG.random(shape).astype(dtype)
    images[RNG.random(shape) < share] = np.nan
    images[:, 1:4, 1:4] = np.nan
    images[:, 2, 2] = 0.5
    return images


def layouts(images):
    """The images as rows, a stack and a list, and the normaliser that reads them."""
    shape = images.shape[1:]
    return {
        "rows": images.reshape(len(images), -1),
        "stack": images,
        "list": list(images),
    }, LocalContrastNormalizer(image_shape=shape)


# What is computed


@pytest.mark.parametrize("boundary", list(PADDING))
@pytest.mark.parametrize("divisive", [True, False])
def test_gaussian_against_loops(boundary, divisive):
    check_gaussian(with_holes(2, 9, 8), boundary, divisive)


@pytest.mark.parametrize("boundary", list(PADDING))
def test_laplacian_against_loops(boundary):
    images = with_holes(2, 9, 8, 2)
    result = LocalContrastNormalizer("laplacian", boundary=boundary).fit_transform(images)
    for i, channel in np.ndindex(2, 2):
        expected = laplacian(images[i, ..., channel], boundary)
        np.testing.assert_allclose(result[i, ..., channel], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", RECIPES)
def test_missing_pixels_stay_missing_and_no_others(options):
    for shape in [(3, 12, 11), (2, 9, 8, 3), (2, 30, 5)]:
        images = with_holes(*shape)
        result = LocalContrastNormalizer(**options).fit_transform(images)
        np.testing.assert_array_equal(np.isnan(result), np.isnan(images))


@pytest.mark.parametrize("options", RECIPES)
def test_whole_images_keep_their_bits(options):
    images = RNG.random((4, 12, 11, 2))
    expected = LocalContrastNormalizer(**options).fit_transform(images)
    images[1, 3:6, 4] = np.nan
    images[2, 0, 0, 1] = np.nan
    before = images.copy()
    result = LocalContrastNormalizer(**options).fit_transform(images)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(result[[0, 3]], expected[[0, 3]])
    for i in (1, 2):
        alone = LocalContrastNormalizer(**options).fit_transform(images[i : i + 1])[0]
        np.testing.assert_array_equal(result[i], alone)


@pytest.mark.parametrize("options", [{"divisive": False}, {"kind": "laplacian"}])
@pytest.mark.parametrize("boundary", ["reflect", "constant"])
def test_holes_have_local_effects(options, boundary):
    image = RNG.random((1, 40, 30))
    normalizer = LocalContrastNormalizer(**options, boundary=boundary)
    whole = normalizer.fit_transform(image)[0]
    image[0, 3:6, 4:8] = np.nan
    result = normalizer.transform(image)[0]
    np.testing.assert_allclose(result[14:], whole[14:], rtol=0, atol=1e-12)
    assert np.nanmax(np.abs(result[:3] - whole[:3])) > 1e-3


@pytest.mark.parametrize("two_pass", [True, False])
def test_holes_are_seen_across_the_border(two_pass):
    image = with_holes(1, 20, 30)
    normalizer = LocalContrastNormalizer(two_pass=two_pass, boundary="wrap")
    result = normalizer.fit_transform(image)
    moved = normalizer.transform(np.roll(image, (7, 27), axis=(1, 2)))
    np.testing.assert_allclose(moved, np.roll(result, (7, 27), axis=(1, 2)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", [{}, {"divisive": False}, {"two_pass": False}])
def test_known_pixels_hardly_depend_on_the_holes(options):
    y, x = np.mgrid[:60, :50]
    image = (np.sin(y / 3 + x / 7) + np.cos(x / 2.5 - y / 9) + x / 20)[None]
    normalizer = LocalContrastNormalizer(sigma=3.0, **options)
    whole = normalizer.fit_transform(image)[0]
    image[RNG.random(image.shape) < 0.2] = np.nan
    known = ~np.isnan(image[0])
    result = normalizer.transform(image)[0]
    assert np.corrcoef(result[known], whole[known])[0, 1] > 0.98


@pytest.mark.parametrize("two_pass", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pixel_without_known_neighbours_is_zero(two_pass, dtype):
    image = RNG.random((1, 21, 15)).astype(dtype)
    image[0, :, :10] = np.nan
    image[0, 1::3, 1:9:3] = known = RNG.random((7, 3)).astype(dtype)
    normalizer = LocalContrastNormalizer(window=3, two_pass=two_pass)
    result = normalizer.fit_transform(image)[0]
    np.testing.assert_allclose(result[1::3, 1:9:3], np.zeros_like(known), atol=1e-5)
    # Of nothing but such pixels rounding is all that is left to divide by.
    image[0, :, 9:] = np.nan
    result = normalizer.transform(image)[0]
    np.testing.assert_array_equal(result[1::3, 1:9:3], np.zeros_like(known))


def test_a_missing_end_of_a_signal_is_a_reflecting_border():
    signals = RNG.random((3, 30))
    expected = LocalContrastNormalizer("laplacian").fit_transform(signals)
    padded = np.pad(signals, [(0, 0), (4, 6)], constant_values=np.nan)
    result = LocalContrastNormalizer("laplacian", boundary="wrap").fit_transform(padded)
    np.testing.assert_allclose(result[:, 4:-6], expected, rtol=1e-12, atol=1e-12)
    assert np.isnan(result[:, :4]).all()


@pytest.mark.parametrize("options", RECIPES)
def test_signals_are_images_of_one_line(options):
    signals = with_holes(3, 8, 8).reshape(3, 64)[:, :50]
    normalizer = LocalContrastNormalizer(**options)
    rows = normalizer.fit_transform(signals)
    upright = normalizer.fit_transform(signals[:, :, None])
    np.testing.assert_array_equal(upright[:, :, 0], rows)


@pytest.mark.parametrize("options", [one for one in RECIPES if "constant" not in one.values()])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_images_give_zeros(options, dtype):
    images = with_holes(3, 12, 11, dtype=dtype)
    known = ~np.isnan(images)
    for value in (0, 1 / 3, -0.1, 255, 1e4 + 0.1):
        images[known] = value
        result = LocalContrastNormalizer(**options).fit_transform(images)
        np.testing.assert_array_equal(result[known], 0)


@pytest.mark.parametrize("options", RECIPES)
def test_one_known_pixel(options):
    images = np.full((1, 5, 4), np.nan)
    images[0, 2, 1] = 3
    result = LocalContrastNormalizer(**options).fit_transform(images)
    assert np.isfinite(result[0, 2, 1])
    if options.get("boundary") != "constant":
        assert result[0, 2, 1] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("two_pass", [True, False])
def test_scale_and_offset_cancel(two_pass, dtype):
    images = with_holes(3, 20, 15, dtype=dtype)
    normalizer = LocalContrastNormalizer(two_pass=two_pass).fit(images)
    expected = normalizer.transform(images)
    assert expected.dtype == dtype
    for scale in (2.0**-60, 2.0**60):
        np.testing.assert_array_equal(normalizer.transform(images * dtype(scale)), expected)
    result = normalizer.transform(images + dtype(1000))
    np.testing.assert_allclose(result, expected, atol=5e-3 if dtype == np.float32 else 1e-9)


@pytest.mark.parametrize("options", RECIPES)
def test_float32_is_near_float64(options):
    images = with_holes(3, 20, 15)
    normalizer = LocalContrastNormalizer(**options)
    single = normalizer.fit_transform(images.astype(np.float32))
    np.testing.assert_allclose(single, normalizer.fit_transform(images), rtol=0, atol=1e-4)


def test_grey_misses_what_any_channel_misses():
    images = RNG.random((3, 12, 11, 3))
    for i in range(3):
        images[i, i : i + 2, 4, i] = np.nan
    weighed = images @ [0.299, 0.587, 0.114]
    result = LocalContrastNormalizer(grey=True).fit_transform(images)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(images).any(axis=3))
    expected = LocalContrastNormalizer().fit_transform(weighed)
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


# Layouts


@pytest.mark.parametrize("shape", [(12, 11), (9, 8, 3), (1, 20, 2)])
def test_layouts_agree(shape):
    images = RNG.random((4, *shape))
    images[1, 0, 3:6] = np.nan
    inputs, normalizer = layouts(images)
    results = {layout: normalizer.fit(X).transform(X) for layout, X in inputs.items()}
    assert isinstance(results["list"], list)
    np.testing.assert_array_equal(np.stack(results["list"]), results["stack"])
    np.testing.assert_array_equal(results["rows"].reshape(images.shape), results["stack"])
    assert np.isnan(results["rows"]).sum() == np.isnan(images).sum() > 0


class Lazy:
    """Images that are made when they are looked at."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        if not 0 <= i < len(self.images):
            raise IndexError(i)
        return self.images[i].copy()


def mixed(dtype=np.float64, channels=()):
    sizes = [(12, 11), (7, 20), (12, 11), (1, 9), (7, 20), (12, 11)]
    images = [RNG.random((*size, *channels)).astype(dtype) for size in sizes]
    images[2][3, 4:6] = np.nan
    images[3][0, 2] = np.nan
    return images


def object_array(images):
    array = np.empty(len(images), object)
    array[:] = images
    return array


@pytest.mark.parametrize("container", [list, tuple, object_array, Lazy])
@pytest.mark.parametrize("channels", [(), (1,), (3,)])
@pytest.mark.parametrize("grey", [True, False])
def test_mixed_sizes(container, channels, grey, monkeypatch):
    images = mixed(np.float32, channels)
    normalizer = LocalContrastNormalizer(grey=grey)
    for pixels in (2**20, 150):
        monkeypatch.setattr("skdeconv.layouts._collection._PIXELS", pixels)
        result = normalizer.fit(container(images)).transform(container(images))
        assert isinstance(result, list)
        for image, got in zip(images, result, strict=True):
            expected = LocalContrastNormalizer(grey=grey).fit_transform(image[None])[0]
            assert got.dtype == np.float32
            assert got.shape == expected.shape == (image.shape[:2] if grey else image.shape)
            np.testing.assert_array_equal(got, expected)
    assert normalizer.image_shape_ == (None, None, *channels)
    assert not hasattr(normalizer, "n_features_in_")
    names = [f"x{i}" for i in range(3 if channels == (3,) else 1)]
    assert normalizer.get_feature_names_out().tolist() == names


def test_a_list_after_a_list_of_other_sizes():
    normalizer = LocalContrastNormalizer().fit(mixed())
    one_size = RNG.random((3, 5, 4))
    expected = LocalContrastNormalizer().fit_transform(one_size)
    np.testing.assert_array_equal(np.stack(normalizer.transform(list(one_size))), expected)
    np.testing.assert_array_equal(normalizer.transform(one_size), expected)
    with pytest.raises(ValueError, match="shape"):
        normalizer.transform(mixed(channels=(3,)))
    fixed = LocalContrastNormalizer(image_shape=(12, 11))
    with pytest.raises(ValueError, match="image_shape is"):
        fixed.fit(mixed())


# What is refused


@pytest.mark.parametrize("layout", ["rows", "stack", "list"])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinity_is_refused(layout, value, dtype):
    images = RNG.random((4, 6, 5)).astype(dtype)
    images[1, 2, 3] = np.nan
    inputs, normalizer = layouts(images)
    normalizer.fit(inputs[layout])
    images = images.copy()
    images[2, 0, 0] = value
    bad = layouts(images)[0][layout]
    for method in (normalizer.transform, normalizer.fit, normalizer.fit_transform):
        with pytest.raises(ValueError, match="infinity"):
            method(bad)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_in_a_sequence_is_refused(value):
    images = mixed()
    normalizer = LocalContrastNormalizer().fit(images)
    images[4][0, 0] = value
    for method in (normalizer.transform, normalizer.fit):
        with pytest.raises(ValueError, match=r"X\[4\] contains infinity"):
            method(Lazy(images))


@pytest.mark.parametrize("layout", ["rows", "stack", "list"])
def test_an_image_without_known_pixels_is_named(layout):
    images = RNG.random((5, 6, 5))
    images[3] = np.nan
    inputs, normalizer = layouts(images)
    normalizer.fit(layouts(images[:3])[0][layout])
    for method in (normalizer.transform, normalizer.fit):
        with pytest.raises(ValueError, match=r"X\[3\] has no known pixel"):
            method(inputs[layout])


def test_a_channel_without_known_pixels_is_named(monkeypatch):
    monkeypatch.setattr("skdeconv.layouts._collection._PIXELS", 60)
    images = RNG.random((5, 6, 5, 3))
    images[3, ..., 1] = np.nan
    normalizer = LocalContrastNormalizer().fit(images)
    with pytest.raises(ValueError, match=r"X\[3\] has no known pixel in channel 1"):
        normalizer.transform(images)
    normalizer.grey = True
    with pytest.raises(ValueError, match=r"X\[3\] has no known pixel with all its channels"):
        normalizer.transform(images)
    sizes = [np.ones((4, 4, 3)), np.ones((5, 4, 3)), images[3], np.ones((4, 4, 3))]
    with pytest.raises(ValueError, match=r"X\[2\] has no known pixel"):
        LocalContrastNormalizer().fit(sizes).transform(sizes)
