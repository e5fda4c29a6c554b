"""Scores at hidden pixels: which pixels are hidden, and what their score is, pixel by pixel."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import sklearn
from reference.images import Reading, images_of
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.model_selection import HeldOutPixels
from skdeconv.preprocessing import LocalContrastNormalizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {"filter_size": 3, "max_iter": 1, "random_state": 0}
NETS = {
    "layer": DeconvNetLayer(2, lam=8.0, **QUICK),
    "low frequency": DeconvNetLayer(2, lam=8.0, low_frequency=True, **QUICK),
    "hierarchy": HierarchicalDeconvNet((2, 3), lam=8.0, **QUICK),
    "adaptive": AdaptiveDeconvNet((2, 3), lam=8.0, **QUICK),
}
each_net = pytest.mark.parametrize("name", NETS)

GREY = images_of(9, 8, noise=0.1)
COLOUR = images_of(9, 8, 3, noise=0.1)
# Some pixels are missing in all channels and some in one, and one image lacks a channel.
MASKED = COLOUR.copy()
MASKED[:, 2:4, 1::3] = np.nan
MASKED[0, ::2, :, 1] = np.nan
MASKED[1, ..., 2] = np.nan
MIXED = [GREY[0], GREY[1][:6], GREY[2][:, 1:], GREY[3][:6]]


def seen_by(net, X, scorer, monkeypatch):
    """The score, and the images with hidden pixels that the net was given."""
    seen, inner = [], net._reconstructions

    def reconstructions(X):
        seen.extend(X[i] for i in range(len(X)))
        return inner(X)

    with monkeypatch.context() as patched:
        patched.setattr(net, "_reconstructions", reconstructions)
        score = scorer(net, X)
    return score, seen


def drawn_by(net, X):
    """Reconstructions by the public methods."""
    if isinstance(net, AdaptiveDeconvNet):
        return net.decode(net.encode(X))
    return net.inverse_transform(net.transform(X))


def score_by_loops(images, seen, drawn):
    """The score of images with channels, pixel by pixel."""
    error = variance = 0.0
    for image, known, reconstruction in zip(images, seen, drawn, strict=True):
        for channel in range(image.shape[2]):
            values = [v for v in image[..., channel].ravel() if not np.isnan(v)]
            for y, x in np.ndindex(image.shape[:2]):
                pixel = image[y, x, channel]
                if np.isnan(known[y, x, channel]) and not np.isnan(pixel):
                    error += (pixel - reconstruction[y, x, channel]) ** 2
                    variance += (pixel - sum(values) / len(values)) ** 2
    return 1 - error / variance


@each_net
@pytest.mark.parametrize("images", [GREY[..., None], COLOUR, MASKED], ids=["grey", "rgb", "masked"])
def test_the_score_pixel_by_pixel(name, images, monkeypatch):
    net = clone(NETS[name]).fit(images)
    score, seen = seen_by(net, images, HeldOutPixels(0.2), monkeypatch)
    drawn = drawn_by(net, np.stack(seen))
    assert score == pytest.approx(score_by_loops(images, seen, drawn), rel=1e-6)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
def test_which_pixels_are_hidden(fraction, monkeypatch):
    layer = clone(NETS["layer"]).fit(MASKED)
    scorer = HeldOutPixels(fraction)
    _, seen = seen_by(layer, MASKED, scorer, monkeypatch)
    _, again = seen_by(layer, MASKED, scorer, monkeypatch)
    _, other = seen_by(layer, MASKED, HeldOutPixels(fraction, random_state=1), monkeypatch)
    np.testing.assert_array_equal(again, seen)
    assert (np.isnan(other) != np.isnan(seen)).any()
    for image, known in zip(MASKED, seen, strict=True):
        np.testing.assert_array_equal(known, np.where(np.isnan(known), known, image))
        hidden = np.isnan(known).all(axis=2) & ~np.isnan(image).all(axis=2)
        np.testing.assert_array_equal(np.isnan(known), np.isnan(image) | hidden[..., None])
        n_known = np.sum(~np.isnan(image).all(axis=2))
        assert hidden.sum() == min(max(1, round(fraction * n_known)), n_known - 1)
    masks = np.isnan(seen).reshape(len(seen), -1)
    assert len(np.unique(masks, axis=0)) == len(masks)


def test_images_keep_a_known_pixel():
    layer = clone(NETS["layer"]).fit(GREY)
    images = np.full_like(GREY, np.nan)
    images[:, 4, 4] = GREY[:, 4, 4]
    with pytest.raises(ValueError, match="X has no pixel to hide: each image has a single known"):
        HeldOutPixels(0.9)(layer, images)
    images[0, 5, 5] = 1.0
    assert HeldOutPixels(0.1)(layer, images) <= 1


@pytest.mark.parametrize("name", ["layer", "low frequency", "adaptive"])
def test_every_layout_has_the_same_score(name):
    net, scorer = NETS[name], HeldOutPixels(0.2)
    stack = MASKED[..., 0]
    expected = scorer(clone(net).fit(stack), stack)
    rows = stack.reshape(len(stack), -1)
    frame = pd.DataFrame(rows, columns=[f"p{i}" for i in range(rows.shape[1])])
    for X in (rows, frame, list(stack), Reading(stack), stack[..., None]):
        shape = (9, 8) if X is rows or X is frame else None
        fitted = clone(net).set_params(image_shape=shape).fit(X)
        assert scorer(fitted, X) == pytest.approx(expected, rel=1e-6)
    signals = rows[:, :20]
    layer = clone(NETS["layer"]).fit(signals)
    assert scorer(layer, signals) == pytest.approx(scorer(layer, signals[:, None, :]), rel=1e-6)


@each_net
def test_images_of_different_sizes(name, monkeypatch):
    net = clone(NETS[name]).set_params(output="rows").fit(MIXED)
    score, seen = seen_by(net, MIXED, HeldOutPixels(0.2), monkeypatch)
    drawn = [np.concatenate([one for _, one in net._reconstructions([image])]) for image in seen]
    drawn = [one[0].transpose(1, 2, 0) for one in drawn]
    images = [image[..., None] for image in MIXED]
    assert score == pytest.approx(score_by_loops(images, seen, drawn), rel=1e-6)
    assert HeldOutPixels(0.2)(net, Reading(MIXED)) == score


@pytest.mark.parametrize("name", ["layer", "adaptive"])
def test_images_are_read_a_portion_at_a_time(name, monkeypatch):
    images = np.tile(GREY, (5, 1, 1))
    net = clone(NETS[name]).fit(images)
    expected = HeldOutPixels()(net, images)
    monkeypatch.setattr("skdeconv.layouts._collection._PIXELS", 2 * GREY[0].size)
    monkeypatch.setattr("skdeconv.inference._coding._CHUNK", 1)
    reading = Reading(images)
    assert HeldOutPixels()(net, reading) == pytest.approx(expected)
    assert reading.alive == 0
    assert reading.most <= 4


def test_photos_stay_as_they_are():
    images = np.asarray(GREY, dtype=np.float32)
    layer, before = clone(NETS["layer"]).fit(images), images.copy()
    HeldOutPixels(0.5)(layer, images)
    np.testing.assert_array_equal(images, before)
    photos = (np.abs(GREY) * 100).astype(np.uint8)
    scores = [HeldOutPixels()(layer, one) for one in (photos, photos.astype(np.float64))]
    assert scores[0] == scores[1]


@each_net
def test_the_form_of_the_output_has_no_effect(name):
    net, images = clone(NETS[name]).fit(GREY), GREY
    expected = HeldOutPixels()(net, images)
    for output, sparse in (("rows", True), ("maps", False), ("maps", True)):
        if name != "low frequency" or output == "rows":
            net.set_params(output=output, sparse_output=sparse)
            assert HeldOutPixels()(net, images) == expected
    net.set_params(output="rows", sparse_output=False)
    for frames in ("pandas", "polars"):
        with sklearn.config_context(transform_output=frames):
            assert HeldOutPixels()(net, images) == expected
    if name == "adaptive":
        assert HeldOutPixels()(net.set_params(layer=-1), images) == expected


def test_pixels_are_hidden_after_the_steps_of_a_pipeline():
    normalizer, layer, scorer = LocalContrastNormalizer(), NETS["layer"], HeldOutPixels(0.2)
    for X in (GREY, MIXED):
        pipeline = make_pipeline(normalizer, clone(layer)).fit(X)
        normalised = clone(normalizer).fit_transform(X)
        expected = scorer(pipeline[-1], normalised)
        assert scorer(pipeline, X) == expected
        assert expected != scorer(clone(layer).fit(X), X)
        for wrapped in (
            FrozenEstimator(pipeline),
            make_pipeline("passthrough", pipeline),
            make_pipeline(pipeline),
            make_pipeline(pipeline, "passthrough", None),
            make_pipeline(pipeline[:-1], FrozenEstimator(pipeline[-1])),
        ):
            assert scorer(wrapped, X) == expected


def test_pipelines_of_data_frames():
    rows = GREY.reshape(len(GREY), -1)
    frame = pd.DataFrame(rows, columns=[f"p{i}" for i in range(rows.shape[1])])
    normalizer = LocalContrastNormalizer(image_shape=(9, 8))
    pipeline = make_pipeline(normalizer, clone(NETS["layer"]).set_params(image_shape=(9, 8)))
    expected = HeldOutPixels()(clone(pipeline).fit(rows), rows)
    with sklearn.config_context(transform_output="pandas"):
        assert HeldOutPixels()(pipeline.fit(frame), frame) == pytest.approx(expected, rel=1e-6)
    with pytest.raises(ValueError, match="feature names"):
        HeldOutPixels()(pipeline[-1], frame.rename(columns={"p0": "other"}))


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_constant_images(value):
    layer = clone(NETS["layer"]).fit(GREY)
    assert HeldOutPixels()(layer, np.full((2, 9, 8), value)) == float(value == 0)


@pytest.mark.parametrize(
    ("estimator", "kind"),
    [
        (OnePassEncoder(NETS["layer"]), "OnePassEncoder"),
        (LocalContrastNormalizer(), "LocalContrastNormalizer"),
        (LogisticRegression(), "LogisticRegression"),
        (make_pipeline(NETS["layer"], LogisticRegression()), "LogisticRegression"),
        (make_pipeline("passthrough"), "str"),
    ],
)
def test_estimators_that_do_not_reconstruct(estimator, kind):
    message = f"HeldOutPixels scores a DeconvNetLayer.* got {kind}, which does not reconstruct"
    with pytest.raises(TypeError, match=message):
        HeldOutPixels()(estimator, GREY)


def test_searches_without_a_net():
    search = GridSearchCV(NETS["layer"], {"lam": [2.0, 5.0]}, scoring=HeldOutPixels(), cv=2)
    with pytest.raises(NotFittedError, match="This GridSearchCV instance is not fitted yet"):
        HeldOutPixels()(search, GREY)
    search.set_params(refit=False).fit(GREY)
    with pytest.raises(TypeError, match="a GridSearchCV with refit=False keeps none"):
        HeldOutPixels()(search, GREY)


def test_faults_of_estimator_and_images():
    with pytest.raises(NotFittedError):
        HeldOutPixels()(NETS["layer"], GREY)
    layer = clone(NETS["layer"]).fit(GREY)
    for X, message in (
        (COLOUR, "3"),
        (np.full_like(GREY, np.nan), "no known pixel"),
        (np.where(GREY > 0, np.inf, GREY), "infinity"),
    ):
        with pytest.raises(ValueError, match=message):
            HeldOutPixels()(layer, X)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"fraction": 0}, ValueError, "fraction == 0, must be > 0"),
        ({"fraction": 1.0}, ValueError, "fraction == 1.0, must be < 1"),
        ({"fraction": np.nan}, ValueError, "fraction must be a finite number"),
        ({"fraction": "0.1"}, TypeError, "fraction must be a finite number, got '0.1'"),
        ({"fraction": True}, TypeError, "fraction must be a finite number, got True"),
        ({"random_state": None}, TypeError, "random_state must be an integer, got None"),
        ({"random_state": np.random.RandomState(0)}, TypeError, "random_state must be an integer"),
        ({"random_state": -1}, ValueError, "random_state == -1, must be >= 0"),
        ({"random_state": 2**32}, ValueError, "random_state == 4294967296, must be <= 4294967295"),
    ],
)
def test_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        HeldOutPixels(**parameters)


def test_scorers_are_values():
    scorer = HeldOutPixels(0.25, random_state=3)
    assert repr(scorer) == "HeldOutPixels(fraction=0.25, random_state=3)"
    assert eval(repr(scorer)) == scorer == deepcopy(scorer)
    assert hash(scorer) == hash(deepcopy(scorer))
    assert scorer != HeldOutPixels(0.25)
    with pytest.raises(AttributeError):
        scorer.fraction = 0.5
    with pytest.raises(TypeError, match="positional"):
        HeldOutPixels(0.25, 3)
