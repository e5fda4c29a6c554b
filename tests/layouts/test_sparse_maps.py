"""Layouts of maps: codes of solvers, rows, stacks and SparseMaps stand for the same maps."""

import pickle

import numpy as np
import pytest
from reference.faults import check_each
from scipy.sparse import coo_array, csr_array, csr_matrix, random_array
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skdeconv.layouts import (
    SparseMaps,
    check_codes,
    map_shape_of,
    present_codes,
)
from skdeconv.layouts._codes import codes_of_rows, rows_of_codes

SHAPE = (3, 4, 5)


class Coder(BaseEstimator):
    """An estimator for messages to name."""


def some_codes(n_samples=6, dtype=np.float64, density=0.3):
    """Random codes in the order that solvers use, and the dense maps that they stand for."""
    rng = np.random.default_rng(1)
    size = (n_samples, np.prod(SHAPE))
    codes = random_array(size, density=density, format="csr", rng=rng, dtype=np.float64)
    codes = csr_array(codes).astype(dtype)
    return codes, np.moveaxis(codes.toarray().reshape(n_samples, *SHAPE), 1, -1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sparse_output", [True, False])
@pytest.mark.parametrize("output", ["rows", "maps"])
def test_codes_round_trip_in_every_form(output, sparse_output, dtype):
    codes, maps = some_codes(dtype=dtype)
    before = codes.toarray()
    shown = present_codes(codes, SHAPE, output, sparse_output)
    if output == "maps":
        dense = shown.to_dense() if sparse_output else shown
        expected = maps
    else:
        dense = shown.toarray() if sparse_output else shown
        expected = maps.reshape(len(maps), -1)
    assert type(dense) is np.ndarray
    assert dense.dtype == dtype
    np.testing.assert_array_equal(dense, expected)
    back, _ = check_codes(Coder(), shown, SHAPE)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.toarray(), before)
    np.testing.assert_array_equal(codes.toarray(), before)


def test_reordering_leaves_its_argument_alone():
    codes, _ = some_codes()
    before = codes.copy()
    rows = rows_of_codes(codes, SHAPE)
    rows_before = rows.copy()
    back = codes_of_rows(rows, SHAPE)
    for after, kept in ((codes, before), (rows, rows_before), (back, before)):
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(after, part), getattr(kept, part))


@pytest.mark.parametrize("index_dtype", [np.int32, np.int64])
def test_indices_have_32_bits(index_dtype):
    codes, _ = some_codes()
    parts = (codes.data, codes.indices.astype(index_dtype), codes.indptr.astype(index_dtype))
    codes = csr_array(parts, shape=codes.shape)
    maps = present_codes(codes, SHAPE, "maps", True)
    for matrix in (
        rows_of_codes(codes, SHAPE),
        codes_of_rows(rows_of_codes(codes, SHAPE), SHAPE),
        check_codes(Coder(), maps, SHAPE)[0],
        *maps.maps,
    ):
        assert matrix.indices.dtype == np.int32
        assert matrix.indptr.dtype == np.int32
        assert matrix.has_sorted_indices
    rows = present_codes(codes, SHAPE, "rows", True)
    LinearSVC(random_state=0).fit(rows, np.arange(6) % 2)


def test_indices_beyond_32_bits_do_not_wrap():
    shape = (2, 40_000, 40_000)
    last = 2 * 40_000 * 40_000 - 1
    parts = (np.ones(1), np.array([last]), np.array([0, 1]))
    codes = csr_array(parts, shape=(1, last + 1))
    assert rows_of_codes(codes, shape).indices.tolist() == [last]


def test_map_shapes_are_known_of_maps_alone():
    codes, _ = some_codes()
    for sparse_output in (True, False):
        maps = present_codes(codes, SHAPE, "maps", sparse_output)
        assert map_shape_of(maps) == (4, 5)
        assert map_shape_of(present_codes(codes, SHAPE, "rows", sparse_output)) is None
    assert map_shape_of(SparseMaps([], [])) is None
    assert map_shape_of([[1.0, 2.0]]) is None


def test_no_coefficients_at_all():
    codes = csr_array((2, 60))
    for output in ("rows", "maps"):
        for sparse_output in (True, False):
            shown = present_codes(codes, SHAPE, output, sparse_output)
            assert check_codes(Coder(), shown, SHAPE)[0].nnz == 0


@pytest.mark.parametrize(
    "container", [csr_array, csr_matrix, coo_array, np.asarray, np.ndarray.tolist]
)
def test_rows_of_any_kind_are_codes(container):
    codes, maps = some_codes()
    rows = container(maps.reshape(6, -1))
    np.testing.assert_array_equal(check_codes(Coder(), rows, SHAPE)[0].toarray(), codes.toarray())


REFUSED = [
    (np.ones((2, 59)), "X has 59 features, but Coder is expecting 60 = 4 x 5 positions x 3"),
    (csr_array((2, 61)), "X has 61 features, but Coder is expecting 60"),
    (np.ones((2, 4, 5)), r"X has shape \(2, 4, 5\); expected maps"),
    (np.ones((2, 3, 4, 5)), r"X has shape \(2, 3, 4, 5\); expected maps of shape .* 4, 5, 3\)"),
    (np.full((2, 4, 5, 3), np.nan), "X contains NaN"),
    (np.full((2, 60), np.inf), "X contains NaN or infinity"),
    (np.ones((2, 60), complex), "Complex data not supported"),
    (np.ones(60), "Reshape your data"),
    (np.ones((0, 60)), "0 sample"),
    (SparseMaps([csr_array((20, 2))], [(4, 5)]), r"maps of shape \(4, 5, 2\); expected .*3\)"),
    (SparseMaps([csr_array((20, 3))], [(5, 4)]), r"maps of shape \(5, 4, 3\); expected"),
    (SparseMaps([csr_array(np.full((20, 3), np.nan))], [(4, 5)]), "X contains NaN"),
    (SparseMaps([], []), "0 sample"),
]


def test_codes_that_are_refused():
    def check(X, message):
        with pytest.raises(ValueError, match=message):
            check_codes(Coder(), X, SHAPE)

    check_each(((f"{i}: {row[1]}", row) for i, row in enumerate(REFUSED)), check)


# SparseMaps


def mixed_maps():
    """Maps of two sizes, told apart by their values."""
    sizes = [(2, 3), (4, 2), (2, 3), (1, 1)]
    maps = [csr_array(np.full((h * w, 2), float(i))) for i, (h, w) in enumerate(sizes)]
    return SparseMaps(maps, sizes)


def numbers_of(maps):
    """Which of ``mixed_maps`` there are."""
    return [int(one.toarray()[0, 0]) for one in maps]


def test_sequence_of_maps():
    maps = mixed_maps()
    assert len(maps) == 4
    assert maps.shape == (4,)
    assert numbers_of(maps) == [0, 1, 2, 3]
    assert maps[-1] is maps.maps[3]
    assert maps[np.int64(1)] is maps.maps[1]
    assert repr(maps) == "<SparseMaps of 4 images, map shapes [(1, 1), (2, 3), (4, 2)]>"
    with pytest.raises(IndexError):
        maps[4]


@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        (slice(1, 3), [1, 2]),
        (slice(None, None, -2), [3, 1]),
        ([2, 0, 2], [2, 0, 2]),
        (np.array([3, -4]), [3, 0]),
        (np.array([True, False, True, False]), [0, 2]),
        ([False, True, False, False], [1]),
        ((np.array([1, 2]), ...), [1, 2]),
        (slice(2, 2), []),
    ],
)
def test_parts_of_maps(key, chosen):
    maps = mixed_maps()
    part = maps[key]
    assert isinstance(part, SparseMaps)
    assert numbers_of(part) == chosen
    assert part.map_shapes == [maps.map_shapes[i] for i in chosen]


def test_dense_maps_of_mixed_sizes_are_a_list():
    dense = mixed_maps().to_dense()
    assert [one.shape for one in dense] == [(2, 3, 2), (4, 2, 2), (2, 3, 2), (1, 1, 2)]
    assert mixed_maps()[[0, 2]].to_dense().shape == (2, 2, 3, 2)


def test_maps_are_pickled():
    maps = pickle.loads(pickle.dumps(mixed_maps()))
    assert numbers_of(maps) == [0, 1, 2, 3]
    assert maps.map_shapes == mixed_maps().map_shapes


def test_maps_that_do_not_fit_their_shapes():
    with pytest.raises(ValueError, match="the same length, got 1 and 2"):
        SparseMaps([csr_array((6, 2))], [(2, 3), (2, 3)])
    with pytest.raises(ValueError, match=r"Maps of 6 positions do not fit map_shapes \(2, 2\)"):
        SparseMaps([csr_array((6, 2))], [(2, 2)])


class RowsOfMaps(BaseEstimator):
    """Sparse maps to rows, as the step after a layer does."""

    def fit(self, X, y=None):
        """Nothing to learn."""
        self.fitted_ = True
        return self

    def transform(self, X):
        """Check and flatten."""
        assert isinstance(X, SparseMaps)
        return rows_of_codes(check_codes(self, X, SHAPE)[0], SHAPE)


def test_maps_pass_through_splits_and_searches():
    codes, _ = some_codes(n_samples=20)
    maps = present_codes(codes, SHAPE, "maps", True)
    y = np.arange(20) % 2
    train, test, _, y_test = train_test_split(maps, y, random_state=0, stratify=y)
    assert (len(train), len(test), len(y_test)) == (15, 5, 5)
    pipeline = make_pipeline(RowsOfMaps(), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1]}, cv=2)
    assert search.fit(maps, y).predict(maps[:3]).shape == (3,)
