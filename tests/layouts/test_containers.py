"""Containers of images that users hand over: Series, columns, masked arrays, ragged lists."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from reference.quick import QUICK, QUICK_NET
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline

from skdeconv import (
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
    lam_min,
)
from skdeconv.features import PixelFeatures, SpatialPyramid
from skdeconv.layouts import check_images
from skdeconv.preprocessing import LocalContrastNormalizer, as_signals

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((6, 12, 12))
SERIES = pd.Series(list(X), index=[5, 3, 1, 0, 2, 4])
HOLES = np.random.default_rng(1).random(X.shape) < 0.3
MASKED, MISSING = np.ma.array(X, mask=HOLES), np.where(HOLES, np.nan, X)


class Bare:
    """An image that offers nothing but its conversion."""

    def __init__(self, image):
        self._image = image

    def __array__(self, dtype=None, copy=None):
        return np.array(self._image, dtype=dtype)


def layer(**options):
    return DeconvNetLayer(**QUICK | {"lam": 8.0} | options)


def of_objects(images):
    array = np.empty(len(images), dtype=object)
    array[:] = list(images)
    return array


LISTS = {
    "list": list(X),
    "tuple": tuple(X),
    "Series": SERIES,
    "object array": of_objects(X),
    "column": SERIES.to_frame("image"),
    "column of an array": of_objects(X)[:, None],
    "bare images": [Bare(image) for image in X],
    "one of another number of axes": [X[0], *X[1:, :, :, None]],
    "nested lists": X.tolist(),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_images(name):
    expected = layer().fit(list(X))
    fitted = layer().fit(LISTS[name])
    np.testing.assert_array_equal(fitted.filters_, expected.filters_)
    codes = fitted.transform(LISTS[name])
    np.testing.assert_array_equal(codes, expected.transform(list(X)))
    drawn = fitted.inverse_transform(codes)
    assert isinstance(drawn, list)
    assert not hasattr(fitted, "n_features_in_")
    assert fitted.score(LISTS[name]) == expected.score(list(X))


@pytest.mark.parametrize("kind", ["Object", "Array", "List"])
def test_series_of_polars(kind):
    pl = pytest.importorskip("polars")
    series = {
        "Object": lambda: pl.Series("image", list(X), dtype=pl.Object),
        "Array": lambda: pl.Series("image", X),
        "List": lambda: pl.Series("image", X.tolist()),
    }[kind]()
    expected = layer().fit(list(X)).filters_
    np.testing.assert_array_equal(layer().fit(series).filters_, expected)
    np.testing.assert_array_equal(layer().fit(pl.DataFrame({"image": series})).filters_, expected)


def test_other_estimators_take_series():
    np.testing.assert_array_equal(lam_min(SERIES, filter_size=3), lam_min(X, filter_size=3))
    normalised = LocalContrastNormalizer().fit_transform(SERIES)
    np.testing.assert_array_equal(np.stack(normalised), LocalContrastNormalizer().fit_transform(X))
    for estimator in (
        OnePassEncoder(layer()),
        PixelFeatures(layer()),
        HierarchicalDeconvNet(**QUICK_NET | {"lam": 8.0}),
        AdaptiveDeconvNet(**QUICK_NET | {"lam": 8.0}),
    ):
        np.testing.assert_array_equal(
            estimator.fit(SERIES).transform(SERIES), estimator.fit(list(X)).transform(list(X))
        )


@pytest.mark.parametrize("columns", ["image", ["image"]])
def test_a_column_through_a_column_transformer(columns):
    frame = pd.DataFrame({"image": SERIES, "age": range(6)})
    pooled = make_pipeline(
        LocalContrastNormalizer(), layer(output="maps"), SpatialPyramid(levels=(1,))
    )
    both = ColumnTransformer([("maps", pooled, columns), ("age", "passthrough", ["age"])])
    result = both.fit_transform(frame)
    np.testing.assert_array_equal(result[:, :-1], pooled.fit_transform(X))
    np.testing.assert_array_equal(result[:, -1], range(6))
    assert list(both.get_feature_names_out())[:2] == ["maps__f0_l1_y0_x0", "maps__f1_l1_y0_x0"]


def test_images_of_pillow():
    eight_bit = ((X - X.min()) * 30).astype(np.uint8)
    pictures = [Image.fromarray(image) for image in eight_bit]
    options = {"lam": 0.1}
    np.testing.assert_array_equal(
        layer(**options).fit(pictures).filters_, layer(**options).fit(list(eight_bit)).filters_
    )


@pytest.mark.parametrize("container", [np.asanyarray, list, of_objects])
def test_masked_pixels_are_missing(container):
    masked, missing = container(MASKED), container(MISSING)
    one, other = layer().fit(masked), layer().fit(missing)
    np.testing.assert_array_equal(one.filters_, other.filters_)
    np.testing.assert_array_equal(one.transform(masked), other.transform(missing))
    assert one.score(masked) == other.score(missing)
    np.testing.assert_array_equal(lam_min(masked, filter_size=3), lam_min(missing, filter_size=3))
    np.testing.assert_array_equal(
        np.stack(LocalContrastNormalizer().fit_transform(masked)),
        np.stack(LocalContrastNormalizer().fit_transform(missing)),
    )


def test_masked_integers_and_rows():
    integers = np.ma.array(np.arange(6 * 64).reshape(6, 64) % 7, mask=False)
    integers[0, 3] = np.ma.masked
    missing = integers.astype(float).filled(np.nan)
    options = {"image_shape": (8, 8), "lam": 1.0}
    np.testing.assert_array_equal(
        layer(**options).fit(integers).filters_, layer(**options).fit(missing).filters_
    )


ROWS = {
    "list": list,
    "tuple": tuple,
    "Series": lambda rows: pd.Series(list(rows)),
    "object array": of_objects,
}


@pytest.mark.parametrize("name", ROWS)
def test_masked_values_of_signals_are_missing(name):
    masked, missing = ROWS[name](MASKED[:, 0]), MISSING[:, 0]
    one, other = layer().fit(masked), layer().fit(missing)
    np.testing.assert_array_equal(one.filters_, other.filters_)
    np.testing.assert_array_equal(one.transform(masked), other.transform(missing))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("channels", [(), (2,)])
def test_masked_values_in_nested_lists_are_missing(channels, dtype):
    values = (10 * np.random.default_rng(0).standard_normal((4, 5, 6, *channels))).astype(dtype)
    values = np.ma.masked_greater(values, 3)
    nested = [[list(row) if channels else row for row in image] for image in values]
    images = check_images(BaseEstimator(), nested, reset=True)
    missing = values.astype(float).filled(np.nan)
    expected = missing.reshape(4, 5, 6, -1).transpose(0, 3, 1, 2)
    for i in range(4):
        np.testing.assert_array_equal(images.stack(slice(i, i + 1))[0], expected[i])
    assert images.dtype == (np.float32 if dtype == np.float32 else np.float64)


def test_masked_values_are_refused_where_nan_is():
    fitted = layer().fit(X)
    codes, maps = fitted.transform(X), layer(output="maps").fit(X).transform(X)
    init = np.random.default_rng(0).standard_normal((2, 3, 3))
    for refused in (
        lambda: OnePassEncoder(layer()).fit(MASKED),
        lambda: layer(init=np.ma.masked_less(init, 0)).fit(X),
        lambda: OnePassEncoder(np.ma.masked_less(init, 0)).fit(X),
        lambda: fitted.inverse_transform(np.ma.masked_less(codes, 0)),
        lambda: SpatialPyramid().fit(np.ma.masked_less(maps, 0)),
    ):
        with pytest.raises(ValueError, match="NaN"):
            refused()


def test_codes_in_other_containers():
    fitted = layer(output="maps").fit(X)
    maps = fitted.transform(X)
    rows = maps.reshape(6, -1)
    drawn = fitted.inverse_transform(maps)
    for same in (Bare(maps), Namespaced(maps, False), Bare(rows), rows.tolist(), maps.tolist()):
        np.testing.assert_array_equal(fitted.inverse_transform(same), drawn)
        np.testing.assert_array_equal(fitted.to_maps(same), maps)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("output", ["rows", "maps"])
@pytest.mark.parametrize("form", [np.asarray, csr_array, list])
def test_codes_must_be_finite(value, output, form):
    fitted = layer(output=output).fit(X)
    codes = fitted.transform(X)
    codes[2].flat[3] = value
    codes = codes.reshape(6, -1) if form is csr_array else codes
    with pytest.raises(ValueError, match="X contains NaN or infinity, but codes must be finite"):
        fitted.inverse_transform(form(codes))


def test_no_codes():
    for options in ({"low_frequency": True}, {"sparse_output": True}):
        fitted = layer(output="maps", **options).fit(X)
        with pytest.raises(ValueError, match="0 samples; at least one is required"):
            fitted.inverse_transform(fitted.transform(X)[:0])


def test_ragged_signals():
    signals = [np.random.default_rng(i).standard_normal(40 + i) for i in range(5)]
    fitted = layer(output="maps").fit(signals)
    assert fitted.image_shape_ == (None,)
    assert fitted.filters_.shape == (2, 1, 3, 1)
    images = layer(output="maps").fit([signal[None] for signal in signals])
    np.testing.assert_array_equal(fitted.filters_, images.filters_)
    drawn = fitted.inverse_transform(fitted.transform(signals))
    assert [signal.shape for signal in drawn] == [(40 + i,) for i in range(5)]
    equal = np.stack([signal[:40] for signal in signals])
    bare = layer(output="maps").fit([Bare(signal) for signal in signals])
    np.testing.assert_array_equal(bare.filters_, images.filters_)
    assert fitted.score(equal) == fitted.score(list(equal)) == images.score(equal[:, None])


def test_equally_long_lists_stay_rows():
    rows = X.reshape(6, -1)[:, :20]
    for same in (rows.tolist(), list(rows), tuple(rows), [Bare(row) for row in rows]):
        fitted = layer().fit(same)
        assert fitted.n_features_in_ == 20
        np.testing.assert_array_equal(fitted.filters_, layer().fit(rows).filters_)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([(image, 3) for image in X], r"X\[0\] is a pair of an image and 3.*y="),
        ([[image, "cat"] for image in X], r"X\[0\] is a pair of an image and 'cat'"),
        ([(row, 3) for row in X[:, 0]], r"X\[0\] is a pair of a signal and 3.*y="),
        (pd.Series([None, *X]), r"list of images, and X\[0\] is None"),
        (pd.Series([*X, None]), r"list of images, and X\[6\] is None"),
        (pd.DataFrame({"image": list(X), "age": 1}), r"pass X\['image'\]"),
        (pd.DataFrame({"age": 1, "signal": list(X[:, 0])}), r"pass X\['signal'\]"),
        ([np.ones(5), np.ones((5, 5))], "list of signals"),
        ([np.ones((5, 5)), np.ones(5)], "list of images"),
        (np.ones(1200), r"as_signals\(X\)"),
        (["a.png", "b.png"], "1D array"),
    ],
)
def test_lists_that_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        layer().fit(images)


def test_signals_with_labels_are_refused():
    for pairs in ([(row, 3) for row in X[:, 0]], [[row, "cat"] for row in X[:, 0]]):
        with pytest.raises(ValueError, match=r"X\[0\] is a pair of a signal and"):
            as_signals(pairs)


class Namespaced:
    """An array of another namespace of the array API, on a device or not."""

    def __init__(self, array, on_device):
        self._array, self.shape, self.ndim = array, array.shape, array.ndim
        self.dtype, self._on_device = "float64", on_device

    def __array_namespace__(self, api_version=None):
        return np

    def __array__(self, dtype=None, copy=None):
        if self._on_device:
            raise TypeError("not on this device.")
        return self._array


def test_arrays_of_other_namespaces():
    expected = layer().fit(X).filters_
    np.testing.assert_array_equal(layer().fit(Namespaced(X, False)).filters_, expected)
    with pytest.raises(TypeError, match="Namespaced, which cannot be converted"):
        layer().fit(Namespaced(X, True))
