"""Images with missing pixels, as layers and hierarchies learn from them, code and draw them."""

import numpy as np
import pandas as pd
import pytest
from reference.convolution import explicit_matrix
from sklearn.linear_model import Lasso
from sklearn.utils import get_tags

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.datasets import make_sparse_images
from skdeconv.preprocessing import LocalContrastNormalizer

DATA = make_sparse_images(12, (14, 13), n_filters=3, filter_size=4, noise=0.05, random_state=0)
COLOUR = make_sparse_images(12, (14, 13, 3), n_filters=3, filter_size=4, random_state=0).images
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def layer_of(**options):
    given = {"lam": 8.0, "max_iter": 4, "tol": 0, "random_state": 0}
    return DeconvNetLayer(3, 4, **given | options)


def net_of(**options):
    given = {"lam": 8.0, "max_iter": 2, "tol": 0, "random_state": 0}
    return HierarchicalDeconvNet((3, 4), 4, **given | options)


def with_holes(images, share=0.3, by_channel=False):
    rng = np.random.default_rng(1)
    shape = images.shape if by_channel or images.ndim < 4 else (*images.shape[:3], 1)
    return np.where(rng.random(shape) < share, np.nan, images)


def mosaic(images):
    """One of three channels at each pixel, as behind the colour filters of a camera."""
    rows, columns = np.indices(images.shape[1:3])
    seen = (rows + columns)[..., None] % 3 == np.arange(3)
    return np.where(seen, images, np.nan)


@pytest.mark.parametrize("positive", [False, True])
def test_codes_are_those_of_lasso_on_the_known_pixels(positive):
    image = with_holes(DATA.images[:1])
    layer = layer_of(positive=positive, inference_tol=1e-8).fit(DATA.images)
    codes = layer.set_params(inference_max_iter=500).transform(image)
    filters = layer.filters_.transpose(0, 3, 1, 2)
    known = ~np.isnan(image).ravel()
    matrix = explicit_matrix(filters, image.shape[1:])[known]
    lasso = Lasso(
        1 / (8.0 * known.sum()), fit_intercept=False, tol=1e-12, max_iter=10**6, positive=positive
    ).fit(matrix, image.ravel()[known])
    maps = codes.reshape(17, 16, 3).transpose(2, 0, 1).ravel()
    costs = [
        4.0 * np.sum((matrix @ one - image.ravel()[known]) ** 2) + np.abs(one).sum()
        for one in (maps, lasso.coef_)
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)
    np.testing.assert_allclose(maps, lasso.coef_, atol=1e-3)


@pytest.mark.parametrize("make", [layer_of, net_of])
def test_every_input_form_says_the_same(make):
    images = with_holes(DATA.images[:4])
    stacked = make(output="maps", max_iter=1).fit(images)
    wanted = stacked.transform(images)
    rows = images.reshape(len(images), -1)
    forms = {
        "rows": rows,
        "frame": pd.DataFrame(rows),
        "list": list(images),
        "object": as_objects(images),
    }
    for name, form in forms.items():
        shape = (14, 13) if name in ("rows", "frame") else None
        estimator = make(output="maps", max_iter=1, image_shape=shape).fit(form)
        maps = estimator.transform(form)
        dense = maps if isinstance(maps, np.ndarray) else np.stack(maps.to_dense())
        np.testing.assert_allclose(dense, wanted, atol=1e-10, err_msg=name)
        assert estimator.score(form) == pytest.approx(stacked.score(images), rel=1e-9)


def as_objects(images):
    array = np.empty(len(images), dtype=object)
    array[:] = list(images)
    return array


@pytest.mark.parametrize(("make", "share"), [(layer_of, 0.5), (net_of, 2.0)])
def test_holes_are_filled(make, share):
    images = DATA.images[:6]
    estimator, holed = make(lam=20.0).fit(images), with_holes(images, 0.1)
    drawn = estimator.inverse_transform(estimator.transform(holed))
    assert np.isfinite(drawn).all()
    missing = np.isnan(holed)
    # The net was learned from noise, and is held to no more than to what it would draw anywhere.
    error = np.sum((drawn - images)[missing] ** 2)
    assert error < share * np.sum(images[missing] ** 2)
    np.testing.assert_array_equal(np.isnan(holed), missing)


def test_the_score_is_that_of_the_known_pixels():
    holed, layer = with_holes(COLOUR, by_channel=True), layer_of().fit(COLOUR)
    drawn = layer.inverse_transform(layer.transform(holed))
    mean = np.nanmean(holed, axis=(1, 2), keepdims=True)
    expected = 1 - np.nansum((holed - drawn) ** 2) / np.nansum((holed - mean) ** 2)
    assert layer.score(holed) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": None}, {"batch_size": None, "keep_maps": False}]
)
@pytest.mark.parametrize("damage", [mosaic, lambda images: with_holes(images, 0.5, True)])
def test_pixels_missing_from_some_channels_are_learned_from(options, damage):
    images = damage(COLOUR[:6])
    layer = layer_of(max_iter=4, inference_tol=1e-6, inference_max_iter=300, **options)
    learned = layer.fit(images).filters_
    if "batch_size" in options:
        assert np.all(np.diff(layer.cost_) <= 1e-5 * layer.cost_[:-1])
    assert layer.cost_[-1] < 0.99 * layer.cost_[0]
    assert np.isfinite(learned).all()
    first = layer.set_params(max_iter=1).fit(images).filters_
    assert np.abs(learned - first).max() > 0.1


def test_missing_pixels_are_not_remembered_as_if_they_were_seen():
    images, framed = DATA.images[:6], np.full((6, 60, 60), np.nan)
    framed[:, :14, :13] = images
    plain, layer = layer_of(batch_size=2).fit(images), layer_of(batch_size=2).fit(framed)
    np.testing.assert_allclose(layer.cost_, plain.cost_, rtol=1e-6)
    np.testing.assert_allclose(layer.filters_, plain.filters_, atol=1e-4)


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("make", [layer_of, net_of])
def test_an_image_without_known_pixels_is_named(make, as_list):
    form = list if as_list else np.array
    estimator = make(output="maps", max_iter=1).fit(form(DATA.images[:4]))
    holed = DATA.images[:4].copy()
    holed[3] = np.nan
    for method in ("fit", "partial_fit", "transform", "score"):
        with pytest.raises(ValueError, match=r"X\[3\] has no known pixel"):
            getattr(estimator, method)(form(holed))


@pytest.mark.parametrize(
    "estimator",
    [DeconvNetLayer(), HierarchicalDeconvNet(), AdaptiveDeconvNet(), LocalContrastNormalizer()],
    ids=lambda estimator: type(estimator).__name__,
)
def test_the_tag_says_so(estimator):
    assert get_tags(estimator).input_tags.allow_nan


def test_one_pass_of_filters_has_no_use_for_missing_pixels():
    assert not get_tags(OnePassEncoder()).input_tags.allow_nan
    encoder = OnePassEncoder(layer_of().fit(DATA.images))
    with pytest.raises(ValueError, match="NaN"):
        encoder.fit(with_holes(DATA.images))
