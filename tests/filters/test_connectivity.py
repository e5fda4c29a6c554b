"""Tables of connections: what each kind holds, in which order, and what it refuses."""

import math
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference.faults import check_each

from skdeconv import make_connectivity

NAN = float("nan")
each_drawn = pytest.mark.parametrize(
    ("kind", "size"), [("random-pairs", 2), ("random-triples", 3)], ids=["pairs", "triples"]
)
each_kind = pytest.mark.parametrize(
    ("kind", "n_filters"),
    [
        ("auto", 40),
        ("full", 7),
        ("singles", 6),
        ("pairs", 15),
        ("singles+pairs", 21),
        ("random-pairs", 9),
        ("random-triples", 50),
    ],
)


def subsets_of(connectivity):
    """The channels of each row, as tuples."""
    return [tuple(np.flatnonzero(row).tolist()) for row in connectivity]


def all_subsets(n_channels, size):
    return list(combinations(range(n_channels), size))


@each_kind
def test_tables_are_boolean_and_every_filter_sees_something(kind, n_filters):
    connectivity = make_connectivity(kind, 6, n_filters, random_state=0)
    assert type(connectivity) is np.ndarray
    assert connectivity.dtype == bool
    assert connectivity.shape == (n_filters, 6)
    assert connectivity.any(axis=1).all()


def test_full_sees_every_channel():
    assert make_connectivity("full", 4, 3).all()
    assert make_connectivity("full", 1, 5).shape == (5, 1)


def test_singles_are_the_identity():
    assert_array_equal(make_connectivity("singles", 5), np.eye(5, dtype=bool))
    assert_array_equal(make_connectivity("singles", 5, 5), np.eye(5, dtype=bool))


@pytest.mark.parametrize("n_channels", [2, 3, 9])
def test_pairs_are_all_pairs_in_order(n_channels):
    pairs = all_subsets(n_channels, 2)
    assert subsets_of(make_connectivity("pairs", n_channels)) == pairs
    assert subsets_of(make_connectivity("pairs", n_channels, len(pairs))) == pairs
    both = make_connectivity("singles+pairs", n_channels)
    assert subsets_of(both) == all_subsets(n_channels, 1) + pairs


@each_drawn
def test_drawn_subsets_have_one_size(kind, size):
    for seed in range(5):
        connectivity = make_connectivity(kind, 7, 30, random_state=seed)
        assert (connectivity.sum(axis=1) == size).all()


@each_drawn
def test_no_subset_comes_twice_before_all_came_once(kind, size):
    expected = all_subsets(5, size)
    for seed in range(5):
        drawn = subsets_of(make_connectivity(kind, 5, 24, random_state=seed))
        assert sorted(drawn[:10]) == sorted(drawn[10:20]) == expected
        assert len(set(drawn[20:])) == 4
        assert drawn[:10] != drawn[10:20]


@each_drawn
def test_numbers_far_above_what_exists_use_every_subset_alike(kind, size):
    counts = Counter(subsets_of(make_connectivity(kind, 4, 1003, random_state=0)))
    total = math.comb(4, size)
    assert len(counts) == total
    assert set(counts.values()) <= {1003 // total, -(-1003 // total)}


def test_auto_is_singles_then_pairs_then_triples():
    drawn = subsets_of(make_connectivity("auto", 6, 6 + 15 + 20, random_state=0))
    assert drawn[:6] == all_subsets(6, 1)
    assert sorted(drawn[6:21]) == all_subsets(6, 2)
    assert drawn[6:21] != all_subsets(6, 2)
    assert sorted(drawn[21:]) == all_subsets(6, 3)
    assert drawn[21:] != all_subsets(6, 3)


def test_auto_of_9_channels_and_45_filters_is_the_second_layer_of_the_paper():
    drawn = subsets_of(make_connectivity("auto", 9, 45, random_state=0))
    assert drawn[:9] == all_subsets(9, 1)
    assert sorted(drawn[9:]) == all_subsets(9, 2)


@pytest.mark.parametrize("n_filters", [1, 4, 6])
def test_auto_of_few_filters_is_the_first_singles(n_filters):
    drawn = subsets_of(make_connectivity("auto", 6, n_filters, random_state=0))
    assert drawn == all_subsets(6, 1)[:n_filters]


def test_auto_ends_where_the_filters_do():
    whole = make_connectivity("auto", 6, 41, random_state=3)
    for n_filters in (7, 20, 21, 22):
        part = make_connectivity("auto", 6, n_filters, random_state=3)
        assert part.shape == (n_filters, 6)
        sizes = Counter(part.sum(axis=1).tolist())
        assert sizes == Counter(whole[:n_filters].sum(axis=1).tolist())
        assert len(set(subsets_of(part))) == n_filters


def test_auto_repeats_triples_when_all_subsets_are_used_up():
    drawn = subsets_of(make_connectivity("auto", 4, 10 + 9, random_state=0))
    assert sorted(drawn[10:14]) == sorted(drawn[14:18]) == all_subsets(4, 3)


@pytest.mark.parametrize(
    ("n_channels", "n_filters", "expected"),
    [
        (1, 1, [(0,)]),
        (1, 3, [(0,)] * 3),
        (2, 2, [(0,), (1,)]),
        (2, 3, [(0,), (1,), (0, 1)]),
        (2, 5, [(0,), (1,), (0, 1), (0, 1), (0, 1)]),
        (3, 9, None),
    ],
)
def test_auto_leaves_out_subsets_larger_than_the_channels(n_channels, n_filters, expected):
    drawn = subsets_of(make_connectivity("auto", n_channels, n_filters, random_state=0))
    if expected is None:
        assert sorted(drawn[3:6]) == all_subsets(3, 2)
        assert drawn[6:] == [(0, 1, 2)] * 3
    else:
        assert drawn == expected


def test_kinds_of_one_or_two_channels():
    assert_array_equal(make_connectivity("singles", 1), [[True]])
    assert_array_equal(make_connectivity("singles+pairs", 1), [[True]])
    assert_array_equal(make_connectivity("pairs", 2), [[True, True]])
    assert_array_equal(make_connectivity("random-pairs", 2, 4), np.ones((4, 2), dtype=bool))
    assert_array_equal(make_connectivity("random-triples", 3, 2), np.ones((2, 3), dtype=bool))


@pytest.mark.parametrize(
    ("kind", "size", "n_channels"), [("random-pairs", 2, 500), ("random-triples", 3, 100)]
)
def test_subsets_of_many_channels_are_drawn_without_listing_them(
    kind, size, n_channels, monkeypatch
):
    def listed(*args):
        pytest.fail("all subsets are listed")

    monkeypatch.setattr("skdeconv.filters._connectivity.combinations", listed)
    # Of 2,000 draws with replacement about 15 would be there already.
    connectivity = make_connectivity(kind, n_channels, 2000, random_state=0)
    assert connectivity.shape == (2000, n_channels)
    assert (connectivity.sum(axis=1) == size).all()
    drawn = subsets_of(connectivity)
    assert len(set(drawn)) == 2000
    assert drawn != sorted(drawn)
    # Every channel is seen about alike.
    seen = connectivity.sum(axis=0)
    assert 0 < seen.min() <= seen.mean() <= seen.max() < 5 * seen.mean()
    again = make_connectivity(kind, n_channels, 2000, random_state=0)
    assert_array_equal(again, connectivity)
    assert (make_connectivity(kind, n_channels, 2000, random_state=1) != connectivity).any()


def test_auto_of_many_channels_ends_with_drawn_triples():
    drawn = make_connectivity("auto", 100, 100 + 4950 + 30, random_state=0)
    assert_array_equal(drawn.sum(axis=1), [1] * 100 + [2] * 4950 + [3] * 30)
    assert len(set(subsets_of(drawn))) == 5080


@pytest.mark.parametrize("kind", ["auto", "random-pairs", "random-triples"])
def test_seeds_fix_the_order(kind):
    table = make_connectivity(kind, 6, 30, random_state=0)
    assert_array_equal(make_connectivity(kind, 6, 30, random_state=0), table)
    same = make_connectivity(kind, 6, 30, random_state=np.random.RandomState(0))
    assert_array_equal(same, table)
    assert (make_connectivity(kind, 6, 30, random_state=1) != table).any()


def test_numpy_integers_are_integers():
    table = make_connectivity("auto", np.int64(4), np.int32(12), random_state=np.int64(2))
    assert_array_equal(table, make_connectivity("auto", 4, 12, random_state=2))


# Arguments, error, what the message says.
FAULTS = {
    "kind of another type": ((1, 4, 4), TypeError, "kind must be one of 'auto', 'full'.*got 1"),
    "no kind": ((None, 4, 4), TypeError, "kind must be one of .*None"),
    "kind as a table": ((np.eye(4, dtype=bool), 4, 4), TypeError, "kind must be one of"),
    "unknown kind": (("triples", 4, 4), ValueError, "kind .*'random-triples', got 'triples'"),
    "no channels": (("full", 0, 4), ValueError, "n_channels == 0"),
    "negative channels": (("full", -1, 4), ValueError, "n_channels == -1"),
    "channels as text": (("full", "4", 4), TypeError, "n_channels must be an integer, got '4'"),
    "channels as a float": (("full", 4.0, 4), TypeError, "n_channels must be an integer, got 4.0"),
    "channels as a boolean": (("full", True, 4), TypeError, "n_channels .* got True"),
    "channels as NaN": (("full", NAN, 4), TypeError, "n_channels .* got nan"),
    "channels as None": (("full", None, 4), TypeError, "n_channels .* got None"),
    "no filters": (("full", 4, 0), ValueError, "n_filters == 0"),
    "negative filters": (("random-pairs", 4, -2), ValueError, "n_filters == -2"),
    "filters as text": (("auto", 4, "4"), TypeError, "n_filters must be an integer, got '4'"),
    "filters as a float": (("singles", 4, 4.0), TypeError, "n_filters must be an integer, got 4.0"),
    "filters as a boolean": (("full", 4, True), TypeError, "n_filters .* got True"),
    "filters as NaN": (("pairs", 4, NAN), TypeError, "n_filters .* got nan"),
    "missing for full": (("full", 4), TypeError, "n_filters .*integer for kind='full', got None"),
    "missing for auto": (("auto", 4), TypeError, "n_filters .* kind='auto', got None"),
    "missing for random pairs": (("random-pairs", 4), TypeError, "n_filters .*'random-pairs'"),
    "missing for triples": (("random-triples", 4), TypeError, "n_filters .*'random-triples'"),
    "singles of another number": (("singles", 4, 5), ValueError, "must be 4 .* got 5.*auto"),
    "pairs of another number": (("pairs", 4, 5), ValueError, "must be 6 .*n_channels=4, got 5"),
    "both of another number": (("singles+pairs", 9, 44), ValueError, "must be 45 .* got 44"),
    "pairs of one channel": (("pairs", 1), ValueError, "n_channels of at least 2, got 1"),
    "one pair of one channel": (("pairs", 1, 1), ValueError, "n_channels of at least 2, got 1"),
    "random pairs of one": (("random-pairs", 1, 4), ValueError, "at least 2, got 1.*auto.*full"),
    "triples of two": (("random-triples", 2, 4), ValueError, "n_channels of at least 3, got 2"),
    "seed as text": (("auto", 4, 4, "x"), ValueError, "random_state .* got 'x'"),
    "negative seed": (("random-pairs", 4, 4, -1), ValueError, "random_state .* got -1"),
    "seed as a float": (("full", 4, 4, 1.5), ValueError, "random_state .* got 1.5"),
    "seed as NaN": (("singles", 4, 4, NAN), ValueError, "random_state .* got nan"),
}


def test_arguments_that_are_refused():
    def check(arguments, error, message):
        with pytest.raises(error, match=message):
            make_connectivity(*arguments)

    check_each(FAULTS.items(), check)
