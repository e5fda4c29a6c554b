"""Fitted estimators take images of any size, in any layout, whatever layout they were fitted on."""

import numpy as np
import pytest
from reference.images import Reading, images_of
from reference.quick import QUICK, QUICK_NET
from sklearn.base import clone

from skdeconv import (
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
    SparseMaps,
)
from skdeconv.preprocessing import LocalContrastNormalizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SEEN = images_of(10, 10, n_samples=4, random_state=0)
LARGER = images_of(14, 12, n_samples=2, random_state=1)
MIXED = [LARGER[0], images_of(9, 11, n_samples=1, random_state=2)[0, :, :, None]]
FITTED = {"stack": SEEN, "rows": SEEN.reshape(4, -1), "list": list(SEEN)}


def layer(**options):
    return DeconvNetLayer(**QUICK | {"lam": 8.0, "image_shape": (10, 10)} | options)


def net(**options):
    return HierarchicalDeconvNet(**QUICK_NET | {"lam": 8.0, "image_shape": (10, 10)} | options)


def adaptive(**options):
    return AdaptiveDeconvNet(**QUICK_NET | {"lam": 8.0, "image_shape": (10, 10)} | options)


each_fitted = pytest.mark.parametrize("fitted", FITTED)
each_net = pytest.mark.parametrize("make", [layer, net])
each_low_frequency = pytest.mark.parametrize("low_frequency", [False, True])


@each_fitted
@each_net
@each_low_frequency
def test_any_size_after_any_fit(make, fitted, low_frequency):
    options = {"output": "maps", "low_frequency": low_frequency}
    estimator = make(**options).fit(FITTED[fitted])
    codes = estimator.transform(MIXED)
    assert isinstance(codes, SparseMaps)
    drawn = estimator.inverse_transform(codes)
    assert [image.shape for image in drawn] == [(14, 12), (9, 11)]
    for image, one in zip(MIXED, drawn, strict=True):
        alone = estimator.inverse_transform(estimator.transform([image]))
        np.testing.assert_array_equal(np.reshape(alone[0], one.shape), one)
    error = sum(np.sum((np.squeeze(y) - x) ** 2) for x, y in zip(drawn, MIXED, strict=True))
    spread = sum(np.sum((y - y.mean()) ** 2) for y in MIXED)
    assert estimator.score(MIXED) == pytest.approx(1 - error / spread)
    assert estimator.score(Reading(MIXED)) == estimator.score(MIXED)


@each_fitted
@each_low_frequency
def test_the_layout_that_inverse_transform_returns(fitted, low_frequency):
    estimator = layer(output="maps", low_frequency=low_frequency).fit(FITTED[fitted])
    stack = estimator.inverse_transform(estimator.transform(LARGER))
    if low_frequency and fitted == "list":
        assert [image.shape for image in stack] == [(14, 12)] * 2
    else:
        assert stack.shape == (2, 14, 12)
    of_fit = estimator.inverse_transform(estimator.transform(SEEN))
    assert np.shape(of_fit) == ((4, 100) if fitted == "rows" else (4, 10, 10))
    rows = layer(low_frequency=low_frequency).fit(FITTED[fitted])
    assert type(rows.inverse_transform(rows.transform(SEEN))) is type(FITTED[fitted])
    assert np.shape(rows.inverse_transform(rows.transform(SEEN))) == np.shape(FITTED[fitted])


@each_fitted
@pytest.mark.parametrize("make", [layer, net, adaptive])
def test_rows_need_one_width_and_the_error_says_what_to_do(make, fitted):
    estimator = make().fit(FITTED[fitted])
    for images in (LARGER, MIXED):
        with pytest.raises(ValueError, match='output="maps"'):
            estimator.transform(images)
    message = "168 features" if fitted == "list" else "168 features, but .* is expecting 100"
    with pytest.raises(ValueError, match=message):
        estimator.transform(LARGER.reshape(2, -1))
    with pytest.raises(ValueError, match="channels"):
        estimator.score(np.ones((2, 10, 10, 3)))


def test_adaptive_codes_of_any_size():
    estimator = adaptive().fit(SEEN)
    assert [image.shape for image in estimator.decode(estimator.encode(MIXED))] == [
        (14, 12),
        (9, 11),
    ]
    assert estimator.decode(estimator.encode(LARGER)).shape == (2, 14, 12)
    assert np.isfinite(estimator.score(MIXED))


def test_other_estimators_of_any_size():
    encoder = OnePassEncoder(layer(image_shape=None)).fit(SEEN)
    assert encoder.transform(LARGER).shape[:3] == (2, 14, 12)
    assert [maps.shape[:2] for maps in encoder.transform(MIXED)] == [(14, 12), (9, 11)]
    normalizer = LocalContrastNormalizer().fit(SEEN)
    np.testing.assert_array_equal(
        normalizer.transform(LARGER), LocalContrastNormalizer().fit_transform(LARGER)
    )


@each_fitted
def test_streams_of_any_size(fitted):
    estimator = layer(output="maps").partial_fit(FITTED[fitted]).partial_fit(MIXED)
    again = layer(output="maps").partial_fit(list(SEEN)).partial_fit(Reading(MIXED))
    np.testing.assert_array_equal(estimator.filters_, again.filters_)


def test_low_frequency_maps_of_any_size():
    rows = layer(low_frequency=True).fit(SEEN)
    maps = clone(rows).set_params(output="maps").fit(SEEN)
    codes = maps.transform(SEEN)
    np.testing.assert_array_equal(codes.to_dense(), rows.to_maps(rows.transform(SEEN)))
    expected = rows.to_low_frequency(rows.transform(SEEN))
    np.testing.assert_array_equal(maps.to_low_frequency(codes), expected)
    np.testing.assert_array_equal(np.stack(codes.low_frequency), expected)
    drawn = rows.inverse_transform(rows.transform(SEEN))
    np.testing.assert_array_equal(maps.inverse_transform(codes), drawn)
    assert [one.shape for one in maps.to_low_frequency(maps.transform(MIXED))] == [
        (16, 14, 1),
        (11, 13, 1),
    ]
    assert len(codes[1:3].low_frequency) == 2


def test_low_frequency_maps_that_do_not_fit():
    estimator = layer(low_frequency=True, output="maps").fit(SEEN)
    codes = estimator.transform(SEEN)
    with pytest.raises(ValueError, match="maps and low_frequency must have the same length"):
        SparseMaps(codes.maps, codes.map_shapes, codes.low_frequency[:1])
    wrong = SparseMaps(codes.maps, codes.map_shapes, [one[1:] for one in codes.low_frequency])
    with pytest.raises(ValueError, match=r"low-frequency maps of shape \(11, 12, 1\)"):
        estimator.inverse_transform(wrong)
