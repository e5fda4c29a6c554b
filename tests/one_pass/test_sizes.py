"""OnePassEncoder on images of different sizes, and on such as are read on access."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference.features import responses_by_loops
from reference.images import Reading
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdeconv import DeconvNetLayer, OnePassEncoder

LAYER = DeconvNetLayer(2, 3, batch_size=None, max_iter=1, random_state=0)
SIZES = [(6, 7), (9, 5), (6, 7), (4, 4)]


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def mixed(*channels, sizes=SIZES):
    return [noise(*size, *channels, seed=i) for i, size in enumerate(sizes)]


@pytest.mark.parametrize("channels", [(), (2,)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_lists_of_different_sizes_against_loops(padding, channels):
    images, filters = mixed(*channels), noise(2, 3, 4, *(channels or (1,)), seed=9)
    encoder = OnePassEncoder(filters, padding=padding).fit(images)
    assert encoder.image_shape_ == (None, None, *channels)
    assert not hasattr(encoder, "n_features_in_")
    maps = encoder.transform(images)
    assert isinstance(maps, list)
    assert len(maps) == 4
    for image, one in zip(images, maps, strict=True):
        last = image.reshape(1, *image.shape[:2], -1)
        expected = responses_by_loops(last, encoder.filters_, 0.6, padding)[0]
        np.testing.assert_allclose(one, expected, atol=1e-12)
        assert_array_equal(encoder.transform([image])[0], one)
        assert_array_equal(encoder.transform(image[None])[0], one)
    # Two of one size are a stack.
    assert_array_equal(encoder.transform(images[:3:2]), np.stack(maps[:3:2]))
    array = np.empty(4, dtype=object)
    array[:] = images
    for form in (array, tuple(images)):
        for one, expected in zip(clone(encoder).fit_transform(form), maps, strict=True):
            assert_array_equal(one, expected)


def test_types_of_different_sizes():
    encoder = OnePassEncoder(noise(2, 3, 3)).fit([one.astype(np.float32) for one in mixed()])
    assert encoder.filters_.dtype == np.float32
    assert {one.dtype for one in encoder.transform(mixed())} == {np.dtype(np.float64)}
    singles = [one.astype(np.float32) for one in mixed()]
    assert {one.dtype for one in encoder.transform(singles)} == {np.dtype(np.float32)}
    # One of double precision makes all of it, as in a stack.
    singles[2] = singles[2].astype(np.float64)
    assert {one.dtype for one in encoder.transform(singles)} == {np.dtype(np.float64)}


@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_layer_is_fitted_on_the_list(channels):
    images = mixed(*channels)
    encoder = OnePassEncoder(clone(LAYER)).fit(images)
    expected = clone(LAYER).fit(images)
    assert_array_equal(encoder.layer_.filters_, expected.filters_)
    assert encoder.layer_.image_shape_ == expected.image_shape_ == (None, None, *channels)
    frozen = OnePassEncoder(FrozenEstimator(expected)).fit(images)
    assert_array_equal(frozen.filters_, encoder.filters_)


def test_the_layer_learns_alike_from_lists_and_stacks_of_one_size():
    images = noise(5, 7, 6)
    stacked, listed = (OnePassEncoder(clone(LAYER)).fit(X) for X in (images, list(images)))
    assert_array_equal(listed.filters_, stacked.filters_)
    assert_array_equal(listed.transform(list(images)), stacked.transform(images))
    assert_array_equal(listed.transform(mixed())[3], listed.transform(mixed()[3:])[0])


@pytest.mark.parametrize("sizes", [SIZES * 3, [(6, 7)] * 12])
def test_images_that_are_read_on_access_are_never_all_in_memory(sizes, monkeypatch):
    monkeypatch.setattr("skdeconv._one_pass._NUMBERS_AT_ONCE", 1)
    fitted, fit = [], DeconvNetLayer.fit

    def keeping(self, X, y=None):
        fitted.append(X)
        return fit(self, X, y)

    monkeypatch.setattr(DeconvNetLayer, "fit", keeping)
    images, layer = Reading(mixed(sizes=sizes)), clone(LAYER).set_params(batch_size=1)
    encoder = OnePassEncoder(layer).fit(images)
    assert fitted[0] is images
    maps = encoder.transform(images)
    assert 0 < images.most <= 3
    kept = [images[i] for i in range(12)]
    in_memory = OnePassEncoder(layer).fit(kept)
    assert_array_equal(encoder.filters_, in_memory.filters_)
    for one, expected in zip(maps, in_memory.transform(kept), strict=True):
        assert_array_equal(one, expected)


def test_rows_need_one_size():
    images, encoder = mixed(), OnePassEncoder(noise(2, 3, 3), output="rows")
    encoder.fit(images)
    for X in (images, images[:1], images[0][None]):
        with pytest.raises(ValueError, match=r'different shapes.*output="maps"'):
            encoder.transform(X)
    with pytest.raises(ValueError, match=r'different sizes.*output="maps"'):
        encoder.get_feature_names_out()
    encoder.fit(images[:1])
    assert encoder.transform(images[:3:2]).shape == (2, 6 * 7 * 4)
    with pytest.raises(ValueError, match=r'different shapes.*output="maps"'):
        encoder.transform(images)


def test_every_image_must_hold_the_filters():
    encoder = OnePassEncoder(noise(2, 5, 3), padding="valid")
    with pytest.raises(ValueError, match=r"4 x 4 pixels.*5 x 3.*\"same\""):
        encoder.fit(mixed())
    encoder.fit(mixed()[:3])
    with pytest.raises(ValueError, match=r"4 x 4 pixels"):
        encoder.transform(mixed())


def test_missing_pixels_have_no_response():
    images = mixed()
    encoder = OnePassEncoder(clone(LAYER)).fit(images)
    images[1][0, 0] = np.nan
    for method in (encoder.fit, encoder.transform):
        with pytest.raises(ValueError, match=r"X\[1\] contains NaN"):
            method(images)
