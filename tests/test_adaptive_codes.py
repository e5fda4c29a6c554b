"""Codes of an adaptive network: layouts, optima, what they draw, and scikit-learn's tools."""

import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from reference.adaptive import costs_of, dense_maps, draw
from reference.images import images_of
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, SparseMaps
from skdeconv.operators import compose

OPTIONS = {
    "filter_size": 3, "pooling": (2, 2, 2), "lam": 4.0, "n_inference_steps": 5, "max_iter": 1,
    "random_state": 0,
}  # fmt: skip


def net_of(*n_filters, **options):
    return AdaptiveDeconvNet(n_filters, **OPTIONS | options)


@pytest.fixture(scope="module")
def images():
    return images_of(12, 11)


@pytest.fixture(scope="module")
def net(images):
    return net_of(4, 3, 5, pooling=((2, 2, 2), (2, 1, 1), None), lam=(4.0, 5.0, 6.0)).fit(images)


def cut(net, depth):
    """The net of the lowest layers."""
    result = deepcopy(net)
    for name, value in net.get_params(deep=False).items():
        if isinstance(value, tuple) and len(value) == len(net.filters_):
            setattr(result, name, value[:depth])
    result.filters_, result.pooling_ = net.filters_[:depth], net.pooling_[:depth]
    return result


def assert_unit_norms(net):
    for filters in net.filters_:
        norms = np.linalg.norm(filters.reshape(len(filters), -1), axis=1)
        np.testing.assert_allclose(norms, 1, rtol=1e-6)


def assert_same_fit(found, expected):
    for one, other in zip(found.filters_, expected.filters_, strict=True):
        np.testing.assert_array_equal(one, other)


def dense(code):
    return [maps.to_dense() for maps in code.maps]


def assert_same_codes(found, expected):
    for one, other in zip(dense(found), dense(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(found.switches, expected.switches, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(12, 11), (9, 8, 2), (40,)], ids=str)
@pytest.mark.parametrize(
    ("inference", "n_steps"), [("fista", 1000), ("ista", 1500), ("coordinate_descent", 200)]
)
def test_one_layer_without_pooling_has_the_optimum_of_a_layer(inference, n_steps, shape):
    X = images_of(*shape)
    layer = DeconvNetLayer(3, 3, lam=3.0, max_iter=2, random_state=0, inference_tol=1e-6)
    layer.set_params(inference_max_iter=2000).fit(X)
    options = {"pooling": None, "lam": 3.0, "inference": inference}
    net = net_of(3, **options).fit(X)
    net.filters_ = [layer.filters_]
    net.set_params(n_inference_steps=n_steps)
    codes, expected = net.transform(X), layer.transform(X)
    assert codes.shape == expected.shape
    drawn = [layer.inverse_transform(one).reshape(4, -1) for one in (codes, expected)]
    np.testing.assert_allclose(net.inverse_transform(codes).reshape(4, -1), drawn[0], atol=1e-12)
    flat = X.reshape(4, -1)
    found, wanted = (
        1.5 * np.sum((flat - one) ** 2, axis=1) + np.abs(code).sum(axis=1)
        for one, code in zip(drawn, (codes, expected), strict=True)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-3)
    assert (found >= wanted * (1 - 1e-5)).all()


@pytest.mark.parametrize("inference", ["fista", "ista", "coordinate_descent"])
def test_more_steps_cost_less(inference, net, images):
    costs = []
    for n_steps in (1, 3, 50):
        one = deepcopy(net).set_params(inference=inference, n_inference_steps=n_steps)
        costs.append(costs_of(one, one.encode(images), images, 1, 4.0))
    empty = 2.0 * np.sum(images**2, axis=(1, 2))
    assert (costs[0] < empty).all()
    assert (costs[1] <= costs[0] * (1 + 1e-9)).all()
    assert costs[2].sum() < costs[0].sum()


def test_momentum_and_longer_steps_get_further(net, images):
    def total(**options):
        one = deepcopy(net).set_params(**options)
        return costs_of(one, one.encode(images), images, 1, 4.0).sum()

    small = total(inference="ista", beta=0.01)
    assert total(inference="fista") < total(inference="ista") < small
    assert total(inference="ista", beta=(0.01, None, None)) == small
    # Coordinate descent leaves the layers from the third on to steps.
    mixed = deepcopy(net).set_params(inference=("fista", "fista", "coordinate_descent"))
    assert_same_codes(mixed.encode(images), net.encode(images))
    for layer in (0, 1):
        inference = ["fista"] * 3
        inference[layer] = "coordinate_descent"
        codes = dense(deepcopy(net).set_params(inference=tuple(inference)).encode(images))
        same = [np.array_equal(a, b) for a, b in zip(codes, dense(net.encode(images)), strict=True)]
        assert same[: layer + 1] == [True] * layer + [False]


def test_images_are_coded_each_on_its_own(net, images):
    code, codes = net.encode(images), net.transform(images)
    assert_same_codes(net.encode(images), code)
    for i in range(4):
        assert_same_codes(net.encode(images[[i]]), code[i])
        np.testing.assert_array_equal(net.transform(images[[i]]), codes[[i]])
    order = [3, 1, 0, 2, 3, 1]
    assert_same_codes(net.encode(images[order]), code[order])
    assert_same_codes(deepcopy(net).set_params(n_jobs=2).encode(images), code)


def test_lower_layers_are_held_while_higher_ones_are_inferred(net, images):
    code = net.encode(images)
    for depth in (1, 2):
        part = cut(net, depth)
        assert_same_codes(part.encode(images), code[:, :depth])
        rows = part.set_params(output="top").transform(images)
        np.testing.assert_array_equal(
            rows.reshape(dense(code)[depth - 1].shape), dense(code)[depth - 1]
        )


def test_transform_is_what_the_top_draws_in_the_first_layer(net, images):
    for depth in (1, 2, 3):
        part = cut(net, depth)
        code, maps = part.encode(images), part.transform(images).reshape(4, 14, 13, 4)
        for i in range(4):
            expected = draw(part, code, i, depth, to="layer1")
            assert expected.any()
            np.testing.assert_allclose(maps[i], expected, atol=1e-12)
            places = (maps[i] != 0) & (np.abs(expected) < 1e-15)
            assert not places.any()
        drawn = part.inverse_transform(part.transform(images))
        np.testing.assert_allclose(drawn, part.decode(code), atol=1e-12)
        assert drawn.shape == images.shape


@pytest.mark.parametrize("pooling", [(2, 2, 2), ((2, 2, 2), None)], ids=str)
def test_the_top_needs_the_switches_below(pooling, images):
    net = net_of(3, 4, pooling=pooling, output="top").fit(images)
    codes, code = net.transform(images), net.encode(images)
    for i in range(4):
        maps = dense_maps(code, i, 2).transpose(1, 2, 0)
        np.testing.assert_array_equal(codes[i].reshape(maps.shape), maps)
    assert not hasattr(net, "inverse_transform")
    with pytest.raises(AttributeError, match="inverse_transform") as caught:
        net.inverse_transform(codes)
    assert "decode(encode(X))" in str(caught.value.__cause__)
    assert hasattr(net.set_params(output="layer1"), "inverse_transform")


@pytest.mark.parametrize("pooling", [(None, None), (None, (2, 2, 2)), ((1, 1, 1), (3, 3, 1))])
@pytest.mark.parametrize("form", [np.array, list], ids=["stack", "list"])
def test_the_top_draws_alone_where_nothing_is_pooled_below(pooling, form):
    X = images_of(9, 8, 2)
    net = net_of(3, 4, filter_size=((3, 2), 3), pooling=pooling, output="top", layout="maps")
    codes = net.fit(form(X)).transform(form(X))
    assert codes.shape == (4, 13, 11, 4)
    drawn = net.inverse_transform(codes)
    assert isinstance(drawn, list) == (form is list)
    np.testing.assert_allclose(drawn, net.decode(net.encode(form(X))), atol=1e-12)
    first, second = (one.transpose(0, 3, 1, 2) for one in net.filters_)
    layer = DeconvNetLayer(4, (5, 4), max_iter=1, lam=9.0).fit(X)
    layer.filters_ = compose(second, first).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(drawn, layer.inverse_transform(codes), atol=1e-12)


@pytest.mark.parametrize("output", ["layer1", "top"])
def test_forms_of_codes_hold_the_same(output, net, images):
    net = deepcopy(net).set_params(output=output)
    rows = net.transform(images)
    maps = net.set_params(layout="maps").transform(images)
    sparse_maps = net.set_params(sparse_output=True).transform(images)
    sparse_rows = net.set_params(layout="rows").transform(images)
    assert [type(one) for one in (sparse_maps, sparse_rows)] == [SparseMaps, csr_array]
    shape = (14, 13, 4) if output == "layer1" else (7, 11, 5)
    assert maps.shape == (4, *shape)
    np.testing.assert_array_equal(rows, maps.reshape(4, -1))
    np.testing.assert_array_equal(sparse_maps.to_dense(), maps)
    np.testing.assert_array_equal(sparse_rows.toarray(), rows)
    assert sparse_rows.indices.dtype == np.int32
    assert np.count_nonzero(sparse_rows.data) == sparse_rows.nnz
    drawn = []
    for form in (rows, maps, sparse_maps, sparse_rows):
        np.testing.assert_array_equal(net.to_maps(form), maps)
        if output == "layer1":
            drawn.append(net.inverse_transform(form))
            np.testing.assert_array_equal(drawn[-1], drawn[0])


@pytest.mark.parametrize("output", ["layer1", "top"])
@pytest.mark.parametrize("shape", [(9, 8, 2), (30,)], ids=str)
def test_feature_names_say_which_coefficient_a_column_is(output, shape):
    X = images_of(*shape)
    net = net_of(2, 3, pooling=(1 if len(shape) == 1 else 2, 2, 2), output=output).fit(X)
    names = net.get_feature_names_out()
    assert len(names) == len(set(names)) == net.transform(X).shape[1]
    for column in (0, 1, len(names) // 2, len(names) - 1):
        k, y, x = (int(word[1:]) for word in names[column].split("_"))
        maps = net.to_maps(np.eye(1, len(names), column))
        assert maps[0, y, x, k] == 1
        assert np.count_nonzero(maps) == 1


def test_the_score_is_the_share_of_variance():
    for shape in ((10, 9), (8, 7, 2), (40,)):
        X = images_of(*shape) + 0.3
        net = net_of(2, 3, pooling=(1 if len(shape) == 1 else 2, 2, 1), lam=9.0).fit(X)
        drawn = np.asarray(net.decode(net.encode(X)))
        mean = X.mean(axis=tuple(range(1, min(X.ndim, 3))), keepdims=True)
        expected = 1 - np.sum((X - drawn) ** 2) / np.sum((X - mean) ** 2)
        for output in ("layer1", "top"):
            assert net.set_params(output=output).score(X) == pytest.approx(expected)
    assert net.score(np.ones((2, 40))) == 0


def test_nets_of_lists_code_images_of_any_size(images):
    net = net_of(3, 4, layout="maps").fit(list(images))
    other = list(images_of(7, 15, n_samples=2))
    codes, code = net.transform(other), net.encode(other)
    assert codes.shape == (2, 9, 17, 3)
    drawn = net.inverse_transform(codes)
    assert [one.shape for one in drawn] == [(7, 15)] * 2
    np.testing.assert_allclose(drawn, net.decode(code), atol=1e-12)
    assert net.project(code, k=2).shape == (2, 2, 7, 15, 1)
    assert net.top_activations(other, 1, 2).crops.shape == (3, 2, 3, 3, 1)
    assert net.score(other) <= 1
    stacked = net_of(3, 4, layout="maps").fit(np.stack(other))
    stacked.filters_ = net.filters_
    np.testing.assert_array_equal(stacked.transform(np.stack(other)), codes)
    top = net.set_params(output="top").transform(other)
    assert top.shape[3] == 4
    np.testing.assert_array_equal(net.to_maps(top), top)
    with pytest.raises(ValueError, match=r'rows of one width do not exist.*layout="maps"'):
        net.set_params(layout="rows").transform(other)


def test_searches_before_a_classifier():
    X, labels = images_of(8, 8, n_samples=8), np.arange(8) % 2
    pipeline = make_pipeline(net_of(2, 3, sparse_output=True, n_inference_steps=2), LinearSVC())
    name = "adaptivedeconvnet__"
    grids = [
        {name + "lam": [4.0, (4.0, 9.0)], name + "n_filters": [(2, 3), (3, 2)]},
        {name + "lam": [5.0], name + "n_filters": [(2,), (2, 3)]},
    ]
    search = GridSearchCV(pipeline, grids, cv=2, error_score="raise").fit(X, labels)
    assert len(search.cv_results_["params"]) == 6
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.predict(X).shape == (8,)
    scored = GridSearchCV(net_of(2), {"lam": [1.0, (9.0,)]}, cv=2, error_score="raise").fit(X)
    assert scored.best_params_ == {"lam": (9.0,)}


def test_clones_and_pickles(net, images):
    copy = clone(net)
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    assert copy.get_params() == net.get_params()
    codes = net.transform(images)
    np.testing.assert_array_equal(copy.fit(images).transform(images), codes)
    np.testing.assert_array_equal(clone(net).fit_transform(images), codes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).transform(images), codes)


@pytest.mark.parametrize("output", ["layer1", "top"])
def test_frames_have_the_names_of_coefficients(output, images):
    net = net_of(2, 3, image_shape=(12, 11), output=output).set_output(transform="pandas")
    frame = pd.DataFrame(images.reshape(4, -1), index=list("abcd")).add_prefix("pixel")
    codes = net.fit(frame).transform(frame)
    assert codes.columns.tolist() == net.get_feature_names_out(frame.columns).tolist()
    assert codes.index.tolist() == list("abcd")
    np.testing.assert_array_equal(net.set_output(transform="default").transform(frame), codes)


@pytest.mark.parametrize("inference", ["fista", "ista", "coordinate_descent"])
@pytest.mark.parametrize("output", ["layer1", "top"])
def test_floats_are_kept(inference, output, images):
    for dtype in (np.float32, np.float64):
        X = images.astype(dtype)
        net = net_of(2, 3, inference=inference, output=output, keep_maps=True).fit(X)
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
    maps = 2, 5 if shape[0] > 1 else 1, 5
    codes, code = net.transform(X), net.encode(X)
    assert codes.shape == (2, 2 * (shape[0] + maps[1] - 1) * (shape[1] + 4))
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
