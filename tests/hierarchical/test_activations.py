"""Filters and single activations of any layer of a hierarchy, as pixels."""

import numpy as np
import pytest
from reference.hierarchical import cut
from reference.images import images_of

from skdeconv import HierarchicalDeconvNet

OPTIONS = {"filter_size": 3, "lam": 4.0, "max_iter": 2, "tol": 0, "random_state": 0}


def net_of(*n_filters, **options):
    return HierarchicalDeconvNet(n_filters, **OPTIONS | options)


def test_projected_filters_are_what_one_coefficient_draws():
    options = {"filter_size": (3, (3, 2), 2), "lam": (4.0, 5.0, 6.0)}
    net = net_of(2, 3, 4, **options).fit(images_of(10, 9))
    for depth in (1, 2, 3):
        filters = net.project_filters(depth)
        n_filters, h, w, _ = filters.shape
        assert (h, w) == {1: (3, 3), 2: (5, 4), 3: (6, 5)}[depth]
        maps = np.zeros((n_filters, 10 + h - 1, 9 + w - 1, n_filters))
        for k in range(n_filters):
            maps[k, h + 1, w + 2, k] = 1
        drawn = net.decode(maps, depth)
        np.testing.assert_allclose(drawn[:, 2 : h + 2, 3 : w + 3], filters[..., 0], atol=1e-12)
        drawn[:, 2 : h + 2, 3 : w + 3] = 0
        assert not drawn.any()
    np.testing.assert_array_equal(net.project_filters(), filters)


@pytest.mark.parametrize("low_frequency", [False, True], ids=["sparse", "low"])
def test_projected_activations_add_up(low_frequency):
    X = images_of(8, 7, 2)
    net = net_of(2, 3, low_frequency=low_frequency).fit(X)
    for depth, codes in enumerate(net.encode(X), 1):
        maps = cut(net, depth).to_maps(codes).reshape(4, -1)
        most = np.count_nonzero(maps, axis=1).max()
        parts = net.project_maps(codes, depth, n_activations=most + 3)
        assert parts.shape == (4, most + 3, 8, 7, 2)
        low = codes.copy()
        low[:, : maps.shape[1]] = 0
        drawn = net.decode(codes, depth) - net.decode(low, depth)
        np.testing.assert_allclose(parts.sum(axis=1), drawn, atol=1e-12)
        assert not parts[:, -3:].any()
        first = np.zeros_like(maps)
        strongest = np.abs(maps).argmax(axis=1)
        first[np.arange(4), strongest] = maps[np.arange(4), strongest]
        drawn = net.decode(np.hstack([first, low[:, maps.shape[1] :]]), depth)
        few = net.project_maps(codes, depth, n_activations=1)
        np.testing.assert_allclose(few[:, 0], drawn - net.decode(low, depth), atol=1e-12)
        np.testing.assert_array_equal(few, parts[:, :1])
    np.testing.assert_array_equal(net.project_maps(codes), parts[:, :9])


@pytest.mark.parametrize("form", [np.array, list], ids=["stack", "list"])
@pytest.mark.parametrize("depth", [1, 2, None])
def test_top_activations_by_brute_force(depth, form):
    X = images_of(8, 7, 2)
    net = net_of(2, 4, filter_size=((3, 2), 2), connectivity="full").fit(form(X))
    maps = cut(net, depth or 2).to_maps(net.encode(form(X))[(depth or 2) - 1])
    filters = net.project_filters(depth)
    n_filters, h, w, _ = filters.shape
    counts = np.count_nonzero(maps, axis=(0, 1, 2))
    k = int(np.median(counts)) + 1
    assert counts.max() > 3
    found = net.top_activations(form(X), depth, k)
    assert found.crops.shape == found.projections.shape == (n_filters, k, h, w, 2)
    padded = np.pad(X, ((0, 0), (h, h), (w, w), (0, 0)))
    for j in range(n_filters):
        order = sorted(np.argwhere(maps[..., j]).tolist(), key=lambda at: -abs(maps[*at, j]))[:k]
        none = [-1] * (k - len(order))
        assert found.samples[j].tolist() == [at[0] for at in order] + none
        assert not found.crops[j, len(order) :].any()
        assert not found.coefficients[j, len(order) :].any()
        for rank, (i, y, x) in enumerate(order):
            assert found.coefficients[j, rank] == maps[i, y, x, j]
            top, left = y - h + 1, x - w + 1
            assert found.corners[j, rank].tolist() == [top, left]
            crop = padded[i, top + h : top + 2 * h, left + w : left + 2 * w]
            np.testing.assert_array_equal(found.crops[j, rank], crop)
        drawn = found.coefficients[j][:, None, None, None] * filters[j]
        np.testing.assert_allclose(found.projections[j], drawn, atol=1e-15)


def test_equal_activations_come_in_the_order_of_images_and_pixels():
    X = np.random.default_rng(0).integers(-2, 3, (3, 6, 5)).astype(float)
    net = net_of(1, filter_size=1).fit(X)
    maps = np.abs(net.to_maps(net.transform(X)))[..., 0]
    first = np.argwhere(maps == maps.max())
    assert first[-1, 0] == 2
    found = net.top_activations(X, k=len(first))
    np.testing.assert_array_equal(np.c_[found.samples[0], found.corners[0]], first)
