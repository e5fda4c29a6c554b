"""Pipelines over images of different sizes, also where a fold happens to hold one size only."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.quick import QUICK, QUICK_NET
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.features import BagOfFeatures, SpatialPyramid
from skdeconv.preprocessing import LocalContrastNormalizer

OPTIONS = {"lam": 5.0, "output": "maps"}
FEW_ROUNDS = {"inference_tol": 0.1}
LAYER = DeconvNetLayer(**QUICK | OPTIONS | FEW_ROUNDS | {"n_filters": 3, "filter_size": 4})
NETS = QUICK_NET | OPTIONS | {"filter_size": (5, 3)}
ENCODERS = {
    "layer": LAYER,
    "sparse layer": clone(LAYER).set_params(sparse_output=True),
    "hierarchy": HierarchicalDeconvNet(**NETS | FEW_ROUNDS),
    "adaptive": AdaptiveDeconvNet(**NETS, pooling=(2, 2, 1), n_inference_steps=3),
    "one pass": OnePassEncoder(LAYER),
}
HEADS = {
    "pyramid": SpatialPyramid(),
    "bag": BagOfFeatures(6, patch_size=4, pool=2, levels=(1, 2), random_state=0),
}
# The first six are of one size, as a fold may be.
SIZES = [(10, 9)] * 6 + [(9, 12), (10, 9), (12, 12), (8, 11), (10, 9), (11, 8)]
LABELS = np.arange(12) % 2
SVC = LinearSVC(random_state=0)
PURE, MIXED = np.arange(6), np.arange(6, 12)


def striped(channels=()):
    """Images of all sizes, whose stripes run along the rows or along the columns."""
    rng, images = np.random.default_rng(0), []
    for (height, width), label in zip(SIZES, LABELS, strict=True):
        shape = (1, width) if label else (height, 1)
        stripes = rng.standard_normal(shape)
        image = stripes + rng.standard_normal((height, width)) / 4
        images.append(image if not channels else image[..., None] * np.array([1.0, 0.7, -0.5]))
    return images


def as_object_array(images):
    array = np.empty(len(images), dtype=object)
    array[:] = images
    return array


def chosen(images, positions):
    return [images[i] for i in positions]


def pipeline(encoder, head):
    return make_pipeline(
        LocalContrastNormalizer(), clone(ENCODERS[encoder]), clone(HEADS[head]), SVC
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_rows_of_an_image_do_not_depend_on_the_others(encoder, head):
    images = striped()
    model = pipeline(encoder, head).fit(images, LABELS)
    rows = model[:-1].transform(images)
    assert rows.shape == (12, model[-1].n_features_in_)
    assert rows.any(axis=1).all()
    for i in (0, 6, 8):
        # As one list, and as one stack; codes of several layers may differ by rounding.
        assert_allclose(model[:-1].transform(images[i : i + 1])[0], rows[i], rtol=1e-7, atol=1e-12)
        assert_allclose(model[:-1].transform(images[i][None])[0], rows[i], rtol=1e-7, atol=1e-12)
    assert len(model[-2].get_feature_names_out()) == rows.shape[1]


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("encoder", ["layer", "one pass"])
def test_lists_and_object_arrays_of_grey_and_colour_images(encoder, channels):
    images = striped(channels)
    model = pipeline(encoder, "pyramid").fit(images, LABELS)
    expected = model.decision_function(images)
    assert np.mean(model.predict(images) == LABELS) > 0.9
    for form in (as_object_array(images), tuple(images)):
        assert_array_equal(model.decision_function(form), expected)
        again = clone(model).fit(form, LABELS)
        assert_allclose(again.decision_function(form), expected, rtol=1e-9)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_fold_of_one_size_is_like_any_other(encoder, head):
    images, model = striped(), pipeline(encoder, head)
    pure, mixed = chosen(images, PURE), chosen(images, MIXED)
    # Fitted on one size: as on the stack.
    model.fit(pure, LABELS[PURE])
    stacked = clone(model).fit(np.stack(pure), LABELS[PURE])
    found = model.decision_function(mixed)
    expected = [stacked[-1].decision_function(_alone(stacked, model, one)) for one in mixed]
    assert_allclose(found, np.concatenate(expected), rtol=1e-6, atol=1e-9)
    # Predicted on one size: as among others.
    model.fit(mixed, LABELS[MIXED])
    among = model.decision_function(images)[PURE]
    assert_allclose(model.decision_function(pure), among, rtol=1e-7, atol=1e-9)
    assert_allclose(model.decision_function(np.stack(pure)), among, rtol=1e-7, atol=1e-9)


def _alone(stacked, listed, image):
    """Rows of one image by what was fitted on a stack, which takes other sizes in steps alone."""
    if image.shape == (10, 9):
        return stacked[:-1].transform(image[None])
    return listed[:-1].transform([image])


@pytest.mark.parametrize(
    ("encoder", "head", "form"),
    [("layer", "pyramid", list), ("one pass", "bag", list), ("hierarchy", "bag", as_object_array)],
)
def test_grids_with_a_fold_of_one_size(encoder, head, form):
    images, model = form(striped()), pipeline(encoder, head)
    folds = [(MIXED, PURE), (PURE, MIXED)]
    step = model.steps[1][0]
    grid = {"linearsvc__C": [0.1, 1.0]} if encoder == "one pass" else {f"{step}__lam": [2.0, 5.0]}
    search = GridSearchCV(model, grid, cv=folds, error_score="raise").fit(images, LABELS)
    # Each fold by hand.
    best = clone(model).set_params(**search.best_params_)
    for i, (train, test) in enumerate(folds):
        best.fit(chosen(images, train), LABELS[train])
        score = best.score(chosen(images, test), LABELS[test])
        assert score == search.cv_results_[f"split{i}_test_score"][search.best_index_]
    assert search.predict(images).shape == (12,)
