"""Learning from streams: what partial_fit keeps, forgets and refuses."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.datasets import make_sparse_images
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.learning import LayerLearner

DATA = make_sparse_images(20, (16, 14), n_filters=3, filter_size=5, noise=0.1, random_state=0)
IMAGES = DATA.images
BATCHES = np.split(IMAGES, 5)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def layer_of(n_filters=4, filter_size=5, **options):
    return DeconvNetLayer(
        n_filters, filter_size, **{"lam": 5.0, "max_iter": 20, "random_state": 0} | options
    )


def net_of(**options):
    return HierarchicalDeconvNet(
        (3, 5), 3, **{"lam": 5.0, "max_iter": 3, "random_state": 0} | options
    )


def adaptive_of(**options):
    return AdaptiveDeconvNet((2, 2), 3, pooling=None, random_state=0, **options)


def costs(layer, images=IMAGES):
    """Mean cost of images, their maps inferred anew."""
    # As the solver reports them: tests/inference hold it to the definition.
    return float(layer._encode(images)[0].cost.mean())


@pytest.mark.parametrize("options", [{}, {"p": 0.5}], ids=str)
def test_as_many_passes_come_to_what_fit_comes_to(options):
    fitted = layer_of(max_iter=5, tol=0, **options).fit(IMAGES)
    streamed = layer_of(**options)
    for _ in range(5):
        for batch in BATCHES:
            streamed.partial_fit(batch)
    assert costs(streamed) <= 1.01 * costs(fitted)
    assert streamed.n_iter_ == len(streamed.cost_) == 25


SIGNALS = make_sparse_images(6, (1, 50), n_filters=2, filter_size=5, random_state=0).images
COLUMNS = SIGNALS.transpose(0, 2, 1)
KINDS = {"images": IMAGES[:6, :10, :10], "signals": SIGNALS, "columns": COLUMNS}


def shapes_of(model):
    """Shapes of the filters of each layer of a layer or net."""
    layers = getattr(model, "layers_", [model])
    filters = [one.filters_ for one in layers]
    return [one.shape for one in (filters[0] if isinstance(filters[0], list) else filters)]


@pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning")
@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("later", KINDS)
@pytest.mark.parametrize("make", [layer_of, net_of, adaptive_of])
def test_an_integer_keeps_the_size_of_the_first_images(make, first, later):
    model = make(max_iter=1, output="maps").fit(KINDS[first])
    expected = shapes_of(model)
    if hasattr(model, "partial_fit"):
        assert shapes_of(model.partial_fit(KINDS[later])) == expected
    model.set_params(warm_start=True, lam_scale="median").fit(KINDS[later])
    assert shapes_of(model) == expected


def test_it_goes_on_from_a_fit():
    layer = layer_of(max_iter=2).fit(IMAGES)
    before, filters = costs(layer), layer.filters_
    kept = filters.copy()
    layer.partial_fit(BATCHES[0])
    # A single batch neither throws away what is known, nor leaves it.
    assert 0 < np.abs(layer.filters_ - kept).max() < 0.5
    assert layer.n_iter_ == 3
    for _ in range(3):
        for batch in BATCHES:
            layer.partial_fit(batch)
    assert costs(layer) < before
    np.testing.assert_array_equal(filters, kept)


def test_fit_starts_afresh():
    layer = layer_of(max_iter=2).partial_fit(IMAGES).partial_fit(IMAGES[:5])
    expected = layer_of(max_iter=2).fit(IMAGES)
    layer.fit(IMAGES)
    np.testing.assert_array_equal(layer.filters_, expected.filters_)
    np.testing.assert_array_equal(layer.cost_, expected.cost_)


def test_the_same_stream_gives_the_same_filters():
    first, second = layer_of(), layer_of()
    for batch in BATCHES[:3]:
        first.partial_fit(batch)
        second.partial_fit(batch)
    np.testing.assert_array_equal(first.filters_, second.filters_)


def test_what_is_kept_does_not_grow():
    layer = layer_of(3, 3)
    sizes = set()
    for i in range(15):
        layer.partial_fit(IMAGES[i % 7 : i % 7 + 2])
        sizes.add(sum(np.asarray(one).nbytes for one in layer._stream.values()))
    assert len(sizes) == 1
    assert layer._stream["gram"].shape == (27, 27)


def test_no_array_of_the_call_before_is_changed():
    layer = layer_of().partial_fit(IMAGES)
    before = {name: np.copy(one) for name, one in layer._stream.items() if name != "random_state"}
    stream, filters = layer._stream, layer.filters_
    kept = filters.copy()
    layer.partial_fit(IMAGES[:3])
    np.testing.assert_array_equal(filters, kept)
    for name, one in before.items():
        np.testing.assert_array_equal(stream[name], one)


def test_a_failing_batch_leaves_the_layer_as_it_was(monkeypatch):
    layer = layer_of().partial_fit(IMAGES)
    before = vars(layer).copy()

    def fail(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(LayerLearner, "repair_filters", fail)
    with pytest.raises(KeyboardInterrupt):
        layer.partial_fit(IMAGES)
    assert all(vars(layer)[name] is one for name, one in before.items())
    assert vars(layer).keys() == before.keys()


def test_sizes_may_change_between_batches_of_lists():
    layer = layer_of(output="maps").partial_fit(list(IMAGES[:4]))
    assert layer.image_shape_ == (16, 14)
    layer.partial_fit([image[:9] for image in IMAGES[:4]])
    assert layer.image_shape_ == (None, None)
    assert [one.shape for one in layer.inverse_transform(layer.transform(list(IMAGES[:2])))] == [
        (16, 14)
    ] * 2


@pytest.mark.parametrize(
    ("change", "X", "message"),
    [
        ({}, np.repeat(IMAGES[..., None], 3, axis=3), "but fit has seen"),
        ({"n_filters": 5}, IMAGES, r"continues with filters of shape \(4, 5, 5, 1\)"),
        ({"filter_size": 3}, IMAGES, r"continues with filters of shape \(4, 5, 5, 1\)"),
        ({"n_filters": 500}, IMAGES, "partial_fit needs 1192 MB of statistics"),
        ({"lam": -1.0}, IMAGES, "lam"),
    ],
)
def test_what_it_refuses(change, X, message):
    layer = layer_of().partial_fit(IMAGES).set_params(**change)
    before = vars(layer).copy()
    with pytest.raises(ValueError, match=message):
        layer.partial_fit(X)
    assert all(vars(layer)[name] is one for name, one in before.items())


def test_statistics_that_are_too_large_are_refused_before_any_work():
    with pytest.raises(ValueError, match="statistics for filters of shape"):
        layer_of(500).partial_fit(IMAGES)


def test_the_first_batch_of_rows_fixes_their_width():
    rows = IMAGES.reshape(20, -1)
    layer = layer_of(image_shape=(16, 14)).partial_fit(rows)
    assert layer.n_features_in_ == 224
    with pytest.raises(ValueError, match="223 features"):
        layer.partial_fit(rows[:, :-1])


def test_filters_without_use_are_drawn_anew(monkeypatch):
    layer = layer_of(batch_size=4).partial_fit(IMAGES)
    filters = layer.filters_.copy()
    # A filter of high frequencies, of which the images have none.
    filters[0, :, :, 0] = np.indices((5, 5)).sum(axis=0) % 2 - 0.5
    layer.filters_ = filters / np.sqrt((filters**2).sum(axis=(1, 2, 3), keepdims=True))
    layer.lam, layer._stream["idle"] = 2.0, np.array([10**6, 0, 0, 0])
    layer.partial_fit(IMAGES)
    assert abs(np.vdot(layer.filters_[0], filters[0]) / np.linalg.norm(filters[0])) < 0.8


def test_silence_is_told_of():
    with pytest.warns(ZeroMapsWarning, match="All maps are zero"):
        layer_of(lam=1e-9).partial_fit(IMAGES)


def test_the_number_of_workers_does_not_matter():
    layers = [layer_of(batch_size=20, n_jobs=n).partial_fit(IMAGES) for n in (None, 2)]
    np.testing.assert_array_equal(layers[0].filters_, layers[1].filters_)


# The top layer of a net


def test_of_a_net_the_first_call_is_a_fit_and_later_ones_are_for_the_top():
    net, expected = net_of(max_iter=1).partial_fit(IMAGES), net_of(max_iter=1).fit(IMAGES)
    for one, other in zip(net.layers_, expected.layers_, strict=True):
        np.testing.assert_array_equal(one.filters_, other.filters_)
    layers, factors = net.layers_, net.factors_
    kept = [layer.filters_.copy() for layer in layers]
    net.partial_fit(IMAGES[:10])
    np.testing.assert_array_equal(net.layers_[0].filters_, kept[0])
    assert np.abs(net.layers_[1].filters_ - kept[1]).max() > 0
    np.testing.assert_array_equal(layers[1].filters_, kept[1])
    np.testing.assert_array_equal(net.factors_, factors)
    assert net.n_iter_ == sum(layer.n_iter_ for layer in layers) + 1
    assert np.all(
        net.layers_[1].filters_[
            ~net.layers_[1].connectivity[:, None, None].repeat(3, axis=1).repeat(3, axis=2)
        ]
        == 0
    )


def test_the_top_of_a_net_learns_as_a_layer_would_from_its_maps():
    net, longer = net_of(max_iter=2).fit(IMAGES), net_of(max_iter=(2, 5), tol=0).fit(IMAGES)
    np.testing.assert_array_equal(net.factors_, longer.factors_)
    maps = net.layers_[0].set_params(output="maps").transform(IMAGES) / net.factors_[1]
    top = net.layers_[1]
    for _ in range(3):
        for batch in np.split(IMAGES, 4):
            net.partial_fit(batch)
    assert costs(net.layers_[1], maps) < costs(top, maps)
    assert costs(net.layers_[1], maps) <= 1.01 * costs(longer.layers_[1], maps)


def test_a_net_of_another_depth_is_refused():
    net = net_of(max_iter=1).fit(IMAGES).set_params(n_filters=(3, 5, 4))
    with pytest.raises(ValueError, match="has 3 layers, but 2 were fitted; call fit again"):
        net.partial_fit(IMAGES)


def test_one_layer_is_the_layer():
    net = HierarchicalDeconvNet((4,), 5, lam=5.0, max_iter=2, random_state=0).fit(IMAGES)
    layer = layer_of(max_iter=2).fit(IMAGES)
    np.testing.assert_array_equal(
        net.partial_fit(BATCHES[0]).layers_[0].filters_, layer.partial_fit(BATCHES[0]).filters_
    )


def test_transform_needs_a_first_call():
    with pytest.raises(NotFittedError):
        layer_of().transform(IMAGES)


def test_a_given_generator_stays_its_owners():
    generator = np.random.RandomState(3)
    layer = layer_of(random_state=generator).partial_fit(BATCHES[0])
    twin = layer_of(random_state=np.random.RandomState(3)).partial_fit(BATCHES[0])
    generator.normal(size=100)
    for batch in BATCHES[1:3]:
        layer.partial_fit(batch)
        twin.partial_fit(batch)
    np.testing.assert_array_equal(layer.filters_, twin.filters_)


def test_filters_alone_are_not_thrown_away():
    layer = layer_of(max_iter=5).fit(IMAGES)
    kept, before = layer.filters_.copy(), costs(layer)
    del layer._stream
    layer.partial_fit(IMAGES[:1])
    assert 0 < np.abs(layer.filters_ - kept).max()
    assert costs(layer) < 1.02 * before


def test_filters_alone_are_enough_for_a_net():
    net = net_of(max_iter=1).fit(IMAGES)
    for layer in net.layers_:
        del layer._stream
    kept = net.layers_[1].filters_
    higher = net_of(max_iter=1, lower=net.layers_[0]).fit(IMAGES)
    np.testing.assert_array_equal(higher.layers_[0].filters_, net.layers_[0].filters_)
    assert 0 < np.abs(net.partial_fit(IMAGES[:5]).layers_[1].filters_ - kept).max()
