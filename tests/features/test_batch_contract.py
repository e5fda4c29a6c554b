"""BatchTransformer as a scikit-learn estimator: checks, frames, names, grids, faults, callbacks."""

import inspect
import pickle
from copy import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.callbacks import DeepRecorder, Recorder
from reference.contract import (
    NOT_YIELDED,
    assert_number_of_checks,
    configurations,
    parameters_of,
    run_not_yielded,
)
from reference.faults import check_each, table
from reference.images import images_of
from reference.quick import QUICK
from scipy.sparse import csr_array
from sklearn import __version__, config_context
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import get_tags
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.features import BatchTransformer, PixelFeatures, SpatialPyramid

LAYER = DeconvNetLayer(**QUICK)
POOLED = make_pipeline(OnePassEncoder(LAYER), SpatialPyramid((1, 2)))
IMAGES = images_of(9, 8, n_samples=8)
ESTIMATORS = [
    BatchTransformer(LAYER),
    *configurations([BatchTransformer(POOLED, batch_size=3)]),
]
# The checks' data may be too small for lam, or too large for the solver's default iterations.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]


@pytest.mark.parametrize(("estimator", "check"), parameters_of(ESTIMATORS))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_number_of_scikit_learn_checks(estimator):
    assert_number_of_checks(estimator)


# They fit on a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("name", NOT_YIELDED)
def test_checks_that_scikit_learn_does_not_yield(name):
    run_not_yielded(BatchTransformer(POOLED, batch_size=3), name)


# Frames and names


def test_names_are_those_of_the_transformer():
    transformer = BatchTransformer(POOLED).fit(IMAGES)
    expected = clone(POOLED).fit(IMAGES).get_feature_names_out()
    assert_array_equal(transformer.get_feature_names_out(), expected)
    with pytest.raises(NotFittedError):
        BatchTransformer(POOLED).get_feature_names_out()


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_come_out(container):
    module = pytest.importorskip(container)
    transformer = BatchTransformer(POOLED, batch_size=3).fit(IMAGES)
    expected = transformer.transform(IMAGES)
    with config_context(transform_output=container):
        of_all = clone(transformer).fit_transform(list(IMAGES))
    for frame in (of_all, transformer.set_output(transform=container).transform(IMAGES)):
        assert isinstance(frame, module.DataFrame)
        assert_array_equal(frame.to_numpy(), expected)
        assert list(frame.columns) == list(transformer.get_feature_names_out())


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("batch_size", [3, 100])
def test_steps_may_be_configured_to_give_frames(container, batch_size):
    pytest.importorskip(container)
    expected = clone(POOLED).fit_transform(IMAGES)
    framed = clone(POOLED).set_output(transform=container)
    transformer = BatchTransformer(framed, batch_size=batch_size)
    with config_context(transform_output=container):
        transformer.set_output(transform="default")
        rows = transformer.fit_transform(IMAGES)
    assert isinstance(rows, np.ndarray)
    assert_allclose(rows, expected, rtol=1e-12)


def test_steps_see_no_names_that_transform_would_miss():
    pytest.importorskip("pandas")
    scaled = BatchTransformer(make_pipeline(StandardScaler(), StandardScaler()), batch_size=3)
    with config_context(transform_output="pandas"):
        frame = scaled.fit_transform(IMAGES.reshape(8, 72))
    assert not hasattr(scaled.transformer_[1], "feature_names_in_")
    assert list(frame.columns) == [f"x{i}" for i in range(72)]


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_frames_go_in(container):
    module = pytest.importorskip(container)
    names = [f"pixel{i}" for i in range(72)]
    index = {"index": range(10, 18)} if container == "pandas" else {}
    frame = module.DataFrame(IMAGES.reshape(8, 72), **index)
    frame.columns = names
    transformer = BatchTransformer(StandardScaler(), batch_size=3, subsample=5, random_state=0)
    transformer.fit(frame).set_output(transform="pandas")
    pytest.importorskip("pandas")
    found = transformer.transform(frame)
    expected = StandardScaler().fit(IMAGES.reshape(8, 72)[_sample(8, 5)])
    assert_allclose(found, expected.transform(IMAGES.reshape(8, 72)))
    if container == "pandas":
        assert list(found.index) == list(frame.index)
        assert_array_equal(transformer.feature_names_in_, names)
        assert list(found.columns) == names
        with pytest.raises(ValueError, match="feature names"):
            transformer.transform(frame.rename(columns={"pixel0": "other"}))


def _sample(n_samples, n_chosen):
    return np.sort(np.random.RandomState(0).choice(n_samples, n_chosen, replace=False))


@pytest.mark.parametrize("form", ["csr", "csc", "dok"])
def test_sparse_matrices_go_in(form):
    rows = csr_array(np.maximum(IMAGES.reshape(8, 72) - 0.1, 0))
    svd = BatchTransformer(TruncatedSVD(2, random_state=0), batch_size=3)
    expected = clone(svd.transformer).fit_transform(rows)
    assert_allclose(svd.fit_transform(rows.asformat(form)), expected, atol=1e-12)
    frame = svd.set_output(transform="pandas").fit_transform(rows.asformat(form))
    assert_allclose(frame, expected, atol=1e-12)
    # TruncatedSVD of scikit-learn 1.6.0 lacks the tag.
    has_tag = parse_version(__version__) >= parse_version("1.6.1")
    assert get_tags(svd).input_tags.sparse == has_tag


def test_features_seen():
    assert BatchTransformer(POOLED).fit(IMAGES).n_features_in_ == 72
    for unseen in (BatchTransformer(POOLED), BatchTransformer(POOLED).fit(list(IMAGES))):
        assert not hasattr(unseen, "n_features_in_")
        assert not hasattr(unseen, "feature_names_in_")


def test_tags_are_those_of_the_transformer():
    def input_tags(transformer):
        return get_tags(BatchTransformer(transformer)).input_tags

    for one in (LAYER, make_pipeline("passthrough", make_pipeline(LAYER), SpatialPyramid())):
        assert input_tags(one).three_d_array
        assert input_tags(one).allow_nan
    assert not input_tags(POOLED).allow_nan
    assert input_tags(FrozenEstimator(LAYER)).allow_nan
    assert not input_tags(make_pipeline("passthrough")).three_d_array
    assert not input_tags("a string").three_d_array
    tags = get_tags(BatchTransformer(POOLED))
    assert tags.transformer_tags.preserves_dtype == ["float64", "float32"]
    assert tags.requires_fit
    assert not tags.target_tags.required
    assert get_tags(BatchTransformer(LinearDiscriminantAnalysis())).target_tags.required


# Among other estimators


def test_parameters_clone_and_pickle():
    transformer = BatchTransformer(
        POOLED, batch_size=3, subsample=6, n_jobs=1, random_state=0, verbose=0
    )
    copied = clone(transformer)
    assert copied.get_params(deep=False).keys() == transformer.get_params(deep=False).keys()
    assert copied.get_params()["transformer__onepassencoder__layer__n_filters"] == 2
    copied.set_params(transformer__onepassencoder__layer__n_filters=3, transformer__verbose=False)
    assert transformer.get_params()["transformer__onepassencoder__layer__n_filters"] == 2
    assert copied.fit_transform(IMAGES).shape == (8, 5 * 6)
    check_is_fitted(copied)
    with pytest.raises(NotFittedError):
        transformer.transform(IMAGES)
    loaded = pickle.loads(pickle.dumps(copied))
    assert_array_equal(loaded.transform(IMAGES), copied.transform(IMAGES))


def test_a_grid_over_steps():
    images, y = images_of(9, 8, n_samples=16), np.arange(16) % 2
    images[y == 1, :, 4:] = 0
    batches = BatchTransformer(POOLED, batch_size=3, subsample=6, random_state=0)
    model = make_pipeline(batches, LinearSVC(random_state=0))
    grid = {
        "batchtransformer__transformer__spatialpyramid__power": [0.5, 1.0],
        "batchtransformer__transformer__onepassencoder__competition": [0.0, 0.6],
        "batchtransformer__subsample": [4, None],
    }
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(images, y)
    assert len(search.cv_results_["params"]) == 8
    assert search.best_score_ > 0.8
    assert (
        search.best_estimator_[0].transformer_[1].power
        == search.best_params_["batchtransformer__transformer__spatialpyramid__power"]
    )


def test_labels_of_the_sample_reach_the_transformer():
    rng, y = np.random.default_rng(0), np.arange(40) % 2
    rows = rng.standard_normal((40, 5))
    rows[:, 3] += 5 * y
    select = BatchTransformer(SelectKBest(k=1), subsample=20, random_state=0).fit(rows, y)
    assert_array_equal(select.transform(rows), rows[:, [3]])
    assert_array_equal(select.get_feature_names_out(), ["x3"])


# Faults

FAULTS = {
    "transformer": [
        (None, TypeError, "transformer must be an estimator with fit and transform"),
        ("layer", TypeError, "transformer must be"),
        (DeconvNetLayer, TypeError, "transformer must be"),
        (LinearSVC(), TypeError, "transformer must be"),
        (make_pipeline(LAYER, LinearSVC()), TypeError, "transformer must be"),
        (FrozenEstimator(LAYER), NotFittedError, "not fitted"),
        (DeconvNetLayer(0), ValueError, "n_filters"),
    ],
    "batch_size": [
        (0, ValueError, "batch_size"),
        (-1, ValueError, "batch_size"),
        (2.0, TypeError, "batch_size"),
        (True, TypeError, "batch_size"),
        (None, TypeError, 'batch_size must be an integer or "auto"'),
        ("all", ValueError, 'batch_size must be an integer or "auto"'),
    ],
    "subsample": [
        (0, ValueError, "subsample"),
        (0.5, TypeError, "subsample"),
        (True, TypeError, "subsample"),
        ("auto", TypeError, "subsample"),
    ],
    "n_jobs": [(0, ValueError, "n_jobs"), (1.5, TypeError, "n_jobs")],
    "random_state": [("seed", ValueError, "random_state"), (-1, ValueError, "random_state")],
    "verbose": [("loud", TypeError, "verbose"), (-1, ValueError, "verbose")],
}


def test_bad_parameters():
    fitted = BatchTransformer(POOLED).fit(IMAGES)
    expected, before = fitted.transform(IMAGES), fitted.transformer_

    def check(name, value, error, message):
        changed = copy(fitted).set_params(**{name: value})
        with pytest.raises(error, match=message):
            changed.fit(IMAGES[:, :7])
        assert changed.transformer_ is before
        assert not any("callback" in one for one in vars(changed))
        if name in ("batch_size", "n_jobs", "verbose"):
            with pytest.raises(error, match=message):
                changed.transform(IMAGES)
        changed.set_params(**{name: getattr(fitted, name)})
        assert_array_equal(changed.transform(IMAGES), expected)

    check_each(table(FAULTS), check)


def test_every_parameter_has_its_faults():
    assert set(FAULTS) == set(inspect.signature(BatchTransformer).parameters)


@pytest.mark.parametrize(
    ("transformer", "found"),
    [
        (OnePassEncoder(LAYER), r"ndarray of shape \(3, 9, 8, 4\)"),
        (DeconvNetLayer(**QUICK, output="maps", sparse_output=True), r"SparseMaps of shape \(3,\)"),
        (PixelFeatures(LAYER), r"ndarray of shape \(216, 6\)"),
    ],
)
def test_maps_are_not_rows(transformer, found):
    message = f"one row per image, but returned a {found} for 3 images.*SpatialPyramid"
    fitted = BatchTransformer(transformer, batch_size=3).fit(IMAGES)
    with pytest.raises(ValueError, match=message):
        fitted.transform(IMAGES)


def test_lists_of_maps_are_not_rows():
    mixed = [IMAGES[0], IMAGES[1, 2:]]
    fitted = BatchTransformer(OnePassEncoder(LAYER)).fit(mixed)
    with pytest.raises(ValueError, match="returned a list for 2 images"):
        fitted.transform(mixed)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_errors_say_which_batch_it_is(n_jobs):
    fitted = BatchTransformer(POOLED, batch_size=3, n_jobs=n_jobs).fit(list(IMAGES))
    images = [*IMAGES]
    images[7] = np.full((9, 8), np.nan)
    with pytest.raises(ValueError, match="NaN") as caught:
        fitted.transform(images)
    assert caught.value.__notes__ == ["Raised for a batch of images: X[0] in it is X[6]."]


@pytest.mark.parametrize("X", [np.empty((0, 9, 8)), [], np.empty((0, 72))])
def test_no_images(X):
    fitted = BatchTransformer(POOLED).fit(IMAGES)
    for method in (fitted.fit, fitted.transform):
        with pytest.raises(ValueError, match="X has 0 samples"):
            method(X)


def test_labels_of_another_length():
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        BatchTransformer(POOLED).fit(IMAGES, np.arange(7))


class Interrupted(BaseEstimator):
    def fit(self, X, y=None):
        raise KeyboardInterrupt

    def transform(self, X):
        return X


def test_a_failed_refit_leaves_the_old_fit():
    random_state = np.random.RandomState(0)
    fitted = BatchTransformer(POOLED, subsample=4, random_state=random_state).fit(IMAGES)
    before, drawn = vars(fitted).copy(), random_state.get_state()[2]
    with pytest.raises(ValueError, match="infinity"):
        fitted.fit(np.full((8, 5, 5), np.inf))
    with pytest.raises(KeyboardInterrupt):
        fitted.set_params(transformer=Interrupted()).fit(IMAGES)
    fitted.set_params(transformer=POOLED)
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is before[name] for name in before)
    assert random_state.get_state()[2] == drawn


# What it tells


def test_callbacks_see_the_fit_of_the_transformer():
    pytest.importorskip("sklearn.callback")
    own, deep = Recorder(), DeepRecorder()
    layer = DeconvNetLayer(**QUICK | {"max_iter": 2, "tol": 0})
    transformer = BatchTransformer(layer, subsample=6).set_callbacks(own, deep).fit(IMAGES)
    assert [end[:3] for end in own.ends] == [("fit-transformer", 0, "fit"), ("fit", 0, None)]
    assert [end[:3] for end in deep.ends] == [
        ("pass", 0, "fit"), ("pass", 1, "fit"), ("fit", 0, "fit"), ("fit", 0, None)
    ]  # fmt: skip
    for *_, fitted in (own.ends[0], own.ends[1], deep.ends[-1]):
        assert_array_equal(fitted.transform(IMAGES), transformer.transform(IMAGES))
    assert not any("callback" in name for name in vars(transformer.transformer_))


def test_verbose_prints_a_line_for_each_batch(capsys):
    transformer = BatchTransformer(POOLED, batch_size=3, verbose=1).fit(IMAGES)
    assert not capsys.readouterr().out
    for X in (IMAGES, list(IMAGES)):
        transformer.transform(X)
        assert capsys.readouterr().out.splitlines() == [
            f"[BatchTransformer] images {part} of 8" for part in ("1 to 3", "4 to 6", "7 to 8")
        ]
    transformer.set_params(verbose=0).transform(IMAGES)
    assert not capsys.readouterr().out
