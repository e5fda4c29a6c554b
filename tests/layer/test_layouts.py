"""Forms that images come in and maps go out, and the layer among scikit-learn's tools."""

import pickle

import numpy as np
import pandas as pd
import pytest
from reference.quick import QUICK
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skdeconv import DeconvNetLayer, SparseMaps, lam_min

SHAPES = {
    "signal": (24,),
    "grey": (6, 4),
    "one channel": (6, 4, 1),
    "colour": (4, 2, 3),
    "signal of channels": (1, 8, 3),
    "smaller than the filter": (2, 12),
}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def shape(request):
    return request.param


@pytest.fixture
def rows():
    return np.random.default_rng(0).standard_normal((12, 24))


def layer_of(shape=None, **options):
    return DeconvNetLayer(
        **QUICK | {"lam": 5.0, "inference_tol": 0.1, "image_shape": shape} | options
    )


def full(shape):
    """Height, width, channels."""
    return {1: (1, *shape, 1), 2: (*shape, 1), 3: shape}[len(shape)]


def layouts(rows, shape):
    stack = rows.reshape(-1, *shape)
    forms = {"rows": rows, "frame": pd.DataFrame(rows, columns=[f"c{i}" for i in range(24)])}
    if len(shape) > 1:
        objects = np.empty(len(stack), dtype=object)
        objects[:] = list(stack)
        forms |= {"stack": stack, "list": list(stack), "tuple": tuple(stack), "objects": objects}
        forms["nested lists"] = stack.tolist()
    return forms


def test_layouts_give_the_same_filters_and_codes(rows, shape):
    rows = rows[:6]
    height, width, n_channels = full(shape)
    h = 1 if height == 1 else 3
    expected = layer_of(shape).fit(rows)
    codes = expected.transform(rows)
    assert expected.filters_.shape == (2, h, 3, n_channels)
    assert codes.shape == (6, (height + h - 1) * (width + 2) * 2)
    for name, form in layouts(rows, shape).items():
        layer = layer_of(shape if name in ("rows", "frame") else None).fit(form)
        np.testing.assert_array_equal(layer.filters_, expected.filters_, err_msg=name)
        np.testing.assert_array_equal(layer.transform(form), codes, err_msg=name)
        drawn = layer.inverse_transform(codes)
        assert isinstance(drawn, list) == (name in ("list", "tuple", "objects", "nested lists"))
        assert np.shape(drawn) == (rows.shape if name in ("rows", "frame") else (6, *shape))
        assert layer.score(form) == pytest.approx(expected.score(rows))
        is_list = isinstance(drawn, list)
        assert hasattr(layer, "n_features_in_") != is_list
        assert hasattr(layer, "feature_names_in_") == (name == "frame")


def test_any_layout_may_follow_any_other(rows, shape):
    rows = rows[:6]
    expected = layer_of(shape).fit(rows)
    codes = expected.transform(rows)
    forms = layouts(rows, shape)
    forms["full"] = rows.reshape(-1, *full(shape))
    del forms["frame"]
    for seen in ("rows", *(name for name in ("stack", "list") if name in forms)):
        layer = layer_of(shape).fit(forms[seen])
        for name, form in forms.items():
            found = layer.transform(form)
            np.testing.assert_array_equal(found, codes, err_msg=f"{name} after {seen}")


def test_forms_of_codes_hold_the_same(rows, shape):
    layer = layer_of(shape).fit(rows)
    codes = layer.transform(rows)
    maps = layer.set_params(output="maps").transform(rows)
    sparse_maps = layer.set_params(sparse_output=True).transform(rows)
    sparse_rows = layer.set_params(output="rows").transform(rows)
    assert isinstance(sparse_maps, SparseMaps)
    assert isinstance(sparse_rows, csr_array)
    assert sparse_rows.indices.dtype == sparse_rows.indptr.dtype == np.int32
    np.testing.assert_array_equal(maps.reshape(12, -1), codes)
    np.testing.assert_array_equal(sparse_maps.to_dense(), maps)
    np.testing.assert_array_equal(sparse_rows.toarray(), codes)
    drawn = layer.inverse_transform(codes)
    for form in (maps, sparse_maps, sparse_rows):
        np.testing.assert_array_equal(layer.inverse_transform(form), drawn)
        np.testing.assert_array_equal(layer.to_maps(form), maps)
    assert not np.any(np.signbit(codes[codes == 0]))


def test_the_image_is_the_valid_convolution_of_the_maps(rows):
    layer = layer_of((6, 4)).fit(rows)
    maps = layer.to_maps(layer.transform(rows))
    drawn = np.zeros((12, 6, 4))
    for i, j, k, a, b in np.ndindex(6, 4, 2, 3, 3):
        drawn[:, i, j] += layer.filters_[k, a, b, 0] * maps[:, i + 2 - a, j + 2 - b, k]
    np.testing.assert_allclose(layer.inverse_transform(maps), drawn.reshape(12, 24), atol=1e-12)
    error = np.sum((drawn.reshape(12, 24) - rows) ** 2)
    variance = np.sum((rows - rows.mean(axis=1, keepdims=True)) ** 2)
    assert layer.score(rows) == pytest.approx(1 - error / variance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, np.float16, bool])
def test_floats_are_kept(rows, dtype):
    X = (3 * np.abs(rows)).astype(dtype)
    expected = dtype if dtype in (np.float32, np.float64) else np.float64
    layer = layer_of((6, 4), lam=0.5).fit(X)
    codes = layer.transform(X)
    assert layer.filters_.dtype == codes.dtype == layer.inverse_transform(codes).dtype == expected


def test_float32_agrees_with_float64(rows):
    layer = layer_of((6, 4), inference_tol=1e-5).fit(rows)
    low = layer.transform(rows.astype(np.float32))
    assert low.dtype == np.float32
    np.testing.assert_allclose(low, layer.transform(rows), atol=0.02)


def test_neighbours_do_not_matter(rows):
    layer = layer_of((6, 4)).fit(rows)
    codes = layer.transform(rows)
    order = np.random.default_rng(1).permutation(12)
    np.testing.assert_array_equal(layer.transform(rows[order]), codes[order])
    np.testing.assert_array_equal(layer.transform(rows[4:7]), codes[4:7])
    np.testing.assert_array_equal(layer.transform(rows[[3]]), codes[[3]])


def test_transform_changes_nothing(rows):
    layer = layer_of((6, 4)).fit(rows)
    before = pickle.dumps(vars(layer))
    layer.inverse_transform(layer.transform(rows.reshape(12, 6, 4)))
    layer.score(rows)
    assert pickle.dumps(vars(layer)) == before


@pytest.mark.parametrize("solver", ["coordinate_descent", "fista"])
def test_read_only_images_reach_the_workers(tmp_path, solver):
    # joblib maps what is larger than 1 MB into the workers' memory, and nobody may write there.
    X = np.random.default_rng(0).standard_normal((2, 370, 370))
    assert X[:1].nbytes > 2**20
    X.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", dtype=X.dtype, mode="r", shape=X.shape)
    layer = layer_of(
        lam=2 * lam_min(X, filter_size=3).max(),
        solver=solver,
        batch_size=None,
        max_iter=1,
    )
    expected = clone(layer).fit(X)
    found = clone(layer).set_params(n_jobs=2).fit(mapped)
    np.testing.assert_array_equal(found.filters_, expected.filters_)
    maps = found.set_params(output="maps", sparse_output=True).transform(mapped)
    rows = expected.set_params(sparse_output=True).transform(X)
    assert rows.nnz
    np.testing.assert_array_equal(np.concatenate([one.data for one in maps]), rows.data)


def test_clones_copies_and_refits_agree(rows, shape):
    layer = layer_of(shape).fit(rows)
    codes = layer.transform(rows)
    np.testing.assert_array_equal(clone(layer).fit(rows).transform(rows), codes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(layer)).transform(rows), codes)
    np.testing.assert_array_equal(clone(layer).fit_transform(rows), codes)
    np.testing.assert_array_equal(layer.fit(rows).transform(rows), codes)


def test_feature_names(rows):
    layer = layer_of((6, 4)).fit(rows)
    names = layer.get_feature_names_out()
    assert names.tolist()[:3] == ["f0_y0_x0", "f1_y0_x0", "f0_y0_x1"]
    assert names[-1] == "f1_y7_x5"
    assert len(names) == layer.transform(rows).shape[1]
    frame = layer.set_output(transform="pandas").transform(rows)
    assert frame.columns.tolist() == names.tolist()
    signals = layer_of().fit(rows)
    assert signals.get_feature_names_out()[-1] == "f1_y0_x25"


def test_lists_fix_the_channels_alone(rows):
    images = list(rows.reshape(12, 6, 4))
    layer = layer_of(output="maps").fit(images)
    other = [np.ones((9, 5)), np.zeros((9, 5))]
    maps = layer.transform(other)
    assert maps.shape == (2, 11, 7, 2)
    drawn = layer.inverse_transform(maps)
    assert [image.shape for image in drawn] == [(9, 5), (9, 5)]
    sparse = layer.set_params(sparse_output=True).transform(other)
    np.testing.assert_array_equal(layer.inverse_transform(sparse), drawn)
    with pytest.raises(ValueError, match=r"\(9, 5, 2\)"):
        layer.transform([np.ones((9, 5, 2))])


@pytest.mark.parametrize("width", [64, 192])
def test_rows_that_look_like_images_warn(width):
    X = np.random.default_rng(0).standard_normal((3, width))
    with pytest.warns(UserWarning, match="read as 1-D signals"):
        layer_of().fit(X)


def test_a_photo_without_a_sample_axis_warns():
    photo = np.random.default_rng(0).standard_normal((10, 64))
    with pytest.warns(UserWarning, match=r"a single image is X\[None\]"):
        assert layer_of().fit(photo).image_shape_ == (64,)
    assert layer_of().fit(photo[None]).image_shape_ == (10, 64)
    # Here the caller knows, or no image has so many pixels.
    assert layer_of((64,)).fit(photo).image_shape_ == (64,)
    assert layer_of().fit(photo[:, :63]).image_shape_ == (63,)


def test_constant_images_score_one_or_zero():
    X = np.ones((2, 6, 4))
    layer = layer_of(lam=0.4, max_iter=2, inference_tol=1e-3).fit(X)
    assert layer.score(X) == layer.score(X, y=[0, 1]) == 0.0
    assert layer.score(np.zeros((2, 6, 4))) == 1.0
    assert layer.score(np.full((3, 6, 4), 1.1)) == 0.0


@pytest.mark.parametrize("positive", [True, False])
def test_lam_min_by_brute_force(rows, shape, positive):
    layer = layer_of(shape).fit(rows)
    found = lam_min(rows, layer.filters_, positive=positive, image_shape=shape)
    height, width, n_channels = full(shape)
    images = rows.reshape(12, height, width, n_channels)
    h, w = layer.filters_.shape[1:3]
    margins = ((0, 0), (h - 1, h - 1), (w - 1, w - 1), (0, 0))
    padded = np.pad(images, margins)
    patches = np.stack(
        [
            padded[:, y : y + h, x : x + w].reshape(12, -1)
            for y in range(height + h - 1)
            for x in range(width + w - 1)
        ]
    )
    scores = patches @ layer.filters_.reshape(2, -1).T
    scores = scores if positive else np.abs(scores)
    np.testing.assert_allclose(found, 1 / scores.max(axis=(0, 2)))
    norms = np.linalg.norm(patches, axis=2).max(axis=0)
    np.testing.assert_allclose(lam_min(rows, filter_size=3, image_shape=shape), 1 / norms)


def test_pipelines_and_searches(rows):
    stack, labels = rows.reshape(12, 6, 4), np.arange(12) % 2
    layer = layer_of(sparse_output=True)
    model = make_pipeline(layer, LinearSVC(random_state=0)).fit(stack, labels)
    assert issparse(model[:-1].transform(stack))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(stack), model.predict(stack))
    grid = {"deconvnetlayer__lam": [2.0, 8.0], "deconvnetlayer__p": [0.5]}
    search = GridSearchCV(make_pipeline(layer_of(), LogisticRegression()), grid, cv=2)
    assert np.all(np.isfinite(search.fit(stack, labels).cv_results_["mean_test_score"]))
    sums = FunctionTransformer(lambda maps: np.abs(maps).sum(axis=(1, 2)))
    pooled = make_pipeline(layer_of(output="maps"), sums, LogisticRegression())
    grid = {"deconvnetlayer__n_filters": [1], "deconvnetlayer__filter_size": [2, (3, 2)]}
    search = GridSearchCV(pooled, grid, cv=2).fit(list(stack), labels)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert GridSearchCV(layer_of(), {"lam": [1.0, 9.0]}, cv=2).fit(stack).best_params_["lam"] == 9
    assert np.all(np.isfinite(cross_val_score(model, stack, labels, cv=2)))


def test_unions_and_columns(rows):
    layer = layer_of((6, 4)).fit(rows)
    codes = layer.transform(rows)
    both = FeatureUnion([("a", clone(layer)), ("b", clone(layer))]).fit_transform(rows)
    np.testing.assert_array_equal(both, np.hstack([codes, codes]))
    wide = np.hstack([rows, np.ones((12, 1))])
    columns = ColumnTransformer([("image", clone(layer), slice(0, 24))], remainder="passthrough")
    found = columns.fit_transform(wide)
    np.testing.assert_array_equal(found, np.hstack([codes, np.ones((12, 1))]))


def test_frozen_layers_are_not_refitted(rows):
    frozen = pytest.importorskip("sklearn.frozen").FrozenEstimator(layer_of((6, 4)).fit(rows))
    filters = frozen.estimator.filters_.copy()
    model = make_pipeline(frozen, LogisticRegression()).fit(rows[:6] + 1, np.arange(6) % 2)
    np.testing.assert_array_equal(model[0].estimator.filters_, filters)
