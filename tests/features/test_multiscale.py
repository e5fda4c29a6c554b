"""Multiscale: its rows, names and layouts, and the scikit-learn contract."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.callbacks import DeepRecorder
from reference.contract import assert_number_of_checks, configurations, parameters_of
from reference.images import Reading, images_of
from scipy.sparse import issparse
from sklearn import __version__, config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC
from sklearn.utils.fixes import parse_version

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.features import BatchTransformer, Multiscale, SpatialPyramid
from skdeconv.preprocessing import LocalContrastNormalizer, Resizer, as_signals

FILTERS = np.random.default_rng(0).normal(size=(4, 3, 3, 1))
POOLED = make_pipeline(OnePassEncoder(FILTERS), SpatialPyramid((1, 2), pooling="mean"))
IMAGES = images_of(9, 8, n_samples=8)
ESTIMATORS = configurations([Multiscale(POOLED, (12, 6))])


@pytest.mark.parametrize(("estimator", "check"), parameters_of(ESTIMATORS))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_number_of_scikit_learn_checks(estimator):
    assert_number_of_checks(estimator)


def test_rows_are_those_of_each_size():
    found = Multiscale(POOLED, (9, 6, 4)).fit_transform(IMAGES)
    each = [POOLED.fit(list(IMAGES)).transform(Resizer(n).fit_transform(IMAGES)) for n in (9, 6, 4)]
    assert_allclose(found, np.hstack(each), rtol=1e-12)


def test_filters_are_learned_once_at_the_first_size():
    layer = DeconvNetLayer(4, 3, max_iter=2, random_state=0)
    pooled = make_pipeline(OnePassEncoder(layer), SpatialPyramid((1,)))
    scales = Multiscale(pooled, (7, 5)).fit(IMAGES)
    alone = clone(layer).fit(list(Resizer(7).fit_transform(IMAGES)))
    assert_array_equal(scales.transformer_[0].layer_.filters_, alone.filters_)


def test_names():
    scales = Multiscale(POOLED, (9, 6)).fit(IMAGES)
    names = scales.get_feature_names_out()
    assert len(names) == scales.transform(IMAGES).shape[1] == 2 * 5 * 8
    assert [names[0], names[40], names[-1]] == [
        "s9_f0_l1_y0_x0",
        "s6_f0_l1_y0_x0",
        "s6_f7_l2_y1_x1",
    ]


@pytest.mark.parametrize("shape", [(72,), (9, 8), (9, 8, 1), (6, 4, 3)])
def test_layouts_agree(shape):
    rows = IMAGES.reshape(len(IMAGES), -1)
    filters = np.random.default_rng(1).normal(size=(4, *([3] if len(shape) > 1 else [1]), 3, 1))
    filters = np.repeat(filters, shape[2] if len(shape) == 3 else 1, axis=3)
    pooled = make_pipeline(OnePassEncoder(filters), SpatialPyramid((1, 2)))
    of_rows = Multiscale(pooled, (8, 5), image_shape=shape).fit_transform(rows)
    images = list(rows.reshape(-1, *shape))
    assert_array_equal(Multiscale(pooled, (8, 5)).fit_transform(images), of_rows)
    if len(shape) > 1:
        assert_array_equal(Multiscale(pooled, (8, 5)).fit_transform(np.stack(images)), of_rows)


def test_signals_of_different_lengths():
    signals = as_signals([np.sin(np.arange(n) / 3) for n in (30, 45, 20)])
    pooled = make_pipeline(OnePassEncoder(FILTERS[:, :1]), SpatialPyramid((1, 2), pooling="max"))
    assert Multiscale(pooled, (24, 12)).fit_transform(signals).shape == (3, 2 * 3 * 8)


def test_mean_pooling_does_not_grow_with_the_size():
    steps = [make_pipeline(OnePassEncoder(FILTERS), SpatialPyramid((1,), pooling="mean", power=1))]
    steps.append(make_pipeline(*[clone(step) for _, step in steps[0].steps]).set_params(
        spatialpyramid__pooling="sum"
    ))  # fmt: skip
    mean, total = (step.fit(IMAGES).transform(IMAGES) for step in steps)
    assert_allclose(mean * IMAGES[0].size, total, rtol=1e-10)


def test_a_signal_of_one_sample_is_like_others():
    pooled = make_pipeline(OnePassEncoder(FILTERS[:, :1]), SpatialPyramid((1, 2), pooling="mean"))
    scales, signals = Multiscale(pooled, (8, 4)), [np.arange(9.0), np.arange(5.0), np.ones(1)]
    few = scales.fit_transform(as_signals(signals[:2]))
    assert_array_equal(scales.fit_transform(as_signals(signals))[:2], few)


def test_images_are_read_once_for_the_check_and_once_for_all_sizes():
    images = Reading(IMAGES)
    Multiscale(POOLED, (8, 5, 3)).fit(IMAGES).transform(images)
    assert images.n_read <= 2 * len(IMAGES) + 1


def test_the_size_at_which_nothing_is_known_is_named():
    holes = np.full((30, 30), np.nan)
    holes[::3, ::3] = np.arange(100.0).reshape(10, 10)
    images = [*images_of(30, 30, n_samples=3), holes]
    layer = DeconvNetLayer(4, 3, lam=5.0, max_iter=1, random_state=0, output="maps")
    scales = Multiscale(make_pipeline(layer, SpatialPyramid()), (30, 15)).fit(images)
    with pytest.raises(ValueError, match="no known pixel") as raised:
        scales.transform(images)
    assert any("resized to 15 pixels" in note for note in raised.value.__notes__)


def test_names_behind_a_resizer():
    mixed = [IMAGES[0], IMAGES[1][:5], IMAGES[2][:, :6]]
    model = make_pipeline(Resizer(6), *clone(POOLED)).fit(mixed)
    assert len(model.get_feature_names_out()) == model.transform(mixed).shape[1]


def test_sparse_rows():
    flat = FunctionTransformer(lambda images: np.stack([one.ravel() for one in images]))
    sparse = make_pipeline(flat, FunctionTransformer(_to_csr))
    found = Multiscale(sparse, (4, 2)).fit_transform(IMAGES[:, :8])
    assert issparse(found)
    assert found.shape == (8, 16 + 4)


def _to_csr(rows):
    from scipy.sparse import csr_array

    return csr_array(rows)


def test_in_a_grid_in_batches_and_frozen():
    labels = np.arange(len(IMAGES)) % 2
    scales = Multiscale(make_pipeline(LocalContrastNormalizer(), *POOLED), (8, 5))
    model = make_pipeline(BatchTransformer(scales, batch_size=3), LinearSVC())
    grid = {"batchtransformer__transformer__sizes": [(8,), (8, 5)]}
    search = GridSearchCV(model, grid, cv=2).fit(IMAGES, labels)
    assert set(search.cv_results_["mean_test_score"] >= 0) == {True}
    fitted = scales.fit(IMAGES)
    in_batches = BatchTransformer(FrozenEstimator(fitted), batch_size=3).fit(IMAGES)
    assert_array_equal(in_batches.transform(IMAGES), fitted.transform(IMAGES))


def test_frames():
    pytest.importorskip("pandas")
    with config_context(transform_output="pandas"):
        frame = Multiscale(POOLED, (8, 5)).fit_transform(IMAGES)
    assert frame.columns[0] == "s8_f0_l1_y0_x0"


@pytest.mark.skipif(parse_version(__version__) < parse_version("1.9"), reason="no callbacks")
def test_callbacks_reach_the_layer():
    layer = DeconvNetLayer(4, 3, max_iter=2, random_state=0)
    scales, recorder = Multiscale(layer, (8,)), DeepRecorder()
    scales.set_callbacks(recorder).fit(IMAGES)
    assert "pass" in {name for name, *_ in recorder.ends}


@pytest.mark.parametrize(
    ("sizes", "error"),
    [
        ((), ValueError),
        ((4, 0), ValueError),
        ((4, 5, 4), ValueError),
        (7, TypeError),
        ((4, 2.5), TypeError),
    ],
)
def test_wrong_sizes(sizes, error):
    with pytest.raises(error, match="sizes"):
        Multiscale(POOLED, sizes).fit(IMAGES)


def test_maps_are_no_rows():
    with pytest.raises(ValueError, match="one row per image"):
        Multiscale(OnePassEncoder(FILTERS), (8, 5)).fit(IMAGES).transform(IMAGES)
