"""Images of an adaptive network in any layout and of any type, and those of extreme sizes."""

import numpy as np
import pandas as pd
import pytest
from reference.adaptive import assert_unit_norms, net_of
from reference.images import images_of


@pytest.fixture(scope="module")
def images():
    return images_of(12, 11)


def assert_same_fit(found, expected):
    for one, other in zip(found.filters_, expected.filters_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nets_of_lists_code_images_of_any_size(images):
    net = net_of(3, 4, output="maps").fit(list(images))
    other = list(images_of(7, 15, n_samples=2))
    codes, code = net.transform(other), net.encode(other)
    assert codes.shape == (2, 9, 17, 3)
    drawn = net.inverse_transform(codes)
    assert [one.shape for one in drawn] == [(7, 15)] * 2
    np.testing.assert_allclose(drawn, net.decode(code), atol=1e-12)
    assert net.project(code, k=2).shape == (2, 2, 7, 15, 1)
    assert net.top_activations(other, 1, 2).crops.shape == (3, 2, 3, 3, 1)
    assert net.score(other) <= 1
    stacked = net_of(3, 4, output="maps").fit(np.stack(other))
    stacked.filters_ = net.filters_
    np.testing.assert_array_equal(stacked.transform(np.stack(other)), codes)
    top = net.set_params(layer=-1).transform(other)
    assert top.shape[3] == 4
    np.testing.assert_array_equal(net.to_maps(top), top)
    with pytest.raises(ValueError, match=r'rows would differ in width.*output="maps"'):
        net.set_params(output="rows").transform(other)


@pytest.mark.parametrize("layer", [1, -1])
def test_frames_have_the_names_of_coefficients(layer, images):
    net = net_of(2, 3, image_shape=(12, 11), layer=layer).set_output(transform="pandas")
    frame = pd.DataFrame(images.reshape(4, -1), index=list("abcd")).add_prefix("pixel")
    codes = net.fit(frame).transform(frame)
    assert codes.columns.tolist() == net.get_feature_names_out(frame.columns).tolist()
    assert codes.index.tolist() == list("abcd")
    np.testing.assert_array_equal(net.set_output(transform="default").transform(frame), codes)


@pytest.mark.parametrize("inference", ["fista", "ista", "coordinate_descent"])
@pytest.mark.parametrize("layer", [1, -1])
def test_floats_are_kept(inference, layer, images):
    for dtype in (np.float32, np.float64):
        X = images[:2].astype(dtype)
        net = net_of(2, 3, inference=inference, layer=layer, keep_maps=True).fit(X)
        assert {one.dtype for one in net.filters_} == {np.dtype(dtype)}
        assert_unit_norms(net)
        codes, code = net.transform(X), net.encode(X)
        results = [codes, net.decode(code), net.decode(code, 1), net.project(code, k=3)]
        results += [one for maps in code.maps for one in maps.maps]
        results += net.project(code, k=3, to="layer1").maps
        found = net.top_activations(X, k=2)
        results += [found.crops, found.projections, found.coefficients, *net.cascade(code[0])]
        assert {one.dtype for one in results} == {np.dtype(dtype)}


def test_integers_are_made_floats():
    X = np.random.default_rng(0).integers(-5, 6, (3, 9, 8))
    net = net_of(2, 3, max_iter=1).fit(X)
    assert_same_fit(net, net_of(2, 3, max_iter=1).fit(X.astype(np.float64)))
    assert net.transform(X).dtype == np.float64


@pytest.mark.parametrize(
    "shape", [(40,), (1, 40, 2), (12, 11), (9, 8, 3)], ids=["signals", "stereo", "grey", "colour"]
)
def test_rows_lists_and_frames_are_the_same_images(shape):
    X = images_of(*shape, n_samples=4)
    net = net_of(2, 3, image_shape=shape if len(shape) == 1 else None, max_iter=1).fit(X)
    height, _, n_channels = {1: (1, *shape, 1), 2: (*shape, 1), 3: shape}[len(shape)]
    assert net.filters_[0].shape == (2, 1 if height == 1 else 3, 3, n_channels)
    codes, rows = net.transform(X), X.reshape(4, -1)
    forms = [rows, pd.DataFrame(rows).add_prefix("pixel")]
    forms += [list(X)] if len(shape) > 1 else []
    for form in forms:
        image_shape = None if isinstance(form, list) else shape
        other = net_of(2, 3, image_shape=image_shape, max_iter=1).fit(form)
        assert_same_fit(other, net)
        np.testing.assert_array_equal(other.transform(form), codes)
        drawn = other.inverse_transform(codes)
        assert isinstance(drawn, list) == isinstance(form, list)
        np.testing.assert_array_equal(np.reshape(drawn, X.shape), net.inverse_transform(codes))
        assert hasattr(other, "n_features_in_") == (not isinstance(form, list))
    assert net_of(2, image_shape=shape, max_iter=1).fit(forms[1]).feature_names_in_[0] == "pixel0"


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (1, 5), (4, 4)], ids=str)
@pytest.mark.parametrize("inference", ["fista", "coordinate_descent"])
def test_images_may_be_smaller_than_filters_and_blocks(shape, inference):
    X = np.random.default_rng(0).standard_normal((2, *shape)) + 2
    net = net_of(2, 3, 2, filter_size=5, pooling=(7, 9, 4), inference=inference, lam=20.0).fit(X)
    assert_unit_norms(net)
    h, w = {(2, 1): (5, 1), (4, 4): (5, 5)}.get(shape, (1, 5))
    codes, code = net.transform(X), net.encode(X)
    assert codes.shape == (2, 2 * (shape[0] + h - 1) * (shape[1] + w - 1))
    np.testing.assert_allclose(net.inverse_transform(codes), net.decode(code), atol=1e-12)
    assert net.project(code, 3, k=4).shape == (2, 4, *shape, 1)
    np.testing.assert_allclose(
        net.project(code, 3, k=60).sum(axis=1)[..., 0], net.decode(code), atol=1e-12
    )
    assert net.top_activations(X, k=2).samples.shape == (2, 2)
    assert len(net.cascade(code[0])) == 3


def test_zero_images_have_zero_codes():
    X = np.zeros((3, 8, 8))
    net = net_of(2, 3).fit(X)
    assert_unit_norms(net)
    assert not net.transform(X).any()
    assert net.score(X) == 1
    assert all((np.array(costs) == 0).all() for costs in net.cost_)


def test_filter_sizes_suit_the_highest_image():
    rng = np.random.default_rng(0)
    images = [rng.standard_normal((1, 20)), rng.standard_normal((6, 20))]
    assert net_of(2).fit(images).filters_[0].shape == (2, 3, 3, 1)
    signals = [images[0], rng.standard_normal((1, 31))]
    assert net_of(2, pooling=(1, 2, 2)).fit(signals).filters_[0].shape == (2, 1, 3, 1)
