"""A layer with low-frequency maps beside its sparse ones."""

import pickle
import re
from copy import deepcopy
from functools import cache

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix
from reference.low_frequency import layer_of, shaded
from scipy.sparse import csr_array
from sklearn.base import clone

from skdeconv import DeconvNetLayer, SparseMaps
from skdeconv.datasets import make_sparse_images

# Shape of an image, filter size, (h, w) of the filter, (height, width, n_channels).
SHAPES = {
    "grey": ((9, 7), (3, 2), (3, 2), (9, 7, 1)),
    "colour": ((6, 7, 3), 3, (3, 3), (6, 7, 3)),
    "signal": ((24,), 5, (1, 5), (1, 24, 1)),
    "smaller than the filter": ((3, 4, 2), 5, (5, 5), (3, 4, 2)),
}


@cache
def fitted(shape, filter_size=3):
    return layer_of(filter_size=filter_size).fit(shaded(4, shape))


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def case(request):
    """A fitted layer with its images, map height and width, and number of channels."""
    shape, filter_size, (h, w), (height, width, n_channels) = request.param
    layer = deepcopy(fitted(shape, filter_size))
    return layer, shaded(4, shape), (height + h - 1, width + w - 1), n_channels


@pytest.fixture
def data():
    return make_sparse_images(6, (20, 18), n_filters=3, filter_size=5, random_state=42)


@pytest.fixture
def images():
    return shaded(4, (9, 7))


@pytest.fixture
def layer():
    return deepcopy(fitted((9, 7)))


def drawn(filters, maps):
    """Images that maps draw by (n_filters, n_channels, h, w), by the explicit matrix."""
    n_channels, *filter_size = filters.shape[1:]
    height, width = np.subtract(maps.shape[1:3], filter_size) + 1
    matrix = explicit_matrix(filters, (height, width))
    images = maps.transpose(0, 3, 1, 2).reshape(len(maps), -1) @ matrix.T
    return images.reshape(-1, n_channels, height, width).transpose(0, 2, 3, 1)


def drawn_of_maps(layer, maps):
    return drawn(layer.filters_.transpose(0, 3, 1, 2), maps)


def drawn_of_low(layer, low):
    h, w, n_channels = layer.filters_.shape[1:]
    flat = np.full((h, w), 1 / np.sqrt(h * w))
    return drawn(np.eye(n_channels)[:, :, None, None] * flat, low)


# Rows


def test_rows_are_the_sparse_maps_and_then_the_low_frequency_ones(case):
    layer, images, (height, width), n_channels = case
    rows = layer.transform(images)
    n_sparse, n_low = height * width * 2, height * width * n_channels
    assert rows.shape == (4, n_sparse + n_low)
    maps, low = layer.to_maps(rows), layer.to_low_frequency(rows)
    assert maps.shape == (4, height, width, 2)
    assert low.shape == (4, height, width, n_channels)
    assert_array_equal(maps, rows[:, :n_sparse].reshape(maps.shape))
    assert_array_equal(low, rows[:, n_sparse:].reshape(low.shape))
    assert 0 < np.count_nonzero(maps) < 0.9 * maps.size
    assert np.count_nonzero(low) == low.size


def test_names_tell_filter_or_channel_and_position(case):
    layer, images, (height, width), n_channels = case
    names = layer.get_feature_names_out()
    rows = layer.transform(images)
    assert names.shape == rows.shape[1:]
    assert len(set(names)) == len(names)
    maps, low = layer.to_maps(rows), layer.to_low_frequency(rows)
    for name, column in zip(names, rows.T, strict=True):
        block, k, y, x = re.fullmatch(r"(f|low)(\d+)_y(\d+)_x(\d+)", name).groups()
        stack = {"f": maps, "low": low}[block]
        assert_array_equal(column, stack[:, int(y), int(x), int(k)])
    assert names[0] == "f0_y0_x0"
    assert names[-1] == f"low{n_channels - 1}_y{height - 1}_x{width - 1}"


def test_sparse_rows_hold_the_same_with_32_bit_indices(case):
    layer, images, *_ = case
    rows = layer.transform(images)
    sparse = layer.set_params(sparse_output=True).transform(images)
    assert isinstance(sparse, csr_array)
    assert sparse.indices.dtype == sparse.indptr.dtype == np.int32
    assert sparse.has_sorted_indices
    assert sparse.data.all()
    assert_array_equal(sparse.toarray(), rows)
    assert_array_equal(layer.to_maps(sparse), layer.to_maps(rows))
    assert_array_equal(layer.to_low_frequency(sparse), layer.to_low_frequency(rows))
    assert_array_equal(layer.inverse_transform(sparse), layer.inverse_transform(rows))


# Drawing


def test_images_are_drawn_by_the_filters_and_by_the_flat_one(case):
    layer, images, *_ = case
    rows = layer.transform(images)
    maps, low = layer.to_maps(rows), layer.to_low_frequency(rows)
    sparse, smooth = drawn_of_maps(layer, maps), drawn_of_low(layer, low)
    found = layer.inverse_transform(rows)
    assert found.shape == images.shape
    assert_allclose(found, (sparse + smooth).reshape(images.shape), atol=1e-12)
    assert np.abs(sparse).max() > 0.1
    assert np.abs(smooth).max() > 0.1


def test_sparse_maps_alone_draw_the_sparse_part_alone(case):
    layer, images, (height, width), _ = case
    rows = layer.transform(images)
    maps = layer.to_maps(rows)
    expected = drawn_of_maps(layer, maps).reshape(images.shape)
    assert_allclose(layer.inverse_transform(maps), expected, atol=1e-12)
    sparse = [csr_array(one.reshape(-1, 2)) for one in maps]
    sparse = SparseMaps(sparse, [(height, width)] * 4)
    assert_allclose(layer.inverse_transform(sparse), expected, atol=1e-12)
    without = rows.copy()
    without[:, maps[0].size :] = 0
    assert_allclose(layer.inverse_transform(without), expected, atol=1e-12)


def test_score_is_that_of_the_drawn_images(case):
    layer, images, *_ = case
    error = np.sum((layer.inverse_transform(layer.transform(images)) - images) ** 2)
    pixels = (1, 2) if images.ndim == 4 else tuple(range(1, images.ndim))
    variance = np.sum((images - images.mean(axis=pixels, keepdims=True)) ** 2)
    score = layer.score(images)
    assert score == pytest.approx(1 - error / variance, abs=1e-10)
    assert score > 0


def test_smoothness_makes_maps_smoother_and_images_dearer(layer, images):
    def roughness(layer):
        low = layer.to_low_frequency(layer.transform(images))
        return sum(np.sum(np.diff(low, axis=axis) ** 2) for axis in (1, 2))

    layer.set_params(inference_tol=1e-2)
    smoothnesses, once = (0.1, 1, 10, 100), {"batch_size": None, "max_iter": 1}
    layers = [clone(layer).set_params(smoothness=psi, **once) for psi in smoothnesses]
    assert np.all(np.diff([one.fit(images).cost_[0] for one in layers]) > 0)
    assert np.all(np.diff([roughness(one) for one in layers]) < 0)
    same = [roughness(layer.set_params(smoothness=psi)) for psi in smoothnesses]
    assert np.all(np.diff(same) < 0)


# What it is for


def test_brightness_that_grows_along_the_image_needs_no_sparse_maps(data):
    images = data.images[:4] + np.linspace(0, 3, 18)
    layer = DeconvNetLayer(3, 5, lam=4.0, max_iter=2, random_state=0)
    without = clone(layer).fit(images)
    with_low = clone(layer).set_params(low_frequency=True).fit(images)
    fewer = np.count_nonzero(with_low.to_maps(with_low.transform(images)))
    assert 0 < fewer < 0.5 * np.count_nonzero(without.transform(images))
    assert with_low.score(images) >= without.score(images)


def test_a_constant_added_to_images_hardly_changes_what_is_learned(data):
    layer = DeconvNetLayer(3, 5, lam=8.0, low_frequency=True, max_iter=2, random_state=0)
    layer.set_params(inference_tol=1e-5, inference_max_iter=1000)
    images = data.images[:3]
    dark, bright = clone(layer).fit(images), clone(layer).fit(images + 100)
    assert_allclose(bright.filters_, dark.filters_, atol=1e-6)
    rows, brighter = dark.transform(images), dark.transform(images + 100)
    maps = dark.to_maps(rows)
    assert np.count_nonzero(maps)
    assert_allclose(dark.to_maps(brighter), maps, atol=1e-6 * np.abs(maps).max())
    shift = dark.to_low_frequency(brighter) - dark.to_low_frequency(rows)
    assert_allclose(shift, 100 / 5, rtol=1e-6)
    # Without low-frequency maps the filters have to draw a hundredth of it.
    dark.set_params(low_frequency=False, inference_tol=1e-3)
    assert np.count_nonzero(dark.transform(images + 1)) > 2 * np.count_nonzero(maps)


@pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning")
def test_constant_images_have_no_sparse_maps(layer):
    stack = np.broadcast_to(np.array([1.0, -4.0, 30.0])[:, None, None], (3, 9, 7))
    rows = layer.transform(stack)
    assert not layer.to_maps(rows).any()
    assert_allclose(layer.inverse_transform(rows), stack, rtol=1e-12)


def test_zero_images_have_neither_maps(layer):
    rows = layer.transform(np.zeros((2, 9, 7)))
    assert not rows.any()
    assert layer.score(np.zeros((2, 9, 7))) == 1


# Learning


@pytest.mark.parametrize(
    "options",
    [{}, {"p": 0.5}, {"positive": True}, {"smoothness": 0.1}, {"smoothness": 30.0}],
    ids=["p=1", "p=0.5", "positive", "rough", "smooth"],
)
def test_whole_passes_never_raise_the_cost(data, options):
    options = {"n_filters": 4, "filter_size": 5, "lam": 4.0, "max_iter": 5, "tol": 0} | options
    layer = DeconvNetLayer(low_frequency=True, batch_size=None, random_state=0, **options)
    layer.fit(data.images + np.linspace(0, 2, 18))
    assert len(layer.cost_) == 5
    assert np.all(np.diff(layer.cost_) <= 1e-9 * layer.cost_[:-1])
    assert layer.cost_[-1] < 0.99 * layer.cost_[0]


def test_planted_filters_are_recovered_under_shading():
    data = make_sparse_images(
        6, (30, 30), n_filters=4, filter_size=5, density=0.005, random_state=0
    )
    images = data.images + np.linspace(-2, 2, 30)
    layer = DeconvNetLayer(4, 5, lam=4.0, low_frequency=True, smoothness=10.0, max_iter=10)
    filters = layer.set_params(random_state=100).fit(images).filters_
    scores = np.abs(np.einsum("kabc,labc->kl", data.filters, filters))
    assert scores.max(axis=1).min() > 0.95


@pytest.mark.parametrize("backend", [pytest.param("loky", marks=pytest.mark.slow), "threading"])
def test_workers_change_no_bit(data, backend, monkeypatch):
    images = data.images[:3] + 1
    monkeypatch.setattr("skdeconv.inference._coding._CHUNK", 5000)
    layer = layer_of(filter_size=5, batch_size=None, tol=0)
    alone = clone(layer).set_params(n_jobs=1).fit(images)
    with parallel_config(backend):
        together = clone(layer).set_params(n_jobs=2).fit(images)
        codes = together.transform(images)
    assert_array_equal(together.filters_, alone.filters_)
    assert_array_equal(together.cost_, alone.cost_)
    assert_array_equal(codes, alone.transform(images))


@pytest.mark.parametrize("solver", ["coordinate_descent", "fista", "half_quadratic"])
@pytest.mark.parametrize("options", [{}, {"p": 0.5}, {"positive": True}], ids=str)
def test_every_solver_learns_and_codes(images, solver, options):
    images, limits = images[:2], {"inference_tol": 1e-2, "inference_max_iter": 300}
    layer = layer_of(solver=solver, **limits, **options).fit(images)
    rows = layer.transform(images)
    maps = layer.to_maps(rows)
    assert np.count_nonzero(maps)
    assert np.count_nonzero(layer.to_low_frequency(rows))
    assert (maps >= 0).all() == ("positive" in options)
    assert layer.score(images) > 0.2


def test_an_image_does_not_depend_on_its_neighbours(layer, images):
    rows = layer.transform(images)
    for one in range(len(images)):
        assert_array_equal(layer.transform(images[[one]])[0], rows[one])


def test_single_precision_is_kept(images):
    images = images[:2]
    layer = layer_of().fit(images.astype(np.float32))
    rows = layer.transform(images.astype(np.float32))
    assert layer.filters_.dtype == rows.dtype == np.float32
    for form in (layer.to_maps, layer.to_low_frequency, layer.inverse_transform):
        assert form(rows).dtype == np.float32
    sparse = layer.set_params(sparse_output=True).transform(images.astype(np.float32))
    assert sparse.dtype == np.float32
    assert layer.score(images) == pytest.approx(layer_of().fit(images).score(images), abs=1e-2)


# Layouts


@pytest.mark.parametrize("shape", [(24,), (6, 4), (4, 2, 3)], ids=str)
def test_layouts_give_the_same_rows(shape):
    rows, rough = shaded(4, (24,)), {"inference_tol": 0.1}
    expected = layer_of(image_shape=shape, **rough).fit(rows)
    codes = expected.transform(rows)
    images = expected.inverse_transform(codes)
    assert images.shape == rows.shape
    stack = rows.reshape(4, *shape)
    forms = {"stack": stack, "list": list(stack)} if len(shape) > 1 else {"frame": rows}
    for name, form in forms.items():
        layer = layer_of(**rough).fit(form)
        assert_array_equal(layer.transform(form), codes, err_msg=name)
        assert_array_equal(layer.get_feature_names_out(), expected.get_feature_names_out())
        found = layer.inverse_transform(codes)
        assert isinstance(found, list) == (name == "list")
        assert_array_equal(np.reshape(found, rows.shape), images)
        assert layer.score(form) == pytest.approx(expected.score(rows))


def test_lists_of_maps_of_another_size_are_drawn_without_low_frequencies(images):
    layer = layer_of().fit(list(images))
    maps = np.random.default_rng(0).standard_normal((2, 12, 14, 2))
    found = layer.inverse_transform(maps)
    assert [one.shape for one in found] == [(10, 12)] * 2
    assert_allclose(found, drawn_of_maps(layer, maps)[..., 0], atol=1e-12)


def test_pickled_layers_code_alike(layer, images):
    rows = layer.transform(images)
    again = pickle.loads(pickle.dumps(layer))
    assert_array_equal(again.transform(images), rows)
    assert_array_equal(again.to_low_frequency(rows), layer.to_low_frequency(rows))


# Faults and limits
