"""Codes of an adaptive network: layouts, optima, what they draw, and scikit-learn's tools."""

from copy import deepcopy

import numpy as np
import pytest
from reference.adaptive import costs_of, dense_maps, draw, net_of
from reference.contract import check_copies
from reference.images import images_of
from scipy.sparse import csr_array
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skdeconv import DeconvNetLayer, SparseMaps
from skdeconv.operators import compose


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


def dense(code):
    return [maps.to_dense() for maps in code.maps]


def assert_same_codes(found, expected):
    for one, other in zip(dense(found), dense(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(found.switches, expected.switches, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(12, 11), (9, 8, 2), (40,)], ids=str)
@pytest.mark.parametrize(
    ("inference", "n_steps"), [("fista", 300), ("ista", 800), ("coordinate_descent", 100)]
)
def test_one_layer_without_pooling_has_the_optimum_of_a_layer(inference, n_steps, shape):
    X = images_of(*shape, n_samples=2)
    layer = DeconvNetLayer(3, 3, lam=3.0, max_iter=2, random_state=0, inference_tol=1e-6)
    layer.set_params(inference_max_iter=2000).fit(X)
    options = {"pooling": None, "lam": 3.0, "inference": inference}
    net = net_of(3, **options).fit(X)
    net.filters_ = [layer.filters_]
    net.set_params(n_inference_steps=n_steps)
    codes, expected = net.transform(X), layer.transform(X)
    assert codes.shape == expected.shape
    drawn = [layer.inverse_transform(one).reshape(2, -1) for one in (codes, expected)]
    np.testing.assert_allclose(net.inverse_transform(codes).reshape(2, -1), drawn[0], atol=1e-12)
    flat = X.reshape(2, -1)
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
        rows = part.set_params(layer=-1).transform(images)
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
    net = net_of(3, 4, pooling=pooling, layer=-1).fit(images)
    codes, code = net.transform(images), net.encode(images)
    for i in range(4):
        maps = dense_maps(code, i, 2).transpose(1, 2, 0)
        np.testing.assert_array_equal(codes[i].reshape(maps.shape), maps)
    assert not hasattr(net, "inverse_transform")
    with pytest.raises(AttributeError, match="inverse_transform") as caught:
        net.inverse_transform(codes)
    assert "decode(encode(X))" in str(caught.value.__cause__)
    assert hasattr(net.set_params(layer=1), "inverse_transform")


@pytest.mark.parametrize("pooling", [(None, None), (None, (2, 2, 2)), ((1, 1, 1), (3, 3, 1))])
@pytest.mark.parametrize("form", [np.array, list], ids=["stack", "list"])
def test_the_top_draws_alone_where_nothing_is_pooled_below(pooling, form):
    X = images_of(9, 8, 2)
    net = net_of(3, 4, filter_size=((3, 2), 3), pooling=pooling, layer=-1, output="maps")
    codes = net.fit(form(X)).transform(form(X))
    assert codes.shape == (4, 13, 11, 4)
    drawn = net.inverse_transform(codes)
    np.testing.assert_allclose(drawn, net.decode(net.encode(form(X))), atol=1e-12)
    first, second = (one.transpose(0, 3, 1, 2) for one in net.filters_)
    layer = DeconvNetLayer(4, (5, 4), max_iter=1, lam=9.0).fit(X)
    layer.filters_ = compose(second, first).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(drawn, layer.inverse_transform(codes), atol=1e-12)


@pytest.mark.parametrize("layer", [1, -1])
def test_forms_of_codes_hold_the_same(layer, net, images):
    net = deepcopy(net).set_params(layer=layer)
    rows = net.transform(images)
    maps = net.set_params(output="maps").transform(images)
    sparse_maps = net.set_params(sparse_output=True).transform(images)
    sparse_rows = net.set_params(output="rows").transform(images)
    assert [type(one) for one in (sparse_maps, sparse_rows)] == [SparseMaps, csr_array]
    shape = (14, 13, 4) if layer == 1 else (7, 11, 5)
    assert maps.shape == (4, *shape)
    np.testing.assert_array_equal(rows, maps.reshape(4, -1))
    np.testing.assert_array_equal(sparse_maps.to_dense(), maps)
    np.testing.assert_array_equal(sparse_rows.toarray(), rows)
    assert sparse_rows.indices.dtype == np.int32
    assert np.count_nonzero(sparse_rows.data) == sparse_rows.nnz
    drawn = []
    for form in (rows, maps, sparse_maps, sparse_rows):
        np.testing.assert_array_equal(net.to_maps(form), maps)
        if layer == 1:
            drawn.append(net.inverse_transform(form))
            np.testing.assert_array_equal(drawn[-1], drawn[0])


@pytest.mark.parametrize("layer", [1, -1])
@pytest.mark.parametrize("shape", [(9, 8, 2), (30,)], ids=str)
def test_feature_names_say_which_coefficient_a_column_is(layer, shape):
    X = images_of(*shape)
    net = net_of(2, 3, pooling=(1 if len(shape) == 1 else 2, 2, 2), layer=layer).fit(X)
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
        for layer in (1, -1):
            assert net.set_params(layer=layer).score(X) == pytest.approx(expected)
    assert net.score(np.ones((2, 40))) == 0


def test_searches_before_a_classifier():
    X, labels = images_of(8, 8), np.arange(4) % 2
    pipeline = make_pipeline(
        net_of(2, 3, sparse_output=True, n_inference_steps=2), LinearSVC(random_state=0)
    )
    name = "adaptivedeconvnet__"
    grids = [
        {name + "lam": [4.0, (4.0, 9.0)]},
        {name + "lam": [5.0], name + "n_filters": [(2,), (2, 3)]},
    ]
    search = GridSearchCV(pipeline, grids, cv=2, error_score="raise").fit(X, labels)
    assert len(search.cv_results_["params"]) == 4
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.predict(X).shape == (4,)
    scored = GridSearchCV(net_of(2), {"lam": [1.0, (9.0,)]}, cv=2, error_score="raise").fit(X)
    assert scored.best_params_ == {"lam": (9.0,)}


def test_clones_and_pickles(net, images):
    check_copies(net, images)
