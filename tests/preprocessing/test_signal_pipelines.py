"""AsSignals as a transformer: checks, inverse, names, and pipelines on signals."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference.contract import parameters_of, run_with_the_array_api
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.features import SpatialPyramid
from skdeconv.preprocessing import AsSignals, LocalContrastNormalizer

RNG = np.random.default_rng(0)
ROWS, FIRST = RNG.standard_normal((4, 30)), RNG.standard_normal((4, 3, 30))
LAST = FIRST.swapaxes(1, 2)
QUICK = {"lam": 5.0, "max_iter": 1, "random_state": 0}


# The transformer


@pytest.mark.parametrize(("estimator", "check"), parameters_of([AsSignals()]))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_scikit_learn_checks_with_the_array_api():
    run_with_the_array_api(AsSignals(), "array_api")


@pytest.mark.parametrize(
    ("X", "channels"), [(ROWS, None), (FIRST, "first"), (LAST, "last"), (LAST[:, :, :1], "last")]
)
def test_inverse(X, channels):
    reader = AsSignals(channels)
    images = reader.transform(X)
    back = reader.inverse_transform(images)
    assert_array_equal(back, X)
    assert np.shares_memory(back, X)
    listed = reader.inverse_transform(list(images))
    assert isinstance(listed, list)
    assert_array_equal(np.stack(listed), X)
    ragged = [X[0], X[1][..., :5] if channels != "last" else X[1][:5]]
    for one, other in zip(reader.inverse_transform(reader.transform(ragged)), ragged, strict=True):
        assert_array_equal(one, other)


def test_faulty_inverse():
    for X in (FIRST, RNG.random((4, 2, 30, 1)), [FIRST[0]]):
        with pytest.raises(
            ValueError, match=r"X must hold images of shape \(1, length, n_channels"
        ):
            AsSignals("first").inverse_transform(X)
    with pytest.raises(ValueError, match="one channel, but X has 3"):
        AsSignals().inverse_transform(LAST[:, None])


def test_fit_records_the_shape():
    reader = AsSignals("first").fit(FIRST)
    assert reader.image_shape_ == (1, 30, 3)
    names = reader.get_feature_names_out()
    assert names.dtype == object
    assert names[[0, 1, 3, -1]].tolist() == ["x0_c0", "x0_c1", "x1_c0", "x29_c2"]
    assert AsSignals().fit(ROWS).get_feature_names_out().tolist() == [f"x{i}" for i in range(30)]
    assert reader.fit(list(FIRST)).image_shape_ == (1, 30, 3)
    assert reader.fit([FIRST[0], FIRST[1, :, :9]]).image_shape_ == (1, None, 3)
    with pytest.raises(ValueError, match="different lengths"):
        reader.get_feature_names_out()
    with pytest.raises(ValueError, match="X is empty"):
        reader.fit([])
    assert reader.image_shape_ == (1, None, 3)
    with pytest.raises(NotFittedError):
        AsSignals().get_feature_names_out()


def test_copies():
    reader = AsSignals("last").fit(LAST)
    assert pickle.loads(pickle.dumps(reader)).image_shape_ == (1, 30, 3)
    assert clone(reader).get_params() == {"channels": "last"}
    assert not hasattr(clone(reader), "image_shape_")


# Pipelines


def recordings(n=12, length=40):
    """Recordings of two channels, (n, 2, length), and labels: whether both channels are equal."""
    X, y = np.random.default_rng(1).standard_normal((n, 2, length)), np.arange(n) % 2
    X[y == 1, 1] = X[y == 1, 0]
    return X, y


def model_of(encoder, channels="first"):
    return make_pipeline(AsSignals(channels), encoder, SpatialPyramid((1, 2)), RidgeClassifier())


ENCODERS = {
    "layer": DeconvNetLayer(3, 7, **QUICK, output="maps"),
    "hierarchy": HierarchicalDeconvNet((3, 2), (7, 4), **QUICK, inference="greedy", output="maps"),
    "adaptive": AdaptiveDeconvNet(
        (3, 2), (7, 4), pooling=(1, 3, 1), n_inference_steps=2, **QUICK, output="maps"
    ),
    "one pass": OnePassEncoder(DeconvNetLayer(3, 7, **QUICK)),
    "normalized": make_pipeline(LocalContrastNormalizer(), OnePassEncoder(DeconvNetLayer(**QUICK))),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ENCODERS)
def test_pipelines(name):
    X, y = recordings()
    first = model_of(ENCODERS[name]).fit(X, y)
    last = model_of(ENCODERS[name], "last").fit(X.swapaxes(1, 2), y)
    by_hand = clone(first[1:]).fit(X.swapaxes(1, 2)[:, None], y)
    expected = by_hand[:-1].transform(X.swapaxes(1, 2)[:, None])
    assert_array_equal(first[:-1].transform(X), expected)
    assert_array_equal(last[:-1].transform(X.swapaxes(1, 2)), expected)
    assert_array_equal(pickle.loads(pickle.dumps(first))[:-1].transform(X), expected)
    # Recordings of other lengths, after a fit on a list of equal ones.
    listed = clone(first).fit(list(X), y)
    assert listed.predict([X[0], X[1, :, :30]]).shape == (2,)


def test_names_and_images_of_a_pipeline():
    X, y = recordings()
    model = model_of(ENCODERS["layer"]).fit(X, y)
    names = model[:-1].get_feature_names_out()
    assert names[[0, 3, -1]].tolist() == ["f0_l1_y0_x0", "f0_l2_y0_x0", "f2_l2_y0_x1"]
    layer = model[:2]
    drawn = layer.inverse_transform(layer.transform(X))
    assert drawn.shape == X.shape
    assert_array_equal(drawn, model[1].inverse_transform(layer.transform(X))[:, 0].swapaxes(1, 2))


def test_folds_of_recordings_of_different_lengths():
    X, y = recordings()
    # All lengths are equal in two of three folds to train on, and differ in the one to test.
    mixed = [one[:, :30] if i == 3 else one for i, one in enumerate(X)]
    model = model_of(ENCODERS["one pass"])
    scores = cross_val_score(model, mixed, y, cv=KFold(3), error_score="raise")
    assert len(scores) == 3


def test_grids():
    X, y = recordings()
    grid = {"deconvnetlayer__filter_size": [5, (1, 6)], "assignals__channels": ["first"]}
    model = model_of(ENCODERS["layer"], channels=None)
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert search.predict(X).shape == (12,)
