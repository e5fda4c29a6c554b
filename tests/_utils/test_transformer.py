"""Data frames of rows alone: maps and images keep the index of pandas, and are never frames."""

import numpy as np
import pandas as pd
import pytest
from reference.quick import QUICK, QUICK_NET
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC

from skdeconv import (
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
    SparseMaps,
)
from skdeconv.features import BagOfFeatures, PixelFeatures, SpatialPyramid
from skdeconv.preprocessing import LocalContrastNormalizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((6, 12, 12))
MIXED = [*X[:5], X[5, :9]]
Y = np.arange(6) % 2
LAYER = DeconvNetLayer(**QUICK | {"lam": 8.0})
BAG = BagOfFeatures(3, patch_size=4, step=4, random_state=0)
POOLED = {
    "layer": make_pipeline(
        LocalContrastNormalizer(), clone(LAYER).set_params(output="maps"), SpatialPyramid()
    ),
    "sparse": make_pipeline(
        clone(LAYER).set_params(output="maps", sparse_output=True), SpatialPyramid()
    ),
    "low frequency": make_pipeline(
        clone(LAYER).set_params(output="maps", low_frequency=True), SpatialPyramid()
    ),
    "net": make_pipeline(
        HierarchicalDeconvNet(**QUICK_NET | {"lam": 8.0}, output="maps"), SpatialPyramid()
    ),
    "adaptive": make_pipeline(
        AdaptiveDeconvNet(**QUICK_NET | {"lam": 8.0}, output="maps"), SpatialPyramid()
    ),
    "one pass": make_pipeline(OnePassEncoder(LAYER), SpatialPyramid()),
    "words": make_pipeline(OnePassEncoder(LAYER), BAG),
}
KINDS = ["pandas", "polars"]


def frame_of(kind):
    return pytest.importorskip(kind).DataFrame


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("images", [X, MIXED], ids=["stack", "list"])
@pytest.mark.parametrize("name", POOLED)
def test_pipelines_of_maps(name, images, kind):
    frame, pipeline = frame_of(kind), POOLED[name]
    expected = clone(pipeline).fit_transform(images)
    with config_context(transform_output=kind):
        pooled = clone(pipeline).fit_transform(images)
        model = make_pipeline(clone(pipeline), LinearSVC(random_state=0)).fit(images, Y)
        assert model.predict(images).shape == (6,)
    of_pipeline = clone(pipeline).set_output(transform=kind).fit_transform(images)
    for result in (pooled, of_pipeline):
        assert isinstance(result, frame)
        np.testing.assert_array_equal(result.to_numpy(), expected)
        assert list(result.columns) == list(clone(pipeline).fit(images).get_feature_names_out())


@pytest.mark.parametrize("kind", KINDS)
def test_rows_become_frames_and_maps_do_not(kind):
    frame, layer = frame_of(kind), clone(LAYER).set_output(transform=kind)
    rows = layer.fit_transform(X)
    assert isinstance(rows, frame)
    assert list(rows.columns) == list(layer.get_feature_names_out())
    for options, form in ({"output": "maps"}, np.ndarray), ({"sparse_output": True}, SparseMaps):
        layer.set_params(**options)
        assert isinstance(layer.fit_transform(X), form)
    normalizer = LocalContrastNormalizer(image_shape=(12, 12)).set_output(transform=kind)
    assert isinstance(normalizer.fit_transform(X), np.ndarray)
    assert isinstance(normalizer.fit_transform(X.reshape(6, -1)), frame)
    normalizer.set_params(image_shape=None)
    assert isinstance(normalizer.fit_transform(MIXED), list)
    encoder = OnePassEncoder(LAYER).set_output(transform=kind)
    assert isinstance(encoder.fit_transform(X), np.ndarray)
    assert isinstance(encoder.set_params(output="rows").fit_transform(X), frame)


def test_the_index_is_kept():
    series = pd.Series(list(X), index=list("fedcba"))
    rows = clone(LAYER).set_output(transform="pandas").fit_transform(series)
    assert list(rows.index) == list("fedcba")
    pixels = PixelFeatures(LAYER).set_output(transform="pandas").fit_transform(series)
    assert list(pixels.index) == list(range(X.size))
    one = PixelFeatures(LAYER).set_output(transform="pandas").fit(series)
    assert list(one.transform(series[:1]).index) == list(range(144))


FORMS = {"dense": {}, "sparse": {"sparse_output": True}, "low frequency": {"low_frequency": True}}


@pytest.mark.parametrize("images", [X, MIXED], ids=["equal", "mixed"])
@pytest.mark.parametrize("form", FORMS)
def test_rows_of_maps_keep_the_index(form, images):
    layer = clone(LAYER).set_params(output="maps", **FORMS[form])
    pooled = make_pipeline(layer, SpatialPyramid())
    expected = clone(pooled).fit_transform(list(images))
    frame = pd.DataFrame({"image": list(images), "age": np.arange(6.0)}, index=list("fcadbe"))
    columns = ColumnTransformer([("im", pooled, ["image"]), ("num", "passthrough", ["age"])])
    with config_context(transform_output="pandas"):
        joined = columns.fit_transform(frame)
        of_series = clone(pooled).fit_transform(frame["image"])
        some = columns.transform(frame.iloc[[3, 1]])
    np.testing.assert_array_equal(joined.to_numpy()[:, :-1], expected)
    np.testing.assert_array_equal(joined["num__age"], frame["age"])
    assert list(joined.index) == list(of_series.index) == list(frame.index)
    np.testing.assert_allclose(some, joined.iloc[[3, 1]], atol=1e-6)
    assert list(some.index) == ["d", "c"]


def test_maps_of_a_series_are_a_series():
    series = pd.Series(list(X), index=list("fedcba"))
    layer = clone(LAYER).set_params(output="maps").set_output(transform="pandas").fit(series)
    maps, expected = layer.transform(series), clone(layer).set_output(transform="default")
    expected = expected.fit(X).transform(X)
    assert isinstance(maps, pd.Series)
    assert list(maps.index) == list("fedcba")
    np.testing.assert_array_equal(np.stack(maps.to_list()), expected)
    np.testing.assert_allclose(
        np.stack(layer.inverse_transform(maps)), layer.inverse_transform(expected)
    )
    np.testing.assert_array_equal(np.stack(layer.to_maps(maps)), expected)
    sparse = layer.set_params(sparse_output=True).transform(series)
    assert list(sparse.index) == list("fedcba")
    assert list(sparse[[4, 0]].index) == list("bf")
    assert layer.transform(X).index is None
    with pytest.raises(ValueError, match="maps and index must have the same length"):
        SparseMaps(sparse.maps, sparse.map_shapes, index=sparse.index[:2])


def test_images_of_a_series_are_a_series():
    normalizer = LocalContrastNormalizer().set_output(transform="pandas")
    series = pd.Series(list(X), index=list("fedcba"))
    images = normalizer.fit_transform(series)
    assert list(images.index) == list("fedcba")
    np.testing.assert_array_equal(np.stack(images.to_list()), normalizer.transform(X))


def test_set_output_is_kept_and_undone():
    layer = clone(LAYER).set_output(transform="pandas")
    assert layer.set_output() is layer
    assert isinstance(clone(layer).fit_transform(X), pd.DataFrame)
    assert isinstance(layer.set_output(transform="default").fit_transform(X), np.ndarray)
    with config_context(transform_output="pandas"):
        assert isinstance(layer.transform(X), np.ndarray)
    with pytest.raises(ValueError, match="arrow"):
        layer.set_output(transform="arrow").transform(X)


def test_sparse_rows_are_refused_as_by_scikit_learn():
    layer = clone(LAYER).set_params(sparse_output=True).set_output(transform="pandas")
    with pytest.raises(ValueError, match="disable Pandas output"):
        layer.fit(X).transform(X)


def test_own_calls_do_not_depend_on_the_configuration():
    union = make_union(clone(LAYER), OnePassEncoder(LAYER, output="rows"))
    expected, pixels = union.fit_transform(X), PixelFeatures(LAYER).fit_transform(X)
    with config_context(transform_output="pandas"):
        np.testing.assert_array_equal(union.fit_transform(X).to_numpy(), expected)
        np.testing.assert_array_equal(PixelFeatures(LAYER).fit_transform(X).to_numpy(), pixels)
        layer = clone(LAYER).fit(X)
        assert layer.inverse_transform(layer.transform(X)).shape == X.shape
        assert layer.score(X) == clone(LAYER).fit(X).score(X)


class Scaled(PixelFeatures):
    """A subclass whose ``transform`` takes more arguments."""

    def transform(self, X, factor=1, *, offset=0):
        return factor * super().transform(X) + offset


def test_subclasses_may_take_more_arguments():
    features = Scaled(LAYER).fit(X)
    expected = 3 * PixelFeatures(LAYER).fit(X).transform(X) + 2
    np.testing.assert_array_equal(features.transform(X, 3, offset=2), expected)
