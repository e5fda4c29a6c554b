"""The scale of ``lam``: multiples of the median of ``lam_min``, and warnings."""

import warnings

import numpy as np
import pytest
from reference.images import images_of
from reference.quick import QUICK, QUICK_NET
from sklearn.base import clone
from sklearn.datasets import load_sample_image

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, lam_min
from skdeconv.preprocessing import LocalContrastNormalizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = images_of(12, 14, n_samples=5, random_state=0)
PHOTO = load_sample_image("china.jpg")[None, ::4, ::4, 0]
CHEAP = QUICK | {"inference_max_iter": 2}


def layer(**options):
    return DeconvNetLayer(**QUICK | {"lam": 20.0, "lam_scale": "median"} | options)


def net(**options):
    return HierarchicalDeconvNet(
        **QUICK_NET | {"lam": (20.0, 2.0), "lam_scale": "median"} | options
    )


def adaptive(**options):
    return AdaptiveDeconvNet(**QUICK_NET | {"lam": 20.0, "lam_scale": "median"} | options)


@pytest.mark.parametrize("make", [layer, net, adaptive])
@pytest.mark.parametrize("factor", [2.0**-10, 2.0**12])
def test_one_number_serves_any_unit(make, factor):
    one, other = make().fit(X), make().fit(factor * X)
    median = np.median(lam_min(X, filter_size=3))
    assert one.lam_scale_ == pytest.approx(median)
    assert other.lam_scale_ == pytest.approx(median / factor)
    assert other.score(factor * X) == pytest.approx(one.score(X))
    # Maps of the second layer of a net are relative to those of the first.
    expected = one.transform(X) * (1.0 if make is net else factor)
    np.testing.assert_allclose(other.transform(factor * X), expected, rtol=1e-6)


@pytest.mark.parametrize("make", [layer, net, adaptive])
def test_multiples_are_the_product(make):
    relative = make().fit(X)
    assert make(lam_scale="absolute").fit(X).lam_scale_ == 1.0
    lam, unit = relative.lam, relative.lam_scale_
    if make is net:
        product = lam[0] * unit, lam[1]
    else:
        product = lam * unit
    absolute = make(lam_scale="absolute", lam=product).fit(X)
    np.testing.assert_array_equal(absolute.transform(X), relative.transform(X))
    assert clone(relative).fit(X).lam_scale_ == unit


@pytest.mark.parametrize("make", [layer, net])
@pytest.mark.parametrize("n_channels", [1, 2])
def test_the_mean_has_no_scale_beside_low_frequency_maps(make, n_channels):
    images = images_of(12, 14, n_channels, n_samples=5, random_state=0)
    images[1, :3] = np.nan
    rest = images - np.nanmean(images, axis=(1, 2), keepdims=True)
    expected = np.median(lam_min(rest, filter_size=3))
    estimator = make(low_frequency=True)
    assert estimator.fit(images).lam_scale_ == pytest.approx(expected)
    raised = images + 100
    assert estimator.fit(raised).lam_scale_ == pytest.approx(expected)
    assert estimator.to_maps(estimator.transform(raised)).any()


@pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning")
def test_constant_images_have_no_scale_beside_low_frequency_maps():
    assert layer(low_frequency=True).fit(np.full((3, 8, 8), 0.1)).lam_scale_ == 1.0


def test_streams_keep_the_first_scale():
    stream = layer().partial_fit(X)
    unit = stream.lam_scale_
    assert unit == layer().fit(X).lam_scale_
    assert stream.partial_fit(100 * X).lam_scale_ == unit


def test_images_of_zeros_have_no_scale():
    assert layer().fit(np.zeros((3, 8, 8))).lam_scale_ == 1.0
    some = np.concatenate([np.zeros((9, 12, 14)), X])
    assert layer().fit(some).lam_scale_ == layer().fit(X).lam_scale_


@pytest.mark.parametrize("make", [layer, net, adaptive])
def test_bad_scales(make):
    with pytest.raises(ValueError, match="lam_scale must be one of 'absolute', 'median'"):
        make(lam_scale="mean").fit(X)
    with pytest.raises(TypeError, match="lam_scale must be one of"):
        make(lam_scale=2.0).fit(X)


def test_too_small_a_lam_is_stated_as_a_multiple():
    with pytest.warns(match=r"lam=0\.1 is too small.*non-zero above lam=(0.9|1|2)"):
        layer(lam=0.1).fit(X)


def caught(estimator, images):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        estimator.fit(images)
    return [str(one.message) for one in found if one.category is UserWarning]


@pytest.mark.parametrize("kind", [DeconvNetLayer, HierarchicalDeconvNet])
def test_the_first_call_of_a_stream_warns_once(kind):
    stream = kind(**(CHEAP if kind is DeconvNetLayer else QUICK_NET | {"inference_max_iter": 2}))
    with pytest.warns(UserWarning, match="LocalContrastNormalizer") as caught:
        stream.partial_fit(PHOTO)
    assert sum(one.category is UserWarning for one in caught) == 1
    stream.partial_fit(PHOTO)


def test_one_warning_where_the_layout_is_doubtful_too():
    signals = 100 + images_of(2, 600, n_samples=3, random_state=0)
    with pytest.warns(UserWarning, match="as_signals") as caught:
        DeconvNetLayer(**CHEAP).partial_fit(signals)
    (message,) = [str(one.message) for one in caught if one.category is UserWarning]
    assert "as_signals" in message


@pytest.mark.parametrize("images", [PHOTO, PHOTO / 255.0, [PHOTO[0]]])
def test_raw_photos_warn_once(images):
    messages = caught(DeconvNetLayer(**CHEAP), images)
    assert len(messages) == 1
    assert "LocalContrastNormalizer" in messages[0]


def test_lam_far_above_the_scale_warns():
    images = LocalContrastNormalizer().fit_transform(PHOTO) * 200
    for estimator in (
        DeconvNetLayer(**CHEAP),
        HierarchicalDeconvNet(**QUICK_NET | {"inference_max_iter": 2}),
        AdaptiveDeconvNet(**QUICK_NET, n_inference_steps=1),
    ):
        (message,) = caught(estimator, images)
        times = estimator.lam if np.isscalar(estimator.lam) else estimator.lam[0]
        times /= np.median(lam_min(images, filter_size=3))
        assert f"{times:.0f} times the median lam_min" in message
        assert 'lam_scale="median"' in message


def test_dense_maps_warn():
    images = LocalContrastNormalizer().fit_transform(PHOTO)
    unit = np.median(lam_min(images, filter_size=3))
    (message,) = caught(DeconvNetLayer(**QUICK | {"lam": 250 * unit}), images)
    assert "of the coefficients are non-zero" in message


@pytest.mark.parametrize(
    ("estimator", "images"),
    [
        (DeconvNetLayer(**CHEAP), LocalContrastNormalizer().fit_transform(PHOTO)),
        (DeconvNetLayer(**CHEAP, low_frequency=True, lam=10.0), PHOTO / 255.0),
        (DeconvNetLayer(**CHEAP), PHOTO[:, :20, :20] / 255.0),
        (DeconvNetLayer(**CHEAP, lam=0.1), 5 + images_of(1, 2000, n_samples=2, random_state=0)),
    ],
    ids=["normalised", "low frequency", "small", "signals"],
)
def test_what_must_not_warn(estimator, images):
    assert caught(estimator, images) == []
