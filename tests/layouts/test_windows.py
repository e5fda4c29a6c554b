"""Large images are visited in windows, with the result of windows that the user cuts."""

import numpy as np
import pytest
from reference.images import Reading
from reference.quick import QUICK
from scipy.sparse import csr_array

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.layouts import Collection, LayerImages, check_images, in_windows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NOISE = np.random.default_rng(0).standard_normal


def read(X):
    return check_images(DeconvNetLayer(), X, reset=True)


@pytest.mark.parametrize("shape", [(41, 57), (1, 1000), (1000, 1), (3, 400), (25, 40, 2)])
@pytest.mark.parametrize("lazy", [False, True])
def test_windows_cover_every_image_once(shape, lazy):
    image, small = NOISE(shape), NOISE((5, 6, *shape[2:]))
    source = [image, small]
    windows = in_windows(read(Reading(source) if lazy else source), 100, 500)
    pixels = [windows.stack(np.array([i])).ravel() for i in range(len(windows))]
    np.testing.assert_array_equal(
        np.sort(np.concatenate(pixels)), np.sort(np.r_[image.ravel(), small.ravel()])
    )
    areas = windows.sizes[:-1].prod(axis=1)
    assert areas.min() >= 50
    assert areas.max() <= 200
    assert np.ptp(windows.sizes[:-1], axis=0).max() <= 1
    np.testing.assert_array_equal(windows.owners, [0] * (len(windows) - 1) + [1])
    sizes = Collection(read(source).sizes, 1, np.float64)
    np.testing.assert_array_equal(in_windows(sizes, 100, 500).sizes, windows.sizes)


def test_small_images_stay_as_they_are():
    images = read(NOISE((3, 20, 20)))
    assert in_windows(images, 100, 400) is images


def test_no_pixel_is_copied():
    stack = np.asfortranarray(NOISE((2, 40, 40)))
    windows = in_windows(read(stack), 100, 500)
    assert all(np.shares_memory(one, stack) for one in windows.source)


def test_windows_of_sparse_maps():
    dense = NOISE((2, 3, 20, 30)) * (NOISE((2, 3, 20, 30)) > 1)
    maps = LayerImages(csr_array(dense.reshape(2, -1)), np.array([[20, 30]] * 2), 3, 1.0)
    stack = np.ascontiguousarray(dense.transpose(0, 2, 3, 1))
    expected, windows = in_windows(read(stack), 50, 500), in_windows(maps, 50, 500)
    for i in range(len(expected)):
        np.testing.assert_array_equal(windows.stack(np.array([i])), expected.stack(np.array([i])))


@pytest.mark.parametrize("shape", [(1, 120_000), (300, 350)])
def test_the_result_is_that_of_cut_windows(shape):
    image = NOISE(shape)
    windows = in_windows(read([image]), 10_000, 100_000)
    cut = [np.ascontiguousarray(one[..., 0]) for one in windows.source]
    options = {"max_iter": 2, "lam": 1.0, "batch_size": "auto"}
    layer = DeconvNetLayer(**QUICK | options).fit([image])
    by_hand = DeconvNetLayer(**QUICK | options).fit(cut)
    np.testing.assert_array_equal(layer.filters_, by_hand.filters_)
    np.testing.assert_allclose(layer.cost_, by_hand.cost_ * len(cut))
    lazy = Reading([image])
    np.testing.assert_array_equal(
        DeconvNetLayer(**QUICK | options).fit(lazy).filters_, layer.filters_
    )
    assert lazy.n_read < 10


def test_windows_of_several_lazy_images_stay_together():
    lazy = Reading([NOISE((40, 40)) for _ in range(5)])
    windows = in_windows(read(lazy), 100, 500)
    order = windows.shuffled(np.random.RandomState(0))
    assert sorted(order) == list(range(len(windows)))
    assert (np.diff(windows.owners[order]) != 0).sum() == 4
    assert not (np.diff(order) == 1).all()


def test_integers_and_none_visit_whole_images():
    image = NOISE((1, 1, 120_000))
    for batch_size in (1, None):
        layer = DeconvNetLayer(**QUICK | {"batch_size": batch_size, "lam": 0.5}).fit(image)
        assert layer._stream["n_updates"] == 1
    auto = DeconvNetLayer(**QUICK | {"batch_size": "auto", "lam": 0.5}).fit(image)
    assert auto._stream["n_updates"] == 12
    stream = DeconvNetLayer(**QUICK | {"batch_size": "auto", "lam": 0.5}).partial_fit(image)
    assert stream._stream["n_updates"] == 12


def test_windows_without_known_pixels_teach_nothing():
    image = NOISE((1, 1, 120_000))
    image[..., :30_000] = np.nan
    layer = DeconvNetLayer(**QUICK | {"batch_size": "auto", "lam": 2.0}).fit(image)
    assert np.isfinite(layer.filters_).all()
    assert np.isfinite(layer.cost_).all()


def test_nets_visit_windows_in_every_layer(monkeypatch):
    monkeypatch.setattr("skdeconv.learning._layer_plan.BATCH_PIXELS", 100)
    monkeypatch.setattr("skdeconv.learning._adaptive_plan._BATCH_PIXELS", 100)
    images, options = NOISE((1, 40, 40)), {"max_iter": 1, "random_state": 0, "lam": 2.0}
    net = HierarchicalDeconvNet((2, 3), 3, **options).fit(images)
    assert [layer._stream["n_updates"] for layer in net.layers_] == [16, 16]
    adaptive = AdaptiveDeconvNet((2, 3), 3, **options).fit(images)
    cut = in_windows(read(images), 100, 1000).source
    by_hand = AdaptiveDeconvNet((2, 3), 3, **options).fit([one[..., 0] for one in cut])
    for one, other in zip(adaptive.filters_, by_hand.filters_, strict=True):
        np.testing.assert_array_equal(one, other)
