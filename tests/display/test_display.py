"""What the displays draw, where, and what they say where they cannot."""

import sys
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from skdeconv import DeconvNetLayer
from skdeconv.datasets import make_sparse_images
from skdeconv.display import FiltersDisplay, HierarchyDisplay, MapsDisplay, ReconstructionDisplay

plt = pytest.importorskip("matplotlib.pyplot")
RNG = np.random.default_rng(0)


class Net(BaseEstimator):
    """What the displays ask of a net: filters in the image, and maps without ``filters_``."""

    def __init__(self, projected=()):
        self.projected = projected

    def fit(self, X):
        self.layers_ = [fitted()[0] for _ in self.projected]
        top = self.layers_[-1]
        self.image_shape_, self.n_features_in_ = top.image_shape_, top.n_features_in_
        self.transform, self.inverse_transform = top.transform, top.inverse_transform
        self.score = top.score
        return self

    def to_maps(self, codes):
        return self.layers_[-1].to_maps(codes)

    def project_filters(self, layer=None):
        return self.projected[len(self.layers_) - 1 if layer is None else layer - 1]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "layers_")


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


def test_an_array_that_only_converts():
    class Bare:
        def __array__(self, dtype=None, copy=None):
            return np.array(X, dtype=dtype)

    layer, X = fitted(layout="rows")
    image = ReconstructionDisplay.from_estimator(layer, Bare(), index=-1).image
    np.testing.assert_array_equal(image.ravel(), X[-1])


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


def unit(filters):
    return filters / np.linalg.norm(filters.reshape(len(filters), -1), axis=1)[:, None, None, None]


def two_layers(n_channels=1, h=4):
    lower = RNG.standard_normal((4, h, 4, n_channels))
    return [lower, 5 * RNG.standard_normal((10, 1 if h == 1 else 7, 7, n_channels))]


def titles(display):
    return [ax.get_title() for ax in display.axes_]


@pytest.mark.parametrize(("layer", "drawn_layer"), [(None, 2), (1, 1), (2, 2)])
def test_filters_of_a_net_are_drawn_in_the_image(layer, drawn_layer):
    projected = two_layers()
    projected[0][1:], projected[1][1:] = unit(projected[0][1:]), unit(projected[1][1:])
    net = Net([np.copy(filters) for filters in projected]).fit(None)
    for filters in net.projected:
        filters[0], filters[2] = 0, 3 * filters[2]
    projected[drawn_layer - 1][0] = 0
    display = FiltersDisplay.from_estimator(net, layer=layer, n_columns=2)
    np.testing.assert_allclose(display.filters, projected[drawn_layer - 1])
    n_filters = len(projected[drawn_layer - 1])
    assert display.axes_.get_title() == f"{n_filters} filters of layer {drawn_layer}"


def test_a_single_layer_has_no_layers():
    with pytest.raises(ValueError, match="layer must be None for a single DeconvNetLayer, got 1"):
        FiltersDisplay.from_estimator(fitted()[0], layer=1)


def test_maps_and_reconstructions_of_any_estimator():
    net, (layer, X) = Net(two_layers()).fit(None), fitted()
    maps = MapsDisplay.from_estimator(net, X, index=1).maps
    np.testing.assert_array_equal(maps, layer.to_maps(layer.transform(X[1:2]))[0])
    display = ReconstructionDisplay.from_estimator(net, X)
    np.testing.assert_array_equal(display.image, X[0])
    assert display.score == layer.score(X[:1])
    with pytest.raises(NotFittedError):
        MapsDisplay.from_estimator(Net(), X)


def test_hierarchy():
    lower, upper = two_layers()
    net = Net([lower, upper]).fit(None)
    display = HierarchyDisplay.from_estimator(net, cmap="bone")
    assert titles(display) == ["layer 1: 4 filters", "layer 2: 10 filters"]
    assert display.axes_.shape == (2,)
    assert {ax.figure for ax in display.axes_} == {display.figure_}
    assert len(plt.get_fignums()) == 1
    # Both of the same number of rows: 14 filters are 3 rows in all.
    for ax, filters, shape in zip(
        display.axes_, (lower, upper), [(2 * 5 - 1, 2 * 5 - 1), (3 * 8 - 1, 4 * 8 - 1)], strict=True
    ):
        (image,) = ax.images
        picture, size = np.ma.filled(image.get_array(), np.nan), filters.shape[1]
        assert picture.shape == shape
        np.testing.assert_allclose(picture[:size, :size], unit(filters)[0, :, :, 0])
        np.testing.assert_allclose(
            picture[:size, size + 1 : 2 * size + 1], unit(filters)[1, ..., 0]
        )
        assert image.get_clim() == pytest.approx(np.abs(unit(filters)).max() * np.array([-1, 1]))
        assert image.get_cmap().name == "bone"


@pytest.mark.parametrize(("n_channels", "shape"), [(3, (23, 31, 3)), (2, (79, 15))])
def test_hierarchy_of_channels(n_channels, shape):
    display = HierarchyDisplay(two_layers(n_channels)).plot()
    assert display.axes_[1].images[0].get_array().shape == shape


def test_hierarchy_of_signals_is_curves():
    lower, upper = two_layers(h=1)
    display = HierarchyDisplay([lower, upper]).plot()
    assert [len(ax.lines) for ax in display.axes_] == [2 * 4, 2 * 10]
    curve = display.axes_[1].lines[1].get_ydata()
    np.testing.assert_allclose(curve, unit(upper)[0, 0, :, 0])
    assert titles(display) == ["layer 1: 4 filters", "layer 2: 10 filters"]


def test_axes_of_a_hierarchy_are_used_again():
    figure, axes = plt.subplots(2, 1, squeeze=False)
    for given in (axes, list(axes.ravel())):
        display = HierarchyDisplay(two_layers()).plot(given)
        assert list(display.axes_) == list(axes.ravel())
        assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    with pytest.raises(ValueError, match="axes must hold one Axes for each of 2 layers, got 1"):
        HierarchyDisplay(two_layers()).plot(axes[0])


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ([], "filters must hold those of one layer or more, got none"),
        ([np.ones((3, 4, 4, 1)), np.ones((3, 4, 4))], r"filters\[1\] must be of shape"),
        (np.ones((3, 4, 4, 1)), r"filters\[0\] must be of shape"),
    ],
)
def test_wrong_filters_of_a_hierarchy(filters, message):
    with pytest.raises(ValueError, match=message):
        HierarchyDisplay(filters).plot()
    assert not plt.get_fignums()


def test_a_layer_is_no_hierarchy():
    with pytest.raises(TypeError, match="a net such as HierarchicalDeconvNet, got DeconvNetLayer"):
        HierarchyDisplay.from_estimator(fitted()[0])
    for display in (HierarchyDisplay, FiltersDisplay):
        with pytest.raises(NotFittedError):
            display.from_estimator(Net())
