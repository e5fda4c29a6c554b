"""BagOfFeatures against loops: descriptors, words, their pyramid, and what fit remembers."""

import pickle
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import (
    descriptors_by_loops,
    draw_maps,
    flat_axis,
    pyramid_by_loops,
    sparse_maps,
    words_by_loops,
)
from scipy.sparse import csr_array, random_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from skdeconv import SparseMaps
from skdeconv.features import BagOfFeatures
from skdeconv.features._descriptors import Descriptors

SMALL = {"patch_size": 4, "pool": 2, "random_state": 0}
each_coding = pytest.mark.parametrize("coding", ["hard", "soft", "sparse"])


def bag_by_loops(bag, maps):
    """What a fitted bag makes of the maps of one image."""
    descriptors, grid = descriptors_by_loops(maps, bag.patch_size, bag.step, bag.pool)
    centres = bag.words_.reshape(len(bag.words_), -1)
    words = words_by_loops(descriptors, centres, bag.coding, bag.n_nearest, bag.sharpness)
    options = {name: getattr(bag, name) for name in ("pooling", "power", "normalize")}
    options |= {"flat": flat_axis(maps), "split_sign": bag.coding == "sparse"}
    return pyramid_by_loops(words.reshape(*grid, -1), bag.levels, **options)


def draw_maps_with_blanks(*shape, dtype=np.float64):
    """Maps, of which the first windows of each row have no coefficient, and an image has none."""
    maps = draw_maps(5, *shape, 2, dtype=dtype)
    maps[:, :, :6] = maps[3] = 0
    return maps


# What is computed


@settings(max_examples=25, deadline=None, database=None)
@given(
    seed=st.integers(0, 10**6),
    larger=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    sizes=st.sampled_from([(4, 2), (6, 3), (3, 1), (2, 2), (1, 1), (6, 2)]),
    step=st.integers(1, 4),
    flat=st.sampled_from([None, 0, 1]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_descriptors_against_loops(seed, larger, sizes, step, flat, dtype):
    patch_size, pool = sizes
    shape = [1 if axis == flat else patch_size + more for axis, more in enumerate(larger)]
    maps = draw_maps(*shape, 2, seed=seed, dtype=dtype, density=0.3)
    expected, windows = descriptors_by_loops(maps, patch_size, step, pool)
    describe, positions = Descriptors(patch_size, step, pool), maps.reshape(-1, 2)
    for form in (positions, csr_array(positions)):
        found, grid = describe(form, tuple(shape))
        assert_allclose(found, expected, atol=1e-12 if dtype == np.float64 else 1e-5)
        assert (found.dtype, grid) == (dtype, windows)
    assert found.shape[1] == np.prod(describe.blocks(shape)) * 2


@each_coding
@pytest.mark.parametrize("normalize", ["cell", "global", None])
@pytest.mark.parametrize("shape", [(7, 9), (1, 12), (12, 1), (4, 8), (9, 4)])
def test_rows_against_loops(shape, coding, normalize):
    maps = draw_maps(3, *shape, 2)
    options = {"step": 1, "coding": coding, "normalize": normalize, "n_nearest": 3}
    bag = BagOfFeatures(6, levels=(1, 2, 3), **options, **SMALL).fit(maps)
    expected = np.stack([bag_by_loops(bag, one) for one in maps])
    for form in (maps, list(maps), sparse_maps(maps)):
        assert_allclose(bag.transform(form), expected, atol=1e-6)
    rows = bag.set_params(maps_shape=(*shape, 2)).transform(csr_array(maps.reshape(3, -1)))
    assert_allclose(rows, expected, atol=1e-6)
    assert_allclose(bag.transform(maps.reshape(3, -1)), expected, atol=1e-6)
    assert len(bag.get_feature_names_out()) == expected.shape[1]


@pytest.mark.parametrize("pooling", ["sum", "max"])
@pytest.mark.parametrize("sharpness", [0, 10.0])
@pytest.mark.parametrize("n_nearest", [1, 5, 6, 100])
@pytest.mark.parametrize("shape", [(7, 11), (1, 13)])
def test_soft_words_against_loops(shape, n_nearest, sharpness, pooling):
    maps = draw_maps_with_blanks(*shape)
    options = {"n_nearest": n_nearest, "sharpness": sharpness, "pooling": pooling}
    bag = BagOfFeatures(6, step=1, levels=(1, 2, 3), coding="soft", **options, **SMALL)
    bag.set_params(power=1, normalize=None).fit(maps)
    # One of them is blank.
    maps = maps[2:4]
    expected = np.stack([bag_by_loops(bag, one) for one in maps])
    for form in (maps, list(maps), sparse_maps(maps)):
        assert_allclose(bag.transform(form), expected, rtol=1e-6, atol=1e-9)


def test_the_nearest_of_many_words():
    # Of few images two words would be the same, a tie.
    maps = draw_maps(20, 12, 12, 2)
    options = {"coding": "soft", "n_nearest": 500, "sharpness": 0}
    bag = BagOfFeatures(700, step=1, levels=(1,), **options, **SMALL).fit(maps)
    expected = bag_by_loops(bag, maps[0])
    # Where clusters coincide, either word may be the last of the nearest ones of a window.
    assert_allclose(bag.transform(maps[:1])[0], expected, atol=1e-3)


@pytest.mark.parametrize("pooling", ["sum", "max"])
def test_maxima_of_hard_words_say_which_there_are(pooling):
    maps = draw_maps_with_blanks(9, 11)
    bag = BagOfFeatures(6, power=1, normalize=None, pooling=pooling, **SMALL).fit(maps)
    expected = np.stack([bag_by_loops(bag, one) for one in maps])
    assert_allclose(bag.transform(maps), expected, rtol=1e-9, atol=1e-12)
    assert (set(np.unique(bag.transform(maps))) == {0, 1}) == (pooling == "max")


@pytest.mark.parametrize("pooling", ["sum", "max"])
def test_hard_words_are_the_limits_of_soft_ones(pooling):
    maps = draw_maps_with_blanks(9, 11)
    bag = BagOfFeatures(6, pooling=pooling, **SMALL).fit(maps)
    expected = bag.transform(maps)
    bag.set_params(coding="soft", n_nearest=1)
    for sharpness in (0, 10.0, 1e9):
        assert_array_equal(bag.set_params(sharpness=sharpness).transform(maps), expected)
    # Where all other words are too far away for exp.
    assert_allclose(bag.set_params(n_nearest=6).transform(maps), expected, atol=1e-6)
    assert np.abs(bag.set_params(sharpness=10.0).transform(maps) - expected).max() > 0.01


def test_shares_of_words_add_up_to_the_windows_that_are_not_blank():
    maps = draw_maps_with_blanks(9, 11)
    bag = BagOfFeatures(6, levels=(1,), power=1, normalize=None, **SMALL).fit(maps)
    windows = [descriptors_by_loops(one, 4, 2, 2)[0].any(axis=1).sum() for one in maps]
    assert windows == [6, 6, 6, 0, 6]
    for options in ({"coding": "hard"}, {"coding": "soft", "n_nearest": 4}):
        assert_allclose(bag.set_params(**options).transform(maps).sum(axis=1), windows)
    # Without sharpness each of the nearest has the same.
    shares = bag.set_params(sharpness=0).transform(maps) * 4
    assert_allclose(shares, np.round(shares), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("noise", [1, 1e-2, 1e-4])
def test_hard_words_are_the_predicted_ones_up_to_ties(noise, dtype):
    rng = np.random.default_rng(0)
    maps = (rng.random((8, 8, 2)) + noise * rng.random((20, 8, 8, 2))).astype(dtype)
    bag = BagOfFeatures(6, step=1, power=1, normalize=None, **SMALL).fit(maps)
    descriptors = np.concatenate([Descriptors(4, 1, 2)(one, (8, 8))[0] for one in maps])
    centres = bag.words_.reshape(6, -1).astype(float)
    squares = ((descriptors.astype(float)[:, None] - centres) ** 2).sum(axis=2)
    found, each = bag._nearest(descriptors)[0].ravel(), np.arange(len(descriptors))
    # Single precision may be too little for predict.
    atol = 1e-6 if dtype == np.float32 else 1e-14
    predicted = bag.kmeans_.predict(descriptors)
    assert_allclose(squares[each, found], squares[each, predicted], rtol=0, atol=atol)
    assert_allclose(squares[each, found], squares.min(axis=1), rtol=0, atol=atol)


def test_hard_words_are_counts():
    maps = draw_maps(5, 9, 9, 2)
    bag = BagOfFeatures(6, levels=(1, 2), power=1, normalize=None, **SMALL).fit(maps)
    counts = bag.transform(maps).reshape(5, 5, 6)
    assert_array_equal(counts[:, 0].sum(axis=1), 9)
    assert_array_equal(counts[:, 0], np.round(counts[:, 0]))
    assert_allclose(counts[:, 1:].sum(axis=1), counts[:, 0])
    for one, found in zip(maps, counts, strict=True):
        descriptors, _ = descriptors_by_loops(one, 4, 2, 2)
        words = words_by_loops(descriptors, bag.words_.reshape(6, -1), "hard")
        assert_array_equal(words.sum(axis=0), found[0])


def test_words_are_the_centres_of_the_clusters():
    maps = draw_maps(5, 9, 9, 3)
    bag = BagOfFeatures(6, **SMALL).fit(maps)
    assert bag.words_.shape == (6, 2, 2, 3)
    assert_array_equal(bag.words_.reshape(6, -1), bag.kmeans_.cluster_centers_)
    assert bag.maps_shape_ == (9, 9, 3)
    flat = BagOfFeatures(6, **SMALL).fit(draw_maps(5, 1, 30, 3))
    assert flat.words_.shape == (6, 1, 2, 3)
    # Of two kinds of windows each gets a word.
    maps = np.zeros((4, 8, 8, 2))
    maps[:2, ..., 0] = maps[2:, ..., 1] = [[[1]], [[-3]]]
    words = BagOfFeatures(2, **SMALL).fit(maps).words_
    assert_allclose(sorted(words[:, 0, 0, 0]), [0, 0.5], atol=1e-12)
    assert_allclose(words.sum(axis=3), 0.5)


def test_zeros_have_no_descriptor():
    maps = draw_maps(4, 8, 8, 2)
    maps[1] = 0
    for coding in ("hard", "soft", "sparse"):
        rows = BagOfFeatures(4, coding=coding, **SMALL).fit_transform(maps)
        assert np.isfinite(rows).all()
        assert_array_equal(rows.any(axis=1), [True, False, True, True])
    assert not Descriptors(4, 2, 2)(maps[1].reshape(-1, 2), (8, 8))[0].any()


# Names


@pytest.mark.parametrize("coding", ["hard", "soft"])
def test_names_are_those_of_the_columns(coding):
    maps = draw_maps(3, 9, 11, 2)
    options = {"levels": (1, (2, 3)), "power": 1, "normalize": None, "coding": coding}
    bag = BagOfFeatures(4, **options, **SMALL).fit(maps)
    names, rows = bag.get_feature_names_out(), bag.transform(maps)
    assert names.dtype == object
    assert len(set(names)) == len(names) == rows.shape[1] == 4 * 7
    for i, one in enumerate(maps):
        descriptors, grid = descriptors_by_loops(one, 4, 2, 2)
        words = words_by_loops(descriptors, bag.words_.reshape(4, -1), coding).reshape(*grid, 4)
        for level, cells in (("1", (1, 1)), ("2x3", (2, 3))):
            for y, x, k in np.ndindex(*cells, 4):
                [column] = np.flatnonzero(names == f"word{k}_l{level}_y{y}_x{x}")
                total = pyramid_by_loops(words[..., k : k + 1], [cells], power=1, normalize=None)
                assert_allclose(rows[i, column], total[y * cells[1] + x], atol=1e-9)


def test_names_where_all_windows_are_in_one_row():
    for shape, n_cells in [((4, 12), 1 + 4), ((1, 12), 1 + 2), ((12, 1), 1 + 2)]:
        bag = BagOfFeatures(3, levels=(1, 2), **SMALL).fit(draw_maps(3, *shape, 2))
        assert len(bag.get_feature_names_out()) == 3 * n_cells
        assert bag.transform(draw_maps(3, *shape, 2)).shape == (3, 3 * n_cells)


# What fit looks at


@pytest.mark.parametrize("n_descriptors", [5, 8, 17, 1000])
def test_the_sample_is_bounded_and_spread_over_the_images(n_descriptors, monkeypatch):
    seen = []

    def describe(self, maps, shape):
        seen.append(maps[0, 0])
        values = np.full((10, 1), maps[0, 0]) + np.arange(10)[:, None] / 10
        # A window without any coefficient is no descriptor to learn from.
        values[9] = 0
        return values, (2, 5)

    monkeypatch.setattr(Descriptors, "__call__", describe)
    bag = BagOfFeatures(2, n_descriptors=n_descriptors)
    maps = np.arange(1.0, 6)[:, None, None, None] + np.zeros((5, 8, 8, 1))
    sample = bag._sample(maps, np.random.RandomState(0))
    image, place = np.divmod(np.round(10 * sample[:, 0]), 10)
    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert len(sample) == min(n_descriptors, 45)
    counts = np.bincount(image.astype(int) - 1, minlength=5)
    assert np.ptp(counts) <= 1
    # None twice, and not the first ones alone.
    assert len(np.unique(sample)) == len(sample)
    assert n_descriptors > 45 or place.max() > counts.max()


def test_memory_of_fit_is_bounded(monkeypatch):
    rng = np.random.default_rng(0)
    matrix = csr_array(random_array((40 * 40, 20), density=0.02, rng=rng))
    options = {"step": 1, "patch_size": 8, "n_descriptors": 100, "random_state": 0}

    def peak_of(n_images):
        bag = BagOfFeatures(5, **options)
        maps = SparseMaps([matrix] * n_images, [(40, 40)] * n_images)
        bag.fit(maps[:2])
        tracemalloc.start()
        bag.fit(maps)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    one_image = 33 * 33 * 2 * 2 * 20 * 8
    few, many = peak_of(2), peak_of(16)
    assert many < few + one_image / 2
    assert few < 6 * one_image


def test_random_state():
    maps = draw_maps(6, 12, 12, 2)
    bag = BagOfFeatures(5, n_descriptors=40, **SMALL).fit(maps)
    words = bag.words_
    assert_array_equal(clone(bag).fit(maps).words_, words)
    assert_array_equal(bag.fit(maps).words_, words)
    other = clone(bag).set_params(random_state=1).fit(maps).words_
    assert np.abs(other - words).max() > 1e-3
    # Of the same descriptors, too.
    of_all = [
        clone(bag).set_params(n_descriptors=1000, random_state=seed).fit(maps).words_
        for seed in (0, 1)
    ]
    assert np.abs(of_all[0] - of_all[1]).max() > 1e-3
    generator = np.random.RandomState(0)
    bag.set_params(random_state=generator)
    assert_array_equal(bag.fit(maps).words_, words)
    assert np.abs(bag.fit(maps).words_ - words).max() > 1e-3


@each_coding
def test_no_image_depends_on_the_others(coding):
    maps = draw_maps(4, 10, 9, 2)
    bag = BagOfFeatures(5, coding=coding, **SMALL).fit(maps)
    rows = bag.transform(maps)
    for i in range(4):
        assert_array_equal(bag.transform(maps[i : i + 1])[0], rows[i])
    assert_array_equal(bag.transform(maps[::-1]), rows[::-1])


# Forms of maps


@each_coding
def test_sizes_may_be_mixed(coding):
    shapes = [(4, 9), (9, 7), (4, 4), (12, 5)]
    maps = [draw_maps(*shape, 2, seed=i) for i, shape in enumerate(shapes)]
    for order in ([0, 1, 2, 3], [1, 0, 3, 2]):
        mixed = [maps[i] for i in order]
        bag = BagOfFeatures(4, coding=coding, levels=(1, 2), **SMALL).fit(mixed)
        expected = np.stack([bag_by_loops(bag, one) for one in mixed])
        assert_allclose(bag.transform(mixed), expected, atol=1e-6)
        assert_allclose(bag.transform(sparse_maps(mixed)), expected, atol=1e-6)
        assert bag.maps_shape_ == (*shapes[order[0]], 2)


def test_images_smaller_than_a_window_are_refused():
    bag, message = BagOfFeatures(2, **SMALL), "patch_size=4 is larger than .* side of which is 3"
    for maps in (draw_maps(3, 3, 9, 2), draw_maps(3, 9, 3, 2), draw_maps(3, 1, 3, 2)):
        with pytest.raises(ValueError, match=message):
            bag.fit(maps)
    bag.fit(draw_maps(3, 9, 9, 2))
    with pytest.raises(ValueError, match=message):
        bag.transform([draw_maps(8, 8, 2), draw_maps(8, 3, 2)])


def test_fewer_descriptors_than_words_are_refused():
    maps = draw_maps(2, 6, 6, 2)
    BagOfFeatures(8, **SMALL).fit(maps)
    with pytest.raises(ValueError, match="n_words=9 is more than the 8 descriptors of X"):
        BagOfFeatures(9, **SMALL).fit(maps)


@each_coding
@pytest.mark.parametrize("fitted", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes(dtype, fitted, coding):
    maps = draw_maps(5, 8, 8, 2)
    # NumPy's numbers, as grids have them, make no float64.
    bag = BagOfFeatures(4, coding=coding, sharpness=np.float64(10), **SMALL)
    bag.fit(maps.astype(fitted))
    assert bag.words_.dtype == fitted
    for form in (maps.astype(dtype), sparse_maps(maps.astype(dtype))):
        rows = bag.transform(form)
        assert_allclose(rows, bag.transform(maps.astype(fitted)), atol=1e-4)
        assert rows.dtype == dtype


def test_integers_are_floats():
    maps = np.random.default_rng(0).integers(-2, 3, (4, 8, 8, 2))
    expected = BagOfFeatures(4, **SMALL).fit_transform(maps.astype(float))
    for form in (maps, sparse_maps(maps)):
        assert_allclose(BagOfFeatures(4, **SMALL).fit_transform(form), expected, rtol=1e-12)


def test_parameters_tags_clone_and_pickle():
    options = {
        "n_words": 3, "patch_size": 2, "step": 1, "pool": 1, "levels": (2,), "coding": "soft",
        "n_nearest": 2, "sharpness": 3.0, "pooling": "max", "power": 1, "normalize": None,
        "n_descriptors": 50, "maps_shape": (6, 6, 2), "random_state": 3,
    }  # fmt: skip
    bag, maps = BagOfFeatures(**options), draw_maps(3, 6, 6, 2)
    assert bag.get_params() == clone(bag).get_params() == options
    with pytest.raises(NotFittedError):
        bag.transform(maps)
    copied = pickle.loads(pickle.dumps(bag.fit(maps)))
    assert_array_equal(copied.transform(maps), bag.transform(maps))
    for one, rows in [(bag, True), (BagOfFeatures(), False)]:
        tags = get_tags(one)
        assert tags.input_tags.two_d_array is rows
        assert tags.input_tags.sparse is rows
        assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
