"""Layouts of images: what comes in any form goes out in the same form."""

import warnings

import numpy as np
import pytest
from reference.faults import check_each
from scipy.sparse import coo_array, csr_array
from sklearn.base import BaseEstimator

from skdeconv.layouts import (
    check_image_shape,
    check_images,
    full_shape,
    images_in_layout,
    is_image_list,
)


class Reader(BaseEstimator):
    """An estimator that does nothing but read its input."""

    def __init__(self, image_shape=None):
        self.image_shape = image_shape

    def fit(self, X, y=None):
        """Read, and remember the shape."""
        images = check_images(self, X, image_shape=self.image_shape, reset=True)
        self.layout_, self.image_shape_ = images.layout, images.image_shape
        self.images_ = images.stack(slice(None)) if images.size else images
        return self

    def transform(self, X):
        """Read, and give back."""
        images = check_images(self, X, reset=False)
        return images_in_layout(images.stack(slice(None)), images.layout, images.image_shape)


class Duck:
    """An array-like without numpy's methods, and without a shape where asked."""

    def __init__(self, array, shaped):
        self._array = array
        if shaped:
            self.shape = array.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self._array, dtype=dtype)

    def __len__(self):
        return len(self._array)

    def __array_function__(self, func, types, args, kwargs):
        raise TypeError(f"No {func.__name__} of ducks.")


class BareImages:
    """A lazy sequence of images, as a user may write one."""

    def __init__(self, images):
        self._images = images

    def __len__(self):
        return len(self._images)

    def __getitem__(self, key):
        return self._images[key]


def pictures(*shape, dtype=np.float64):
    """Images of which no two values are equal."""
    return np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape).astype(dtype)


# Shapes of images


@pytest.mark.parametrize(
    ("shape", "full"),
    [((9,), (1, 9, 1)), ((4, 5), (4, 5, 1)), ((4, 5, 3), (4, 5, 3)), ((1, 9, 2), (1, 9, 2))],
)
def test_full_shape(shape, full):
    assert full_shape(shape) == full


def test_image_shape_becomes_a_tuple_of_python_integers():
    assert check_image_shape(None) is None
    checked = check_image_shape([np.int64(4), 5])
    assert checked == (4, 5)
    assert [type(n) for n in checked] == [int, int]


def test_image_shape_of_the_wrong_type():
    for shape in (8, "8x8", np.array([8, 8]), {8}, 8.0, np.nan):
        with pytest.raises(TypeError, match=r"image_shape must be a tuple .* got"):
            check_image_shape(shape)


def test_image_shape_out_of_range():
    for shape in ((), (1, 2, 3, 4), (0, 8), (-8, 8), (8.0, 8), (True, 8), ("8", 8), (np.nan,)):
        with pytest.raises(ValueError, match=r"image_shape must be .* of positive integers, got"):
            check_image_shape(shape)


# Layouts of images


@pytest.mark.parametrize(
    ("X", "expected"),
    [
        (np.ones((3, 4, 5)), False),
        ([[1, 2], [3, 4]], False),
        ([np.ones(3), np.ones(4)], False),
        ([1, 2, 3], False),
        ([], False),
        ("images", False),
        ([np.ones((4, 5))], True),
        ((np.ones((4, 5)), np.ones((6, 7))), True),
        ([[[1, 2], [3, 4]]], True),
        ([np.ones(3), np.ones((3, 3))], True),
        ([Duck(np.ones((4, 5)), shaped=True)], True),
        (np.array([np.ones((4, 5)), np.ones((6, 7)), None], dtype=object), True),
        (np.array([[1, 2], [3, 4]], dtype=object), False),
    ],
)
def test_what_is_a_list_of_images(X, expected):
    assert is_image_list(X) is expected


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 1), (1, 9, 2), (1, 1), (7, 1)])
@pytest.mark.parametrize("layout", ["stack", "list"])
def test_stacks_and_lists_round_trip(shape, layout):
    stack = pictures(6, *shape)
    X = list(stack) if layout == "list" else stack
    reader = Reader().fit(X)
    assert (reader.layout_, reader.image_shape_) == (layout, shape)
    height, width, n_channels = full_shape(shape)
    assert reader.images_.shape == (6, n_channels, height, width)
    assert reader.images_.flags.c_contiguous
    last = stack.reshape(6, height, width, n_channels)
    np.testing.assert_array_equal(reader.images_[:, -1], last[..., -1])
    back = reader.transform(X)
    assert type(back) is type(X)
    np.testing.assert_array_equal(back, X)


@pytest.mark.parametrize("shape", [None, (60,), (12, 5), (4, 5, 3), (1, 20, 3)])
def test_rows_round_trip(shape):
    rows = pictures(6, 60)
    reader = Reader(image_shape=shape).fit(rows)
    assert (reader.layout_, reader.n_features_in_) == ("rows", 60)
    assert reader.image_shape_ == (shape or (60,))
    height, width, n_channels = full_shape(reader.image_shape_)
    last = rows.reshape(6, height, width, n_channels)
    np.testing.assert_array_equal(reader.images_, np.moveaxis(last, -1, 1))
    np.testing.assert_array_equal(reader.transform(rows), rows)


def test_rows_stacks_and_lists_hold_the_same_images():
    stack = pictures(6, 4, 5, 3)
    reader = Reader(image_shape=(4, 5, 3)).fit(stack.reshape(6, -1))
    for X in (stack, list(stack), stack.tolist(), BareImages(stack)[:]):
        images = check_images(reader, X, reset=False)
        np.testing.assert_array_equal(images.stack(slice(None)), reader.images_)


def test_channel_axis_of_one_may_be_left_out():
    stack = pictures(6, 4, 5)
    reader = Reader(image_shape=(4, 5)).fit(stack)
    assert reader.transform(stack[..., None]).shape == (6, 4, 5, 1)
    assert reader.transform(list(stack[..., None]))[0].shape == (4, 5, 1)


def test_object_arrays():
    stack = pictures(3, 4, 5)
    ragged = np.empty(3, dtype=object)
    ragged[:] = list(stack)
    reader = Reader().fit(ragged)
    assert reader.layout_ == "list"
    np.testing.assert_array_equal(reader.images_[:, 0], stack)
    reader.fit(stack.astype(object))
    assert reader.layout_ == "stack"
    assert reader.images_.dtype == np.float64


@pytest.mark.parametrize("shaped", [True, False])
@pytest.mark.parametrize("shape", [(3, 20), (3, 4, 5), (3, 4, 5, 2)])
def test_duck_arrays(shape, shaped):
    array = pictures(*shape)
    reader = Reader().fit(Duck(array, shaped))
    np.testing.assert_array_equal(reader.transform(array), array)
    assert reader.layout_ == ("rows" if len(shape) == 2 else "stack")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.float16, np.float64),
        (np.uint8, np.float64),
        (np.int64, np.float64),
        (bool, np.float64),
        (object, np.float64),
    ],
)
@pytest.mark.parametrize("layout", ["rows", "stack", "list"])
def test_dtypes(given, kept, layout):
    stack = pictures(3, 4, 5).astype(given)
    X = {"rows": stack.reshape(3, -1), "stack": stack, "list": list(stack)}[layout]
    reader = Reader(image_shape=(4, 5)).fit(X)
    assert reader.images_.dtype == kept
    assert reader.transform(X)[0].dtype == kept


def test_read_only_and_fortran_ordered_arrays():
    stack = pictures(3, 4, 5)
    stack.flags.writeable = False
    fortran = np.asfortranarray(stack)
    np.testing.assert_array_equal(Reader().fit(stack).images_, Reader().fit(fortran).images_)


def test_frames():
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    rows = pictures(6, 20)
    names = [f"pixel{i}" for i in range(20)]
    for frame in (pandas.DataFrame(rows, columns=names), polars.DataFrame(rows, schema=names)):
        reader = Reader(image_shape=(4, 5)).fit(frame)
        # Which versions of scikit-learn read the names of which polars is their affair.
        assert list(getattr(reader, "feature_names_in_", names)) == names
        np.testing.assert_array_equal(reader.transform(frame), rows)

    reader = Reader(image_shape=(4, 5)).fit(pandas.DataFrame(rows, columns=names))
    assert list(reader.feature_names_in_) == names
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        reader.transform(rows)
    # Stacks have no columns.
    reader.transform(rows.reshape(6, 4, 5))


def test_fit_on_a_list_fixes_the_channels_alone():
    reader = Reader().fit(pictures(6, 20))
    reader.fit([pictures(4, 5, 3)] * 2)
    assert not hasattr(reader, "n_features_in_")
    for X in ([pictures(7, 6, 3)], pictures(2, 7, 6, 3)):
        np.testing.assert_array_equal(reader.transform(X), X)
    for X in ([pictures(4, 5)], pictures(2, 4, 5)):
        with pytest.raises(ValueError, match="with 1 channels, but fit has seen images with 3"):
            reader.transform(X)


def test_refit_on_a_list_forgets_feature_names():
    pandas = pytest.importorskip("pandas")
    reader = Reader().fit(pandas.DataFrame(pictures(6, 3), columns=["a", "b", "c"]))
    reader.fit([pictures(4, 5)])
    assert not hasattr(reader, "feature_names_in_")


@pytest.mark.parametrize(("n_features", "shape"), [(64, (8, 8)), (192, (8, 8, 3)), (784, (28, 28))])
def test_rows_that_may_be_images_warn_once_and_in_fit_alone(n_features, shape):
    rows = pictures(2, n_features)
    with pytest.warns(UserWarning, match="read as 1-D signals") as caught:
        reader = Reader().fit(rows)
    assert len(caught) == 1
    assert f"image_shape={shape}" in str(caught[0].message)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reader.transform(rows)
        Reader(image_shape=shape).fit(rows)
        Reader().fit(pictures(2, 49))
        Reader().fit(pictures(2, 65))


REFUSED = [
    (pictures(2, 2, 2, 2, 2), ValueError, "X has 5 dimensions; expected rows"),
    (pictures(6), ValueError, "Reshape your data"),
    (1.0, ValueError, "Expected 2D array, got scalar array"),
    (np.ones((0, 4, 5)), ValueError, "0 sample"),
    (np.ones((2, 0, 5)), ValueError, "0 feature"),
    (np.ones((2, 4, 5, 0)), ValueError, "0 feature"),
    ([], ValueError, "Expected 2D array"),
    ([np.ones((0, 5))], ValueError, "0 sample"),
    ([np.ones((4, 5, 0))], ValueError, "without channels"),
    ([np.ones((4, 5)), np.ones((4, 5, 2))], ValueError, r"X\[1\] .* of channels must not"),
    ([np.ones((4, 5)), np.ones(5)], ValueError, r"X\[1\] is array\(.*an image has shape"),
    ([np.ones((2, 4, 5, 3))], ValueError, "an image has shape"),
    (np.full((2, 4, 5), np.nan), ValueError, r"X\[0\] has no known pixel"),
    (np.full((2, 4, 5), np.inf), ValueError, "X contains infinity"),
    ([np.ones((4, 5)), np.full((4, 5), np.nan)], ValueError, r"X\[1\] has no known pixel"),
    (np.ones((2, 4, 5), complex), ValueError, "Complex data not supported"),
    ([np.ones((4, 5), complex)], ValueError, "Complex data not supported"),
    (np.array([["a", "b"]]), ValueError, "could not convert|dtype='numeric'"),
    (csr_array(np.eye(3)), TypeError, "Sparse data was passed"),
    ([csr_array(np.eye(3))], TypeError, "Sparse data was passed"),
    (coo_array(np.ones((2, 4, 5))), (TypeError, ValueError), "[Ss]parse"),
]


def test_input_that_is_refused():
    reader = Reader().fit(pictures(2, 4, 5))

    def check(X, error, message):
        with pytest.raises(error, match=message):
            Reader().fit(X)
        with pytest.raises(error):
            reader.transform(X)

    check_each(((f"{i}: {row[2]}", row) for i, row in enumerate(REFUSED)), check)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (pictures(2, 21), r"X has 21 features, which does not fit image_shape=\(4, 5\): .* 20"),
        (pictures(2, 5, 4), r"images of shape \(5, 4\), but image_shape is \(4, 5\)"),
        (pictures(2, 4, 5, 3), r"images of shape \(4, 5, 3\), but image_shape is \(4, 5\)"),
        ([pictures(5, 4)], r"images of shape \(5, 4\), but image_shape is \(4, 5\)"),
    ],
)
def test_input_that_does_not_fit_image_shape(X, message):
    with pytest.raises(ValueError, match=message):
        Reader(image_shape=(4, 5)).fit(X)


@pytest.mark.parametrize("fitted", [pictures(2, 4, 5), pictures(2, 20)])
def test_input_that_does_not_fit_the_fit(fitted):
    reader = Reader(image_shape=(4, 5)).fit(fitted)
    for X in (pictures(2, 4, 5, 3), [pictures(5, 4, 3)]):
        with pytest.raises(ValueError, match="with 3 channels, but fit has seen images with 1"):
            reader.transform(X)
    for X in (pictures(2, 5, 4), [pictures(5, 4)]):
        np.testing.assert_array_equal(reader.transform(X), X)
    with pytest.raises(ValueError, match="X has 21 features, but Reader is expecting 20"):
        reader.transform(pictures(2, 21))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", ">f8", "uint8"])
@pytest.mark.parametrize("shape", [(9, 20), (9, 5, 4), (9, 5, 4, 3)])
def test_an_array_that_is_mapped_from_a_file_is_not_copied(shape, dtype, order, tmp_path):
    path, image_shape = tmp_path / "images.npy", (5, 4) if len(shape) == 2 else None
    values = np.random.default_rng(0).integers(0, 255, shape).astype(dtype)
    np.save(path, np.asarray(values, order=order))
    mapped = np.load(path, mmap_mode="r")
    images = check_images(Reader(), mapped, image_shape=image_shape, reset=True)
    if mapped.dtype.isnative:
        assert np.shares_memory(images.source, mapped)
    plain = check_images(Reader(), values, image_shape=image_shape, reset=True)
    np.testing.assert_array_equal(images.stack(slice(2, 5)), plain.stack(slice(2, 5)))
    np.testing.assert_array_equal(images.stack(np.array([1, 7])), plain.stack(np.array([1, 7])))


def test_a_lazy_image_that_changed_since_it_was_read_is_refused():
    sequence = BareImages([pictures(5, 4), pictures(6, 4)])
    images = check_images(Reader(), sequence, reset=True)
    sequence._images[1] = pictures(7, 4)
    with pytest.raises(ValueError, match=r"X\[1\] has shape \(7, 4\), but had 6 x 4 pixels"):
        images.stack(slice(1, 2))
