"""The scorer in the searches of scikit-learn, and the ``lam`` that it chooses."""

import pickle

import numpy as np
import pytest
import sklearn
from reference.images import images_of
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline

from skdeconv import DeconvNetLayer
from skdeconv.datasets import make_sparse_images
from skdeconv.model_selection import HeldOutPixels
from skdeconv.preprocessing import LocalContrastNormalizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IMAGES = images_of(8, 9, n_samples=6, noise=0.1)
LAYER = DeconvNetLayer(2, 3, max_iter=1, random_state=0)
SCORER, FOLDS = HeldOutPixels(0.2), KFold(2)


def scores_of(layer, scorer=SCORER):
    """The score of each fold, computed without scikit-learn's searches."""
    folds = FOLDS.split(IMAGES)
    return [scorer(clone(layer).fit(IMAGES[train]), IMAGES[test]) for train, test in folds]


@pytest.mark.parametrize("routing", [False, True])
def test_grid_search(routing):
    grid = {"lam": [4.0, 20.0], "p": [0.8, 1.0]}
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(LAYER, grid, scoring=SCORER, cv=FOLDS, error_score="raise")
        search.fit(IMAGES)
        score = search.score(IMAGES)
    expected = [
        np.mean(scores_of(clone(LAYER).set_params(**one))) for one in search.cv_results_["params"]
    ]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected)
    assert search.best_index_ == np.argmax(expected)
    assert len(set(expected)) == 4
    assert score == SCORER(search.best_estimator_, IMAGES) == SCORER(search, IMAGES)
    assert clone(search).scoring == SCORER
    assert repr(SCORER) in repr(search)


@pytest.mark.parametrize("routing", [False, True])
def test_several_scores_at_once(routing):
    scoring = {"held out": SCORER, "fewer": HeldOutPixels(0.1), "error": _negative_error}
    with sklearn.config_context(enable_metadata_routing=routing):
        search = GridSearchCV(
            LAYER,
            {"lam": [4.0, 20.0]},
            scoring=scoring,
            refit="held out",
            cv=FOLDS,
            error_score="raise",
        ).fit(IMAGES)
        # scikit-learn 1.6.0 takes no None for params with metadata routing.
        options = {"scoring": scoring, "cv": FOLDS, "error_score": "raise", "params": {}}
        results = cross_validate(LAYER, IMAGES, **options)
    for name, scorer in scoring.items():
        np.testing.assert_array_equal(results[f"test_{name}"], scores_of(LAYER, scorer))
        expected = np.mean(scores_of(clone(LAYER).set_params(lam=20.0), scorer))
        assert search.cv_results_[f"mean_test_{name}"][1] == expected


def _negative_error(layer, X, y=None):
    return -float(np.mean((layer.inverse_transform(layer.transform(X)) - X) ** 2))


def test_cross_validation_of_lists_and_labels():
    expected = scores_of(LAYER)
    for X, y in ((IMAGES, np.arange(6)), (list(IMAGES), None)):
        scores = cross_val_score(LAYER, X, y, scoring=SCORER, cv=FOLDS, error_score="raise")
        np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_random_search_of_a_pipeline(n_jobs):
    pipeline = make_pipeline(LocalContrastNormalizer(), LAYER)
    search = RandomizedSearchCV(
        pipeline,
        {"deconvnetlayer__lam": [1.0, 4.0, 20.0]},
        n_iter=2,
        scoring=SCORER,
        n_jobs=n_jobs,
        cv=FOLDS,
        random_state=0,
        error_score="raise",
    ).fit(IMAGES)
    expected = [
        np.mean(scores_of(clone(pipeline).set_params(**one)))
        for one in search.cv_results_["params"]
    ]
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], expected)
    assert expected[0] != expected[1]


def test_pickles_give_the_same_scores():
    layer = clone(LAYER).fit(IMAGES)
    again = pickle.loads(pickle.dumps(SCORER))
    assert again == SCORER
    assert again(layer, IMAGES) == SCORER(layer, IMAGES)


def test_searches_report_estimators_that_do_not_reconstruct():
    pipeline = make_pipeline(LAYER, LogisticRegression())
    search = GridSearchCV(
        pipeline, {"deconvnetlayer__lam": [4.0]}, scoring=SCORER, cv=FOLDS, error_score="raise"
    )
    with pytest.raises(TypeError, match="got LogisticRegression"):
        search.fit(IMAGES, [0, 1, 0, 1, 0, 1])


@pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning")
@pytest.mark.parametrize("noise", [0.1, 0.2])
def test_lam_is_near_the_best_for_denoising(noise):
    options = {"n_filters": 3, "filter_size": 5, "density": 0.02, "random_state": 0}
    clean, noisy = (make_sparse_images(4, (20, 20), noise=n, **options) for n in (0.0, noise))
    np.testing.assert_array_equal(clean.filters, noisy.filters)
    layer = DeconvNetLayer(3, 5, init=clean.filters, max_iter=1, batch_size=None)
    layer.fit(clean.images)
    lams = 2.0 ** np.arange(-1, 6)
    held_out, errors = [], []
    for lam in lams:
        layer.set_params(lam=lam)
        held_out.append(HeldOutPixels()(layer, noisy.images))
        drawn = layer.inverse_transform(layer.transform(noisy.images))
        errors.append(np.mean((drawn - clean.images) ** 2))
    chosen, best = np.argmax(held_out), np.argmin(errors)
    assert 0 < chosen < len(lams) - 1
    assert abs(chosen - best) <= 1
    # The score on all pixels chooses the largest.
    assert np.argmax([layer.set_params(lam=lam).score(noisy.images) for lam in lams[-2:]]) == 1
