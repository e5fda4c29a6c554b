"""Codes between visits: what was set comes back, wherever it is kept, and nothing is left over."""

import gc
import io
import os
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference.interruptions import raise_at

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.learning import _code_store
from skdeconv.learning._code_store import CodeStore

N = 5
# For the file that they are in, zero bytes would be no limit.
LIMITS = {"none in memory": 1, "few in memory": 60, "all in memory": 2**25}

numbers = st.integers(0, 2**31 - 1), st.floats(-1e3, 1e3, width=32)
codes = st.lists(st.tuples(*numbers), max_size=12)
visits = st.lists(st.tuples(st.integers(0, N - 1), st.none() | codes), max_size=30)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where temporary files go, on systems whose temporary files have names at all."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def assert_same(found, wanted, dtype):
    assert (found is None) == (wanted is None)
    if wanted is not None:
        assert (found[0].dtype, found[1].dtype) == (np.int32, dtype)
        np.testing.assert_array_equal(found[0], wanted[0])
        np.testing.assert_array_equal(found[1], wanted[1])


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=20, deadline=None)
@given(visits=visits)
def test_they_come_back_as_from_a_dictionary(limit, dtype, visits):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_code_store, "_IN_MEMORY", limit)
        kept, wanted = CodeStore(N, dtype), {}
        for sample, code in visits:
            if code is not None:
                indices = np.array([i for i, _ in code], dtype=np.int64)
                values = np.array([value for _, value in code])
                kept[sample] = indices, values
                wanted[sample] = indices.copy(), values.astype(dtype)
                # They are kept as they were, not as what they become.
                indices[:], values[:] = -1, np.nan
            assert_same(kept[sample], wanted.get(sample), dtype)
        assert len(kept) == N
        for sample, code in enumerate(kept):
            assert_same(code, wanted.get(sample), dtype)


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_memory_and_file_are_bounded(monkeypatch, limit):
    monkeypatch.setattr(_code_store, "_IN_MEMORY", limit)
    kept, rng, largest = CodeStore(8, np.float32), np.random.RandomState(0), np.zeros(8)
    number = rng.randint(5, 40, size=8)
    for _ in range(200):
        number = np.clip(number + rng.randint(-3, 4, size=8), 0, 100)
        largest = np.maximum(largest, 8 * number)
        for sample in rng.permutation(8):
            kept[sample] = np.arange(number[sample]), np.ones(number[sample])
    in_memory = isinstance(kept._file._file, io.BytesIO)
    assert in_memory == (limit == LIMITS["all in memory"])
    # An image moves when it has grown by a quarter: a geometric series, whose sum is five times
    # the last, and a quarter of that is room.
    assert kept._file.seek(0, os.SEEK_END) <= 5 * 1.25 * largest.sum()


@settings(max_examples=20, deadline=None)
@given(visits=visits)
def test_their_state_brings_them_to_another_store(visits):
    kept, again = CodeStore(N, np.float32), CodeStore(N, np.float32)
    for sample, code in visits:
        if code is not None:
            kept[sample] = [i for i, _ in code], [value for _, value in code]
    state = kept.state()
    again.restore(state)
    for one, other in zip(kept, again, strict=True):
        assert_same(other, one, np.float32)
    again[0] = [3], [1.5]
    assert_same(again[0], ([3], [1.5]), np.float32)


def test_the_file_is_closed_with_them(monkeypatch, folder, recwarn):
    monkeypatch.setattr(_code_store, "_IN_MEMORY", LIMITS["none in memory"])
    kept = CodeStore(2, np.float32)
    kept[0] = np.arange(3), np.ones(3)
    file = kept._file
    del kept
    gc.collect()
    assert file.closed
    assert not os.listdir(folder)
    assert not recwarn.list


def fitted(kind, images):
    options = {"lam": 4.0, "max_iter": 3, "tol": 0, "batch_size": 3, "random_state": 0}
    return kind((2, 3) if kind is HierarchicalDeconvNet else 3, 3, **options).fit(images)


@pytest.mark.parametrize("kind", [DeconvNetLayer, HierarchicalDeconvNet])
@pytest.mark.parametrize("limit", ["none in memory", "few in memory"])
def test_a_fit_does_not_depend_on_where_they_are(monkeypatch, folder, kind, limit):
    images = [np.random.RandomState(i).normal(size=(9 + i % 2, 8)) for i in range(8)]
    wanted = fitted(kind, images)
    monkeypatch.setattr(_code_store, "_IN_MEMORY", LIMITS[limit])
    net = fitted(kind, images)
    for one, other in zip(*(getattr(a, "layers_", [a]) for a in (net, wanted)), strict=True):
        np.testing.assert_array_equal(one.filters_, other.filters_)
        np.testing.assert_array_equal(one.cost_, other.cost_)
    assert not os.listdir(folder)


def test_an_interrupted_fit_leaves_no_file(monkeypatch, folder):
    monkeypatch.setattr(_code_store, "_IN_MEMORY", LIMITS["none in memory"])
    raise_at(monkeypatch, CodeStore, "__setitem__", 11, after=True, error=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fitted(DeconvNetLayer, np.random.RandomState(0).normal(size=(8, 8, 8)))
    gc.collect()
    assert not os.listdir(folder)
