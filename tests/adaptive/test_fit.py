"""Learning an adaptive network: layouts, schedules, further fits, interruptions, silence."""

import re
from copy import deepcopy

import numpy as np
import pytest
from joblib import parallel_config
from reference.adaptive import assert_unit_norms, costs_of
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skdeconv import AdaptiveDeconvNet
from skdeconv.datasets import make_sparse_images
from skdeconv.learning import AdaptiveLearner, _adaptive_learner
from skdeconv.operators import Convolution

OPTIONS = {
    "filter_size": 3, "pooling": (2, 2, 2), "lam": 4.0, "n_inference_steps": 5, "max_iter": 2,
    "tol": 0, "batch_size": 2, "random_state": 0,
}  # fmt: skip


def net_of(*n_filters, **options):
    return AdaptiveDeconvNet(n_filters, **OPTIONS | options)


def images_of(*shape, n_samples=4, random_state=0):
    options = {"n_filters": 2, "filter_size": 3, "density": 0.03, "random_state": random_state}
    return make_sparse_images(n_samples, shape, **options).images


@pytest.fixture
def images():
    return images_of(12, 11)


def assert_same_fit(found, expected):
    for name in ("filters_", "cost_"):
        for one, other in zip(getattr(found, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(one, other)


def test_what_a_fit_leaves(images):
    net = net_of(3, 4, 2, filter_size=(3, (2, 4), 3), pooling=((2, 2, 2), None, (3, 1, 1)))
    assert net.fit(images) is net
    shapes = [(3, 3, 3, 1), (4, 2, 4, 2), (2, 3, 3, 4)]
    assert [filters.shape for filters in net.filters_] == shapes
    assert net.pooling_ == [(2, 2, 2), (1, 1, 1), (3, 1, 1)]
    assert [costs.shape for costs in net.cost_] == [(2,)] * 3
    assert (net.n_iter_, net.image_shape_, net.n_features_in_) == (6, (12, 11), 132)
    assert_unit_norms(net)
    for filters in net.filters_:
        assert filters.flags.c_contiguous
        flat = filters.reshape(len(filters), -1)
        assert (flat[range(len(flat)), np.abs(flat).argmax(axis=1)] > 0).all()


def test_fewer_layers_take_the_leading_defaults(images):
    options = {"filter_size": 3, "max_iter": 1, "random_state": 0}
    net = AdaptiveDeconvNet((3, 4), **options).fit(images)
    pooling, lam = ((3, 3, 3), (3, 3, 2)), (2.0, 0.5)
    assert net.pooling_ == list(pooling)
    explicit = AdaptiveDeconvNet((3, 4), pooling=pooling, lam=lam, **options).fit(images)
    assert_same_fit(net, explicit)
    np.testing.assert_array_equal(net.transform(images), explicit.transform(images))
    # Only the defaults themselves are cut.
    for name, value in (("lam", (2.0, 0.5, 0.3, 0.1)), ("pooling", ((3, 3, 3),) * 4)):
        with pytest.raises(ValueError, match=f"^{name} .* 2 layers"):
            AdaptiveDeconvNet((3, 4), **options | {name: value}).fit(images)
    with pytest.raises(ValueError, match=r"^lam .* 5 layers"):
        AdaptiveDeconvNet((2,) * 5, **options).fit(images)


@pytest.mark.parametrize(
    ("one", "each"),
    [
        ((3, 2, 1), ((3, 2, 1),) * 3),
        ([3, np.int64(2), 1], [(3, 2, 1), [3, 2, 1], (3, 2, 1)]),
        (None, (None, (1, 1, 1), None)),
    ],
    ids=["tuple", "list", "None"],
)
def test_one_block_is_for_all_layers(one, each, images):
    net = net_of(2, 3, 2, pooling=one).fit(images)
    assert net.pooling_ == [(1, 1, 1) if one is None else (3, 2, 1)] * 3
    assert_same_fit(net_of(2, 3, 2, pooling=each).fit(images), net)


PER_LAYER = {
    "filter_size": (3, 2), "pooling": ((2, 2, 1), None), "lam": (4.0, 6.0),
    "inference": ("ista", "coordinate_descent"), "n_inference_steps": (3, 4),
    "beta": (None, 0.01), "max_iter": (1, 3), "tol": (0.0, 0.9), "batch_size": (None, 3),
    "cg_max_iter": (1, 2), "n_learning_steps": (None, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", PER_LAYER)
def test_tuples_hold_a_value_for_each_layer(name, images):
    images, (first, second) = images[:4], PER_LAYER[name]
    options = {"max_iter": 3} | {name: (first, second)}
    net = net_of(2, 3, **options).fit(images)
    alone = net_of(2, **options | {name: (first,)}).fit(images)
    np.testing.assert_array_equal(net.filters_[0], alone.filters_[0])
    np.testing.assert_array_equal(net.cost_[0], alone.cost_[0])
    both = net_of(2, 3, **options | {name: (first, first)}).fit(images)
    np.testing.assert_array_equal(net.filters_[0], both.filters_[0])
    if name == "pooling":
        assert net.pooling_ == [(2, 2, 1), (1, 1, 1)]
    else:
        assert not np.array_equal(net.filters_[1], both.filters_[1])


def test_passes_end_by_tol_or_max_iter(images):
    net = net_of(2, 3, max_iter=(5, 4), tol=(0.9, 0)).fit(images)
    assert [len(costs) for costs in net.cost_] == [2, 4]
    assert net.n_iter_ == 6
    costs = net_of(2, max_iter=20, tol=5e-3, batch_size=None).fit(images).cost_[0]
    changes = np.abs(np.diff(costs)) / costs[:-1]
    assert 2 < len(costs) < 20
    assert changes[-1] < 5e-3 <= changes[:-1].min()


def test_the_cost_of_a_pass_is_the_mean_cost_of_an_image(images):
    # With all images in one batch the first pass is inference with the first filters. Switches
    # for the layer above come from all steps.
    init = tuple(np.random.default_rng(0).standard_normal((n, 3, 3, 1)) for n in (3, 4))
    net = net_of(3, 4, batch_size=None, max_iter=1, init=(init[0], np.repeat(init[1], 2, axis=3)))
    net.set_params(n_learning_steps=(1, 5)).fit(images)
    for layer, n_steps in ((1, 1), (2, 5)):
        before = deepcopy(net).set_params(n_inference_steps=n_steps)
        first = before.init[layer - 1]
        before.filters_[layer - 1] = first / np.sqrt((first**2).sum((1, 2, 3), keepdims=True))
        costs = costs_of(before, before.encode(images), images, layer, 4.0)
        assert net.cost_[layer - 1] == pytest.approx(costs.mean())


def test_verbose_prints_layers_and_passes(images, capsys):
    net = net_of(2, 3, verbose=1).fit(images)
    lines = capsys.readouterr().out.splitlines()
    costs = np.concatenate(net.cost_)
    for (layer, number), line, cost in zip(np.ndindex(2, 2), lines, costs, strict=True):
        wanted = f"layer {layer + 1}, pass {number + 1}/2: mean cost {cost:.6g}"
        assert line.startswith(f"[AdaptiveDeconvNet] {wanted}, ")
        assert re.fullmatch(r".*, \d+ non-zeros, \d+\.\d s", line)
    net.transform(images)
    net_of(2, 3).fit(images)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("inference", ["fista", "ista", "coordinate_descent"])
def test_fits_repeat_with_any_number_of_workers(inference, images):
    options = {"batch_size": 3, "max_iter": 1, "n_inference_steps": 3, "keep_maps": True}
    net = net_of(2, 4, inference=inference, **options).fit(images)
    codes = net.transform(images)
    assert codes.any()
    for n_jobs in (None, 2):
        other = clone(net).set_params(n_jobs=n_jobs)
        with parallel_config("threading"):
            assert_same_fit(other.fit(images), net)
            np.testing.assert_array_equal(other.transform(images), codes)
    other = clone(net).set_params(random_state=1).fit(images)
    assert not np.array_equal(other.filters_[0], net.filters_[0])


def test_fits_repeat_with_other_processes(images):
    net = net_of(2, 4, batch_size=3, max_iter=1).fit(images)
    other = net_of(2, 4, batch_size=3, max_iter=1, n_jobs=2).fit(images)
    assert_same_fit(other, net)
    np.testing.assert_array_equal(other.transform(images), net.transform(images))


@pytest.mark.parametrize("batch_size", ["auto", None, 50])
def test_one_image_is_enough(batch_size, images):
    net = net_of(2, 3, batch_size=batch_size).fit(images[:1])
    assert net.transform(images[:1]).any()
    assert net.score(images) <= 1


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_longer_warm_start_keeps_the_lower_layers(depth, dtype, images):
    X = images.astype(dtype)
    n_filters = (5, 7, 4)
    net = net_of(*n_filters[:depth], warm_start=True).fit(X)
    before, kept = deepcopy(net), net.filters_
    net.set_params(n_filters=n_filters).fit(X)
    assert [len(filters) for filters in net.filters_] == list(n_filters)
    for name in ("filters_", "cost_"):
        for now, then in zip(getattr(net, name), getattr(before, name), strict=False):
            np.testing.assert_array_equal(now, then)
    for now, then in zip(kept, before.filters_, strict=True):
        np.testing.assert_array_equal(now, then)
    assert net.n_iter_ == sum(len(costs) for costs in net.cost_) == 6
    for now, then in zip(net.encode(X).maps, before.encode(X).maps, strict=False):
        np.testing.assert_array_equal(now.to_dense(), then.to_dense())


def test_a_warm_start_of_as_many_layers_goes_on():
    images = images_of(12, 11, n_samples=6)
    net = net_of(2, 4, warm_start=True, batch_size=None, max_iter=4).fit(images)
    before = deepcopy(net)
    net.fit(images)
    for now, then in zip(net.filters_, before.filters_, strict=True):
        assert not np.array_equal(now, then)
    for now, then in zip(net.cost_, before.cost_, strict=True):
        assert now[0] < min(then[0], 1.02 * then[-1])
        assert now[-1] < 1.02 * then[-1]


def test_fits_start_from_init(images):
    first = np.random.default_rng(1).standard_normal((3, 3, 3, 1))
    second = np.random.default_rng(2).standard_normal((4, 3, 3, 2))
    net = net_of(3, 4, init=(first, None)).fit(images)
    assert not np.array_equal(net.filters_[0], net_of(3, 4).fit(images).filters_[0])
    scaled = net_of(3, 4, init=(8 * first, None)).fit(images)
    assert_same_fit(scaled, net)
    grey = net_of(3, 4, init=[first[..., 0].tolist(), second]).fit(images)
    np.testing.assert_array_equal(grey.filters_[0], net.filters_[0])
    assert not np.array_equal(grey.filters_[1], net.filters_[1])
    # No other draw than the order of the images, so that all but the signs are given.
    turned = net_of(3, init=(-first,)).fit(images)
    np.testing.assert_allclose(turned.filters_[0], -net.filters_[0], atol=1e-12)


def interrupt(monkeypatch, error):
    """Make the second pass of the second layer fail."""
    run, numbers = AdaptiveLearner.run_pass, []

    def run_or_fail(self, *args):
        numbers.append(len(self.switches[0]) + 1)
        if numbers == [1, 1, 2, 2]:
            raise error("in the second layer")
        return run(self, *args)

    monkeypatch.setattr(AdaptiveLearner, "run_pass", run_or_fail)


@pytest.mark.parametrize("state", ["new", "fitted", "warm"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_failure_in_the_second_layer_leaves_no_trace(state, error, images, monkeypatch):
    net = net_of(2, 4, warm_start=state == "warm")
    if state != "new":
        codes, kept = net.fit(images).transform(images), [f.copy() for f in net.filters_]
    before = vars(net).copy()
    interrupt(monkeypatch, error)
    with pytest.raises(error, match="in the second layer"):
        net.fit(images if state == "warm" else images[:, :9, :9])
    assert vars(net).keys() == before.keys()
    assert all(vars(net)[name] is before[name] for name in before)
    if state == "new":
        with pytest.raises(NotFittedError):
            check_is_fitted(net)
        return
    for now, then in zip(net.filters_, kept, strict=True):
        np.testing.assert_array_equal(now, then)
    np.testing.assert_array_equal(net.transform(images), codes)


def test_bad_images_and_steps_leave_the_fit(images):
    net = net_of(2, 4).fit(images)
    codes, before = net.transform(images), vars(net).copy()
    bad = images[:, :9, :9].copy()
    bad[2] = np.nan
    with pytest.raises(ValueError, match=r"X\[2\] has no known pixel"):
        net.fit(bad)
    net.set_params(beta=(None, 1e9), n_inference_steps=50)
    for method, X in ((net.fit, images[:, :9, :9]), (net.transform, images)):
        with pytest.raises(ValueError, match=r"beta=1000000000\.0 is too long a step"):
            method(X)
    net.set_params(beta=None, n_inference_steps=5)
    assert vars(net).keys() == before.keys()
    assert all(vars(net)[name] is before[name] for name in before)
    np.testing.assert_array_equal(net.transform(images), codes)


def test_fits_leave_arrays_of_users_and_of_other_fits_alone(images):
    first = 3 * np.random.default_rng(1).standard_normal((2, 3, 3, 1))
    given, X = first.copy(), images.copy()
    net = net_of(2, 3, warm_start=True, init=(first, None)).fit(images)
    held = [*net.filters_, *net.cost_]
    copies = [one.copy() for one in held]
    net.fit(images)
    net.encode(images)
    np.testing.assert_array_equal(first, given)
    np.testing.assert_array_equal(images, X)
    for one, copied in zip(held, copies, strict=True):
        np.testing.assert_array_equal(one, copied)


def test_the_schedule_of_the_paper(images):
    options = {"inference": "ista", "cg_max_iter": 2, "batch_size": None, "max_iter": 10}
    net = net_of(3, 4, n_learning_steps=1, keep_maps=True, **options).fit(images)
    assert [len(costs) for costs in net.cost_] == [10, 10]
    for costs in net.cost_:
        assert costs[-1] < 0.8 * costs[0]
    anew = net_of(3, 4, n_learning_steps=1, **options).fit(images)
    assert all(old[-1] > new[-1] for old, new in zip(anew.cost_, net.cost_, strict=True))
    # Codes take all steps, however many a visit has.
    more = deepcopy(net).set_params(n_inference_steps=20)
    costs = [costs_of(one, one.encode(images), images, 2, 4.0).sum() for one in (more, net)]
    assert costs[0] < costs[1]


def test_kept_maps_take_over_the_norms_of_the_filters(images, monkeypatch):
    visit, descend, drawn = AdaptiveLearner._visit, _adaptive_learner.descend_through, []

    def draw(filters, maps):
        convolution = Convolution(filters, (12, 11))
        return np.stack([convolution.forward(one.dense(convolution.maps_shape)) for one in maps])

    def descend_and_draw(filters, lowers, maps, n_steps):
        filters = descend(filters, lowers, maps, n_steps)
        drawn.append(draw(filters, maps))
        return filters

    def visit_and_compare(self, batch):
        cost = visit(self, batch)
        kept = draw(self.filters, [self.kept[i] for i in batch])
        np.testing.assert_allclose(kept, drawn[-1], atol=1e-12)
        return cost

    monkeypatch.setattr(_adaptive_learner, "descend_through", descend_and_draw)
    monkeypatch.setattr(AdaptiveLearner, "_visit", visit_and_compare)
    net_of(3, keep_maps=True).fit(images)
    assert len(drawn) == 4


def test_unused_filters_are_drawn_anew(images):
    first = np.random.default_rng(0).standard_normal((3, 3, 3, 1))
    # Against images without a first column of filters one of them has nothing to draw.
    first[1] = [[[1], [-2], [1]], [[-2], [4], [-2]], [[1], [-2], [1]]]
    smooth = np.add.outer(np.arange(12.0), np.arange(11.0)) / 10 + np.ones((4, 1, 1))
    net = net_of(3, init=(first,), lam=0.3, max_iter=1).fit(smooth)
    unused = first[1] / np.linalg.norm(first[1])
    np.testing.assert_allclose(net.filters_[0][1], unused, atol=1e-12)
    net = net_of(3, init=(first,), lam=0.3, max_iter=2).fit(smooth)
    assert np.abs(np.sum(net.filters_[0][1] * unused)) < 0.9
    assert_unit_norms(net)


def test_unused_filters_of_the_second_layer_are_drawn_anew(images):
    net = net_of(3, 12, lam=(4.0, 0.5), max_iter=1).fit(images)
    used = net.encode(images).maps[1].to_dense().any(axis=(0, 1, 2))
    assert not used.all()
    first = (None, net.filters_[1])
    again = net_of(3, 12, lam=(4.0, 0.5), init=first, max_iter=2).fit(images).filters_[1]
    same = np.isclose(again, net.filters_[1]).all(axis=(1, 2, 3))
    assert not same.all()
    assert_unit_norms(net)


def test_learned_filters_cost_less_on_other_images():
    X = make_sparse_images(14, (16, 16), n_filters=4, density=0.02, random_state=0).images
    net = net_of(4, 6, filter_size=(5, 3), lam=6.0, max_iter=3, n_inference_steps=10).fit(X[:10])
    code = net.encode(X[10:])
    for layer in (1, 2):
        random = deepcopy(net)
        filters = np.random.default_rng(0).standard_normal(net.filters_[layer - 1].shape)
        random.filters_[layer - 1] = filters / np.sqrt((filters**2).sum((1, 2, 3), keepdims=True))
        learned, other = (
            costs_of(one, codes, X[10:], layer, 6.0).sum()
            for one, codes in ((net, code), (random, random.encode(X[10:])))
        )
        assert learned < 0.92 * other
