"""Images of one pixel or one value, of hundreds of channels, of any scale and any memory layout."""

import functools
import re

import numpy as np
import pytest
from reference.faults import assert_refused
from reference.images import images_of
from reference.quick import QUICK
from scipy.sparse import csr_array
from sklearn.base import clone

from skdeconv import (
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
    lam_min,
)
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.features import SpatialPyramid
from skdeconv.preprocessing import LocalContrastNormalizer

# The data of many a test here is too small for lam, or too large for the default iterations.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]

LAM = 20.0
# The second pass starts from the maps of the first.
ONE = QUICK | {"max_iter": 2, "lam": LAM, "inference_max_iter": 5}
TWO = ONE | {"n_filters": (2, 3)}
STEPS = QUICK | {"n_filters": (2, 3), "max_iter": 2, "lam": LAM, "n_inference_steps": 3}
SPARSE = {
    "layer": DeconvNetLayer(**ONE),
    "whole passes": DeconvNetLayer(**ONE | {"batch_size": None, "keep_maps": False}),
    "low-frequency maps": DeconvNetLayer(**ONE, low_frequency=True, inference_tol=0.1),
    "fista": DeconvNetLayer(**ONE, solver="fista", positive=True),
    "hierarchy": HierarchicalDeconvNet(**TWO),
    "greedy": HierarchicalDeconvNet(**TWO, inference="greedy"),
    "alternating": HierarchicalDeconvNet(
        **TWO | {"inference": "alternating", "inference_max_iter": 2}, inference_tol=0.3
    ),
    "adaptive": AdaptiveDeconvNet(**STEPS, pooling=(2, 2, 1)),
    "ista": AdaptiveDeconvNet(**STEPS, inference="ista", layer=-1, keep_maps=True),
    "descent": AdaptiveDeconvNet(**STEPS, pooling=None, inference="coordinate_descent"),
}
CHEAP = {"one pass": OnePassEncoder(DeconvNetLayer(**ONE)), "normalizer": LocalContrastNormalizer()}
each_sparse = pytest.mark.parametrize("name", SPARSE)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])


def rescaled(estimator, scale):
    """The estimator for images multiplied by ``scale``; upper layers of a hierarchy see none."""
    if isinstance(estimator, HierarchicalDeconvNet):
        return clone(estimator).set_params(lam=(LAM / scale, LAM))
    return clone(estimator).set_params(lam=LAM / scale)


def outcome(estimator, X):
    """All that a fit and further methods make of images, by name."""
    estimator = clone(estimator).fit(X)
    found = {"codes": estimator.transform(X)}
    if hasattr(estimator, "score"):
        found["score"] = estimator.score(X)
    if hasattr(estimator, "inverse_transform"):
        found["images"] = estimator.inverse_transform(found["codes"])
    if hasattr(estimator, "partial_fit"):
        found["later codes"] = estimator.partial_fit(X).transform(X)
    return found


def assert_finite(found):
    for name, values in found.items():
        assert np.isfinite(values).all(), name
    assert found.get("score", 0) <= 1


# Scales

# Powers of two, which change no digit: about 1e15, 1e-15, 1e30 and 1e-30.
SCALES = [(np.float32, 50), (np.float32, -50), (np.float64, 100), (np.float64, -100)]


@functools.cache
def expected_outcome(name, dtype):
    images = images_of(9, 8, n_samples=2).astype(dtype)
    return images, outcome(SPARSE[name], images)


@each_sparse
@pytest.mark.parametrize(("dtype", "exponent"), SCALES)
def test_scaled_images_have_scaled_codes(name, dtype, exponent):
    images, expected = expected_outcome(name, dtype)
    scale = dtype(2.0**exponent)
    found = outcome(rescaled(SPARSE[name], float(scale)), images * scale)
    # What the upper layers of a hierarchy see is of one scale.
    unit = 1 if isinstance(SPARSE[name], HierarchicalDeconvNet) else scale
    units = {"codes": unit, "later codes": unit, "images": scale, "score": 1}
    assert found.keys() == expected.keys()
    for key, values in found.items():
        np.testing.assert_array_equal(values / units[key], expected[key], err_msg=key)
    assert expected["codes"].any()


@pytest.mark.parametrize(("dtype", "exponent"), SCALES)
def test_responses_scale_with_the_images(dtype, exponent):
    images, scale = images_of(9, 8).astype(dtype), dtype(2.0**exponent)
    encoder = OnePassEncoder(np.eye(3)[None]).fit(images * scale)
    expected = OnePassEncoder(np.eye(3)[None]).fit_transform(images)
    np.testing.assert_array_equal(encoder.transform(images * scale) / scale, expected)


@pytest.mark.parametrize(
    ("dtype", "exponent"), [*SCALES, (np.float32, 100), (np.float64, -540), (np.float64, 540)]
)
def test_lam_min_scales_with_the_images(dtype, exponent):
    images, scale, filters = images_of(9, 8).astype(dtype), dtype(2.0**exponent), np.ones((2, 3, 3))
    for options in ({"filters": filters}, {"filter_size": 3}):
        expected = lam_min(images, **options)
        found = lam_min(images * scale, **options)
        np.testing.assert_allclose(found * float(scale), expected, rtol=1e-6)
        assert found.dtype == np.float64


def test_kept_maps_scale_with_the_images(monkeypatch):
    monkeypatch.setattr("skdeconv.learning._layer_learner.LARGEST_GRAM", 0)
    layer, images = DeconvNetLayer(**ONE), images_of(9, 8).astype(np.float32)
    expected, scale = clone(layer).fit(images), np.float32(2.0**50)
    for factor in (scale, 1 / scale):
        found = rescaled(layer, float(factor)).fit(images * factor)
        np.testing.assert_allclose(found.filters_, expected.filters_, atol=1e-6)


TOO_LARGE = [(np.float32, 1e17), (np.float32, 1e30), (np.float32, 1e36), (np.float64, 1e300)]
TOO_SMALL = [(np.float32, 1e-17), (np.float32, 1e-30), (np.float32, 1e-45), (np.float64, 5e-324)]
OF_IMAGES = {"fit", "partial_fit", "transform", "score", "encode", "top_activations"}


@pytest.mark.parametrize(("dtype", "scale"), TOO_LARGE)
@pytest.mark.parametrize("name", ["layer", "hierarchy", "adaptive"])
def test_images_whose_squares_overflow_are_refused(name, dtype, scale):
    estimator, images = clone(SPARSE[name]).set_params(max_iter=1), images_of(9, 8, n_samples=2)
    estimator.fit(images.astype(dtype))
    X = (images / np.abs(images).max() * scale).astype(dtype)
    advice = "or pass it as float64" if dtype == np.float32 else "Scale X"
    message = f"up to {re.escape(f'{scale:.3g}')};.* squares overflow in float.*{advice}"
    for method in sorted(OF_IMAGES & set(dir(estimator))):
        for form in (X, X.reshape(2, -1), list(X), -X):
            assert_refused(estimator, method, form, ValueError, message)


@pytest.mark.parametrize(("dtype", "scale"), TOO_SMALL)
@pytest.mark.parametrize("name", ["layer", "hierarchy", "adaptive"])
def test_images_whose_squares_vanish_teach_nothing(name, dtype, scale):
    estimator, images = clone(SPARSE[name]).set_params(max_iter=1), images_of(9, 8, n_samples=2)
    X = np.where(images > 0, dtype(scale), dtype(0))
    for form in (X, list(X), -X):
        assert_refused(
            estimator, "fit", form, ValueError, f"up to {X.max():.3g}.* squares underflow"
        )
    estimator.fit(images.astype(dtype))
    # An image that is all but black is no error where others were learned from.
    with pytest.warns(ZeroMapsWarning, match="too small"):
        codes = estimator.transform(X)
    assert not codes.any()
    mixed = np.concatenate([images.astype(dtype), X])
    np.testing.assert_array_equal(estimator.transform(mixed)[2:], codes)
    assert np.isfinite(clone(estimator).fit(mixed).score(mixed))


@each_dtype
def test_sums_of_codes_must_not_overflow(dtype):
    layer = DeconvNetLayer(**ONE).fit(images_of(9, 8))
    codes = np.zeros((1, 11 * 10 * 2), dtype)
    codes[0, 7] = -np.finfo(dtype).max
    for form in (codes, codes.reshape(1, 11, 10, 2), csr_array(codes)):
        for method in ("inverse_transform", "to_maps"):
            assert_refused(layer, method, form, ValueError, "sums of them overflow in float")


@each_dtype
@pytest.mark.parametrize("pooling", ["sum", "energy"])
def test_sums_of_maps_must_not_overflow(pooling, dtype):
    maps, largest = np.abs(images_of(9, 8))[..., None], np.finfo(dtype).max
    maps = (maps / maps.max()).astype(dtype)
    pyramid = SpatialPyramid(pooling=pooling).fit(maps)
    for scale in (largest, np.sqrt(largest))[: 1 + (pooling == "energy")]:
        for form in (scale * maps, list(scale * maps)):
            assert_refused(pyramid, "transform", form, ValueError, "overflow in float")
    assert np.isfinite(pyramid.transform(maps * np.sqrt(largest) / 2**20)).all()


@each_dtype
def test_sums_of_responses_must_not_overflow(dtype):
    images = (images_of(9, 8) > 0) * np.finfo(dtype).max
    encoder = OnePassEncoder(np.eye(3)[None]).fit(images_of(9, 8))
    for method in ("fit", "transform"):
        assert_refused(encoder, method, images, ValueError, "sums of them overflow in float")


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(float).max, reason="no longer floats")
@pytest.mark.parametrize("estimator", [DeconvNetLayer(**ONE), LocalContrastNormalizer()])
def test_numbers_that_no_float64_holds_are_refused(estimator):
    images = np.ones((2, 4, 4), np.longdouble) * np.longdouble("1e400")
    with pytest.raises(ValueError, match="overflow in float64"):
        estimator.fit(images)
