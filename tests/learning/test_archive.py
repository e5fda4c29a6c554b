"""The file of an interrupted fit: bit for bit, all or nothing, and nothing else taken for one."""

import json
import os
import pickle
import re
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skdeconv.learning import _archive
from skdeconv.learning._archive import read_archive, write_archive

META = {"epoch": 3, "cost": 0.1, "done": False, "rest": [None, {"lam": 2.5}]}
ARRAYS = {"filters": np.arange(8.0).reshape(2, 2, 2), "used": np.array([3, 0], dtype=np.int32)}

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
some_arrays = st.dictionaries(
    st.text("abc_/ä0", min_size=1, max_size=8),
    hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)),
    max_size=3,
)


def write(path, meta, arrays):
    write_archive(path, {"meta": meta, "arrays": arrays})


def read(path):
    content = read_archive(path)
    return content["meta"], content["arrays"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.npz"


@pytest.fixture
def old(path):
    write(path, META, ARRAYS)
    return path


def assert_same(found, wanted):
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert found[name].dtype.str == array.dtype.str
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def assert_intact(path):
    meta, arrays = read(path)
    assert meta == META
    assert_same(arrays, ARRAYS)


def same_type(one, other):
    """Equal, and True is no 1, nor 1 a 1.0."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_type(one[key], other[key]) for key in one)
    if isinstance(one, list):
        pairs = zip(one, other, strict=True)
        return type(other) is list and all(same_type(*pair) for pair in pairs)
    return type(one) is type(other) and repr(one) == repr(other)


@settings(max_examples=30, deadline=None, database=None)
@given(meta=st.dictionaries(st.text(), plain, max_size=4), arrays=some_arrays)
def test_round_trip(tmp_path_factory, meta, arrays):
    path = tmp_path_factory.getbasetemp() / "round_trip.npz"
    write(path, meta, arrays)
    found_meta, found = read(path)
    assert same_type(meta, found_meta)
    assert_same(found, arrays)


def test_values_and_arrays_that_are_rare(path):
    nans = np.array([0x7FF8000000000001, 0xFFF0000000000001], dtype=np.uint64).view(np.float64)
    arrays = {
        "nans": nans,
        "zeros": np.array([0.0, -0.0], dtype=">f4"),
        "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "strided": np.arange(12).reshape(3, 4)[::-1, ::2],
        "fields": np.array([(1, 2.5)], dtype=[("index", "<i4"), ("value", ">f8")]),
        "times": np.array(["2010-06-13"], dtype="datetime64[D]"),
        "words": np.array(["fit", "Größe"]),
    }
    meta = {"nan": float("nan"), "inf": -float("inf"), "tiny": 5e-324, "large": 2**80}
    write(path, meta, arrays)
    found_meta, found = read(path)
    assert same_type(meta, found_meta)
    assert_same(found, arrays)
    assert found["columns"].flags.f_contiguous
    assert found["fields"].dtype == arrays["fields"].dtype
    assert all(array.flags.writeable for array in found.values())


def test_numpy_reads_the_file_without_pickle(old):
    with np.load(old, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["array0"], ARRAYS["filters"])
    with zipfile.ZipFile(old) as archive:
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.parametrize("value", [np.int64(3), {1}, b"bytes", object()], ids=type)
def test_values_that_json_cannot_hold_are_refused(old, value):
    for wrapped in (value, [[value]], {"inner": value}):
        with pytest.raises(TypeError, match="is not JSON serializable"):
            write(old, {"value": wrapped}, {})
        assert_intact(old)
    assert os.listdir(old.parent) == [old.name]


@pytest.mark.parametrize("array", [np.array([None]), np.zeros(2, [("a", "f8"), ("b", object)])])
def test_objects_are_refused(old, array):
    with pytest.raises(ValueError, match="Object arrays cannot be saved when allow_pickle=False"):
        write(old, META, {"x": array})
    assert_intact(old)
    assert os.listdir(old.parent) == [old.name]


def rewrite(path, changed=lambda header: header, **arrays):
    """Write the file anew with a changed header and other arrays; None leaves one out."""
    with np.load(path) as archive:
        entries = dict(archive)
    header = changed(json.loads(entries["header"].tobytes()))
    entries["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    entries = {name: one for name, one in (entries | arrays).items() if one is not None}
    with open(path, "wb") as file:
        np.savez(file, **entries)


def test_a_file_that_is_written_anew_is_intact(old):
    rewrite(old)
    assert_intact(old)


def test_objects_in_a_file_are_never_unpickled(old):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    rewrite(old, array0=np.array([Trap()], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read(old)
    old.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="is not a checkpoint"):
        read(old)


# Interrupted and failing writes.


def raising(error, *, after=0, function=None):
    calls = iter(range(after))

    def fail(*args, **kwargs):
        if next(calls, None) is None:
            raise error
        return function(*args, **kwargs)

    return fail


class HalfWritten:
    """The beginning of what ``write_array`` writes, and then an error."""

    def __init__(self, error):
        self.error = error

    def __call__(self, file, array, **kwargs):
        file.write(b"\x93NUMPY" * 1000)
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("place", ["replace", "fsync", "begin", "first", "second", "last", "close"])
def test_a_failing_write_leaves_the_old_file_alone(old, monkeypatch, error, place):
    write_array = np.lib.format.write_array
    target, name, replacement = {
        "replace": (os, "replace", raising(error)),
        "fsync": (os, "fsync", raising(error)),
        "begin": (zipfile, "ZipFile", raising(error)),
        "first": (np.lib.format, "write_array", HalfWritten(error)),
        "second": (np.lib.format, "write_array", raising(error, after=1, function=write_array)),
        "last": (np.lib.format, "write_array", raising(error, after=2, function=write_array)),
        "close": (zipfile.ZipFile, "close", raising(error)),
    }[place]
    with monkeypatch.context() as patched:
        patched.setattr(target, name, replacement)
        with pytest.raises(type(error)):
            write(old, {"epoch": 4}, {name: -array for name, array in ARRAYS.items()})
    assert_intact(old)
    assert os.listdir(old.parent) == [old.name]


def test_a_failing_first_write_leaves_nothing(path, monkeypatch):
    monkeypatch.setattr(os, "replace", raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        write(path, META, ARRAYS)
    assert os.listdir(path.parent) == []


def test_what_is_on_disk_is_complete_before_it_takes_its_place(old, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))

    def check(source, target):
        order.append("replace")
        assert read(source)[0] == {"epoch": 4}
        assert_intact(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", check)
    write(old, {"epoch": 4}, ARRAYS)
    assert order == ["fsync", "replace"]
    assert read(old)[0] == {"epoch": 4}


@pytest.mark.skipif(os.name != "posix", reason="modes and links of POSIX")
def test_modes_and_links_are_those_of_a_plain_file(path):
    plain = path.with_name("plain")
    plain.touch()
    link = path.with_name("link.npz")
    link.symlink_to(path)
    write(link, META, ARRAYS)
    assert link.is_symlink()
    assert_intact(path)
    assert path.stat().st_mode == plain.stat().st_mode


# A module that imports nothing of the package can be run without it, and starts quickly.
CHILD = """
import importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("checkpoint", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for i in range(100_000):
    arrays = {name: np.full(200_000, float(i)) for name in "abc"}
    module.write_archive(sys.argv[2], {"meta": {"i": i}, "arrays": arrays})
    print(i, flush=True)
"""


@pytest.mark.parametrize("pause", [0.0, 0.002, 0.005])
def test_a_killed_process_leaves_a_whole_file(path, pause):
    command = [sys.executable, "-c", CHILD, _archive.__file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            written = [int(child.stdout.readline()) for _ in range(3)]
            time.sleep(pause)
        finally:
            child.kill()
    meta, arrays = read(path)
    assert meta["i"] >= written[-1]
    for name in "abc":
        np.testing.assert_array_equal(arrays[name], np.full(200_000, float(meta["i"])))
    left = set(os.listdir(path.parent)) - {path.name}
    assert len(left) <= 1
    assert all(re.fullmatch(r"fit\.npz\.[0-9a-f]{16}\.tmp", name) for name in left)
    write(path, META, ARRAYS)
    assert_intact(path)


# Damaged and foreign files.


@pytest.fixture
def refused(path):
    """Require a message that names the file and says what to do."""

    def check(content):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="delete it or choose another path") as caught:
            read(path)
        assert repr(str(path)) in str(caught.value)
        return str(caught.value)

    return check


def test_truncated_files(old, refused):
    content = old.read_bytes()
    for size in {*range(0, len(content), 100), *range(len(content) - 40, len(content))}:
        refused(content[:size])


def test_a_truncated_file_that_ends_with_another_checkpoint(old, refused):
    inner = np.frombuffer(old.read_bytes(), dtype=np.uint8)
    write(old, {}, {"inner": inner})
    content = old.read_bytes()
    end = content.index(inner.tobytes()) + inner.size
    refused(content[:end])


def test_wrong_shapes_are_seen_before_memory_is_asked_for(old, refused):
    content = old.read_bytes()
    assert content.count(b"(2, 2, 2)") == 1
    message = refused(content.replace(b"(2, 2, 2)", b"(9, 9, 9)"))
    assert "the checksum of array0.npy is wrong" in message


def test_every_wrong_bit_is_seen_or_harmless(old):
    content = old.read_bytes()
    n_refused = 0
    for i in range(len(content)):
        damaged = bytearray(content)
        damaged[i] ^= 1 << i % 8
        old.write_bytes(damaged)
        try:
            meta, arrays = read(old)
        except ValueError:
            n_refused += 1
        else:
            assert meta == META
            assert_same(arrays, ARRAYS)
    assert n_refused > len(content) / 2


def without_values(header):
    return {name: one for name, one in header.items() if name != "content"}


FOREIGN = {
    "another archive": lambda path: np.savez(path, filters=np.zeros(3)),
    "another format": lambda path: rewrite(path, lambda header: header | {"format": "other"}),
    "no values": lambda path: rewrite(path, without_values),
    "no dictionary": lambda path: rewrite(path, lambda header: [1, 2]),
    "no JSON": lambda path: rewrite(path, header=np.zeros(9, np.uint8)),
    "no header": lambda path: rewrite(path, header=None),
    "an array less": lambda path: rewrite(path, array1=None),
}


@pytest.mark.parametrize("make", FOREIGN.values(), ids=FOREIGN)
def test_foreign_archives(old, refused, make):
    make(old)
    refused(old.read_bytes())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"lam = 3\n" * 100,
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        pickle.dumps(ARRAYS),
        b"\x93NUMPY" + bytes(200),
        b"PK\x05\x06" + bytes(18),
    ],
    ids=["empty", "text", "png", "pickle", "npy", "empty zip"],
)
def test_foreign_files(refused, content):
    refused(content)


def test_other_formats(old, refused):
    rewrite(old, lambda header: header | {"format": "skdeconv checkpoint 99"})
    assert "(its format is skdeconv checkpoint 99)" in refused(old.read_bytes())


def test_missing_files_are_the_callers(path):
    with pytest.raises(FileNotFoundError):
        read(path)
