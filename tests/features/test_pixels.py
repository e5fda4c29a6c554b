"""Features of pixels: against naive loops, in any layout, and as a scikit-learn transformer."""

import pickle

import numpy as np
import pytest
from reference.pixels import naive_features, naive_places
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.features import PixelFeatures
from skdeconv.features._pixels import _places

SHAPE = 10, 13
COMMON = {"max_iter": 1, "random_state": 0}
LAYER = DeconvNetLayer(3, (4, 5), lam=3.0, **COMMON)
HIERARCHY = HierarchicalDeconvNet((3, 4), (5, 3), lam=3.0, inference_tol=0.1, **COMMON)
ADAPTIVE = AdaptiveDeconvNet(
    (3, 4, 2), ((3, 5), (4, 3), 3), ((2, 3, 1), (3, 2, 1), None), lam=50.0, **COMMON
)
ENCODERS = {
    "layer": LAYER,
    "hierarchy": HIERARCHY,
    "adaptive": ADAPTIVE,
    "one pass": OnePassEncoder(LAYER),
}


def images(n_images=3, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).standard_normal((n_images, *shape))


@pytest.fixture(scope="module")
def frozen():
    """Every encoder, fitted on a list, so that images of any size are legal."""
    return {name: FrozenEstimator(clone(one).fit(list(images()))) for name, one in ENCODERS.items()}


@pytest.mark.parametrize(
    ("lengths", "blocks"),
    [
        ([1], [1]),
        ([5], [1]),
        ([4], [1]),
        ([5, 3], [1, 3]),
        ([5, 4], [1, 2]),
        ([3, 4, 5], [1, 3, 2]),
        ([4, 4, 2, 3], [1, 3, 3, 2]),
    ],
)
def test_places(lengths, blocks):
    n_places = 30 + lengths[0] - 1
    for length, block in zip(lengths[1:], blocks[1:], strict=True):
        n_places = -(-n_places // block) + length - 1
    found = _places(30, n_places, lengths, blocks)
    np.testing.assert_array_equal(found, naive_places(30, n_places, lengths, blocks))


def test_features_of_a_layer():
    layer = clone(LAYER).set_params(output="maps").fit(images())
    maps = layer.transform(images())
    assert np.count_nonzero(maps) > 100
    features = PixelFeatures(LAYER, radius=(0.7, 2.5)).fit_transform(images())
    # Of filters of 4 x 5, centred on a pixel or, where they have no centre, up to half a one off.
    cropped = maps[:, 1 : 1 + SHAPE[0], 2 : 2 + SHAPE[1]]
    expected = np.concatenate([naive_features(one, (0.7, 2.5)) for one in cropped])
    assert features.shape == (3 * 10 * 13, 6)
    np.testing.assert_allclose(features, expected, rtol=1e-10, atol=1e-12)


def test_features_of_a_hierarchy(frozen):
    codes = frozen["hierarchy"].estimator.set_params(output="maps").encode(images())
    cropped = [codes[0][:, 2:-2, 2:-2], codes[1][:, 3:-3, 3:-3]]
    expected = [np.concatenate([naive_features(one, (2,)) for one in maps]) for maps in cropped]
    features = {
        layers: PixelFeatures(frozen["hierarchy"], radius=2, layers=layers).fit_transform(images())
        for layers in (None, 1, 2, (1, 2), (2, 1))
    }
    limits = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(features[1], expected[0], **limits)
    np.testing.assert_allclose(features[2], expected[1], **limits)
    np.testing.assert_allclose(features[None], expected[1], **limits)
    np.testing.assert_allclose(features[1, 2], np.hstack(expected), **limits)
    np.testing.assert_allclose(features[2, 1], np.hstack(expected[::-1]), **limits)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_features_of_an_adaptive_net(frozen, number):
    net = frozen["adaptive"].estimator
    maps = net.encode(images()).maps[number - 1].to_dense()
    assert maps.any()
    heights, widths = [3, 4, 3][:number], [5, 3, 3][:number]
    rows = naive_places(SHAPE[0], maps.shape[1], heights, [1, 2, 3][:number])
    columns = naive_places(SHAPE[1], maps.shape[2], widths, [1, 3, 2][:number])
    on_pixels = maps[:, rows][:, :, columns]
    expected = np.concatenate([naive_features(one, (1.5,)) for one in on_pixels])
    features = PixelFeatures(frozen["adaptive"], radius=1.5, layers=number).fit_transform(images())
    np.testing.assert_allclose(features, expected, rtol=1e-10, atol=1e-12)


def test_an_adaptive_net_gives_by_default_what_its_top_draws_in_the_first_layer(frozen):
    net = clone(ADAPTIVE).set_params(output="maps").fit(images())
    maps = net.transform(images())
    expected = np.concatenate([naive_features(one[1:-1, 2:-2], (2,)) for one in maps])
    features = PixelFeatures(FrozenEstimator(net), radius=2).fit_transform(images())
    np.testing.assert_allclose(features, expected, rtol=1e-10, atol=1e-12)
    assert not np.allclose(features, PixelFeatures(net, radius=2, layers=1).fit_transform(images()))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_features_of_one_pass(padding):
    encoder = OnePassEncoder(images(2, (3, 5, 1), seed=1), padding=padding)
    maps = encoder.fit_transform(images())
    if padding == "valid":
        # Pixels without a response of their own take the nearest.
        maps = np.pad(maps, ((0, 0), (1, 1), (2, 2), (0, 0)), mode="edge")
    expected = np.concatenate([naive_features(one, (2,)) for one in maps])
    features = PixelFeatures(encoder, radius=2).fit_transform(images())
    np.testing.assert_allclose(features, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [(5, 5), (3, 7), (4, 6)])
def test_energy_peaks_where_a_filter_lies(size):
    patch = np.random.default_rng(0).standard_normal(size)
    layer = DeconvNetLayer(1, size, lam=50.0, init=patch[None, ..., None], **COMMON)
    picture = np.zeros((1, 20, 23))
    layer.fit(picture + 1)
    layer.filters_ = patch[None, ..., None] / np.linalg.norm(patch)
    for top, left in [(0, 0), (7, 8), (20 - size[0], 23 - size[1])]:
        picture[:] = 0
        picture[0, top : top + size[0], left : left + size[1]] = patch
        features = PixelFeatures(FrozenEstimator(layer), radius=1).fit_transform(picture)
        peak = np.unravel_index(features.argmax(), (20, 23))
        centre = np.add((top, left), np.subtract(size, 1) / 2)
        assert np.abs(peak - centre).max() <= 0.5


@pytest.mark.parametrize("name", ENCODERS)
def test_an_image_does_not_depend_on_the_others(frozen, name):
    transformer = PixelFeatures(frozen[name], radius=(1, 2)).fit(images())
    features = transformer.transform(images()).reshape(3, *SHAPE, -1)
    assert features.any(axis=(1, 2, 3)).all()
    for i in range(3):
        alone = transformer.transform(images()[[i]]).reshape(*SHAPE, -1)
        np.testing.assert_allclose(features[i], alone, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("name", ENCODERS)
def test_layouts_and_types(name):
    stack = images().astype(np.float32)
    transformer = PixelFeatures(ENCODERS[name], radius=1)
    expected = transformer.fit_transform(stack)
    assert expected.dtype == np.float32
    assert expected.flags.c_contiguous
    for layout in (list(stack), tuple(stack), stack[..., None]):
        np.testing.assert_array_equal(transformer.fit_transform(layout), expected)
    whole = np.rint(stack).astype(int)
    assert transformer.fit(whole).transform(whole).dtype == np.float64


def test_signals_and_colours():
    signals = images(2, (1, 40))
    assert PixelFeatures(DeconvNetLayer(2, 5, **COMMON)).fit_transform(signals).shape == (80, 6)
    colours = images(2, (8, 9, 3))
    features = PixelFeatures(DeconvNetLayer(2, 3, **COMMON)).fit_transform(colours)
    assert features.shape == (144, 6)


def test_sizes_that_the_encoder_takes(frozen):
    larger = images(1, (20, 17))
    features = PixelFeatures(frozen["layer"]).fit(larger).transform(larger)
    assert features.shape == (340, 9)
    of_rows = clone(LAYER).set_params(image_shape=SHAPE).fit(images().reshape(3, -1))
    features = PixelFeatures(FrozenEstimator(of_rows)).fit_transform(images())
    np.testing.assert_array_equal(features, PixelFeatures(LAYER).fit_transform(images()))


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("layer", [{"output": "maps"}, {"sparse_output": True}]),
        ("hierarchy", [{"output": "maps"}, {"sparse_output": True}]),
        ("adaptive", [{"layer": -1}, {"output": "maps"}, {"sparse_output": True}]),
        ("one pass", [{"output": "rows"}]),
    ],
)
def test_the_form_of_codes_has_no_influence(name, forms):
    encoder = ENCODERS[name]
    expected = PixelFeatures(encoder, radius=1).fit_transform(images())
    for form in forms:
        fitted = clone(encoder).set_params(**form).fit(images())
        before = vars(fitted).copy()
        for one in (fitted, FrozenEstimator(fitted)):
            features = PixelFeatures(one, radius=1).fit_transform(images())
            np.testing.assert_array_equal(features, expected)
        assert vars(fitted) == before


def test_encoders_are_cloned_or_frozen():
    layer = clone(LAYER)
    transformer = PixelFeatures(layer).fit(images())
    assert not hasattr(layer, "filters_")
    assert transformer.encoder_ is not layer
    layer.fit(images(seed=1))
    filters = layer.filters_
    transformer = PixelFeatures(FrozenEstimator(layer)).fit(images())
    assert transformer.encoder_.estimator is layer
    assert layer.filters_ is filters
    assert transformer.image_shape_ == SHAPE
    assert transformer.n_features_in_ == 10 * 13
    assert not hasattr(PixelFeatures(layer).fit(list(images())), "n_features_in_")


@pytest.mark.parametrize(
    ("name", "layers", "maps"),
    [
        ("layer", None, ["f0", "f1", "f2"]),
        ("layer", 1, ["layer1_f0", "layer1_f1", "layer1_f2"]),
        ("hierarchy", None, ["f0", "f1", "f2", "f3"]),
        ("adaptive", (3, 1), ["layer3_f0", "layer3_f1", "layer1_f0", "layer1_f1", "layer1_f2"]),
        ("adaptive", None, ["f0", "f1", "f2"]),
        ("adaptive", 3, ["layer3_f0", "layer3_f1"]),
        ("one pass", None, ["f0+", "f1+", "f2+", "f0-", "f1-", "f2-"]),
    ],
)
def test_names_and_frames(frozen, name, layers, maps):
    transformer = PixelFeatures(frozen[name], radius=(0.5, 2.0), layers=layers).fit(images())
    names = transformer.get_feature_names_out().tolist()
    assert names == [f"{one}_{radius}" for one in maps for radius in ("r0.5", "r2")]
    expected = transformer.transform(images())
    frame = transformer.set_output(transform="pandas").transform(images())
    assert frame.columns.tolist() == names
    np.testing.assert_array_equal(frame, expected)


def test_frames_asked_of_all_transformers():
    layer = clone(LAYER).set_output(transform="pandas").fit(images())
    expected = PixelFeatures(FrozenEstimator(layer)).fit_transform(images())
    assert isinstance(expected, np.ndarray)
    with config_context(transform_output="pandas"):
        frame = PixelFeatures(FrozenEstimator(layer)).fit_transform(images())
    np.testing.assert_array_equal(frame, expected)
    assert list(frame.columns[:2]) == ["f0_r2", "f0_r4"]
    # The layer still gives what it was asked for.
    assert layer.transform(images()).columns[0] == "f0_y0_x0"


def test_scikit_learn_contract(frozen):
    transformer = PixelFeatures(LAYER, radius=[1, 3], layers=(1,))
    copied = clone(transformer)
    assert copied.radius == [1, 3]
    assert copied.layers == (1,)
    copied.set_params(encoder__n_filters=2, radius=1.0, layers=None)
    assert copied.fit_transform(images()).shape[1] == 2
    loaded = pickle.loads(pickle.dumps(copied))
    np.testing.assert_array_equal(loaded.transform(images()), copied.transform(images()))
    tags = get_tags(transformer)
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.two_d_array
    assert tags.requires_fit
    with pytest.raises(NotFittedError):
        transformer.transform(images())
    with pytest.raises(NotFittedError):
        transformer.get_feature_names_out()
    with pytest.raises(ValueError, match="input_features"):
        copied.get_feature_names_out(["x0"])
