"""Layers of given filters, which learn nothing."""

import pickle

import numpy as np
import pytest
from reference.quick import QUICK, QUICK_NET
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.preprocessing import as_signals

X = np.random.default_rng(0).standard_normal((4, 12, 12))
FILTERS = np.random.default_rng(1).standard_normal((3, 5, 4, 1))


def test_filters_are_normalised_and_kept():
    layer = DeconvNetLayer.from_filters(FILTERS, lam=5.0, output="maps")
    check_is_fitted(layer)
    norms = np.linalg.norm(FILTERS.reshape(3, -1), axis=1)[:, None, None, None]
    np.testing.assert_allclose(layer.filters_, FILTERS / norms)
    assert (layer.n_filters, layer.filter_size, layer.max_iter, layer.lam) == (3, (5, 4), 0, 5.0)
    fitted = clone(layer).fit(X)
    for one in (layer, fitted):
        assert one.n_iter_ == 0
        assert one.cost_.shape == (0,)
    np.testing.assert_array_equal(fitted.filters_, layer.filters_)
    np.testing.assert_array_equal(layer.transform(X), fitted.transform(X))
    assert layer.score(X) == fitted.score(X)
    assert layer.inverse_transform(layer.transform(X)).shape == X.shape
    loaded = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(loaded.transform(X), layer.transform(X))


def test_forms_of_filters():
    whole = DeconvNetLayer.from_filters(FILTERS)
    for same in (FILTERS[..., 0], FILTERS.tolist()):
        np.testing.assert_array_equal(DeconvNetLayer.from_filters(same).filters_, whole.filters_)
    assert DeconvNetLayer.from_filters(FILTERS.astype(np.float32)).filters_.dtype == np.float32
    encoder = OnePassEncoder(whole.filters_).fit(X)
    assert encoder.transform(X).shape == (4, 12, 12, 6)


def test_rows_need_a_size():
    for use in (lambda one: one.transform(X), lambda one: one.get_feature_names_out()):
        with pytest.raises(ValueError, match=r'or none.*output="maps"'):
            use(DeconvNetLayer.from_filters(FILTERS))
    with pytest.raises(ValueError, match="max_iter=0 to images of one size keeps the filters"):
        DeconvNetLayer.from_filters(FILTERS).transform(X)
    layer = DeconvNetLayer.from_filters(FILTERS, image_shape=(12, 12))
    rows = X.reshape(4, -1)
    np.testing.assert_array_equal(layer.transform(rows), clone(layer).fit(rows).transform(rows))
    assert layer.n_features_in_ == 144
    assert layer.inverse_transform(layer.transform(rows)).shape == (4, 144)


def test_filters_of_signals():
    filters, signals = FILTERS[:, :1], X[:, :3].reshape(4, 36)
    layer = DeconvNetLayer.from_filters(filters, lam=5.0, output="maps")
    maps = layer.transform(as_signals(signals))
    for same in (signals, list(signals), signals.tolist()):
        np.testing.assert_array_equal(layer.transform(same), maps)
    ragged = [signals[0], signals[1, :20]]
    codes = layer.transform(ragged)
    np.testing.assert_array_equal(codes.to_dense()[0], maps[0])
    assert [image.shape for image in layer.inverse_transform(codes)] == [(36,), (20,)]
    assert layer.inverse_transform(maps).shape == (4, 1, 36)
    with pytest.raises(ValueError, match='output="maps"'):
        DeconvNetLayer.from_filters(filters).transform(signals)
    assert layer.partial_fit(ragged).n_iter_ == 1
    assert layer.transform(X).shape == (4, 12, 15, 3)


def test_signals_for_filters_of_images():
    signals = X[:, :3].reshape(4, 36)
    layer = DeconvNetLayer.from_filters(FILTERS, output="maps")
    colour = DeconvNetLayer.from_filters(np.repeat(FILTERS, 3, axis=3), output="maps")
    for images, message in [
        (signals, r"fit has seen .* or none.*as_signals\(X\)"),
        ([signals[0], signals[1, :20]], r"the filters are those of images.*as_signals\(X\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            layer.transform(images)
    with pytest.raises(ValueError, match="1 channels, but the filters are those of images with 3"):
        colour.transform(X)


def test_streams_go_on_from_the_filters():
    layer = DeconvNetLayer.from_filters(FILTERS, lam=5.0, output="maps").partial_fit(X)
    assert layer.filters_.shape == FILTERS.shape
    assert layer.n_iter_ == 1


@pytest.mark.parametrize(
    ("filters", "params", "error", "message"),
    [
        (np.ones((3, 5)), {}, ValueError, "n_filters, h, w, n_channels.*filters of height 1"),
        (np.full((3, 5, 5), np.nan), {}, ValueError, "finite numbers"),
        (np.zeros((3, 5, 5)), {}, ValueError, "must not be zero"),
        ("edges", {}, TypeError, "array of filters"),
        (FILTERS, {"lam": -1}, ValueError, "lam"),
        (FILTERS, {"image_shape": (12, 12, 3)}, ValueError, "channels of the filters"),
        (FILTERS, {"lam_scale": "median"}, ValueError, "needs images"),
        (FILTERS, {"max_iter": 3}, TypeError, "max_iter is determined by filters"),
        (FILTERS, {"init": FILTERS}, TypeError, "init is determined by filters"),
        (FILTERS, {"n_filter": 3}, TypeError, "n_filter"),
    ],
)
def test_what_is_refused(filters, params, error, message):
    with pytest.raises(error, match=message):
        DeconvNetLayer.from_filters(filters, **params)


def test_filters_are_copied():
    filters = FILTERS.copy()
    layer = DeconvNetLayer.from_filters(filters)
    filters[:] = 0
    np.testing.assert_array_equal(layer.init, FILTERS)
    np.testing.assert_allclose(clone(layer).fit(X).filters_, layer.filters_)


@pytest.mark.parametrize("scale", [1e200, 1e-250, 1e-310])
def test_huge_and_tiny_filters_are_normalised(scale):
    layer = DeconvNetLayer.from_filters(FILTERS * scale)
    np.testing.assert_allclose(layer.filters_, DeconvNetLayer.from_filters(FILTERS).filters_, 1e-2)
    np.testing.assert_allclose(np.linalg.norm(layer.filters_.reshape(len(FILTERS), -1), axis=1), 1)
    if scale > 1:
        with pytest.raises(ValueError, match="init exceeds the range of float32"):
            DeconvNetLayer(3, (5, 4), init=FILTERS * scale).fit(X.astype(np.float32))


def test_no_passes_need_filters():
    with pytest.raises(ValueError, match="max_iter is 0, so that no filters are learned"):
        DeconvNetLayer(max_iter=0).fit(X)
    options = QUICK | {"lam": 5.0}
    learned = DeconvNetLayer(**options).fit(X)
    again = DeconvNetLayer(**options, warm_start=True).fit(X).set_params(max_iter=0).fit(X)
    np.testing.assert_allclose(again.filters_, learned.filters_)
    assert again.n_iter_ == 0
    for net in (HierarchicalDeconvNet, AdaptiveDeconvNet):
        with pytest.raises(ValueError, match=r"max_iter.* is 0, so that no filters"):
            net(**QUICK_NET | {"max_iter": 0}).fit(X)


@pytest.mark.parametrize("kind", [HierarchicalDeconvNet, AdaptiveDeconvNet])
def test_nets_without_passes(kind):
    net = kind(**QUICK_NET | {"lam": 5.0}).fit(X)
    layers = getattr(net, "layers_", None)
    filters = tuple(layer.filters_ for layer in layers) if layers else tuple(net.filters_)
    given = kind(**QUICK_NET | {"lam": 5.0, "max_iter": 0, "init": filters}).fit(X)
    assert given.n_iter_ == 0
    found = [layer.filters_ for layer in given.layers_] if layers else given.filters_
    for one, other in zip(found, filters, strict=True):
        np.testing.assert_allclose(one, other)
