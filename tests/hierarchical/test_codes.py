"""Codes of all layers, what they draw, and the net among scikit-learn's tools."""

import warnings
from copy import deepcopy

import numpy as np
import pytest
from reference.contract import check_copies
from reference.convolution import explicit_matrix
from reference.descent import coordinate_descent, disjoint_groups
from reference.hierarchical import cut
from reference.images import images_of
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skdeconv import HierarchicalDeconvNet, SparseMaps, lam_min
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.inference import HalfQuadratic, PowerPenalty, Problem

OPTIONS = {"filter_size": 3, "lam": 4.0, "max_iter": 2, "tol": 0, "random_state": 0}


def net_of(*n_filters, **options):
    return HierarchicalDeconvNet(n_filters, **OPTIONS | options)


@pytest.fixture(scope="module")
def images():
    return images_of(10, 9)


@pytest.fixture(scope="module")
def net(images):
    return net_of(2, 3, 4, filter_size=(3, (3, 2), 2), lam=(4.0, 5.0, 6.0)).fit(images)


def stack_matrix(net, depth, image_shape):
    """The layers as one explicit matrix from the top maps to the pixels, channels first."""
    matrix, shape = 1.0, image_shape
    for layer, factor in zip(net.layers_[:depth], net.factors_, strict=False):
        filters = layer.filters_.transpose(0, 3, 1, 2)
        one = explicit_matrix(filters, shape)
        matrix = factor * one if isinstance(matrix, float) else matrix @ (factor * one)
        shape = tuple(np.add(shape, filters.shape[2:]) - 1)
    return matrix


def flat_maps(net, codes):
    """Maps as rows in the order of the explicit matrix."""
    return net.to_maps(codes).transpose(0, 3, 1, 2).reshape(codes.shape[0], -1)


def pixel_costs(net, X, codes):
    """The cost in pixels of each image's top codes, by its formula."""
    maps, p = net.to_maps(codes), net.layers_[-1].p
    error = np.sum((X - net.decode(codes)).reshape(len(X), -1) ** 2, axis=1)
    if net.low_frequency:
        low = net.to_low_frequency(codes)
        steepness = [np.sum(np.diff(low, axis=axis) ** 2, axis=(1, 2, 3)) for axis in (1, 2)]
        error = error + net.smoothness * sum(steepness)
    weight = net.layers_[-1].lam / np.prod(net.factors_) ** 2
    return weight / 2 * error + np.sum(np.abs(maps) ** p, axis=(1, 2, 3))


@pytest.mark.parametrize("low_frequency", [False, True], ids=["sparse", "low"])
@pytest.mark.parametrize("solver", ["coordinate_descent", "fista"])
@pytest.mark.parametrize("options", [{"p": 1.0}, {"p": 0.5}, {"positive": True}], ids=str)
def test_joint_codes_cost_no_more_than_greedy_ones(options, solver, low_frequency):
    X = images_of(7, 6, n_samples=2) + 0.5 * low_frequency
    net = net_of(2, 3, 2, lam=(4.0, 4.0, 6.0), solver=solver, low_frequency=low_frequency)
    options = {"inference_max_iter": 2000, "connectivity": "full", "smoothness": 2.0} | options
    jointly = net.set_params(**options).fit(X).encode(X)
    greedily = net.set_params(inference="greedy").encode(X)
    for depth in (2, 3):
        part = cut(net, depth)
        joint, greedy = (pixel_costs(part, X, one[depth - 1]) for one in (jointly, greedily))
        assert np.all(joint <= greedy * (1 + 1e-6))
        assert joint.sum() < 0.999 * greedy.sum()


@pytest.mark.parametrize("seed", [0, 1], ids=["zero", "not zero"])
def test_the_warning_of_zero_maps_is_of_the_maps_that_come_out(seed):
    X = images_of(10, 9, random_state=seed)
    net = net_of(2, 3, inference_tol=1e-6, inference_max_iter=500).fit(X)
    first, scale = cut(net, 1), net.factors_[1]
    maps = first.to_maps(first.transform(X)) / scale
    greedily = lam_min(maps, net.layers_[1].filters_).min()
    jointly = scale**2 * lam_min(X, net.project_filters()).min()
    assert (greedily < jointly) == (seed == 0)
    net.set_params(lam=(4.0, (greedily * jointly) ** 0.5))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ZeroMapsWarning)
        codes = net.transform(X)
    assert np.any(codes) == (seed == 1)
    assert len(caught) == (seed == 0)


@pytest.mark.parametrize("options", [{}, {"positive": True}], ids=str)
def test_joint_codes_are_the_best_in_pixels(options, images):
    images = images[:2]
    net = net_of(2, 3, lam=(4.0, 6.0), **options).fit(images)
    joint = pixel_costs(net, images, net.transform(images))
    matrix = stack_matrix(net, 2, images.shape[1:])
    filters_shape = net.project_filters().transpose(0, 3, 1, 2).shape
    maps_shape = net.to_maps(net.transform(images)).transpose(0, 3, 1, 2).shape[1:]
    groups = disjoint_groups(filters_shape, maps_shape)
    weight = 6.0 / net.factors_[1] ** 2
    for image, cost in zip(images, joint, strict=True):
        _, best = coordinate_descent(matrix, image.ravel(), 1.0, weight, groups, **options)
        assert cost == pytest.approx(best, rel=2e-3)


@pytest.mark.parametrize("inference", ["joint", "greedy", "alternating"])
@pytest.mark.parametrize("low_frequency", [False, True], ids=["sparse", "low"])
def test_encode_gives_what_shorter_nets_transform(inference, low_frequency, images):
    images = images[:2]
    net = net_of(2, 3, 2, lam=(4.0, 2.5, 2.0), p=(1.0, 0.5, 1.0), low_frequency=low_frequency)
    net.set_params(inference=inference, inference_tol=0.2, connectivity="full").fit(images)
    codes = net.encode(images)
    assert len(codes) == 3
    np.testing.assert_array_equal(codes[2], net.transform(images))
    for depth in (1, 2):
        assert np.any(codes[depth - 1])
        np.testing.assert_array_equal(codes[depth - 1], cut(net, depth).transform(images))


@pytest.mark.parametrize("shape", [(10, 9), (7, 6, 2), (24,)], ids=str)
def test_every_layer_draws_by_the_product_of_the_matrices(shape):
    X = images_of(*shape, n_samples=2)
    net = net_of(2, 3, 2, filter_size=(3, 2, 3)).fit(X)
    height, width, n_channels = {1: (1, *shape, 1), 2: (*shape, 1), 3: shape}[len(shape)]
    codes = net.encode(X)
    for depth in (1, 2, 3):
        part = cut(net, depth)
        drawn = flat_maps(part, codes[depth - 1]) @ stack_matrix(net, depth, (height, width)).T
        drawn = drawn.reshape(-1, n_channels, height, width).transpose(0, 2, 3, 1)
        assert drawn.any()
        found = net.decode(codes[depth - 1], depth)
        np.testing.assert_allclose(found, drawn.reshape(X.shape), atol=1e-12)
        np.testing.assert_array_equal(part.inverse_transform(codes[depth - 1]), found)
    np.testing.assert_array_equal(net.decode(codes[-1]), found)
    error = np.sum((found - X) ** 2)
    mean = X.mean(axis=tuple(range(1, min(X.ndim, 3))), keepdims=True)
    assert net.score(X) == pytest.approx(1 - error / np.sum((X - mean) ** 2))


@pytest.mark.parametrize("low_frequency", [False, True], ids=["sparse", "low"])
def test_low_frequencies_join_what_any_layer_draws(low_frequency, images):
    images = images[:2]
    net = net_of(2, 3, low_frequency=low_frequency).fit(images + 0.5)
    assert [layer.low_frequency for layer in net.layers_] == [low_frequency, False]
    for depth, codes in enumerate(net.encode(images + 0.5), 1):
        part = cut(net, depth)
        sparse = flat_maps(part, codes) @ stack_matrix(net, depth, images.shape[1:]).T
        rest = (net.decode(codes, depth) - sparse.reshape(images.shape)) / net.decode(codes, depth)
        assert (np.abs(rest).max() > 0.1) == low_frequency
        if low_frequency:
            low = part.to_low_frequency(codes)[..., 0]
            windows = np.lib.stride_tricks.sliding_window_view(low, (3, 3), axis=(1, 2))
            drawn = sparse.reshape(images.shape) + windows.sum(axis=(3, 4)) / 3
            np.testing.assert_allclose(net.decode(codes, depth), drawn, atol=1e-12)


def test_forms_of_codes_hold_the_same(net, images):
    net = deepcopy(net)
    rows = net.encode(images)
    maps = net.set_params(output="maps").encode(images)
    sparse_maps = net.set_params(sparse_output=True).encode(images)
    sparse_rows = net.set_params(output="rows").encode(images)
    for depth, dense in enumerate(rows, 1):
        forms = maps[depth - 1], sparse_maps[depth - 1], sparse_rows[depth - 1]
        assert [type(form) for form in forms] == [np.ndarray, SparseMaps, csr_array]
        drawn, parts = net.decode(dense, depth), net.project_maps(dense, depth, n_activations=2)
        for form in forms:
            np.testing.assert_array_equal(cut(net, depth).to_maps(form), maps[depth - 1])
            np.testing.assert_array_equal(net.decode(form, depth), drawn)
            found = net.project_maps(form, depth, n_activations=2)
            np.testing.assert_array_equal(found, parts)
        np.testing.assert_array_equal(maps[depth - 1].reshape(4, -1), dense)


def test_nets_of_lists_code_images_of_any_size(images):
    net = net_of(2, 3, output="maps").fit(list(images))
    other = list(images_of(7, 12, n_samples=2))
    codes = net.encode(other)
    assert [one.shape for one in codes] == [(2, 9, 14, 2), (2, 11, 16, 3)]
    for depth, one in enumerate(codes, 1):
        assert [image.shape for image in net.decode(one, depth)] == [(7, 12)] * 2
        assert net.project_maps(one, depth).shape == (2, 9, 7, 12, 1)
    stacked = net_of(2, 3, output="maps").fit(images[:, :7])
    stacked.layers_, stacked.factors_ = net.layers_, net.factors_
    expected = stacked.transform(np.stack(other)[:, :, :9])
    np.testing.assert_array_equal(net.transform([image[:, :9] for image in other]), expected)


@pytest.mark.parametrize("low_frequency", [False, True], ids=["sparse", "low"])
def test_feature_names_say_which_coefficient_a_column_is(low_frequency):
    X = images_of(5, 6, 2, n_samples=3)
    net = net_of(2, 3, low_frequency=low_frequency, lam=9.0).fit(X)
    names = net.get_feature_names_out()
    assert len(names) == len(set(names)) == net.transform(X).shape[1]
    n_sparse = 9 * 10 * 3
    for column in (0, 1, 3, 30, n_sparse - 1):
        k, y, x = (int(word[1:]) for word in names[column].split("_"))
        maps = net.to_maps(np.eye(1, len(names), column))
        assert maps[0, y, x, k] == 1
        assert np.count_nonzero(maps) == 1
    assert names[1] == "f1_y0_x0"
    assert (names[n_sparse - 1] == names[-1]) != low_frequency
    if low_frequency:
        assert names[n_sparse : n_sparse + 3].tolist() == ["low0_y0_x0", "low1_y0_x0", "low0_y0_x1"]
        assert names[-1] == "low1_y6_x7"
        assert net.to_low_frequency(np.eye(1, len(names), len(names) - 1))[0, 6, 7, 1] == 1


def test_searches_over_parameters_and_numbers_of_layers():
    X, rough = images_of(8, 8), {"max_iter": 1, "inference_tol": 0.05}
    grid = {"lam": [(4.0, 2.0), (4.0, 9.0)], "p": [1.0, (1.0, 0.5)]}
    search = GridSearchCV(net_of(2, 3, **rough), grid, cv=2, error_score="raise").fit(X)
    assert search.best_params_["lam"] == (4.0, 9.0)
    grid = [{"n_filters": [(2,), (2, 3)]}, {"lower": [None, FrozenEstimator(net_of(2).fit(X))]}]
    search = GridSearchCV(net_of(2, 3, **rough), grid, cv=2, error_score="raise").fit(X)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))


def test_searches_over_numbers_of_layers_before_a_classifier():
    X, labels = images_of(8, 8), np.arange(4) % 2
    pipeline = make_pipeline(net_of(2, max_iter=1, sparse_output=True), LinearSVC(random_state=0))
    grid = {"hierarchicaldeconvnet__n_filters": [(2,), (2, 3)]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, labels)
    assert np.all(np.isfinite(search.cv_results_["mean_test_score"]))
    assert search.predict(X).shape == (4,)


def test_clones_and_pickles(net, images):
    check_copies(net, images)


@pytest.mark.parametrize("inference", ["joint", "greedy", "alternating"])
@pytest.mark.parametrize("low_frequency", [False, True], ids=["sparse", "low"])
def test_floats_are_kept(inference, low_frequency, images):
    images = images[:2]
    options = {"lam": 1.5, "inference_tol": 0.05, "low_frequency": low_frequency, "max_iter": 1}
    net = net_of(2, 3, inference=inference, **options).fit(images.astype(np.float32))
    codes = net.encode(images.astype(np.float32))
    assert np.any(codes[-1])
    results = [*codes, net.decode(codes[-1]), net.project_filters(), net.project_maps(codes[-1])]
    results += net.top_activations(images.astype(np.float32)).crops, net.layers_[1].filters_
    assert {one.dtype for one in results} == {np.dtype(np.float32)}
    double = net_of(2, 3, inference=inference, **options).fit(images)
    assert {one.dtype for one in double.encode(images)} == {np.dtype(np.float64)}


class Explicit:
    """An operator by its matrix."""

    def __init__(self, matrix, images_shape, maps_shape):
        self.matrix, self.images_shape, self.maps_shape = matrix, images_shape, maps_shape

    def forward(self, maps):
        return (maps.reshape(len(maps), -1) @ self.matrix.T).reshape(-1, *self.images_shape)

    def adjoint(self, images):
        return (images.reshape(len(images), -1) @ self.matrix).reshape(-1, *self.maps_shape)


def alternated(pixels, upper, image, below, p, weights, tol, solver):
    """One image's codes by turns from the pixels and from the maps below, and how many turns.

    ``solver`` has the betas as multiples of lam, of which the weight of the pixels is another one.
    """
    penalty = PowerPenalty(p, False)
    in_pixels = Problem(pixels, image, penalty, weights[0])
    in_maps = Problem(upper, below, penalty, weights[1])
    gain = weights[1] / weights[0]
    betas = {name: gain * getattr(solver, name) for name in ("beta_min", "beta_max")}
    of_pixels, maps = clone(solver).set_params(**betas), solver.solve(in_maps).maps
    for turn in range(1, 21):
        down = of_pixels.solve(in_pixels, init=maps).maps
        before, maps = maps, solver.solve(in_maps, init=down).maps
        if np.linalg.norm((maps - before).data) <= tol * np.linalg.norm(before.data):
            return maps, turn
    raise AssertionError("the turns do not settle")


@pytest.mark.parametrize("p", [1.0, 0.5])
def test_alternating_inference_by_its_two_steps(p, images):
    solver = HalfQuadratic(beta_min=0.5, beta_factor=5.0, beta_max=2500.0, beta_repeats=2)
    options = {"inference": "alternating", "inference_tol": 0.05, "solver": solver}
    net = net_of(2, 3, lam=(3.0, 4.0), p=p, **options)
    codes = net.fit(images).transform(images)
    first, factor = cut(net, 1), net.factors_[1]
    below = first.to_maps(first.transform(images)).transpose(0, 3, 1, 2) / factor
    shape = 3, *np.add(below.shape[2:], 2).tolist()
    upper = explicit_matrix(net.layers_[1].filters_.transpose(0, 3, 1, 2), below.shape[2:])
    upper = Explicit(upper, below.shape[1:], shape)
    pixels = Explicit(stack_matrix(net, 2, images.shape[1:]), (1, *images.shape[1:]), shape)
    weights, all_turns = (4.0 / factor**2, 4.0), set()
    for i, found in enumerate(flat_maps(net, codes)):
        one = images[[i], None], below[[i]]
        maps, n_turns = alternated(pixels, upper, *one, p, weights, 0.05, solver)
        assert found.any()
        np.testing.assert_allclose(found, maps.toarray()[0], atol=1e-9)
        all_turns.add(n_turns)
    assert len(all_turns) > 1
