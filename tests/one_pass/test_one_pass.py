"""OnePassEncoder against loops: responses, filters, layouts, and its place in pipelines."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import responses_by_loops
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.features import SpatialPyramid
from skdeconv.preprocessing import LocalContrastNormalizer

LAYER = DeconvNetLayer(2, 3, batch_size=None, max_iter=1, random_state=0)


def noise(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.fixture
def encoder():
    return OnePassEncoder(noise(3, 3, 3, seed=1)).fit(noise(4, 8, 9))


# What is computed


@settings(max_examples=60, deadline=None, database=None)
@given(
    seed=st.integers(0, 10**6),
    filters=st.tuples(*[st.integers(1, high) for high in (3, 4, 4, 3)]),
    larger=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    padding=st.sampled_from(["same", "valid"]),
    competition=st.sampled_from([0, 0.3, 0.6, 0.95]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_responses_against_loops(seed, filters, larger, padding, competition, dtype):
    _, h, w, n_channels = filters
    images = noise(2, h + larger[0], w + larger[1], n_channels, seed=seed, dtype=dtype)
    before, options = images.copy(), {"competition": competition, "padding": padding}
    encoder = OnePassEncoder(noise(*filters, seed=seed + 1), **options).fit(images)
    maps = encoder.transform(images)
    expected = responses_by_loops(images, encoder.filters_, competition, padding)
    tol = 1e-12 if dtype == np.float64 else 1e-5
    assert_allclose(maps, expected, rtol=tol, atol=tol)
    assert maps.dtype == encoder.filters_.dtype == dtype
    assert_array_equal(images, before)


@pytest.mark.parametrize("shape", [(2, 3), (5, 2), (1, 1)])
def test_images_smaller_than_the_filters(shape):
    images, filters = noise(2, *shape, 1), noise(2, 4, 5, 1, seed=1)
    encoder = OnePassEncoder(filters).fit(images)
    expected = responses_by_loops(images, encoder.filters_, 0.6, "same")
    assert_allclose(encoder.transform(images), expected, atol=1e-12)
    with pytest.raises(ValueError, match=rf"{shape[0]} x {shape[1]} pixels.*4 x 5.*\"same\""):
        encoder.set_params(padding="valid").fit(images)
    # After a fit on larger ones in a list.
    encoder.fit(list(noise(2, 8, 8)))
    with pytest.raises(ValueError, match=rf"{shape[0]} x {shape[1]} pixels"):
        encoder.transform(list(images))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_filters_have_no_mean_and_unit_norm(dtype):
    filters, images = 5 + noise(4, 3, 2, 2), noise(2, 6, 6, 2, dtype=dtype)
    found = OnePassEncoder(filters).fit(images).filters_
    assert found.dtype == dtype
    centred = filters - filters.mean(axis=(1, 2, 3), keepdims=True)
    norms = np.sqrt((centred**2).sum(axis=(1, 2, 3), keepdims=True))
    assert_allclose(found, centred / norms, atol=1e-12 if dtype == np.float64 else 1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0, 0.1, 1 / 3, -1e3])
def test_constant_filters_answer_nothing(value, dtype):
    filters, images = noise(3, 5, 7), noise(2, 9, 9, dtype=dtype)
    filters[1] = value
    encoder = OnePassEncoder(filters, competition=0).fit(images)
    assert not encoder.filters_[1].any()
    maps = encoder.transform(images)
    assert not maps[..., [1, 4]].any()
    others = OnePassEncoder(filters[::2], competition=0).fit(images).transform(images)
    assert_allclose(maps[..., [0, 2, 3, 5]], others, atol=1e-6)


def test_images_of_constants_answer_nothing(encoder):
    maps = encoder.transform(np.full((2, 8, 9), 1e3))
    assert maps.max() < 1e-10
    assert not encoder.transform(np.zeros((2, 8, 9))).any()


def test_competition_keeps_the_best_and_ever_fewer(encoder):
    images, counts = noise(4, 8, 9), []
    for competition in (0, 0.5, 0.9, 0.999):
        maps = encoder.set_params(competition=competition).transform(images)
        counts.append(np.count_nonzero(maps))
        assert (maps.max(axis=3) > 0).all()
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 3 * 4 * 8 * 9
    assert counts[-1] < 1.1 * 4 * 8 * 9


def test_images_shift_their_maps():
    images = noise(2, 12, 13)
    encoder = OnePassEncoder(noise(3, 3, 4, seed=1), padding="valid").fit(images)
    maps = encoder.transform(images)
    for shift in ((1, 0), (0, 1), (2, 3), (-1, -2)):
        moved = encoder.transform(np.roll(images, shift, axis=(1, 2)))
        expected = np.roll(maps, shift, axis=(1, 2))
        rows, columns = (slice(max(n, 0), min(n, 0) or None) for n in shift)
        assert_allclose(moved[:, rows, columns], expected[:, rows, columns], atol=1e-12)


def test_the_sign_of_an_image_swaps_the_signs_of_maps(encoder):
    images = noise(4, 8, 9)
    maps, turned = encoder.transform(images), encoder.transform(-images)
    assert_array_equal(turned, np.roll(maps, 3, axis=3))
    assert_allclose(encoder.transform(4 * images), 4 * maps, rtol=1e-12)


# Filters from elsewhere


def test_an_unfitted_layer_is_cloned_and_fitted():
    layer, images = clone(LAYER), noise(6, 8, 8)
    encoder = OnePassEncoder(layer).fit(images)
    assert not hasattr(layer, "filters_")
    assert encoder.layer is layer
    expected = clone(LAYER).fit(images).filters_
    assert_array_equal(encoder.layer_.filters_, expected)
    assert_array_equal(encoder.filters_, OnePassEncoder(expected).fit(images).filters_)
    # A fitted one without the freezer is no other than an unfitted one.
    again = OnePassEncoder(clone(LAYER).fit(noise(6, 8, 8, seed=5))).fit(images)
    assert_array_equal(again.filters_, encoder.filters_)


def test_a_frozen_layer_stays_as_it_is():
    layer = clone(LAYER).fit(noise(6, 8, 8))
    before = vars(layer).copy()
    encoder = OnePassEncoder(FrozenEstimator(layer)).fit(noise(5, 12, 10, seed=3))
    assert all(vars(layer)[name] is before[name] for name in before)
    assert encoder.layer_.estimator is layer
    images = noise(2, 12, 10, seed=4)
    expected = OnePassEncoder(layer.filters_).fit(images).transform(images)
    assert_array_equal(encoder.transform(images), expected)


@pytest.mark.parametrize("kind", [np.array, np.ndarray.tolist])
def test_filters_in_arrays(kind):
    filters, images = noise(3, 4, 2), noise(2, 7, 7)
    first = OnePassEncoder(kind(filters)).fit(images)
    second = OnePassEncoder(kind(filters[..., None])).fit(images)
    assert_array_equal(first.filters_, second.filters_)
    assert first.filters_.shape == (3, 4, 2, 1)
    assert not hasattr(first, "layer_")


def test_none_stands_for_the_default_layer(monkeypatch):
    made = []

    def fit(self, X, y=None):
        made.append((self.get_params(), X.shape))
        self.filters_ = noise(3, 3, 3, 1)
        return self

    monkeypatch.setattr(DeconvNetLayer, "fit", fit)
    OnePassEncoder().fit(noise(4, 8, 8))
    assert made == [(DeconvNetLayer(random_state=0).get_params(), (4, 8, 8, 1))]


def test_a_refit_on_an_array_forgets_the_layer():
    images = noise(4, 8, 8)
    encoder = OnePassEncoder(LAYER).fit(images)
    assert hasattr(encoder, "layer_")
    encoder.set_params(layer=noise(2, 3, 3)).fit(images)
    assert not hasattr(encoder, "layer_")


@pytest.mark.parametrize(
    "fault",
    [
        {"X": np.full((2, 5, 5), np.nan)},
        {"X": np.ones((2, 4, 4, 3))},
        {"layer": "x"},
        {"layer": np.ones((2, 9, 9)), "padding": "valid"},
        {"competition": 2},
        {"image_shape": (3, 3)},
    ],
)
def test_a_failed_refit_leaves_the_old_fit(fault, encoder):
    images = noise(2, 8, 9)
    expected, before = encoder.transform(images), vars(encoder).copy()
    params = {"X": noise(2, 5, 5)} | fault
    X = params.pop("X")
    with pytest.raises((TypeError, ValueError)):
        clone(encoder).set_params(**params).fit(X)
    old = {name: encoder.get_params()[name] for name in params}
    with pytest.raises((TypeError, ValueError)):
        encoder.set_params(**params).fit(X)
    encoder.set_params(**old)
    assert vars(encoder).keys() == before.keys()
    assert all(vars(encoder)[name] is before[name] for name in before)
    assert_array_equal(encoder.transform(images), expected)


# Layouts


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (4, 4, 3), (1, 48), (48,)])
def test_rows_stacks_lists_and_frames_agree(shape, padding):
    rows, height = noise(3, 48), 1 if 1 in (len(shape), shape[0]) else 2
    filters = noise(2, height, 3, 3 if shape[-1] == 3 else 1, seed=1)
    encoder = OnePassEncoder(filters, padding=padding, image_shape=shape).fit(rows)
    maps = encoder.transform(rows)
    assert maps.ndim == 4
    assert maps.shape[3] == 4
    frame = pd.DataFrame(rows).add_prefix("p")
    assert_array_equal(clone(encoder).fit(frame).transform(frame), maps)
    if len(shape) > 1:
        stack = rows.reshape(3, *shape)
        fresh = OnePassEncoder(filters, padding=padding)
        assert_array_equal(fresh.fit(stack).transform(stack), maps)
        assert_array_equal(fresh.transform(list(stack)), maps)
        assert_array_equal(fresh.fit(list(stack)).transform(list(stack)), maps)
        assert fresh.image_shape_ == shape
    flat = encoder.set_params(output="rows").transform(rows)
    assert_array_equal(flat, maps.reshape(3, -1))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_names_are_those_of_the_columns(padding):
    images = noise(2, 5, 6)
    encoder = OnePassEncoder(noise(3, 2, 3), padding=padding, output="rows").fit(images)
    names = encoder.get_feature_names_out().tolist()
    rows, maps = encoder.transform(images), encoder.set_params(output="maps").transform(images)
    assert len(names) == len(set(names)) == rows.shape[1]
    for column in range(0, len(names), 7):
        one, y, x = names[column].split("_")
        k = int(one[1:-1]) + (3 if one.endswith("-") else 0)
        assert one[0] + y[0] + x[0] == "fyx"
        assert_array_equal(rows[:, column], maps[:, int(y[1:]), int(x[1:]), k])
    assert names[:6] == [f"f{k}{sign}_y0_x0" for sign in "+-" for k in range(3)]
    assert_array_equal(encoder.get_feature_names_out([f"x{i}" for i in range(30)]), names)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_lists_may_be_of_other_sizes_than_in_fit(padding):
    filters, images = noise(2, 3, 3), noise(2, 9, 7)
    encoder = OnePassEncoder(filters, padding=padding).fit(list(noise(3, 8, 8)))
    expected = OnePassEncoder(filters, padding=padding).fit(images).transform(images)
    assert_array_equal(encoder.transform(list(images)), expected)
    assert not hasattr(encoder, "n_features_in_")
    encoder.set_params(output="rows")
    assert encoder.transform(list(noise(3, 8, 8))).shape == (
        3,
        encoder.get_feature_names_out().size,
    )
    with pytest.raises(
        ValueError, match=r'\(9, 7\), but fit has seen shape \(8, 8\).*output="maps"'
    ):
        encoder.transform(list(images))
    with pytest.raises(ValueError, match=r"\(8, 8, 3\)"):
        encoder.transform(list(noise(2, 8, 8, 3)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_image_depends_on_the_others(dtype, monkeypatch):
    images = noise(7, 9, 8, 2, dtype=dtype)
    encoder = OnePassEncoder(noise(5, 3, 4, 2, seed=1)).fit(images)
    whole, sizes, encode = encoder.transform(images), [], OnePassEncoder._encode
    for i in range(7):
        assert_array_equal(encoder.transform(images[i : i + 1])[0], whole[i])
    order = [3, 0, 6]
    assert_array_equal(encoder.transform(images[order]), whole[order])

    def counting(self, images, *args, **kwargs):
        sizes.append(len(images))
        encode(self, images, *args, **kwargs)

    monkeypatch.setattr(OnePassEncoder, "_encode", counting)
    numbers = 9 * 8 * (10 + 3 * 4 * 2)
    for at_once, expected in [
        (1, [1] * 7),
        (3 * numbers, [3, 3, 1]),
        (3 * numbers - 1, [2] * 3 + [1]),
    ]:
        monkeypatch.setattr("skdeconv._one_pass._NUMBERS_AT_ONCE", at_once)
        sizes.clear()
        assert_array_equal(encoder.transform(images), whole)
        assert sizes == expected


def test_single_positions_do_not_depend_on_the_others():
    # Where a map is one pixel, a stack would be one product of many rows.
    images = noise(50, 9, 9, 3)
    encoder = OnePassEncoder(noise(7, 9, 9, 3, seed=1), padding="valid").fit(images)
    maps = encoder.transform(images)
    assert maps.shape == (50, 1, 1, 14)
    for i in range(0, 50, 7):
        assert_array_equal(encoder.transform(images[i : i + 1])[0], maps[i])


def test_memory_is_that_of_the_maps(encoder, monkeypatch):
    monkeypatch.setattr("skdeconv._one_pass._NUMBERS_AT_ONCE", 2**12)
    images = noise(400, 8, 9)
    encoder.transform(images)
    tracemalloc.start()
    maps = encoder.transform(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.25 * maps.nbytes + images.nbytes + 2**19


def test_dtypes(encoder):
    images = noise(4, 8, 9, dtype=np.float32)
    assert encoder.transform(images).dtype == np.float32
    assert encoder.transform((images * 9).astype(int)).dtype == np.float64
    assert encoder.fit(images).filters_.dtype == np.float32
    assert encoder.transform(images.astype(float)).dtype == np.float64


# Among other estimators


def test_pickle_and_clone(encoder):
    images = noise(2, 8, 9)
    copied = pickle.loads(pickle.dumps(encoder))
    assert_array_equal(copied.transform(images), encoder.transform(images))
    options = {"competition": 0.2, "padding": "valid", "output": "rows", "image_shape": (8, 9)}
    for name, value in clone(OnePassEncoder(LAYER, **options)).get_params(deep=False).items():
        assert value == options.get(name, value)
    assert OnePassEncoder(LAYER).get_params()["layer__n_filters"] == 2


def test_frames_come_out(encoder):
    images = noise(4, 8, 9)
    encoder.set_params(output="rows").set_output(transform="pandas")
    frame = encoder.fit(images).transform(images)
    assert list(frame.columns) == list(encoder.get_feature_names_out())
    assert_array_equal(frame, encoder.set_output(transform="default").transform(images))


def test_the_whole_way_to_labels_in_a_grid():
    images = np.repeat(noise(24, 8, 1), 8, axis=2) + noise(24, 8, 8, seed=1) / 4
    y = np.arange(24) % 2
    images[y == 1] = images[y == 1].transpose(0, 2, 1)
    pipeline = make_pipeline(
        LocalContrastNormalizer(),
        OnePassEncoder(clone(LAYER)),
        SpatialPyramid(),
        LinearSVC(random_state=0),
    )
    grid = {
        "onepassencoder__competition": [0.0, 0.6],
        "onepassencoder__layer__n_filters": [2, 3],
        "spatialpyramid__levels": [(1,), ((2, 1), 3)],
        "spatialpyramid__power": [0.5, 1],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(images, y)
    assert len(search.cv_results_["params"]) == 16
    assert search.best_score_ > 0.9
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert names.size == search.best_estimator_[-1].n_features_in_
