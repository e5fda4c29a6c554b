"""SpatialPyramid among other estimators: rows, names, frames, tags and grids."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import draw_maps, sparse_maps
from reference.images import images_of
from reference.quick import QUICK, QUICK_NET
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.features import SpatialPyramid

LAYER = DeconvNetLayer(**QUICK, lam=5.0)


# Names


@pytest.mark.parametrize("split_sign", [False, True])
@pytest.mark.parametrize("shape", [(6, 8), (1, 8)])
def test_a_coefficient_lights_the_features_of_its_name(shape, split_sign):
    levels, (height, width) = (1, 2, (3, 4)), shape
    pyramid = SpatialPyramid(levels, split_sign=split_sign).fit(np.zeros((1, *shape, 3)))
    names = pyramid.get_feature_names_out()
    assert names.dtype == object
    assert len(set(names)) == len(names)
    for y, x, k, value in [(0, 0, 0, 1.0), (height - 1, 5, 1, -2.0), (height // 2, 7, 2, 0.5)]:
        maps = np.zeros((1, *shape, 3))
        maps[0, y, x, k] = value
        rows = [1, 2, 3] if height > 1 else [1, 1, 1]
        places = [(y * n // height, x * m // width) for n, m in zip(rows, [1, 2, 4], strict=True)]
        one = f"f{k}{'+' if value > 0 else '-'}" if split_sign else f"f{k}"
        expected = {
            f"{one}_l{level}_y{row}_x{column}"
            for level, (row, column) in zip(["1", "2", "3x4"], places, strict=True)
        }
        assert set(names[pyramid.transform(maps)[0] > 0]) == expected


@pytest.mark.parametrize("window", ["gaussian", "triangular"])
def test_names_on_a_grid(window):
    options = {"window": window, "sigma": 0.5, "stride": 5}
    pyramid = SpatialPyramid(**options).fit(np.zeros((1, 7, 11, 2)))
    names = pyramid.get_feature_names_out()
    assert len(names) == len(set(names)) == 2 * 2 * 3
    for (row, y), (column, x), k in [((0, 1), (0, 0), 0), ((1, 6), (1, 5), 1), ((0, 0), (2, 9), 0)]:
        maps = np.zeros((1, 7, 11, 2))
        maps[0, y, x, k] = 1
        assert list(names[pyramid.transform(maps)[0] > 0]) == [f"f{k}_y{row}_x{column}"]


def test_names_take_any_input_features():
    pyramid = SpatialPyramid((1,)).fit(draw_maps(2, 4, 4, 2))
    assert_array_equal(pyramid.get_feature_names_out(["a"]), ["f0_l1_y0_x0", "f1_l1_y0_x0"])
    with pytest.raises(NotFittedError):
        SpatialPyramid().get_feature_names_out()


def test_frames_come_out():
    maps = draw_maps(3, 5, 6, 2)
    pyramid = SpatialPyramid((1, (2, 1))).fit(maps)
    expected = pyramid.transform(maps)
    for form in (maps, sparse_maps(maps), list(maps)):
        frame = clone(pyramid).set_output(transform="pandas").fit_transform(form)
        assert list(frame.columns) == list(pyramid.get_feature_names_out())
        assert_allclose(frame, expected, rtol=1e-12)
    rows = SpatialPyramid((1, (2, 1)), maps_shape=(5, 6, 2)).set_output(transform="pandas")
    assert_allclose(rows.fit_transform(csr_array(maps.reshape(3, 60))), expected, rtol=1e-12)


# Rows


def test_rows_need_the_shape_of_maps():
    rows = draw_maps(3, 4, 5, 2).reshape(3, 40)
    for X in (rows, rows.tolist(), csr_array(rows)):
        with pytest.raises(ValueError, match=r'X has 2 dimensions.*output="maps".*maps_shape='):
            SpatialPyramid().fit(X)
        assert SpatialPyramid(maps_shape=(4, 5, 2)).fit_transform(X).shape == (3, 42)
    with pytest.raises(ValueError, match=r'output="maps"'):
        make_pipeline(clone(LAYER), SpatialPyramid()).fit(images_of(9, 8))


@pytest.mark.parametrize("sparse_output", [False, True])
def test_rows_of_a_layer(sparse_output):
    images = images_of(9, 8)
    layer = clone(LAYER).set_params(sparse_output=sparse_output).fit(images)
    rows, maps = layer.transform(images), layer.set_params(output="maps").transform(images)
    expected = SpatialPyramid().fit_transform(maps)
    found = SpatialPyramid(maps_shape=(11, 10, 2)).fit_transform(rows)
    assert_allclose(found, expected, rtol=1e-12)
    assert expected.any()


def test_tags():
    for shape, rows in [(None, False), ((4, 4, 1), True)]:
        tags = get_tags(SpatialPyramid(maps_shape=shape))
        assert tags.input_tags.two_d_array is rows
        assert tags.input_tags.sparse is rows
        assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]


# Among other estimators


def test_parameters_clone_and_pickle():
    options = {
        "levels": (1, (2, 3)), "window": "triangular", "sigma": 1.5, "stride": 2, "overlap": 0.1,
        "pooling": "energy", "power": 1, "split_sign": True, "normalize": None,
        "maps_shape": (4, 4, 2),
    }  # fmt: skip
    maps, pyramid = draw_maps(2, 4, 4, 2), SpatialPyramid(**options)
    assert pyramid.get_params() == clone(pyramid).get_params() == options
    with pytest.raises(NotFittedError):
        pyramid.transform(maps)
    assert pyramid.fit(maps) is pyramid
    copied = pickle.loads(pickle.dumps(pyramid))
    assert_array_equal(copied.transform(maps), pyramid.transform(maps))
    assert not hasattr(clone(pyramid), "maps_shape_")


def test_a_failed_refit_leaves_the_old_fit():
    maps = draw_maps(2, 4, 4, 2)
    pyramid = SpatialPyramid().fit(maps)
    with pytest.raises(ValueError, match="NaN"):
        pyramid.fit(np.full((1, 3, 3, 1), np.nan))
    with pytest.raises(ValueError, match="one size"):
        pyramid.set_params(window="gaussian").fit([np.ones((3, 3, 1)), np.ones((4, 3, 1))])
    assert pyramid.maps_shape_ == (4, 4, 2)
    assert pyramid.set_params(window="box").transform(maps).shape == (2, 42)


@pytest.mark.parametrize("sparse_output", [False, True])
def test_a_grid_behind_a_layer(sparse_output):
    images, y = images_of(8, 8, n_samples=12), np.arange(12) % 2
    images[y == 1, :, 4:] = 0
    layer = clone(LAYER).set_params(output="maps", sparse_output=sparse_output)
    pipeline = make_pipeline(layer, SpatialPyramid(), LinearSVC(random_state=0))
    grid = {
        "deconvnetlayer__filter_size": [3, 4],
        "spatialpyramid__levels": [(1, 2), ((1, 4),)],
        "spatialpyramid__pooling": ["sum", "max"],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(images, y)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_score_ == 1
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert names.size == search.best_estimator_[-1].n_features_in_


@pytest.mark.parametrize("sparse_output", [False, True])
def test_behind_the_nets(sparse_output):
    images = images_of(8, 8)
    options = QUICK_NET | {"lam": 5.0, "sparse_output": sparse_output}
    net = HierarchicalDeconvNet(**options, output="maps")
    deep = AdaptiveDeconvNet(**options, output="maps", pooling=(2, 2, 2))
    for encoder, n_maps in ((net, 3), (deep, 2)):
        rows = make_pipeline(encoder, SpatialPyramid((1, 2), split_sign=True)).fit_transform(images)
        assert rows.shape == (4, 5 * n_maps * 2)
        assert rows.any(axis=1).all()
