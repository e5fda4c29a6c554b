"""Rows in batches: those of the transformer alone, from few images at a time."""

import gc
import threading
import tracemalloc
import weakref

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import draw_maps, sparse_maps
from reference.images import images_of
from reference.quick import QUICK
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.datasets import ImageFolder
from skdeconv.features import BatchTransformer, SpatialPyramid

FILTERS = np.random.default_rng(0).standard_normal((3, 3, 4))
POOLED = make_pipeline(OnePassEncoder(FILTERS), SpatialPyramid((1, 2)))
IMAGES = images_of(9, 8, n_samples=11)
SIZES = [(9, 8), (9, 8), (5, 12), (9, 8), (20, 15), (1, 1), (6, 6)]
MIXED = [images_of(*size, n_samples=1, random_state=i)[0] for i, size in enumerate(SIZES)]
# An array is cut by the number of its pixels, a list by those of each image.
each_batch_size = pytest.mark.parametrize("batch_size", ["auto", 1, 2, 4, 11, 100])


class Count:
    """Of images: how many were read, and how many were alive at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.read = self.alive = self.peak = 0

    def born(self, image):
        with self.lock:
            self.read += 1
            self.alive += 1
            self.peak = max(self.peak, self.alive)
        weakref.finalize(image, self.died)
        return image

    def died(self):
        with self.lock:
            self.alive -= 1


class Reader:
    """A sequence that takes integers alone, and counts what it reads."""

    def __init__(self, images, count=None):
        self.images, self.count = images, count or Count()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.count.born(self.images[range(len(self))[i]].copy())


class Folder(Reader):
    """The same with slices and arrays of indices, which read nothing."""

    @property
    def shape(self):
        return (len(self.images),)

    def __getitem__(self, key):
        chosen = np.arange(len(self))[key]
        if chosen.ndim == 0:
            return super().__getitem__(int(chosen))
        return Folder([self.images[i] for i in chosen], self.count)


class Sums(TransformerMixin, BaseEstimator):
    """One number for every image; keeps what it was fitted on and how many came at a time."""

    def fit(self, X, y=None):
        self.seen_, self.labels_, self.counts_ = [float(np.sum(one)) for one in X], y, []
        return self

    def transform(self, X):
        self.counts_.append(len(X))
        return np.array([[float(np.sum(one))] for one in X])


# Results


@each_batch_size
def test_rows_are_those_of_the_transformer_alone(batch_size):
    expected = clone(POOLED).fit_transform(IMAGES)
    found = BatchTransformer(POOLED, batch_size=batch_size).fit_transform(IMAGES)
    assert expected.any(axis=1).all()
    assert_allclose(found, expected, rtol=1e-12)


@each_batch_size
@pytest.mark.parametrize("form", [list, tuple, Reader, Folder], ids=lambda one: one.__name__)
def test_images_of_different_sizes(form, batch_size):
    expected = clone(POOLED).fit_transform(MIXED)
    transformer = BatchTransformer(POOLED, batch_size=batch_size)
    found = transformer.fit(form(MIXED)).transform(form(MIXED))
    assert_allclose(found, expected, rtol=1e-12)
    objects = np.empty(len(MIXED), dtype=object)
    objects[:] = MIXED
    assert_array_equal(transformer.transform(objects), found)


@pytest.mark.parametrize("batch_size", ["auto", 2])
def test_the_number_of_workers_changes_no_bit(batch_size):
    images = images_of(40, 40, n_samples=90).astype(np.float32)
    transformer = BatchTransformer(POOLED, batch_size=batch_size, n_jobs=1)
    alone = transformer.fit_transform(images)
    assert alone.dtype == np.float32
    transformer.set_params(n_jobs=2)
    assert_array_equal(transformer.transform(images), alone, strict=True)
    transformer.set_params(n_jobs=1)
    assert_array_equal(transformer.transform(Folder(images)), alone, strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(dtype):
    rows = BatchTransformer(POOLED, batch_size=2).fit_transform(IMAGES.astype(dtype))
    assert rows.dtype == dtype


def test_sparse_rows():
    layer = DeconvNetLayer(**QUICK, lam=5.0, sparse_output=True).fit(IMAGES)
    expected = layer.transform(IMAGES)
    rows = BatchTransformer(FrozenEstimator(layer), batch_size=3).fit_transform(IMAGES)
    assert isinstance(rows, csr_array)
    assert rows.indices.dtype == np.int32
    assert expected.nnz > 50
    assert_allclose(rows.toarray(), expected.toarray(), rtol=1e-12)


def test_missing_pixels():
    images = IMAGES.copy()
    images[1, 2:5, 3] = images[7, 0] = np.nan
    layer = DeconvNetLayer(**QUICK, lam=5.0, output="maps")
    pooled = make_pipeline(layer, SpatialPyramid((1, 2)))
    expected = pooled.fit_transform(images)
    assert_allclose(BatchTransformer(pooled, batch_size=2).fit_transform(images), expected)
    with pytest.raises(ValueError, match="NaN"):
        BatchTransformer(POOLED).fit(IMAGES).transform(images)


def test_sparse_maps_and_text_are_cut_as_well():
    maps = draw_maps(7, 5, 4, 3)
    expected = SpatialPyramid((1, 2)).fit_transform(maps)
    for form in (maps, list(maps), sparse_maps(maps)):
        rows = BatchTransformer(SpatialPyramid((1, 2)), batch_size=3).fit_transform(form)
        assert_allclose(rows, expected, rtol=1e-12)
    text = [f"a{i % 4} b" for i in range(9)]
    expected = CountVectorizer(analyzer="char").fit_transform(text)
    words = BatchTransformer(CountVectorizer(analyzer="char"), batch_size=2).fit(text)
    for form in (text, np.array(text), np.array(text, dtype=object)):
        assert_array_equal(words.transform(form).toarray(), expected.toarray())


# Batches


@pytest.mark.parametrize(
    ("X", "counts"),
    [
        (np.ones((40, 64, 64)), [16, 16, 8]),
        (np.ones((3, 64, 64, 5)), [3]),
        (np.ones((2, 300, 300)), [1, 1]),
        (np.ones((3, 30_000)), [2, 1]),
        (np.ones((3, 0)), [3]),
        ([np.ones((200, 200)), np.ones((200, 100)), np.ones((10, 1000)), np.ones((1, 1))], [2, 2]),
        ([np.ones((1, 1)), np.ones((300, 300)), np.ones((1, 1))], [1, 1, 1]),
        (Folder(np.ones((37, 2, 2))), [16, 16, 5]),
        (Folder(np.ones((5, 200, 160))), [2, 2, 1]),
        (Reader(np.ones((37, 2, 2))), [37]),
        (Reader(np.ones((5, 200, 160))), [2, 2, 1]),
    ],
)
def test_batches_are_of_about_65_000_pixels(X, counts):
    transformer = BatchTransformer(Sums()).fit(X)
    transformer.transform(X)
    assert transformer.transformer_.counts_ == counts


@pytest.mark.parametrize("form", [np.asarray, list, Reader, Folder], ids=lambda one: one.__name__)
def test_batches_of_a_number_of_images(form):
    transformer = BatchTransformer(Sums(), batch_size=np.int64(4)).fit(IMAGES)
    assert_allclose(transformer.transform(form(IMAGES))[:, 0], IMAGES.sum(axis=(1, 2)))
    assert transformer.transformer_.counts_ == [4, 4, 3]


# Memory


def peak_of(transformer, images):
    gc.collect()
    tracemalloc.start()
    transformer.fit_transform(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_is_that_of_the_maps_of_a_few_images():
    images = np.random.default_rng(0).standard_normal((64, 48, 48)).astype(np.float32)
    pooled = make_pipeline(OnePassEncoder(FILTERS.repeat(2, axis=0)), SpatialPyramid((1, 2)))
    maps = images.nbytes * 12
    assert peak_of(pooled, images) > maps
    for form in (images, list(images)):
        assert peak_of(BatchTransformer(pooled, batch_size=2, subsample=2), form) < maps / 4


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", [Folder, Reader])
def test_few_images_are_read_at_once(kind, n_jobs):
    source = kind(np.random.default_rng(0).standard_normal((60, 9, 8)))
    transformer = BatchTransformer(POOLED, batch_size=2, subsample=3, random_state=0)
    # Workers whose images can be counted.
    with joblib.parallel_config("threading", n_jobs=n_jobs):
        rows = transformer.fit(source).transform(source)
    assert_allclose(rows, clone(POOLED).fit_transform(source.images), rtol=1e-12)
    count = source.count
    # A batch and the image after it for each worker. What cannot be sliced is read in advance: two
    # batches to see whether there is more than one, and two for each worker.
    n_batches = n_jobs if kind is Folder else 2 + 2 * n_jobs + 1
    assert 2 <= count.peak <= 2 * n_batches + n_jobs
    # Once for ``transform``, but for the first, which tells what the sequence holds; and a few
    # times for ``fit`` on three images.
    assert 60 <= count.read <= 60 + 1 + 5 * 3
    gc.collect()
    assert count.alive == 0


@pytest.mark.parametrize("kind", [Folder, Reader])
def test_samples_are_read_by_the_transformer(kind):
    source = kind(IMAGES)
    BatchTransformer(Sums(), subsample=8, random_state=0).fit(source)
    assert source.count.read == 8
    assert source.count.peak <= 2


def test_a_folder_of_photos(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for i in range(20):
        pixels = np.random.default_rng(i).integers(0, 255, (6 + i, 9), dtype=np.uint8)
        image.fromarray(pixels).save(tmp_path / f"{i:02}.png")
    folder = ImageFolder(tmp_path)
    transformer = BatchTransformer(POOLED, subsample=5, random_state=0).fit(folder)
    rows = transformer.transform(folder)
    assert_allclose(rows, clone(POOLED).fit_transform(list(folder)), rtol=1e-5)
    assert_array_equal(transformer.set_params(n_jobs=2).transform(folder), rows, strict=True)


# Samples


@pytest.mark.parametrize("form", [np.asarray, list, tuple, Reader, Folder])
def test_it_is_fitted_on_a_sample_with_its_labels(form):
    images, labels = np.arange(20.0)[:, None, None] * np.ones((2, 3)), np.arange(20) * 10
    transformer = BatchTransformer(Sums(), subsample=6, random_state=0)
    fitted = transformer.fit(form(images), labels).transformer_
    assert_array_equal(np.array(fitted.seen_) / 6 * 10, fitted.labels_)
    assert len(fitted.seen_) == len(set(fitted.seen_)) == 6
    assert fitted.seen_ == sorted(fitted.seen_)
    assert clone(transformer).fit(form(images)).transformer_.seen_ == fitted.seen_
    assert clone(transformer).fit(form(images)).transformer_.labels_ is None
    as_list = clone(transformer).fit(form(images), labels.tolist()).transformer_
    assert as_list.labels_ == fitted.labels_.tolist()
    other = clone(transformer).set_params(random_state=1).fit(form(images)).transformer_
    assert other.seen_ != fitted.seen_


def test_samples_are_uniform():
    images = np.arange(5.0)[:, None, None]
    random_state, counts = np.random.RandomState(0), np.zeros(5)
    for _ in range(500):
        transformer = BatchTransformer(Sums(), subsample=2, random_state=random_state)
        counts[np.array(transformer.fit(images).transformer_.seen_, dtype=int)] += 1
    assert np.abs(counts - 200).max() < 60


@pytest.mark.parametrize("subsample", [None, 11, 100])
def test_all_images_are_seen_unless_there_are_more(subsample):
    for X in (IMAGES, list(IMAGES), Reader(IMAGES)):
        fitted = BatchTransformer(Sums(), subsample=subsample).fit(X).transformer_
        assert_allclose(fitted.seen_, IMAGES.sum(axis=(1, 2)))


class Namespaced:
    """An array of the array API, which takes no arrays as indices."""

    def __init__(self, array):
        self._array, self.shape, self.ndim, self.dtype = array, array.shape, array.ndim, array.dtype

    def __array_namespace__(self, api_version=None):
        return np

    def __array__(self, dtype=None, copy=None):
        return self._array

    def __getitem__(self, index):
        raise IndexError("Only integers are valid.")


@pytest.mark.parametrize("subsample", [None, 3])
def test_arrays_of_other_namespaces(subsample):
    transformer = BatchTransformer(clone(POOLED), subsample=subsample, random_state=0)
    expected = transformer.fit_transform(IMAGES)
    assert_allclose(transformer.fit_transform(Namespaced(IMAGES)), expected, rtol=1e-12)


def test_frozen_transformers_are_not_fitted_again():
    pooled = clone(POOLED).fit(IMAGES)
    for frozen in (FrozenEstimator(pooled), make_pipeline(FrozenEstimator(pooled))):
        transformer = BatchTransformer(frozen, batch_size=3).fit(IMAGES[:1])
        assert_allclose(transformer.transform(IMAGES), pooled.transform(IMAGES), rtol=1e-12)
    assert BatchTransformer(FrozenEstimator(pooled)).fit(IMAGES).transformer_.estimator is pooled
    unfitted = clone(POOLED)
    BatchTransformer(unfitted).fit(IMAGES)
    assert not hasattr(unfitted[0], "filters_")
