"""BagOfFeatures behind every estimator that gives maps, and in grids."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import draw_maps, sparse_maps
from reference.images import images_of
from reference.quick import QUICK, QUICK_NET
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.features import BagOfFeatures, histogram_intersection

LAYER = DeconvNetLayer(**QUICK, lam=5.0, output="maps")
NET = HierarchicalDeconvNet(**QUICK_NET, lam=5.0, output="maps")
BAG = BagOfFeatures(4, patch_size=4, pool=2, levels=(1, 2), random_state=0)
ENCODERS = [
    LAYER,
    clone(LAYER).set_params(sparse_output=True),
    NET,
    clone(NET).set_params(sparse_output=True),
    AdaptiveDeconvNet(**QUICK_NET, lam=5.0, pooling=(2, 2, 2), output="maps"),
    OnePassEncoder(np.random.default_rng(0).standard_normal((2, 3, 3))),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=range(6))
def test_behind_estimators_that_give_maps(encoder):
    images = images_of(9, 8)
    pipeline = make_pipeline(clone(encoder), clone(BAG))
    rows = pipeline.fit_transform(images)
    assert rows.shape == (4, 5 * 4)
    assert rows[:, :4].any(axis=1).all()
    assert_allclose(pipeline.transform(images), rows, rtol=1e-9)
    assert pipeline[-1].words_.shape[3] == pipeline[:-1].transform(images[:1])[0].shape[-1]
    assert_array_equal(pipeline.get_feature_names_out(), pipeline[-1].get_feature_names_out())


def test_dense_and_sparse_maps_agree():
    images = images_of(9, 8)
    dense, sparse = (make_pipeline(clone(one), clone(BAG)) for one in ENCODERS[:2])
    assert_allclose(dense.fit_transform(images), sparse.fit_transform(images), rtol=1e-9)


def test_projections_of_an_adaptive_net_are_averaged():
    images, k = images_of(10, 10), 3
    net = AdaptiveDeconvNet(**QUICK_NET, lam=5.0, pooling=(2, 2, 2)).fit(images)
    projections = net.project(net.encode(images), 2, k, to="layer1")
    bag = clone(BAG).fit(projections)
    features = bag.transform(projections)
    assert features.shape == (4 * k, 5 * 4)
    means = features.reshape(4, k, -1).mean(axis=1)
    for i in range(4):
        own = projections[i * k : (i + 1) * k]
        assert_allclose(means[i], bag.transform(own).mean(axis=0))
        alone = net.project(net.encode(images[i : i + 1]), 2, k, to="layer1")
        assert_allclose(bag.transform(alone).mean(axis=0), means[i], rtol=1e-6, atol=1e-6)
    assert np.ptp(means, axis=0).any()


@pytest.mark.parametrize("frozen", [False, True])
def test_a_grid_behind_a_layer(frozen):
    rng, y = np.random.default_rng(0), np.arange(16) % 2
    images = np.repeat(rng.standard_normal((16, 9, 1)), 9, axis=2)
    images[y == 1] = images[y == 1].transpose(0, 2, 1)
    layer = clone(LAYER).set_params(sparse_output=True, n_filters=4)
    layer = FrozenEstimator(layer.fit(images)) if frozen else layer
    pipeline = make_pipeline(layer, clone(BAG), SVC(kernel=histogram_intersection))
    hard = {"bagoffeatures__n_words": [5, 20]}
    soft = {
        "bagoffeatures__n_words": [5],
        "bagoffeatures__coding": ["soft"],
        "bagoffeatures__n_nearest": [2],
        "bagoffeatures__pooling": ["sum", "max"],
    }
    search = GridSearchCV(pipeline, [hard, soft], cv=2, error_score="raise").fit(images, y)
    assert len(search.cv_results_["params"]) == 2 + 2
    assert search.best_score_ > 0.8
    bag = search.best_estimator_[1]
    assert bag.words_.shape == (bag.n_words, 2, 2, 4)
    if frozen:
        assert search.best_estimator_[0].estimator is layer.estimator


def test_rows_need_the_shape_of_maps():
    maps = draw_maps(3, 8, 6, 2)
    rows = maps.reshape(3, -1)
    expected = clone(BAG).fit_transform(maps)
    for X in (rows, csr_array(rows), rows.tolist()):
        with pytest.raises(ValueError, match=r'X has 2 dimensions.*output="maps".*maps_shape='):
            clone(BAG).fit(X)
        found = clone(BAG).set_params(maps_shape=(8, 6, 2)).fit_transform(X)
        assert_allclose(found, expected, rtol=1e-9)
    with pytest.raises(ValueError, match=r'output="maps"'):
        make_pipeline(clone(LAYER).set_params(output="rows"), clone(BAG)).fit(images_of(9, 8))


@pytest.mark.parametrize("form", [np.asarray, sparse_maps])
def test_a_failed_refit_leaves_the_old_fit(form):
    maps = draw_maps(3, 8, 8, 2)
    bag = clone(BAG).fit(form(maps))
    expected, before = bag.transform(form(maps)), vars(bag).copy()
    faults = {
        "n_words": 1000, "levels": "x", "patch_size": 12, "power": -1, "coding": "x",
        "n_nearest": 0, "sharpness": -1, "pooling": "energy",
    }  # fmt: skip
    for name, value in faults.items():
        bag.set_params(**{name: value})
        with pytest.raises((TypeError, ValueError)):
            bag.fit(form(draw_maps(3, 9, 9, 3)))
        bag.set_params(**{name: before[name]})
        assert vars(bag).keys() == before.keys()
        assert all(vars(bag)[one] is before[one] for one in before)
    assert_array_equal(bag.transform(form(maps)), expected)


def test_frames_come_out():
    maps = draw_maps(3, 9, 8, 2)
    bag = BagOfFeatures(4, patch_size=4, pool=2, random_state=0).set_output(transform="pandas")
    frame = bag.fit_transform(maps)
    assert list(frame.columns) == list(bag.get_feature_names_out(["any", "names"]))
    assert_array_equal(frame, bag.set_output(transform="default").transform(maps))
