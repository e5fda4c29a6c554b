"""Displays of activations and of their parts."""

import numpy as np
import pytest

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.datasets import make_sparse_images
from skdeconv.display import (
    ActivationsDisplay,
    CascadeDisplay,
    FiltersDisplay,
    MapsDisplay,
    ReconstructionDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")
OPTIONS = {"filter_size": 3, "lam": 5.0, "max_iter": 1, "random_state": 0}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def images_of(*shape):
    return make_sparse_images(4, shape, n_filters=2, filter_size=3, random_state=0).images


@pytest.fixture(scope="module")
def fitted():
    images = images_of(12, 12)
    return AdaptiveDeconvNet((4, 6), pooling=(2, 2, 2), **OPTIONS).fit(images), images


def tiles_of(ax):
    """The picture on the axes, without the lines between tiles."""
    (image,) = ax.images
    return np.ma.filled(image.get_array(), np.nan)


def random_pair(n_filters=6, k=1, size=5, n_channels=1):
    return np.random.default_rng(0).standard_normal((2, n_filters, k, size, size, n_channels))


def test_every_activation_has_its_own_scale():
    projections, crops = random_pair()
    projections[1] *= 100
    drawn = [tiles_of(ax) for ax in ActivationsDisplay(projections, crops).plot().axes_]
    for picture, tiles in zip(drawn, (projections, crops), strict=True):
        first, second = picture[:5, :5], picture[:5, 6:11]
        for got, tile in ((first, tiles[0, 0, ..., 0]), (second, tiles[1, 0, ..., 0])):
            np.testing.assert_allclose(got, tile / np.abs(tile).max())


@pytest.mark.parametrize(("k", "rows", "columns"), [(2, 1, 2), (3, 2, 2), (5, 2, 3), (9, 3, 3)])
def test_several_activations_of_a_filter_stand_in_a_block(k, rows, columns):
    projections, crops = random_pair(n_filters=2, k=k)
    picture = tiles_of(ActivationsDisplay(projections, crops).plot(n_columns=1).axes_[0])
    assert picture.shape == (2 * (6 * rows - 1) + 1, 6 * columns - 1)
    second = picture[6 * rows :]
    for cell in range(rows * columns):
        top, left = (6 * place for place in divmod(cell, columns))
        got = second[top : top + 5, left : left + 5]
        if cell < k:
            tile = projections[1, cell, ..., 0]
            np.testing.assert_allclose(got, tile / np.abs(tile).max())
        else:
            assert np.isnan(got).all()
    assert np.isnan(second[:, 5::6]).all()


@pytest.mark.parametrize("n_channels", [1, 2, 3])
def test_activations_of_any_number_of_channels(n_channels):
    display = ActivationsDisplay(*random_pair(n_channels=n_channels)).plot()
    assert tiles_of(display.axes_[0]).shape[2:] == ((3,) if n_channels == 3 else ())


@pytest.mark.parametrize("layer", [1, 2, None])
def test_activations_of_both_nets(fitted, layer):
    net, images = fitted
    hierarchy = HierarchicalDeconvNet((4, 6), **OPTIONS).fit(images)
    for one in (net, hierarchy):
        display = ActivationsDisplay.from_estimator(one, images, layer=layer, k=2)
        found = one.top_activations(images, layer, 2)
        np.testing.assert_array_equal(display.projections, found.projections)
        np.testing.assert_array_equal(display.crops, found.crops)
        number, n_filters = (1, 4) if layer == 1 else (2, 6)
        title = f"layer {number}: 2 strongest activations of {n_filters} filters"
        assert display.axes_[0].get_title() == title
        assert display.figure_ is display.axes_[0].figure


def test_activations_of_signals():
    signals = images_of(20)
    net = AdaptiveDeconvNet((3, 4), pooling=(1, 2, 2), **OPTIONS).fit(signals)
    display = ActivationsDisplay.from_estimator(net, signals)
    assert all(len(ax.lines) >= 4 for ax in display.axes_)


def test_cascade_has_a_mosaic_for_each_layer(fitted):
    net, images = fitted
    display = CascadeDisplay.from_estimator(net, images, index=-1, k=3)
    titles = [ax.get_title() for ax in display.axes_]
    assert titles == ["layer 2: 1 feature", "layer 1: 3 features"]
    for got, wanted in zip(display.patches, net.cascade(net.encode(images)[-1], k=3), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert display.figure_ is display.axes_[1].figure


def test_cascade_of_one_layer_on_given_axes(fitted):
    net, images = fitted
    ax = plt.subplots()[1]
    display = CascadeDisplay.from_estimator(net, images, layer=1, axes=[ax], cmap="bone")
    assert display.axes_[0] is ax
    assert ax.images[0].get_cmap().name == "bone"


def test_given_axes_are_used():
    axes = plt.subplots(1, 2)[1]
    display = ActivationsDisplay(*random_pair()).plot(axes)
    assert list(display.axes_) == list(axes)


@pytest.mark.parametrize(
    ("display", "message"),
    [
        (ActivationsDisplay(np.ones((2, 3, 4)), np.ones((2, 3, 4))), "projections must be of"),
        (ActivationsDisplay(*random_pair(3)[:1], random_pair(4)[1]), "of one shape"),
        (CascadeDisplay([]), "one layer or more"),
        (CascadeDisplay([np.ones((2, 3))]), r"patches\[0\] must be of"),
    ],
)
def test_wrong_arrays(display, message):
    with pytest.raises(ValueError, match=message):
        display.plot()


def test_wrong_axes_and_estimators(fitted):
    net, images = fitted
    ax = plt.subplots()[1]
    with pytest.raises(ValueError, match="axes must hold two"):
        ActivationsDisplay(*random_pair()).plot([ax])
    with pytest.raises(ValueError, match="axes must hold one Axes for each of 2"):
        CascadeDisplay.from_estimator(net, images, axes=[ax])
    layer = DeconvNetLayer(**OPTIONS).fit(images)
    for display in (ActivationsDisplay, CascadeDisplay):
        with pytest.raises(TypeError, match="estimator must be"):
            display.from_estimator(layer, images)
    with pytest.raises(ValueError, match="index"):
        CascadeDisplay.from_estimator(net, images, index=4)


def test_filters_and_maps_of_an_adaptive_net(fitted):
    net, images = fitted
    for layer in (None, 1):
        display = FiltersDisplay.from_estimator(net, layer=layer)
        np.testing.assert_array_equal(display.filters, net.filters_[0])
        assert display.axes_.get_title() == "4 filters of layer 1"
    with pytest.raises(ValueError, match=r"layer must be 1 for an adaptive net.*2"):
        FiltersDisplay.from_estimator(net, layer=2)
    maps = MapsDisplay.from_estimator(net, images, index=1).maps
    np.testing.assert_array_equal(maps, net.to_maps(net.transform(images))[1])


def test_reconstruction_of_a_net_whose_rows_need_switches(fitted):
    net, images = fitted
    top = AdaptiveDeconvNet(layer=-1, **OPTIONS | {"n_filters": (4, 6), "pooling": (2, 2, 2)})
    display = ReconstructionDisplay.from_estimator(top.fit(images), images, index=1)
    np.testing.assert_allclose(display.reconstruction, net.decode(net.encode(images))[1])


def test_images_of_different_sizes_with_missing_pixels():
    images = [*images_of(12, 12)[:2], *images_of(9, 15)[:2]]
    images[1][3, 4] = images[3][2, :3] = np.nan
    net = AdaptiveDeconvNet((4, 6), pooling=(2, 2, 2), output="maps", **OPTIONS).fit(images)
    found = net.top_activations(images, 1, 3)
    display = ActivationsDisplay.from_estimator(net, images, layer=1, k=3)
    np.testing.assert_array_equal(display.projections, found.projections)
    for index in (1, 3):
        assert len(CascadeDisplay.from_estimator(net, images, index=index, k=2).axes_) == 2
        drawn = ReconstructionDisplay.from_estimator(net, images, index=index)
        expected = net.decode(net.encode(images[index : index + 1]))[0]
        np.testing.assert_allclose(np.squeeze(drawn.reconstruction), expected, atol=1e-12)


def test_a_cascade_without_layers_is_refused():
    with pytest.raises(ValueError, match="patches of one layer or more, got none"):
        CascadeDisplay([]).plot()
