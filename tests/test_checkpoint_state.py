"""What goes into the file of an interrupted fit, and the parameter that names it."""

import hashlib
import json
import os
import re

import numpy as np
import pytest

from skdeconv._checkpoint import check_checkpoint, fingerprint, random_state_of, state_of


def test_check_checkpoint(tmp_path):
    old = tmp_path / "old.npz"
    old.touch()
    assert check_checkpoint(None) is None
    assert check_checkpoint(str(old)) == check_checkpoint(old) == old
    assert check_checkpoint(tmp_path / "new.npz") == tmp_path / "new.npz"
    with pytest.raises(ValueError, match="is a folder"):
        check_checkpoint(tmp_path)
    with pytest.raises(ValueError, match="is a folder"):
        check_checkpoint("")
    for parent in (tmp_path / "missing", old):
        with pytest.raises(ValueError, match="does not exist"):
            check_checkpoint(str(parent / "fit.npz"))
    assert os.listdir(tmp_path) == [old.name]


@pytest.mark.parametrize("value", [3, True, 1.5, ["fit.npz"], {}, b"fit.npz"])
def test_checkpoint_of_a_wrong_type(value):
    with pytest.raises(TypeError, match="checkpoint must be the path of a file, or None"):
        check_checkpoint(value)


def test_fingerprint_sees_everything_but_memory_order():
    array = np.arange(12.0).reshape(3, 4)
    same = fingerprint([array], 1, 0.5, None)
    assert re.fullmatch("[0-9a-f]{64}", same)
    assert same == fingerprint(iter([np.asfortranarray(array)]), np.int64(1), np.float64(0.5), None)
    assert same == fingerprint([np.repeat(array, 2, axis=1)[:, ::2]], 1, 0.5, None)
    changed = array.copy()
    changed[2, 3] = np.nextafter(11, 12)
    others = [
        fingerprint([changed], 1, 0.5, None),
        fingerprint([array.astype(">f8")], 1, 0.5, None),
        fingerprint([array.view(np.int64)], 1, 0.5, None),
        fingerprint([array.reshape(4, 3)], 1, 0.5, None),
        fingerprint([array[:1], array[1:]], 1, 0.5, None),
        fingerprint([array, array[:0]], 1, 0.5, None),
        fingerprint([array], 1.0, 0.5, None),
        fingerprint([array], 1, 0.5),
        fingerprint([array], 0.5, 1, None),
        fingerprint([array.view([("a", "f8")])], 1, 0.5, None),
        fingerprint([array.view([("b", "f8")])], 1, 0.5, None),
        fingerprint([], 1, 0.5, None),
    ]
    assert len({same, *others}) == len(others) + 1
    with pytest.raises(ValueError, match="not Python objects"):
        fingerprint([np.array([None])])


def test_fingerprint_is_that_of_all_machines():
    text = (
        b"array (3,) '<i4'\n" + bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]) + b"numbers [2, 'a']\n"
    )
    found = fingerprint([np.arange(3, dtype="<i4")], 2, "a")
    assert found == hashlib.sha256(text).hexdigest()


@pytest.mark.parametrize("n_normal", [0, 1])
def test_generators_go_on_where_they_were(n_normal):
    generator = np.random.RandomState(7)
    generator.normal(size=n_normal)  # one normal number keeps its twin back
    generator.randint(10, size=5)
    again = random_state_of(json.loads(json.dumps(state_of(generator))))
    assert again is not generator
    np.testing.assert_array_equal(again.normal(size=700), generator.normal(size=700))
    np.testing.assert_array_equal(again.permutation(50), generator.permutation(50))


def test_states_are_left_alone_and_others_are_refused():
    state = state_of(np.random.RandomState(0))
    before = json.dumps(state)
    random_state_of(state).normal(size=9)
    assert json.dumps(state) == before
    with pytest.raises(ValueError, match="RandomState of MT19937"):
        state_of(np.random.RandomState(np.random.PCG64(0)))
