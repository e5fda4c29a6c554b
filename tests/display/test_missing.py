"""What the displays draw of images with missing pixels."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skdeconv.display import ActivationsDisplay, ReconstructionDisplay
from skdeconv.layouts import check_images

plt = pytest.importorskip("matplotlib.pyplot")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def with_holes(*shape):
    image = RNG.uniform(-1, 1, size=shape)
    image[1, 2:4], image[4, 0] = np.nan, np.nan
    return image


def shade_of(ax):
    """Where missing pixels are drawn over a picture in greys, and in which colour."""
    _, shade = ax.images
    rgba = np.asarray(shade.get_array())
    drawn = rgba[..., 3] == 1
    assert (rgba[~drawn, 3] == 0).all()
    (color,) = np.unique(rgba[drawn][:, :3], axis=0)
    return drawn, color


def rendered(display):
    """The colours that are drawn, by pixel of the figure."""
    display.figure_.canvas.draw()
    return np.asarray(display.figure_.canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize("signed", [True, False])
def test_a_reconstruction_in_greys(signed):
    image = with_holes(6, 5)
    image = image if signed else np.abs(image) + 0.2
    missing = np.isnan(image)
    display = ReconstructionDisplay(image, np.full((6, 5), 0.3)).plot()
    drawn, color = shade_of(display.axes_)
    assert drawn.shape == (6, 17)
    np.testing.assert_array_equal(drawn[:, :5], missing)
    np.testing.assert_array_equal(drawn[:, 12:], missing)
    assert not drawn[:, 5:12].any()
    # No step of grey is near.
    assert color.max() - color.min() > 0.1
    low, high = display.axes_.images[0].get_clim()
    largest = np.nanmax(np.abs(image))
    assert (low, high) == ((-largest, largest) if signed else (np.nanmin(image), largest))
    picture = display.axes_.images[0].get_array()
    np.testing.assert_array_equal(picture[:, :5][~missing], image[~missing])
    difference = (low + high) / 2 + image - 0.3
    np.testing.assert_allclose(picture[:, 12:][~missing], difference[~missing])


def test_a_reconstruction_of_two_channels():
    image = with_holes(6, 5, 2)
    image[0, 0, 1] = np.nan
    drawn, _ = shade_of(ReconstructionDisplay(image, np.zeros(image.shape)).plot().axes_)
    np.testing.assert_array_equal(drawn[:6, :5], np.isnan(image[..., 0]))
    np.testing.assert_array_equal(drawn[:6, 6:], np.isnan(image[..., 1]))
    assert not drawn[7:13].any()
    np.testing.assert_array_equal(drawn[14:, 6:], np.isnan(image[..., 1]))


def test_a_reconstruction_in_color():
    image = np.abs(with_holes(6, 5, 3))
    image[0, 0, 1] = np.nan
    missing = np.isnan(image).any(axis=2)
    (picture,) = ReconstructionDisplay(image, np.full((6, 5, 3), 0.5)).plot().axes_.images
    picture = np.asarray(picture.get_array())
    low, high = np.nanmin(image), np.nanmax(image)
    expected = (image - low) / (high - low)
    np.testing.assert_allclose(picture[:, :5][~missing], expected[~missing])
    for part in (picture[:, :5], picture[:, 12:]):
        (color,) = np.unique(part[missing], axis=0)
        assert color.max() - color.min() > 0.1
    np.testing.assert_allclose(picture[:, 6:11], (0.5 - low) / (high - low))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (6, 5, 2)])
def test_missing_pixels_are_seen_on_the_screen(shape):
    image = with_holes(*shape)
    colors = rendered(ReconstructionDisplay(image, np.zeros(shape)).plot())
    whole = rendered(ReconstructionDisplay(np.nan_to_num(image), np.zeros(shape)).plot())
    assert colors.shape == whole.shape
    wanted = np.round(np.array([0.65, 0.78, 0.70]) * 255)
    share = [(np.abs(one - wanted).max(axis=-1) <= 1).mean() for one in (colors, whole)]
    assert share[0] > 0.02
    assert share[1] < 0.005


def test_options_hold_for_missing_pixels_too():
    image = with_holes(6, 5)
    options = {"origin": "lower", "extent": (0, 34, 0, 12), "zorder": 3}
    display = ReconstructionDisplay(image, image).plot(cmap="viridis", **options)
    picture, shade = display.axes_.images
    assert picture.origin == shade.origin == "lower"
    assert picture.get_extent() == shade.get_extent()
    assert picture.zorder == shade.zorder == 3


def test_signals_have_gaps_and_lone_values_dots():
    signal = RNG.standard_normal(30)
    signal[[4, 5, 6, 8, 29]] = np.nan
    display = ReconstructionDisplay(signal, np.zeros(30)).plot()
    lines = display.axes_.lines
    np.testing.assert_array_equal(lines[1].get_ydata(), signal)
    assert (lines[1].get_marker(), lines[1].get_markevery()) == (".", [7])
    assert lines[3].get_marker() == "None"
    step = 1.1 * (max(np.nanmax(signal), 0) - min(np.nanmin(signal), 0))
    np.testing.assert_allclose(lines[5].get_ydata(), signal - 2 * step)
    display.figure_.canvas.draw()


def test_nothing_known():
    for shape in [(30,), (6, 5), (6, 5, 3)]:
        with pytest.raises(ValueError, match="image has no known pixel"):
            ReconstructionDisplay(np.full(shape, np.nan), np.zeros(shape)).plot()
    assert not plt.get_fignums()


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("k", [1, 3])
def test_crops_of_images(n_channels, k):
    projections, crops = RNG.standard_normal((2, 4, k, 6, 5, n_channels))
    crops[0, 0] = np.nan
    crops[1, 0, 2, 3] = np.nan
    display = ActivationsDisplay(projections, crops).plot()
    assert len(display.axes_[0].images) == 1
    if n_channels == 1:
        drawn, _ = shade_of(display.axes_[1])
        picture = np.ma.filled(display.axes_[1].images[0].get_array(), np.nan)
        # The lines between tiles are no missing pixels.
        assert drawn.sum() == 6 * 5 + 1
    else:
        picture = np.asarray(display.axes_[1].images[0].get_array())
        drawn = (picture == picture[0, 0]).all(axis=-1)
        assert drawn.sum() == 6 * 5 + 1
    assert drawn[:6, :5].all()
    tile = crops[1, 0] / np.nanmax(np.abs(crops[1, 0]))
    width = 6 if k == 1 else 12
    got = picture[:6, width : width + 5]
    expected = tile[..., 0] if n_channels == 1 else np.where(np.isnan(tile), got, (tile + 1) / 2)
    np.testing.assert_allclose(got, expected)


class Images:
    """A sequence that gives one image at a time."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[range(len(self.images))[i]]


class Memory(BaseEstimator):
    """What the displays ask of an estimator, which draws the known pixels and zeros elsewhere."""

    def fit(self, X):
        self.image_shape_ = check_images(self, X, reset=True).image_shape
        return self

    def to_maps(self, codes):
        raise NotImplementedError

    def transform(self, X):
        assert len(X) == 1
        return [np.nan_to_num(X[0])]

    def inverse_transform(self, codes):
        return codes

    def score(self, X):
        return 0.5


@pytest.mark.parametrize("container", [list, tuple, Images])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_one_image_of_several_sizes(container, channels):
    images = [RNG.standard_normal((*size, *channels)) for size in [(9, 8), (12, 7), (9, 8)]]
    images[1][3, 4] = np.nan
    estimator = Memory().fit(container(images))
    for index in (1, -1):
        display = ReconstructionDisplay.from_estimator(estimator, container(images), index=index)
        np.testing.assert_array_equal(display.image, images[index])
        np.testing.assert_array_equal(display.reconstruction, np.nan_to_num(images[index]))
        assert display.axes_.get_title() == "R² = 0.500"
    with pytest.raises(ValueError, match="index"):
        ReconstructionDisplay.from_estimator(estimator, container(images), index=3)
