"""What a net must not do in silence, and what it must not share."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.datasets import make_sparse_images
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.layouts import LayerImages
from skdeconv.operators import Convolution, LowFrequencyOperator

IMAGES = make_sparse_images(6, (10, 10), n_filters=3, filter_size=3, random_state=0).images
NOISE = np.random.default_rng(0).random((6, 8, 8))
OPTIONS = {"lam": 5.0, "max_iter": 2, "random_state": 0}


def net_of(*n_filters, **options):
    return HierarchicalDeconvNet(n_filters, 3, **OPTIONS | options)


@pytest.fixture(scope="module")
def layer():
    return DeconvNetLayer(3, 3, **OPTIONS).fit(IMAGES)


def test_alternation_tells_of_steps_that_were_cut_off():
    net = net_of(3, 4, inference="alternating").fit(IMAGES)
    with pytest.warns(ConvergenceWarning, match="6 of 6 images"):
        net.set_params(inference_max_iter=1, inference_tol=0.5).transform(IMAGES)


def test_alternation_returns_the_smooth_maps_that_fit_its_maps_best():
    images = IMAGES + np.linspace(0, 3, 10)[:, None]
    net = net_of(3, 4, inference="alternating", low_frequency=True, inference_tol=0.5).fit(images)
    rows = net.transform(images)
    sparse = net.inverse_transform(net.to_maps(rows))
    uniform = LowFrequencyOperator((3, 3), (1, 10, 10), 1.0, np.float64)
    best, _ = uniform.fit((images - sparse)[:, None])
    np.testing.assert_allclose(net.to_low_frequency(rows), best.transpose(0, 2, 3, 1), atol=1e-6)


def test_alternation_holds_maps_in_between_of_one_chunk(monkeypatch):
    net = net_of(3, 4, inference="alternating", inference_tol=0.5).fit(IMAGES)
    held, get = [], LayerImages.stack
    monkeypatch.setattr(
        LayerImages, "stack", lambda self, key: held.append(get(self, key)) or held[-1]
    )
    monkeypatch.setattr("skdeconv.inference._coding._CHUNK", 1)
    net.transform(IMAGES)
    assert held
    assert all(len(stack) == 1 for stack in held)


@pytest.mark.parametrize("frozen", [False, True])
def test_nothing_is_shared_with_the_lower_layers(layer, frozen):
    before = layer.filters_.copy()
    net = net_of(3, 4, lower=FrozenEstimator(layer) if frozen else layer).fit(IMAGES)
    net.layers_[0].filters_[:] = 0
    np.testing.assert_array_equal(layer.filters_, before)


def test_a_table_of_connections_is_copied():
    table = np.ones((4, 3), dtype=bool)
    table[0, 0] = False
    net = net_of(3, 4, connectivity=("auto", table)).fit(IMAGES)
    table[:] = False
    assert net.layers_[1].connectivity.any()


def test_kept_layers_have_the_type_of_the_images(layer):
    net = net_of(3, 4, lower=layer).fit(IMAGES.astype(np.float32))
    assert {one.filters_.dtype for one in net.layers_} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"connectivity": ("bogus", "full")}, "connectivity must be one of"),
        ({"connectivity": (np.ones((2, 2), bool), "full")}, "connectivity must be of shape"),
        ({"init": (np.ones((9, 9, 9)), None)}, "init must be of shape"),
    ],
)
def test_parameters_of_kept_layers_are_checked(layer, options, message):
    with pytest.raises(ValueError, match=message):
        net_of(3, 4, lower=layer, **options).fit(IMAGES)


def test_kept_layers_refuse_other_connections():
    net = net_of(3, 6, warm_start=True).fit(IMAGES)
    with pytest.raises(ValueError, match="connectivity of layer 2 must be that"):
        net.set_params(connectivity=("full", np.ones((6, 3), bool))).fit(IMAGES)
    table = net.layers_[1].connectivity
    net.set_params(connectivity=("full", table.copy())).fit(IMAGES)
    np.testing.assert_array_equal(net.layers_[1].connectivity, table)


@pytest.mark.filterwarnings("ignore:All maps are zero:skdeconv.exceptions.ZeroMapsWarning")
def test_layers_above_a_silent_one_are_told_of():
    with pytest.warns(ZeroMapsWarning, match="All maps of layer 1 .*Increase lam of layer 1"):
        net_of(3, 4, lam=(1e-6, 5.0)).fit(IMAGES)


@pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning")
@pytest.mark.parametrize("smoothness", [1e-300, 1e-30, 1e30, 1e100, 1e155, 1e300])
def test_extreme_smoothness_leaves_finite_maps(smoothness):
    uniform = LowFrequencyOperator((3, 3), (1, 10, 10), smoothness, np.float64)
    maps, roughness = uniform.fit(IMAGES[:1, None])
    assert np.isfinite(maps).all()
    assert np.isfinite(roughness).all()


@pytest.mark.parametrize("low_frequency", [False, True])
def test_images_of_another_size_have_scores_and_activations(low_frequency):
    net = net_of(3, 4, low_frequency=low_frequency).fit(list(IMAGES))
    other = list(make_sparse_images(2, (12, 13), n_filters=3, filter_size=3).images)
    assert net.score(other) <= 1
    assert net.top_activations(other).samples.max() <= 1
    with pytest.raises(ValueError, match="rows would differ in width"):
        net.transform(other)


@pytest.mark.parametrize("shape", [(7, 5, 3, 3), (4, 6, 2, 5)], ids=str)
def test_the_bound_of_many_channels_is_that_of_all_frequencies_at_once(shape):
    filters = np.random.default_rng(0).standard_normal(shape)
    operator = Convolution(filters, (8, 9))
    spectrum = np.fft.fft2(filters, s=operator.maps_shape[1:]).reshape(*shape[:2], -1)
    wanted = np.linalg.norm(spectrum.transpose(2, 0, 1), 2, axis=(1, 2)).max()
    assert operator.norm() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("limits", [(1, 50), (50, 1)], ids=["first layer", "second layer"])
def test_unfinished_maps_of_either_layer_are_told(limits):
    net = net_of(2, 3, lam=10.0, inference="greedy").fit(NOISE)
    net.transform(NOISE)
    net.set_params(inference_max_iter=limits)
    with pytest.warns(ConvergenceWarning, match="6 of 6 images .*Increase inference_max_iter="):
        net.transform(NOISE)


@pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning")
@pytest.mark.parametrize("solver", ["coordinate_descent", "fista", "half_quadratic"])
@pytest.mark.parametrize("table", [[[True, False], [False, True]], [[False, True]]], ids=str)
def test_filters_that_see_only_zeros_keep_their_norm(table, solver):
    X = np.random.default_rng(1).random((6, 8, 8, 2)) * [1.0, 0.0]
    net = net_of(len(table), 2, connectivity=(table, "full"), solver=solver, max_iter=3).fit(X)
    filters = net.layers_[0].filters_
    np.testing.assert_allclose(np.linalg.norm(filters.reshape(len(table), -1), axis=1), 1)
