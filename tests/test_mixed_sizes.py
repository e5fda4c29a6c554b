"""Images of different sizes in one list: their codes, and what is drawn from them."""

import numpy as np
import pytest
from reference.images import images_of
from reference.quick import QUICK, QUICK_NET

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet, SparseMaps

SIZES = [(12, 11), (9, 14), (12, 11), (7, 20), (2, 3)]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def mixed(*channels):
    return [
        images_of(*size, *channels, n_samples=1, random_state=seed)[0]
        for seed, size in enumerate(SIZES)
    ]


def layer_of(**options):
    return DeconvNetLayer(**QUICK | {"lam": 8.0, "output": "maps"} | options)


def net_of(**options):
    return HierarchicalDeconvNet(**QUICK_NET | {"lam": 8.0, "output": "maps"} | options)


each_kind = pytest.mark.parametrize("make", [layer_of, net_of])
each_number = pytest.mark.parametrize("channels", [(), (2,)])


@each_kind
@each_number
@pytest.mark.parametrize("sparse_output", [False, True])
def test_codes_do_not_depend_on_the_neighbours(make, channels, sparse_output):
    images = mixed(*channels)
    estimator = make(sparse_output=sparse_output).fit(images)
    codes = estimator.transform(images)
    assert isinstance(codes, SparseMaps)
    for i, image in enumerate(images):
        alone = estimator.transform([image])
        alone = alone[0] if isinstance(alone, np.ndarray) else alone.to_dense()[0]
        np.testing.assert_array_equal(codes[[i]].to_dense()[0], alone)
    backwards = estimator.transform(images[::-1])
    for one, other in zip(codes.to_dense(), backwards.to_dense()[::-1], strict=True):
        np.testing.assert_array_equal(one, other)


@each_kind
@each_number
def test_images_of_their_own_sizes_are_drawn(make, channels):
    images = mixed(*channels)
    estimator = make().fit(images)
    codes = estimator.transform(images)
    drawn = estimator.inverse_transform(codes)
    assert [one.shape for one in drawn] == [image.shape for image in images]
    error = sum(np.sum((one - image) ** 2) for one, image in zip(drawn, images, strict=True))
    mean = [image.mean(axis=(0, 1)) for image in images]
    variance = sum(np.sum((image - m) ** 2) for image, m in zip(images, mean, strict=True))
    assert estimator.score(images) == pytest.approx(1 - error / variance, rel=1e-9)
    # Dense maps in a list say the same.
    for one, other in zip(drawn, estimator.inverse_transform(codes.to_dense()), strict=True):
        np.testing.assert_array_equal(one, other)


@each_kind
def test_maps_are_maps_already(make):
    estimator = make().fit(mixed())
    codes = estimator.transform(mixed())
    for form in (codes, codes.to_dense(), estimator.to_maps(codes)):
        for one, other in zip(estimator.to_maps(form), codes.to_dense(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_single_activations_add_up_to_the_drawing():
    net = net_of(lam=4.0).fit(mixed())
    codes = net.transform(mixed())
    most = max(np.count_nonzero(maps) for maps in codes.to_dense())
    for form in (codes, codes.to_dense()):
        drawn = net.project_maps(form, n_activations=most)
        for one, image in zip(drawn, net.inverse_transform(codes), strict=True):
            np.testing.assert_allclose(one.sum(axis=0)[..., 0], image, atol=1e-10)


@each_kind
def test_streams_of_any_sizes(make):
    images = mixed()
    estimator = make().partial_fit(images[:2]).partial_fit(images[2:])
    codes = estimator.transform(images)
    assert [maps.shape[:2] for maps in codes.to_dense()] == codes.map_shapes
    assert not hasattr(estimator, "n_features_in_")


@each_kind
def test_rows_are_refused_and_maps_named(make):
    estimator = make().fit(mixed()).set_params(output="rows")
    with pytest.raises(ValueError, match='output="maps"'):
        estimator.transform(mixed())
