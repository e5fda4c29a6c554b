"""Learning layer by layer: one layer, several, connectivity, further fits, interruptions."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet, make_connectivity
from skdeconv.datasets import make_sparse_images
from skdeconv.inference import HalfQuadratic
from skdeconv.learning import LayerLearner

OPTIONS = {
    "filter_size": 3, "lam": 4.0, "max_iter": 2, "tol": 0, "batch_size": 2, "inference_tol": 0.01,
    "random_state": 0,
}  # fmt: skip


def net_of(*n_filters, **options):
    return HierarchicalDeconvNet(n_filters, **OPTIONS | options)


def images_of(*shape, n_samples=4):
    options = {"n_filters": 2, "filter_size": 3, "density": 0.03, "random_state": 0}
    return make_sparse_images(n_samples, shape, **options).images


@pytest.fixture
def images():
    return images_of(12, 11)


@pytest.fixture(scope="module")
def fitted():
    return net_of(2, 4).fit(images_of(12, 11))


def filters_of(net):
    return [layer.filters_ for layer in net.layers_]


def assert_same_fit(found, expected):
    for one, other in zip(found.layers_, expected.layers_, strict=True):
        np.testing.assert_array_equal(one.filters_, other.filters_)
        np.testing.assert_array_equal(one.cost_, other.cost_)
    np.testing.assert_array_equal(found.factors_, expected.factors_)


def maps_below(net, X):
    """What the second layer is fed with: maps of the first, in units of their typical value."""
    return net.layers_[0].to_maps(net.layers_[0].transform(X)) / net.factors_[1]


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((12, 11), {}),
        ((12, 11), {"p": 0.5, "positive": True}),
        ((12, 11), {"low_frequency": True, "smoothness": 2.0}),
        ((12, 11), {"solver": "fista", "batch_size": None, "inference_max_iter": 200}),
        ((24,), {"sparse_output": False, "forgetting": 0.0}),
        ((10, 8, 3), {"connectivity": np.array([[True, False, True], [False, True, True]])}),
        ((12, 11), {"init": np.random.default_rng(1).standard_normal((2, 3, 3, 1))}),
    ],
    ids=["plain", "p and positive", "low frequency", "fista", "rows", "connectivity", "init"],
)
def test_one_layer_is_the_layer(shape, options):
    X = images_of(*shape, n_samples=2)
    layer = DeconvNetLayer(2, **OPTIONS | options).fit(X)
    codes = layer.transform(X)
    for inference in ("joint", "greedy", "alternating"):
        net = net_of(2, inference=inference, **options).fit(X)
        np.testing.assert_array_equal(net.layers_[0].filters_, layer.filters_)
        np.testing.assert_array_equal(net.layers_[0].cost_, layer.cost_)
        assert net.n_iter_ == layer.n_iter_
        np.testing.assert_array_equal(net.transform(X), codes)
        np.testing.assert_array_equal(net.inverse_transform(codes), layer.inverse_transform(codes))
        assert net.score(X) == layer.score(X)


def test_the_first_layer_alone_is_a_layer(fitted, images):
    layer = DeconvNetLayer(2, **OPTIONS).fit(images)
    alone = fitted.layers_[0]
    assert type(alone) is DeconvNetLayer
    np.testing.assert_array_equal(alone.filters_, layer.filters_)
    np.testing.assert_array_equal(alone.transform(images), layer.transform(images))
    assert alone.score(images) == layer.score(images)
    assert (alone.image_shape_, alone.n_features_in_) == ((12, 11), 132)


def test_the_first_layer_alone_knows_the_columns_of_a_frame(images):
    frame = pd.DataFrame(images.reshape(4, -1)).add_prefix("pixel")
    net = net_of(2, 3, image_shape=(12, 11), inference="greedy").fit(frame)
    assert net.feature_names_in_.tolist() == frame.columns.tolist()
    np.testing.assert_array_equal(net.layers_[0].transform(frame), net.encode(frame)[0])


@pytest.mark.parametrize("options", [{}, {"p": 0.5}, {"solver": "fista", "inference_tol": 0.1}])
def test_the_second_layer_alone_gives_the_greedy_codes(options, images):
    net = net_of(2, 4, inference="greedy", **options).fit(images)
    upper, maps = net.layers_[1], maps_below(net, images)
    assert upper.image_shape_ == maps.shape[1:] == (14, 13, 2)
    assert upper.n_features_in_ == 14 * 13 * 2
    codes = upper.transform(maps)
    assert np.count_nonzero(codes) > 30
    np.testing.assert_array_equal(net.encode(images)[1], codes)


def test_the_second_layer_is_learned_from_the_scaled_maps(images):
    net = net_of(2, 4, connectivity="full", batch_size=None).fit(images)
    maps = maps_below(net, images)
    first = np.random.default_rng(0).standard_normal((4, 3, 3, 2))
    net.set_params(init=(None, first)).fit(images)
    alone = DeconvNetLayer(4, **OPTIONS | {"init": first, "batch_size": None}).fit(maps)
    np.testing.assert_array_equal(net.layers_[1].filters_, alone.filters_)


def test_factors_are_root_mean_squares_of_nonzero_coefficients(images):
    net = net_of(2, 3, 4, inference="greedy").fit(images)
    assert net.factors_.shape == (3,)
    assert net.factors_[0] == 1
    for below, factor in zip(net.encode(images)[:2], net.factors_[1:], strict=True):
        assert factor == pytest.approx(np.sqrt(np.mean(below[below != 0] ** 2)))
        assert factor != pytest.approx(1, rel=0.01)


def test_zero_images_have_factors_of_one_and_zero_codes():
    net = net_of(2, 3).fit(np.zeros((3, 8, 8)))
    assert net.factors_.tolist() == [1, 1]
    assert not net.transform(np.zeros((2, 8, 8))).any()
    assert net.score(np.zeros((2, 8, 8))) == 1


@pytest.mark.parametrize(
    ("connectivity", "tables"),
    [
        ("full", ["full", "full", "full"]),
        (("full", "singles", "pairs"), ["full", "singles", "pairs"]),
        (("random-pairs", "random-triples", "singles+pairs"), [2, 3, "singles+pairs"]),
    ],
)
def test_filters_see_what_the_kind_says(connectivity, tables):
    n_filters = (3, 3, 6 if tables[2] == "singles+pairs" else 3)
    net = net_of(*n_filters, connectivity=connectivity, max_iter=1)
    net.fit(images_of(8, 8, 3, n_samples=6))
    for layer, kind in zip(net.layers_, tables, strict=True):
        seen = layer.filters_.any(axis=(1, 2))
        if isinstance(kind, int):
            np.testing.assert_array_equal(seen.sum(axis=1), kind)
        else:
            np.testing.assert_array_equal(seen, make_connectivity(kind, 3, len(seen)))
        np.testing.assert_allclose(np.linalg.norm(layer.filters_.reshape(len(seen), -1), axis=1), 1)


def test_auto_is_full_in_the_first_layer_and_singles_then_pairs_above():
    net = net_of(3, 6, max_iter=1).fit(images_of(8, 8, 3))
    lower, upper = (filters.any(axis=(1, 2)) for filters in filters_of(net))
    assert lower.all()
    np.testing.assert_array_equal(upper[:3], np.eye(3, dtype=bool))
    np.testing.assert_array_equal(upper[3:].sum(axis=1), 2)
    assert len({tuple(row) for row in upper}) == 6


def test_filters_see_what_the_arrays_say(images):
    first = np.array([[True], [True]])
    second = np.array([[True, False], [False, True], [True, True]])
    net = net_of(2, 3, connectivity=(first, second)).fit(images)
    np.testing.assert_array_equal(net.layers_[1].filters_.any(axis=(1, 2)), second)
    mixed = net_of(2, 3, connectivity=["full", second.tolist()]).fit(images)
    assert_same_fit(mixed, net)


def test_singles_code_each_map_on_its_own(images):
    options = {"inference_tol": 1e-7, "inference_max_iter": 1000}
    net = net_of(3, 3, connectivity=("full", "singles"), inference="greedy", **options).fit(images)
    found = net.to_maps(net.transform(images))
    maps = maps_below(net, images)
    for k in range(3):
        filters = net.layers_[1].filters_[[k], :, :, k : k + 1]
        alone = DeconvNetLayer(1, **OPTIONS | options).fit(maps[..., [k]])
        alone.filters_ = filters
        codes = alone.to_maps(alone.transform(maps[..., [k]]))
        assert codes.any()
        np.testing.assert_allclose(found[..., [k]], codes, atol=1e-3)


@pytest.mark.parametrize("inference", ["joint", "greedy"])
def test_permuted_filters_have_permuted_maps(inference):
    images = images_of(12, 11, n_samples=6)
    net = net_of(2, 4, lam=2.0, inference=inference, inference_tol=1e-7, inference_max_iter=1000)
    permuted, order = deepcopy(net.fit(images)), [2, 0, 3, 1]
    permuted.layers_[1].filters_ = net.layers_[1].filters_[order]
    maps = net.to_maps(net.transform(images))
    assert maps.any(axis=(0, 1, 2)).all()
    found = permuted.to_maps(permuted.transform(images))
    np.testing.assert_allclose(found, maps[..., order], atol=2e-3)


@pytest.mark.parametrize(
    ("shape", "form"),
    [((40,), np.array), ((12, 11), np.array), ((12, 11), list), ((9, 8, 3), np.array)],
    ids=["signals", "grey", "list", "colour"],
)
def test_three_layers_of_any_images(shape, form):
    X = form(images_of(*shape))
    net = net_of(2, 3, 4, filter_size=(3, 3, 2), lam=8.0).fit(X)
    height, width, n_channels = {1: (1, *shape, 1), 2: (*shape, 1), 3: shape}[len(shape)]
    assert [len(filters) for filters in filters_of(net)] == [2, 3, 4]
    assert net.n_iter_ == 6
    assert net.layers_[0].filters_.shape[-1] == n_channels
    codes = net.encode(X)
    for code, k, more in zip(codes, (2, 3, 4), (2, 4, 5), strict=True):
        rows = 1 if height == 1 else height + more
        assert code.shape == (4, rows * (width + more) * k)
    below = net.layers_[2].inverse_transform(code)
    assert np.shape(below) == (4, 1 if height == 1 else height + 4, width + 4, 3)
    drawn = net.inverse_transform(codes[-1])
    assert isinstance(drawn, list) == (form is list)
    assert np.shape(drawn) == (4, *shape)
    assert hasattr(net, "n_features_in_") == (form is not list)
    assert net.score(X) > 0.5


PER_LAYER = {
    "filter_size": (3, (3, 2)), "lam": (4.0, 6.0), "p": (1.0, 0.5), "positive": (False, True),
    "connectivity": ("full", "auto"), "solver": ("fista", "coordinate_descent"),
    "inference_tol": (1e-2, 1e-3), "inference_max_iter": (40, 50), "max_iter": (1, 2),
    "tol": (0, 1e-3), "batch_size": (None, 2), "forgetting": (100.0, 0.0),
    "init": (np.ones((2, 3, 3, 1)), np.ones((4, 3, 3, 2))),
}  # fmt: skip


# Of the solver that has parameters.
SOLVERS = (
    HalfQuadratic(beta_min=1.0, beta_factor=6.0, beta_max=1e5, beta_repeats=1, cg_max_iter=2),
    HalfQuadratic(beta_min=2.0, beta_factor=5.0, beta_max=1e4, beta_repeats=2, cg_max_iter=3),
)
CASES = [*PER_LAYER.items(), ("solver", SOLVERS)]
CASE_IDS = [*PER_LAYER, "solver objects"]


@pytest.mark.parametrize(("name", "values"), CASES, ids=CASE_IDS)
def test_tuples_hold_a_value_for_each_layer(name, values, images):
    net = net_of(2, 4, **{name: values}).fit(images[:2])
    if name == "connectivity":
        assert net.layers_[0].filters_.any(axis=(1, 2)).all()
        assert not net.layers_[1].filters_.any(axis=(1, 2)).all()
        return
    for layer, value in zip(net.layers_, values, strict=True):
        found = getattr(layer, name)
        assert found is value or (name == "solver" and repr(found) == repr(value))
    first = DeconvNetLayer(2, **OPTIONS | {name: values[0]}).fit(images[:2])
    np.testing.assert_array_equal(net.layers_[0].filters_, first.filters_)


@pytest.mark.parametrize(
    ("name", "values"),
    [case for case in CASES if case[0] != "init"],
    ids=[name for name in CASE_IDS if name != "init"],
)
def test_one_value_is_a_tuple_of_it(name, values, images):
    value = 2 if name == "filter_size" else values[1]
    scalar = net_of(2, 4, **{name: value}).fit(images[:2])
    assert_same_fit(net_of(2, 4, **{name: (value, value)}).fit(images[:2]), scalar)


@pytest.mark.parametrize("depth", [1, 2])
def test_a_longer_warm_start_is_a_fit_above_the_lower_layers(depth, images):
    n_filters = (2, 3, 4)
    net = net_of(*n_filters[:depth], warm_start=True).fit(images)
    lower = [deepcopy(net)]
    if depth == 1:
        lower.append(DeconvNetLayer(2, **OPTIONS).fit(images))
    kept, factors = filters_of(net), net.factors_
    net.set_params(n_filters=n_filters).fit(images)
    for one, other in zip(filters_of(net), kept, strict=False):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(net.factors_[:depth], factors)
    assert len(net.layers_) == 3
    for below in lower + [FrozenEstimator(one) for one in lower]:
        above = net_of(*n_filters, lower=below).fit(images)
        assert_same_fit(above, net)
        np.testing.assert_array_equal(above.transform(images), net.transform(images))
    assert_same_fit(clone(above).fit(images), net)


def test_a_warm_start_of_as_many_layers_goes_on(images):
    net = net_of(2, 4, warm_start=True, batch_size=None, max_iter=4, inference_tol=1e-3)
    net.fit(images)
    before = deepcopy(net)
    net.fit(images)
    np.testing.assert_array_equal(net.factors_, before.factors_)
    for now, then in zip(net.layers_, before.layers_, strict=True):
        assert not np.array_equal(now.filters_, then.filters_)
        assert now.cost_[0] < min(then.cost_[0], 1.02 * then.cost_[-1])
    assert net.layers_[0].cost_[0] <= before.layers_[0].cost_[-1] * (1 + 1e-3)


def test_fits_repeat_with_any_number_of_workers(images, monkeypatch):
    # So small that every image is a chunk of its own.
    monkeypatch.setattr("skdeconv.inference._coding._CHUNK", 100)
    net = net_of(2, 4, batch_size=3).fit(images)
    codes = net.encode(images)
    for n_jobs in (None, 2):
        other = clone(net).set_params(n_jobs=n_jobs)
        with parallel_config("threading"):
            found = other.fit(images).encode(images)
        assert_same_fit(other, net)
        for one, expected in zip(found, codes, strict=True):
            np.testing.assert_array_equal(one, expected)
    other = clone(net).set_params(random_state=1).fit(images)
    assert not np.array_equal(other.layers_[0].filters_, net.layers_[0].filters_)


def fail_in_second_layer(monkeypatch, error):
    learn, n_calls = DeconvNetLayer._fit, []

    def fail(self, *args):
        raise error("in the second layer")

    def learn_or_fail(self, *args, **options):
        n_calls.append(self.n_filters)
        if len(n_calls) == 2:
            monkeypatch.setattr(LayerLearner, "run_pass", fail)
        return learn(self, *args, **options)

    monkeypatch.setattr(DeconvNetLayer, "_fit", learn_or_fail)
    return n_calls


@pytest.mark.parametrize("state", ["new", "fitted", "warm"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_failure_in_the_second_layer_leaves_no_trace(state, error, images, monkeypatch):
    net = net_of(2, 4, warm_start=state == "warm")
    if state != "new":
        codes, kept = net.fit(images).transform(images), [f.copy() for f in filters_of(net)]
    before = vars(net).copy()
    n_calls = fail_in_second_layer(monkeypatch, error)
    with pytest.raises(error, match="in the second layer"):
        net.fit(images if state == "warm" else images[:, :9, :9])
    assert n_calls == [2, 4]
    assert vars(net).keys() == before.keys()
    assert all(vars(net)[name] is before[name] for name in before)
    if state == "new":
        with pytest.raises(NotFittedError):
            check_is_fitted(net)
        return
    for now, then in zip(filters_of(net), kept, strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(net.transform(images), codes)


def test_a_bad_parameter_of_the_second_layer_leaves_the_fit(images):
    net = net_of(2, 4).fit(images)
    codes, before = net.transform(images), vars(net).copy()
    with pytest.raises(ValueError, match="max_iter"):
        net.set_params(max_iter=(2, 0)).fit(images[:, :9, :9])
    net.set_params(max_iter=2)
    assert all(vars(net)[name] is before[name] for name in before)
    np.testing.assert_array_equal(net.transform(images), codes)
