"""as_signals and AsSignals: layouts against loops, and what is refused."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skdeconv.preprocessing import AsSignals, as_signals

RNG = np.random.default_rng(0)
ROWS, FIRST = RNG.standard_normal((4, 30)), RNG.standard_normal((4, 3, 30))
LAST = FIRST.swapaxes(1, 2)


def image_by_loops(signal, channels):
    """Image (1, length, n_channels) of one recording, value by value."""
    signal = np.asarray(signal, dtype=float)
    if signal.ndim == 1:
        signal, channels = signal[None], "first"
    length, n_channels = signal.shape[:: -1 if channels == "first" else 1]
    image = np.empty((1, length, n_channels))
    for i, c in np.ndindex(length, n_channels):
        image[0, i, c] = signal[c, i] if channels == "first" else signal[i, c]
    return image


def objects(arrays):
    """One-dimensional object array."""
    result = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        result[i] = array
    return result


class OnlyArray:
    """An array-like of no other abilities."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype=dtype)


class Lazy:
    """A sequence that is neither a list nor an array."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


# Layouts


@settings(max_examples=80, deadline=None, database=None)
@given(
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    n_channels=st.none() | st.integers(1, 4),
    channels=st.sampled_from(["first", "last", None]),
    container=st.sampled_from([list, tuple, objects, Lazy]),
    element=st.sampled_from([np.asarray, np.ndarray.tolist, OnlyArray, np.asfortranarray]),
)
def test_sequences_against_loops(seed, lengths, n_channels, channels, container, element):
    rng = np.random.default_rng(seed)
    if channels is None or n_channels is None:
        signals = [rng.standard_normal(length) for length in lengths]
    else:
        order = -1 if channels == "last" else 1
        signals = [rng.standard_normal((n_channels, length)[::order]) for length in lengths]
    expected = [image_by_loops(signal, channels) for signal in signals]
    X = container([element(signal) for signal in signals])
    converted, images = AsSignals(channels).fit_transform(X), as_signals(X, channels=channels)
    assert isinstance(converted, list)
    assert isinstance(images, list) == (len(set(lengths)) > 1)
    for found in (images, converted):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == np.float64
            assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("X", "channels", "signals"),
    [
        (ROWS[0], None, [ROWS[0]]),
        (ROWS[0], "first", [ROWS[0]]),
        (ROWS, None, list(ROWS)),
        (FIRST[0], "first", [FIRST[0]]),
        (FIRST[0], "last", [FIRST[0]]),
        (FIRST, "first", list(FIRST)),
        (LAST, "last", list(LAST)),
        (FIRST[:, ::2, ::-3], "first", list(FIRST[:, ::2, ::-3])),
        (ROWS[:1, :1], "last", [ROWS[:1, :1]]),
    ],
)
def test_arrays_are_viewed(X, channels, signals, dtype):
    X = X.astype(dtype)
    images = as_signals(X, channels=channels)
    assert images.dtype == dtype
    assert np.shares_memory(images, X)
    expected = [image_by_loops(signal.astype(dtype), channels) for signal in signals]
    assert_array_equal(images, np.stack(expected))
    assert np.shares_memory(AsSignals(channels).fit_transform(X), X)
    assert_array_equal(as_signals(OnlyArray(X), channels=channels), images)


def test_memory_maps_are_viewed(tmp_path):
    path = tmp_path / "signals.npy"
    np.save(path, FIRST)
    mapped = np.load(path, mmap_mode="r")
    assert np.shares_memory(as_signals(mapped, channels="first"), mapped)
    assert np.shares_memory(as_signals([mapped[0]], channels="first"), mapped)


def test_dtypes():
    for dtype in (int, bool, np.uint8, np.int16, np.float16, ">f8", object):
        assert as_signals(ROWS.astype(dtype)).dtype == np.dtype(np.float64)
    swapped = as_signals(ROWS.astype(">f4"))
    assert swapped.dtype == np.dtype(np.float32)
    assert_array_equal(swapped, as_signals(ROWS.astype(np.float32)))
    mixed = as_signals([ROWS[0], ROWS[1, :20].astype(np.float32)])
    assert [image.dtype for image in mixed] == [np.float64, np.float32]


def test_nested_lists_and_numbers():
    assert as_signals([1, 2, 3]).shape == (1, 1, 3, 1)
    assert as_signals([[1, 2], [3, 4], [5, 6]]).shape == (3, 1, 2, 1)
    assert [one.shape for one in as_signals([[1, 2], [3]])] == [(1, 2, 1), (1, 1, 1)]
    assert as_signals([[[1, 2, 3], [4, 5, 6]]], channels="first")[0, 0, :, 1].tolist() == [4, 5, 6]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, int])
def test_masked_and_missing_values(dtype):
    values = np.arange(8).reshape(2, 4).astype(dtype)
    masked, expected = np.ma.masked_equal(values, 5), values.astype(float)
    expected[1, 1] = np.nan
    for X in (masked, list(masked)):
        images = as_signals(X)
        assert images.dtype == (np.float32 if dtype == np.float32 else np.float64)
        assert_array_equal(images[:, 0, :, 0], expected)
    assert_array_equal(as_signals(expected)[:, 0, :, 0], expected)
    assert not masked.mask[0].any()
    whole = np.ma.array(ROWS)
    assert np.shares_memory(as_signals(whole), whole.data)


def test_pandas():
    pd = pytest.importorskip("pandas")
    index = list(range(7, 11))
    frame = pd.DataFrame(ROWS, index=index).add_prefix("t")
    assert_array_equal(as_signals(frame), as_signals(ROWS))
    one = pd.DataFrame(LAST[0], columns=["x", "y", "z"])
    assert_array_equal(as_signals(one, channels="last"), as_signals(LAST[:1], channels="last"))
    frames = [one, pd.DataFrame(LAST[1, :20])]
    assert [image.shape for image in as_signals(frames, channels="last")] == [
        (1, 30, 3),
        (1, 20, 3),
    ]
    assert_array_equal(as_signals(pd.Series(ROWS[0], index=range(3, 33))), as_signals(ROWS[0]))
    series = pd.Series([ROWS[0], ROWS[1, :20]], index=[5, 9])
    assert [image.shape for image in as_signals(series)] == [(1, 30, 1), (1, 20, 1)]
    holes = pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": [2.0, 3.0]})
    assert_array_equal(as_signals(holes)[:, 0, :, 0], [[1, 2], [np.nan, 3]])
    assert_array_equal(as_signals(holes["a"])[0, 0, :, 0], [1, np.nan])
    with pytest.raises(ValueError, match=r"X must hold real numbers: .*sequence"):
        as_signals(pd.DataFrame({"a": list(frame.to_numpy()), "b": list(ROWS)}))


def test_polars():
    pl = pytest.importorskip("polars")
    assert_array_equal(as_signals(pl.DataFrame(ROWS, orient="row")), as_signals(ROWS))
    assert_array_equal(as_signals(pl.Series(ROWS[0])), as_signals(ROWS[0]))
    lists = as_signals(pl.Series([[1.0, 2.0], [3.0]]))
    assert [image.shape for image in lists] == [(1, 2, 1), (1, 1, 1)]


# What is refused

FAULTS = {
    "no channels": (FIRST, None, r"three dimensions.*\(4, 3, 30\).*\"first\".*\"last\""),
    "no channels in a list": (list(FIRST), None, r"X\[0\] has two dim.*\"first\".*\"last\""),
    "four dimensions": (FIRST[None], "first", r"4 dimensions, shape \(1, 4, 3, 30\)"),
    "a list of stacks": ([FIRST, FIRST], "first", r"X\[0\] has shape \(4, 3, 30\).*recording"),
    "other channels": ([FIRST[0], FIRST[1, :2]], "first", r"3 channels, but X\[1\] has 2"),
    "mixed dimensions": ([ROWS[0], FIRST[0]], "first", r"\(30,\), but X\[1\] \(3, 30\)"),
    "an array and a number": ([ROWS[0], 1.0], None, r"X\[1\] must be a signal.*got 1\.0"),
    "a number and an array": ([1.0, ROWS[0]], None, "X mixes numbers and arrays"),
    "a ragged recording": ([FIRST[0], [[1, 2], [3]]], "first", r"X\[1\] mixes"),
    "a scalar": (3.0, None, "X must be a signal or several"),
    "None": (None, None, "X must be a signal or several"),
    "a word": ("ecg", None, "got 'ecg'"),
    "a dictionary": ({"ecg": ROWS[0]}, None, "X must be a signal or several"),
    "a generator": ((one for one in ROWS), None, "X must be a signal or several"),
    "nothing": ([], None, r"X is empty, of shape \(0,\)"),
    "no samples": (ROWS[:, :0], None, r"X is empty, of shape \(4, 0\)"),
    "no signals": (FIRST[:0], "first", r"X is empty, of shape \(0, 3, 30\)"),
    "an empty signal": ([ROWS[0], ROWS[0, :0]], None, r"X\[1\] is empty"),
    "complex": (ROWS * 1j, None, "X must hold real numbers, got complex128; pass both"),
    "complex in a list": ([ROWS[0], ROWS[0] * 1j], None, r"X\[1\] must hold real numbers, got c"),
    "text": (np.array([["a", "b"]]), None, "X must hold real numbers, got <U1"),
    "text objects": (np.array([["a", 1.0]], object), None, "X must hold real numbers: could not"),
    "large integers": ([[10**400, 1]], None, r"X\[0\] must hold real numbers: int too large"),
    "objects": (np.full((2, 3), object()), None, "X must hold real numbers: float"),
    "a list of words": (["a", "b"], None, "X must hold real numbers, got <U1"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), None, "got datetime64"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_input(name):
    X, channels, message = FAULTS[name]
    with pytest.raises(ValueError, match=message):
        as_signals(X, channels=channels)
    reader = AsSignals(channels)
    for method in (reader.fit, reader.transform):
        with pytest.raises(ValueError, match=r"X"):
            method(X)
    assert not hasattr(reader, "image_shape_")


def test_sparse_input():
    with pytest.raises(TypeError, match=r"X is sparse.*X.toarray\(\)"):
        as_signals(csr_array(np.eye(3)))


@pytest.mark.parametrize(("value", "error"), [(1, TypeError), (True, TypeError), ("C", ValueError)])
def test_faulty_channels(value, error):
    with pytest.raises(error, match="channels must be one of 'first', 'last', None"):
        as_signals(ROWS, channels=value)
    for method in ("fit", "transform", "inverse_transform"):
        with pytest.raises(error, match="channels must be one of"):
            getattr(AsSignals(value), method)(ROWS[:, None, :, None])


@pytest.mark.parametrize(
    ("shape", "channels", "other"),
    [
        ((2, 5000, 3), "first", "last"),
        ((2, 3, 5000), "last", "first"),
        ((500, 12), "first", "last"),
    ],
)
def test_exchanged_axes_warn(shape, channels, other):
    X = np.zeros(shape)
    for read in (lambda: as_signals(X, channels=channels), lambda: AsSignals(channels).fit(X)):
        with pytest.warns(UserWarning, match=f'pass channels="{other}"') as caught:
            read()
        assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize(
    "shape", [(2, 200, 20), (2, 190, 19), (2, 64, 1000), (2, 1, 1), (2, 513, 40)]
)
def test_ordinary_shapes_do_not_warn(shape):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_signals(np.zeros(shape), channels="first")
        as_signals(np.zeros(shape).swapaxes(1, 2), channels="last")
        as_signals(np.zeros((5000, 3)))
