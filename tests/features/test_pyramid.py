"""SpatialPyramid against loops, and what shifts, permutations and scales do to its rows."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import draw_maps, pyramid_by_loops, shares_of_cells, sparse_maps
from scipy.sparse import coo_array, csr_array

from skdeconv import SparseMaps
from skdeconv.features import SpatialPyramid
from skdeconv.features._windows import cell_weights, grid_weights

KINDS = [
    *product(["box"], ["sum", "mean", "max", "energy"]),
    *product(["gaussian", "triangular"], ["sum", "mean", "energy"]),
]
each_kind = pytest.mark.parametrize(("window", "pooling"), KINDS)
each_pooling = pytest.mark.parametrize("pooling", ["sum", "mean", "max", "energy"])
LEVELS = [(1, 2, 4), (3,), [2, (3, 1)], ((1, 2), (2, 3)), [[2, 1]], (7,)]
PLAIN = {"power": 1, "normalize": None}


def assert_like_loops(maps, **options):
    """All forms of a stack give the rows of the loops, and come out unchanged."""
    expected = np.stack([pyramid_by_loops(one, **options) for one in maps])
    tol = 1e-12 if maps.dtype == np.float64 else 1e-5
    rows, sparse, before = maps.reshape(len(maps), -1), sparse_maps(maps), maps.copy()
    of_rows = {"maps_shape": maps.shape[1:]}
    forms = [(maps, {}), (list(maps), {}), (sparse, {}), (maps, of_rows), (rows, of_rows)]
    for X, form in [*forms, (csr_array(rows), of_rows)]:
        pyramid = SpatialPyramid(**options, **form).fit(X)
        result = pyramid.transform(X)
        assert_allclose(result, expected, rtol=tol, atol=tol)
        assert result.dtype == maps.dtype
        assert pyramid.maps_shape_ == maps.shape[1:]
        assert len(pyramid.get_feature_names_out()) == result.shape[1]
    assert_array_equal(maps, before)
    assert_array_equal(sparse.to_dense(), before)


# What is computed


@pytest.mark.parametrize("split_sign", [False, True])
@each_kind
@settings(max_examples=8, deadline=None, database=None)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 7), st.integers(1, 3)),
    dtype=st.sampled_from([np.float32, np.float64]),
    density=st.sampled_from([0.1, 0.7]),
    options=st.fixed_dictionaries(
        {
            "levels": st.sampled_from(LEVELS),
            "sigma": st.sampled_from([0.4, 1.0, 2.5]),
            "stride": st.sampled_from([1, 1.5, 3]),
            "overlap": st.sampled_from([0.0, 0.25, 0.5, 1.0]),
            "power": st.sampled_from([0.5, 1, 2]),
            "normalize": st.sampled_from(["cell", "global", None]),
        }
    ),
)
def test_rows_against_loops(window, pooling, split_sign, seed, shape, dtype, density, options):
    maps = draw_maps(2, *shape, seed=seed, dtype=dtype, density=density)
    options |= {"window": window, "pooling": pooling, "split_sign": split_sign}
    assert_like_loops(maps, **options)


@pytest.mark.parametrize("shape", [(5, 7), (3, 4), (1, 9), (9, 1), (6, 6), (2, 1), (1, 1)])
def test_defaults_against_loops(shape):
    assert_like_loops(draw_maps(3, *shape, 2))


def test_shares_of_cells_are_exact():
    for size, n_cells, overlap in product(range(1, 10), range(1, 9), [0, 0.25, 0.5, 1]):
        expected = np.array(shares_of_cells(size, n_cells, overlap), float)
        assert_allclose(cell_weights(size, n_cells, overlap), expected, atol=1e-12)


@pytest.mark.parametrize("level", [2, 3, 4, 5, (2, 7)])
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (1, 5), (7, 11), (2, 2)])
def test_cells_add_up_to_the_whole(shape, level):
    maps = draw_maps(2, *shape, 3)
    cells = SpatialPyramid((level,), **PLAIN).fit_transform(maps).reshape(2, -1, 3)
    assert_allclose(cells.sum(axis=1), np.abs(maps).sum(axis=(1, 2)))


def test_a_position_on_a_boundary_counts_by_its_share():
    maps = np.arange(1.0, 6).reshape(1, 1, 5, 1)
    halves = SpatialPyramid((2,), **PLAIN).fit_transform(maps)
    assert_allclose(halves, [[1 + 2 + 1.5, 1.5 + 4 + 5]])
    quarters = SpatialPyramid((4,), **PLAIN).fit_transform(maps[:, :, :3])
    assert_allclose(quarters, [[0.75, 0.25 + 1, 1 + 0.75, 2.25]])
    largest = SpatialPyramid((4,), pooling="max", **PLAIN).fit_transform(maps[:, :, :3])
    assert_allclose(largest, [[1, 2, 3, 3]])
    overlapping = SpatialPyramid((2,), overlap=0.4, **PLAIN).fit_transform(maps)
    assert_allclose(overlapping, [[1 + 2 + 3, 3 + 4 + 5]])


@pytest.mark.parametrize("form", [np.asarray, sparse_maps])
def test_rounding_gives_cells_no_other_position(form):
    # Cells of 5 positions reach one further to either side; 0.2 * 5 is not exact.
    maps = np.zeros((25, 1, 25, 1))
    maps[np.arange(25), 0, np.arange(25)] = 1
    lit = SpatialPyramid((5,), overlap=0.4, pooling="max", **PLAIN).fit_transform(form(maps))
    cells = [{min(max(x // 5 + (x % 5 == 4) - (x % 5 == 0), 0), 4), x // 5} for x in range(25)]
    assert [set(np.flatnonzero(row)) for row in lit] == cells


def test_windows_have_the_standard_deviation():
    for window in ("gaussian", "triangular"):
        weights = grid_weights(2001, window, 40.0, 5000)[0]
        at = np.arange(2001) - 1000
        assert weights[1000] == weights.max() == 1
        assert_allclose(np.sqrt((weights * at**2).sum() / weights.sum()), 40, rtol=2e-3)


# What happens to rows when maps change


@each_pooling
def test_shifts_inside_a_cell_change_nothing(pooling):
    maps = np.zeros((2, 12, 16, 3))
    maps[:, 1:2, 5:7] = draw_maps(2, 1, 2, 3, density=1)
    pyramid = SpatialPyramid((1, 2, 4), pooling=pooling).fit(maps)
    expected = pyramid.transform(maps)
    for shift in ((-1, 0), (1, 1), (0, -1)):
        moved = pyramid.transform(np.roll(maps, shift, axis=(1, 2)))
        assert_allclose(moved, expected, atol=1e-15)
    assert np.abs(pyramid.transform(np.roll(maps, 2, axis=1)) - expected).max() > 0.1


@each_pooling
def test_shifts_by_a_cell_permute_cells(pooling):
    maps = draw_maps(2, 6, 8, 2)
    pyramid = SpatialPyramid(((2, 4),), pooling=pooling)
    cells = pyramid.fit_transform(maps).reshape(2, 2, 4, 2)
    moved = pyramid.transform(np.roll(maps, (3, 2), axis=(1, 2))).reshape(2, 2, 4, 2)
    assert_allclose(moved, np.roll(cells, (1, 1), axis=(1, 2)), rtol=1e-12)


@each_kind
def test_permutations(window, pooling):
    maps = draw_maps(4, 7, 6, 3)
    pyramid = SpatialPyramid((1, 2), window=window, pooling=pooling, split_sign=True)
    rows, filters, images = pyramid.fit_transform(maps), [2, 0, 1], [3, 1, 0, 2]
    columns = rows.reshape(4, -1, 2, 3)
    permuted = pyramid.transform(maps[..., filters]).reshape(columns.shape)
    assert_allclose(permuted, columns[..., filters], atol=1e-15)
    assert_array_equal(pyramid.transform(maps[images]), rows[images])
    # The other sign exchanges the two maps of every filter.
    turned = pyramid.transform(-maps).reshape(columns.shape)
    assert_allclose(turned, columns[:, :, ::-1], rtol=1e-12)


@each_kind
def test_scales(window, pooling):
    maps, degree = draw_maps(3, 7, 6, 2), 2 if pooling == "energy" else 1
    for power, normalize in product([0.5, 1, 3], [None, "cell", "global"]):
        options = {"power": power, "normalize": normalize}
        pyramid = SpatialPyramid(window=window, pooling=pooling, **options).fit(maps)
        factor = 1 if normalize else 5.0 ** (degree * power)
        assert_allclose(pyramid.transform(5 * maps), factor * pyramid.transform(maps), rtol=1e-9)


@each_kind
@pytest.mark.parametrize("normalize", ["cell", "global", None])
def test_zeros_stay_zero(window, pooling, normalize):
    maps = draw_maps(3, 8, 8, 2)
    maps[1] = 0
    maps[2, :4] = 0
    pyramid = SpatialPyramid(window=window, pooling=pooling, normalize=normalize)
    for form in (maps, sparse_maps(maps)):
        rows = pyramid.fit_transform(form)
        assert np.isfinite(rows).all()
        assert not rows[1].any()
        assert (rows[[0, 2]].any(axis=1)).all()


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_values_are_scaled_too(window, pooling, dtype):
    maps = draw_maps(2, 8, 8, 2, dtype=dtype)
    options = {"window": window, "pooling": pooling, "power": 1, "normalize": "cell"}
    pyramid = SpatialPyramid((1, 2), **options).fit(maps)
    small = pyramid.transform(maps * dtype(2.0**-27))
    assert_allclose(small, pyramid.transform(maps), rtol=1e-5)


def test_norms():
    maps = draw_maps(3, 8, 8, 2)
    pyramid = SpatialPyramid((1, 2), normalize="cell")
    cells = pyramid.fit_transform(maps).reshape(3, 5, 2)
    assert_allclose(np.linalg.norm(cells, axis=2), 1)
    split = pyramid.set_params(split_sign=True).fit_transform(maps).reshape(3, 5, 4)
    assert_allclose(np.linalg.norm(split, axis=2), 1)
    images = SpatialPyramid((1, 2), normalize="global").fit_transform(maps)
    assert_allclose(np.linalg.norm(images, axis=1), 1)
    # The root of an energy is a Euclidean norm.
    roots = SpatialPyramid((1,), pooling="energy", normalize=None).fit_transform(maps)
    assert_allclose(roots, np.linalg.norm(maps, axis=(1, 2)))


# Forms of maps


@each_pooling
def test_sizes_may_be_mixed_in_boxes(pooling):
    shapes = [(5, 7), (9, 3), (1, 4), (5, 7), (2, 2)]
    maps = [draw_maps(*shape, 3, seed=i) for i, shape in enumerate(shapes)]
    pyramid = SpatialPyramid((1, (3, 2)), pooling=pooling).fit(maps)
    assert pyramid.maps_shape_ == (5, 7, 3)
    expected = np.concatenate(
        [SpatialPyramid((1, (3, 2)), pooling=pooling).fit_transform(one[None]) for one in maps[:2]]
    )
    for form in (maps, sparse_maps(maps)):
        rows = pyramid.transform(form)
        assert_allclose(rows[:2], expected, atol=1e-12)
        # Maps of a height of 1 get as many cells as the others.
        assert rows.shape == (5, pyramid.get_feature_names_out().size) == (5, 7 * 3)
    assert pyramid.transform(draw_maps(2, 8, 8, 3)).shape == (2, 21)
    flat = SpatialPyramid((1, 2)).fit(maps[2][None])
    assert flat.transform(maps).shape == (5, flat.get_feature_names_out().size) == (5, 3 * 3)


@pytest.mark.parametrize("window", ["gaussian", "triangular"])
def test_windows_of_fixed_size_need_one_size(window):
    maps = [draw_maps(5, 7, 3), draw_maps(5, 8, 3)]
    pyramid, message = SpatialPyramid(window=window), r'\(5, 8\).*\(5, 7\).*one size.*"box"'
    for form in (maps, sparse_maps(maps)):
        with pytest.raises(ValueError, match=message):
            pyramid.fit(form)
        with pytest.raises(ValueError, match=message):
            pyramid.fit(form[:1]).transform(form[1:])


@each_pooling
@pytest.mark.parametrize("split_sign", [False, True])
def test_sparse_maps_never_become_dense(pooling, split_sign, monkeypatch):
    monkeypatch.delattr(SparseMaps, "to_dense")
    rng, shape = np.random.default_rng(0), (200 * 200, 400)
    values, positions = rng.standard_normal(400), rng.choice(shape[0], 400)
    matrix = csr_array(coo_array((values, (positions, np.arange(400))), shape))
    maps = SparseMaps([matrix] * 3, [(200, 200)] * 3)
    pyramid = SpatialPyramid(pooling=pooling, split_sign=split_sign, **PLAIN).fit(maps)
    tracemalloc.start()
    rows = pyramid.transform(maps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < shape[0] * shape[1] * 8 / 8
    signs = [np.maximum(values, 0), np.maximum(-values, 0)] if split_sign else [np.abs(values)]
    expected = np.concatenate(signs) ** (2 if pooling == "energy" else 1)
    expected /= shape[0] if pooling == "mean" else 1
    assert_allclose(rows[0, : expected.size], expected)
    assert_array_equal(rows, rows[[0, 0, 0]])


@each_kind
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_image_depends_on_the_others(window, pooling, dtype, monkeypatch):
    maps = draw_maps(7, 9, 8, 5, dtype=dtype)
    pyramid = SpatialPyramid((1, 2, 3), window=window, pooling=pooling).fit(maps)
    whole = pyramid.transform(maps)
    for i in range(7):
        assert_array_equal(pyramid.transform(maps[i : i + 1])[0], whole[i])
    assert_array_equal(pyramid.transform(list(maps)), whole)
    for numbers in (1, 2 * maps[0].size, 3 * maps[0].size + 1):
        monkeypatch.setattr("skdeconv.features._pyramid._NUMBERS_AT_ONCE", numbers)
        assert_array_equal(pyramid.transform(maps), whole)


def test_stacks_are_worked_through_in_parts(monkeypatch):
    maps, sizes = draw_maps(7, 4, 4, 2), []

    def counting(self, maps):
        sizes.append(len(maps))
        return np.zeros((len(maps), 42))

    monkeypatch.setattr("skdeconv.features._pyramid.Pooling.dense", counting)
    monkeypatch.setattr("skdeconv.features._pyramid._NUMBERS_AT_ONCE", 3 * maps[0].size)
    SpatialPyramid().fit_transform(maps)
    assert sizes == [3, 3, 1]


def test_integers_and_floats_agree():
    maps = np.random.default_rng(0).integers(-3, 4, (3, 5, 7, 2))
    for options in ({}, {"pooling": "energy", "split_sign": True}, {"window": "gaussian"}):
        expected = SpatialPyramid(**options).fit_transform(maps.astype(float))
        for form in (maps, list(maps), sparse_maps(maps), sparse_maps(maps.astype(np.int8))):
            rows = SpatialPyramid(**options).fit_transform(form)
            assert rows.dtype == np.float64
            assert_allclose(rows, expected, rtol=1e-12)


def test_a_product_that_raises_the_flag_invalid_does_not_warn(monkeypatch):
    maps, matmul = draw_maps(2, 4, 4, 2), np.matmul
    pyramid = SpatialPyramid(levels=(1, 2)).fit(maps)
    expected = pyramid.transform(maps)

    def flagged(*args):
        np.float32(np.inf) - np.float32(np.inf)
        return matmul(*args)

    monkeypatch.setattr(np, "matmul", flagged)
    assert_array_equal(pyramid.transform(maps), expected)
