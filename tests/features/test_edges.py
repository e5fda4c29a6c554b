"""Values of any size, parameters set after fit, rows as scikit-learn reads them."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import draw_maps
from scipy.sparse import csr_array

import skdeconv._one_pass
from skdeconv import DeconvNetLayer, OnePassEncoder, SparseMaps
from skdeconv.display import FiltersDisplay
from skdeconv.features import BagOfFeatures, PixelFeatures, SpatialPyramid

SMALL = {"patch_size": 4, "pool": 2, "step": 1, "random_state": 0}


@pytest.mark.parametrize("scale", [1e-170, 1e-40, 1e160])
@pytest.mark.parametrize("normalize", ["cell", "global"])
def test_norms_do_not_depend_on_the_scale(scale, normalize):
    maps, pyramid = draw_maps(2, 6, 6, 3), SpatialPyramid((1, 2), power=1, normalize=normalize)
    assert_allclose(pyramid.fit_transform(scale * maps), pyramid.fit_transform(maps), rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-40, 1e20])
def test_words_do_not_depend_on_the_scale(scale):
    maps, bag = draw_maps(4, 8, 8, 2), BagOfFeatures(5, **SMALL)
    assert_allclose(bag.fit(maps).transform(scale * maps), bag.transform(maps), rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_energies_of_pixels_scale_with_the_maps(scale):
    images = draw_maps(1, 6, 6, 1)[..., 0]
    features = PixelFeatures(OnePassEncoder(draw_maps(2, 3, 3, 1)), radius=1.0).fit(images)
    assert_allclose(features.transform(scale * images), scale * features.transform(images))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_filters_may_be_of_any_scale(scale):
    images, filters = draw_maps(2, 6, 6, 1), draw_maps(3, 3, 3, 1)
    expected = OnePassEncoder(filters).fit(images).filters_
    assert_allclose(OnePassEncoder(scale * filters).fit(images).filters_, expected, rtol=1e-9)


def test_windows_between_the_positions_are_refused():
    with pytest.raises(ValueError, match=r"sigma=0\.1 is so small"):
        SpatialPyramid(window="gaussian", sigma=0.1).fit(np.ones((1, 8, 8, 1)))


@pytest.mark.parametrize(
    "change", [{"levels": (1,)}, {"pooling": "max"}, {"power": 1.0}, {"normalize": None}]
)
def test_a_bag_takes_parameters_that_are_set_after_fit(change):
    maps = draw_maps(4, 8, 8, 2)
    changed = BagOfFeatures(5, **SMALL).fit(maps).set_params(**change)
    fresh = BagOfFeatures(5, **SMALL, **change).fit(maps)
    assert_array_equal(changed.transform(maps), fresh.transform(maps))
    assert len(changed.get_feature_names_out()) == fresh.transform(maps).shape[1]


def test_a_bag_refuses_other_windows_than_in_fit():
    maps = draw_maps(4, 8, 8, 2)
    bag = BagOfFeatures(5, **SMALL).fit(maps)
    with pytest.raises(ValueError, match="patch_size, pool"):
        bag.set_params(patch_size=6).transform(maps)
    with pytest.raises(ValueError, match="height 1 or width 1 beside"):
        bag.transform([maps[0], maps[0, :1]])


def test_large_images_make_up_for_small_and_blank_ones():
    images = [*draw_maps(3, 4, 4, 2), np.zeros((9, 9, 2)), draw_maps(1, 20, 20, 2)[0]]
    bag = BagOfFeatures(100, n_descriptors=150, **SMALL)
    assert len(bag.fit(images).words_) == 100
    assert len(bag._sample(images, np.random.RandomState(0))) == 150


@pytest.mark.parametrize(
    "estimator",
    [SpatialPyramid((1, 2), maps_shape=(4, 4, 3)), BagOfFeatures(2, maps_shape=(4, 4, 3), **SMALL)],
)
def test_rows_are_read_as_scikit_learn_does(estimator):
    frame = pd.DataFrame(draw_maps(4, 4, 4, 3).reshape(4, -1)).add_prefix("column")
    estimator.fit(frame)
    assert estimator.n_features_in_ == 48
    assert estimator.feature_names_in_[-1] == "column47"
    with pytest.raises(ValueError, match="feature names"):
        estimator.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="50 features"):
        estimator.fit(np.ones((4, 50)))
    assert estimator.n_features_in_ == 48
    estimator.fit(draw_maps(4, 4, 4, 3))
    assert not hasattr(estimator, "n_features_in_")


def test_levels_and_radii_differ():
    with pytest.raises(ValueError, match=r"levels must differ.*\(2, 2\)"):
        SpatialPyramid((2, 2)).fit(draw_maps(1, 4, 4, 1))
    with pytest.raises(ValueError, match=r"radius must not hold a value twice"):
        PixelFeatures(DeconvNetLayer(), radius=(2.0, 2.0)).fit(np.ones((1, 4, 4)))


def test_maps_of_the_caller_stay_as_they_are():
    # A position that is stored twice stands for the sum.
    twice = csr_array((np.array([1.0, -3.0, 2.0]), [0, 0, 1], [0, 2, 3]), shape=(2, 2))
    maps = SparseMaps([twice], [(1, 2)])
    pooled = SpatialPyramid((1,), power=1).fit_transform(maps)
    assert_allclose(pooled, [[2, 2]])
    assert twice.nnz == 3
    with pytest.raises(TypeError, match=r"X\[0\] must be a csr_array"):
        SpatialPyramid().fit(SparseMaps([np.eye(4)], [(2, 2)]))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_bands_of_a_large_image(padding, monkeypatch):
    images = draw_maps(2, 9, 7, 2)
    encoder = OnePassEncoder(draw_maps(3, 4, 3, 2), padding=padding).fit(images)
    whole = encoder.transform(images)
    monkeypatch.setattr(skdeconv._one_pass, "_NUMBERS_AT_ONCE", 400)
    assert_allclose(encoder.transform(images), whole, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_both_paddings_place_filters_alike(size):
    filters = np.random.default_rng(size).standard_normal((1, size, size, 1))
    image = np.zeros((1, 15, 15))
    image[0, 7, 7] = 1
    centres = []
    for padding in ("same", "valid"):
        features = PixelFeatures(OnePassEncoder(filters, padding=padding), radius=1.0)
        weight = features.fit_transform(image).reshape(15, 15, 2).sum(axis=2) ** 2
        place = np.mgrid[:15, :15]
        centres.append((place * weight).sum(axis=(1, 2)) / weight.sum())
    assert_allclose(*centres, atol=0.05)


def test_filters_of_an_encoder_are_drawn():
    pytest.importorskip("matplotlib")
    encoder = OnePassEncoder(draw_maps(3, 4, 4, 1)).fit(draw_maps(2, 8, 8, 1))
    assert_array_equal(FiltersDisplay.from_estimator(encoder).filters, encoder.filters_)
