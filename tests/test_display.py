"""What the displays draw, where, and what they say where they cannot."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skdeconv import DeconvNetLayer
from skdeconv.datasets import make_sparse_images
from skdeconv.display import FiltersDisplay, MapsDisplay, ReconstructionDisplay

plt = pytest.importorskip("matplotlib.pyplot")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")
    assert not plt.get_fignums()


def drawn(display):
    (image,) = display.axes_.images
    return np.ma.filled(image.get_array(), np.nan)


def limits(display):
    return display.axes_.images[0].get_clim()


def fitted(image_shape=(10, 9), layout="stack"):
    X = make_sparse_images(4, image_shape, filter_size=3, density=0.1, random_state=0).images
    layer = DeconvNetLayer(3, 3, lam=20.0, max_iter=2, random_state=0)
    if layout == "rows":
        layer.set_params(image_shape=image_shape)
        X = X.reshape(4, -1)
    X = list(X) if layout == "list" else X
    return layer.fit(X), X


def displays(layer, X, **kwargs):
    yield FiltersDisplay.from_estimator(layer, **kwargs)
    yield MapsDisplay.from_estimator(layer, X, **kwargs)
    yield ReconstructionDisplay.from_estimator(layer, X, **kwargs)


def test_filters_are_drawn_row_by_row():
    filters = RNG.standard_normal((5, 4, 3, 1))
    display = FiltersDisplay(filters).plot(n_columns=3)
    picture = drawn(display)
    assert picture.shape == (2 * 4 + 1, 3 * 3 + 2)
    np.testing.assert_array_equal(picture[:4, 4:7], filters[1, :, :, 0])
    np.testing.assert_array_equal(picture[5:, :3], filters[3, :, :, 0])
    assert np.isnan(picture[4]).all()
    low, high = limits(display)
    assert low == -high < 0
    assert display.axes_.get_title() == "5 filters"


def test_color_filters():
    filters = RNG.standard_normal((4, 3, 3, 3))
    filters[0, 0, 0] = 0
    picture = drawn(FiltersDisplay(filters).plot())
    assert picture.shape == (7, 7, 3)
    assert picture.min() >= 0
    assert picture.max() <= 1
    np.testing.assert_allclose(picture[0, 0], 0.5)


def test_filters_of_two_channels_are_rows_of_planes():
    filters = RNG.standard_normal((3, 4, 4, 2))
    picture = drawn(FiltersDisplay(filters).plot())
    assert picture.shape == (3 * 4 + 2, 2 * 4 + 1)
    np.testing.assert_array_equal(picture[5:9, 5:], filters[1, :, :, 1])


def test_maps():
    maps = np.zeros((6, 5, 2))
    maps[1, 2, 0], maps[3, 4, 1] = 2.0, -3.0
    display = MapsDisplay(maps).plot(n_columns=2)
    np.testing.assert_array_equal(drawn(display)[:, 6:], maps[:, :, 1])
    low, high = limits(display)
    assert low == -high < 0
    assert display.axes_.get_title() == "2 maps, 3.3 % non-zero"


def test_maps_of_zeros():
    assert limits(MapsDisplay(np.zeros((6, 5, 2))).plot()) == (-1, 1)


def test_limits_may_be_given():
    assert limits(MapsDisplay(RNG.standard_normal((6, 5, 2))).plot(vmin=-4, vmax=4)) == (-4, 4)


@pytest.mark.parametrize("signed", [True, False])
def test_reconstruction(signed):
    image = RNG.uniform(-1 if signed else 0.2, 1, size=(6, 5))
    display = ReconstructionDisplay(image, 0.9 * image, 0.5).plot()
    picture, (low, high) = drawn(display), limits(display)
    assert picture.shape == (6, 3 * 5 + 2)
    np.testing.assert_array_equal(picture[:, :5], image)
    np.testing.assert_array_equal(picture[:, 6:11], 0.9 * image)
    np.testing.assert_allclose(picture[:, 12:], (low + high) / 2 + 0.1 * image)
    largest = np.abs(image).max()
    assert (low, high) == ((-largest, largest) if signed else (image.min(), image.max()))
    assert display.axes_.get_title() == "R² = 0.500"


def test_reconstruction_in_color():
    image = RNG.uniform(size=(6, 5, 3))
    assert drawn(ReconstructionDisplay(image, image).plot()).shape == (6, 17, 3)


def test_reconstruction_of_other_channels_is_rows_of_planes():
    image = RNG.uniform(-1, 1, size=(6, 5, 2))
    display = ReconstructionDisplay(image, 0.9 * image).plot()
    picture = drawn(display)
    assert picture.shape == (3 * 6 + 2, 2 * 5 + 1)
    np.testing.assert_array_equal(picture[7:13, 6:], 0.9 * image[:, :, 1])
    labels = [label.get_text() for label in display.axes_.get_yticklabels()]
    assert labels == ["image", "reconstruction", "difference"]
    assert not display.axes_.get_title()


def test_colors_are_scaled_as_one():
    image = RNG.uniform(0.2, 0.8, size=(6, 5, 3))
    picture = drawn(ReconstructionDisplay(image, image).plot())
    low, high = image.min(), image.max()
    np.testing.assert_allclose(picture[:, :5], (image - low) / (high - low))
    np.testing.assert_allclose(picture[:, 12:], 0.5)


def test_signals_of_two_channels_are_two_curves():
    image = RNG.standard_normal((1, 30, 2))
    display = ReconstructionDisplay(image, 0.5 * image).plot()
    # Three base lines, each with two channels.
    assert len(display.axes_.lines) == 9
    np.testing.assert_allclose(display.axes_.lines[2].get_ydata(), image[0, :, 1])
    assert not display.axes_.images


def test_curves_do_not_meet():
    display = FiltersDisplay(RNG.uniform(-1, 1, size=(4, 1, 20, 1))).plot()
    curves = [line.get_ydata() for line in display.axes_.lines[1::2]]
    assert len(curves) == 4
    assert all(a.min() > b.max() for a, b in pairwise(curves))


def test_signals_are_curves():
    layer, X = fitted((40,), "rows")
    filters, maps, reconstruction = displays(layer, X)
    assert not any(display.axes_.images for display in (filters, maps, reconstruction))
    curve = filters.axes_.lines[1].get_ydata()
    np.testing.assert_allclose(curve, layer.filters_[0, 0, :, 0])
    np.testing.assert_allclose(reconstruction.axes_.lines[1].get_ydata(), X[0])
    labels = [label.get_text() for label in reconstruction.axes_.get_yticklabels()]
    assert labels == ["signal", "reconstruction", "difference"]
    stems = [len(lines.get_segments()) for lines in maps.axes_.collections]
    codes = layer.to_maps(layer.transform(X[:1]))[0, 0]
    assert stems == list(np.count_nonzero(codes, axis=0))


@pytest.mark.parametrize("layout", ["rows", "stack", "list"])
@pytest.mark.parametrize("image_shape", [(10, 9), (8, 7, 3)])
def test_from_estimator(layout, image_shape):
    layer, X = fitted(image_shape, layout)
    for display in displays(layer, X):
        assert display.figure_ is display.axes_.figure
        assert len(display.axes_.images) == 1
    display = ReconstructionDisplay.from_estimator(layer, X, index=-1)
    np.testing.assert_allclose(display.image, np.reshape(X[-1], image_shape))
    expected = np.reshape(layer.inverse_transform(layer.transform(X[-1:]))[0], image_shape)
    np.testing.assert_allclose(display.reconstruction, expected)
    assert display.score == pytest.approx(layer.score(X[-1:]))
    maps = MapsDisplay.from_estimator(layer, X, index=2).maps
    np.testing.assert_allclose(maps, layer.to_maps(layer.transform(X[2:3]))[0])


def test_rows_of_frames_are_taken_by_position():
    pd = pytest.importorskip("pandas")
    layer, X = fitted(layout="rows")
    frame = pd.DataFrame(X, index=[2.5, 1.5, 0.5, -0.5])
    image = ReconstructionDisplay.from_estimator(layer, frame, index=1).image
    np.testing.assert_array_equal(image.ravel(), X[1])


def test_each_plot_opens_one_figure():
    display = FiltersDisplay(RNG.standard_normal((4, 3, 3, 1)))
    assert display.plot().plot().figure_ is display.axes_.figure
    assert len(plt.get_fignums()) == 2
    with pytest.raises(ValueError, match="n_columns"):
        display.plot(n_columns=-1)
    assert len(plt.get_fignums()) == 2


def test_axes_are_used_again():
    layer, X = fitted()
    figure, ax = plt.subplots()
    for display in displays(layer, X, ax=ax):
        assert display.axes_ is ax
        assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("display", "name"),
    [
        (FiltersDisplay(np.zeros((3, 4, 4))), "filters"),
        (FiltersDisplay(np.zeros((0, 4, 4, 1))), "filters"),
        (MapsDisplay(np.zeros((4, 4))), "maps"),
        (ReconstructionDisplay(np.zeros((4, 4)), np.zeros((4, 5))), "image and reconstruction"),
        (ReconstructionDisplay(0.0, 0.0), "image and reconstruction"),
    ],
)
def test_wrong_shapes(display, name):
    with pytest.raises(ValueError, match=f"^{name} must be of "):
        display.plot()


def test_wrong_columns_and_index():
    with pytest.raises(ValueError, match="n_columns"):
        FiltersDisplay(np.ones((3, 4, 4, 1))).plot(n_columns=0)
    layer, X = fitted()
    with pytest.raises(ValueError, match="index"):
        MapsDisplay.from_estimator(layer, X, index=4)


def test_wrong_estimators():
    with pytest.raises(TypeError, match="list"):
        FiltersDisplay.from_estimator([])
    with pytest.raises(NotFittedError):
        FiltersDisplay.from_estimator(DeconvNetLayer())


@pytest.mark.parametrize("shape", [(3, 4, 4, 1), (3, 1, 4, 1)])
def test_without_matplotlib(monkeypatch, shape):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"skdeconv\[plot\]"):
        FiltersDisplay(np.ones(shape)).plot()
