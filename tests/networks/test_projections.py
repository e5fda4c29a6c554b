"""What is drawn from a code: whole layers, single coefficients, their parts."""

from copy import deepcopy

import numpy as np
import pytest
from reference.adaptive import dense_maps, draw, draw_each, net_of, operators_of
from reference.images import images_of
from scipy.sparse import csr_array

from skdeconv import AdaptiveCode, SparseMaps
from skdeconv.networks import _patches


def large_net(channels=()):
    """A net of whose fields only the third is more than half of the image, and images."""
    X = images_of(32, 32, *channels, n_samples=2, n_filters=3, filter_size=5, density=0.01)
    pooling = (2, 3, 2), (3, 2, 2), None
    return net_of(4, 6, 3, filter_size=5, lam=9.0, pooling=pooling, n_inference_steps=5).fit(X), X


@pytest.fixture(scope="module")
def large():
    net, X = large_net()
    return net, net.encode(X)


def test_values_of_one_image_with_switches_of_another(net, code):
    mixed = AdaptiveCode(code.maps, [layer[::-1] for layer in code.switches], code.image_shapes)
    for layer in (1, 2, 3):
        drawn = net.decode(mixed, layer)
        for i in range(4):
            other = draw(net, code, 3 - i, layer, dense_maps(code, i, layer))
            np.testing.assert_allclose(drawn[i], other[..., 0], atol=1e-12)
        assert np.allclose(drawn, net.decode(code, layer)) == (layer == 1)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_decoding_is_the_composition_of_the_layers(layer, net, code):
    drawn = net.decode(code, layer)
    assert drawn.shape == (4, 12, 11)
    for i in range(4):
        expected = draw(net, code, i, layer)
        assert expected.any()
        np.testing.assert_allclose(drawn[i], expected[..., 0], atol=1e-12)
    if layer == 3:
        np.testing.assert_array_equal(net.decode(code), drawn)


def check_projections(net, code, layer, k):
    found = net.project(code, layer, k)
    assert found.shape == (len(code), k, *code.image_shapes[0], net.filters_[0].shape[3])
    maps = net.project(code, layer, k, to="layer1")
    assert (type(maps), len(maps)) == (SparseMaps, len(code) * k)
    assert maps.map_shapes == [code.maps[0].map_shapes[0]] * (len(code) * k)
    dense = maps.to_dense().reshape(len(code), k, *maps.map_shapes[0], -1)
    for i in range(len(code)):
        np.testing.assert_allclose(found[i], draw_each(net, code, i, layer, k), atol=1e-12)
        expected = draw_each(net, code, i, layer, k, "layer1")
        np.testing.assert_allclose(dense[i], expected, atol=1e-12)


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 4, 60])
def test_projections_are_what_single_coefficients_draw(layer, k, net, code):
    check_projections(net, code, layer, k)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_projections_in_large_images(layer, large):
    check_projections(*large, layer, 12)


def test_projections_of_colour_and_of_signals():
    net, X = large_net((2,))
    check_projections(net, net.encode(X), 3, 5)
    signals = images_of(50)
    net = net_of(4, 3, pooling=(1, 3, 2), lam=20.0, n_inference_steps=10).fit(signals)
    code = net.encode(signals)
    check_projections(net, code, 2, 5)
    assert code.image_shapes == [(1, 50)] * 4
    np.testing.assert_allclose(net.decode(code)[2], draw(net, code, 2, 2)[0, :, 0], atol=1e-12)


@pytest.mark.parametrize("layer", [2, 3])
def test_coefficients_at_all_corners_and_borders(layer, large):
    net, code = large
    code, maps = code[0], code.maps[layer - 1]
    height, width = maps.map_shapes[0]
    dense = np.zeros((height, width, maps[0].shape[1]))
    places = [(y, x) for y in (0, 1, height // 2, height - 1) for x in (0, width // 2, width - 1)]
    for rank, (y, x) in enumerate(places):
        dense[y, x, rank % dense.shape[2]] = 20.0 - rank
    changed = SparseMaps([csr_array(dense.reshape(height * width, -1))], [(height, width)])
    lower = code[:, :layer]
    lower = AdaptiveCode([*lower.maps[:-1], changed], lower.switches, lower.image_shapes)
    check_projections(net, lower, layer, len(places) + 1)


def test_patches_and_the_whole_grid_draw_the_same(large, monkeypatch):
    net, code = large
    on_patches, on_the_grid = _patches._projected_on_patches, _patches._projected_on_grid
    used = []

    def compare(patches, convolution, block, switches):
        grid, size = switches.shape[1:], convolution.images_shape[1:]
        layer = convolution, block, switches
        pictures = patches.pictures(*grid)
        whole = _patches.Patches(pictures, np.zeros_like(patches.corners))
        drawn = [on_patches(patches, *layer), on_patches(whole, *layer)]
        expected = on_the_grid(pictures, *layer).pictures(*size)
        for one in drawn:
            np.testing.assert_allclose(one.pictures(*size), expected, atol=1e-12)
        return drawn[0]

    def by_patches(patches, *layer):
        used.append("patches")
        return compare(patches, *layer)

    def by_grid(pictures, *layer):
        used.append("grid")
        return compare(_patches.Patches(pictures, np.zeros((len(pictures), 2), int)), *layer)

    monkeypatch.setattr(_patches, "_projected_on_patches", by_patches)
    monkeypatch.setattr(_patches, "_projected_on_grid", by_grid)
    for layer, ways in ((1, []), (2, ["patches"]), (3, ["patches", "grid"])):
        used.clear()
        net.project(code[:1], layer, 6)
        assert used == ways


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_images_without_coefficients_draw_nothing(layer, net, images):
    # In the second of the images there is nothing.
    code = net.encode(images[:3] * np.array([1, 0, 1])[:, None, None])
    assert not net.decode(code, layer)[1].any()
    assert not net.project(code, layer, 3)[1].any()
    maps = net.project(code, layer, 3, to="layer1")
    assert [one.nnz > 0 for one in maps.maps] == [True] * 3 + [False] * 3 + [True] * 3
    assert {one.shape for one in maps.maps} == {(14 * 13, 4)}
    assert not any(one.any() for one in net.cascade(code[1], layer, 2))


def test_large_images_without_coefficients_draw_nothing(large):
    net, _ = large
    code = net.encode(np.zeros((1, 32, 32)))
    for layer in (2, 3):
        assert not net.project(code, layer, 2).any()
        assert not any(one.any() for one in net.cascade(code, layer, 2))


def test_many_patches_are_drawn_a_few_at_a_time(net, code, monkeypatch):
    expected = net.project(code, 2, 30)
    monkeypatch.setattr(_patches, "_SUMS", 1)
    np.testing.assert_allclose(net.project(code, 2, 30), expected, atol=1e-14)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_projections_add_up_to_the_image(layer, net, code):
    k = max(one.nnz for one in code.maps[layer - 1].maps) + 2
    parts = net.project(code, layer, k)
    np.testing.assert_allclose(parts.sum(axis=1)[..., 0], net.decode(code, layer), atol=1e-12)
    assert not parts[:, -2:].any()
    assert not any(one.nnz for one in net.project(code, layer, k, to="layer1").maps[k - 2 : k])
    few = net.project(code, layer, 3)
    np.testing.assert_allclose(few, parts[:, :3], atol=1e-14)
    np.testing.assert_array_equal(net.project(code, k=3), net.project(code, 3, 3))
    assert net.project(code).shape[1] == 50


def parts_of(net, code, layer, maps, k):
    """The k strongest coefficients that maps of a layer draw in the one below, each alone."""
    drawn = maps[None]
    for operator in reversed(operators_of(net, code, 0, layer)[2 * layer - 3 :]):
        drawn = operator.forward(drawn)
    order = np.argsort(-np.abs(drawn.ravel()))[:k]
    parts = np.zeros((k, *drawn.shape[1:]))
    for part, place in zip(parts, order, strict=True):
        part.flat[place] = drawn.flat[place]
    return parts


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_cascades_split_a_coefficient_into_what_it_drives(layer, net, code):
    code, k = code[1], 3
    found = net.cascade(code, layer, k)
    assert [len(one) for one in found] == [k**j for j in range(layer)]
    maps = dense_maps(code, 0, layer)
    strongest = np.abs(maps).argmax()
    features = [np.zeros_like(maps)]
    features[0].flat[strongest] = maps.flat[strongest]
    for number, patches in zip(range(layer, 0, -1), found, strict=True):
        for feature, patch in zip(features, patches, strict=True):
            drawn = draw(net, code, 0, number, feature)
            values = [np.sort(one[np.abs(one) > 1e-12]) for one in (patch, drawn)]
            np.testing.assert_allclose(*values, atol=1e-12)
        if number > 1:
            features = [part for one in features for part in parts_of(net, code, number, one, k)]
    if layer == 3:
        assert [len(one) for one in net.cascade(code)] == [1, 5, 25]


def test_numbers_of_images_that_cannot_be_drawn(net, code):
    with pytest.raises(ValueError, match=r"code must be that of one image.*4"):
        net.cascade(code)
    for method in (net.cascade, net.decode, net.project):
        with pytest.raises(ValueError, match="code holds no images"):
            method(code[:0])


@pytest.mark.parametrize("layer", [1, 2, 3, None])
def test_top_activations_by_brute_force(layer, net, code, images):
    number, k = layer or 3, 4
    found = net.top_activations(images, layer, k)
    maps = np.stack([dense_maps(code, i, number) for i in range(4)])
    n_filters, (h, w) = maps.shape[1], found.crops.shape[2:4]
    assert found.samples.shape == found.coefficients.shape == (n_filters, k)
    assert found.crops.shape == found.projections.shape == (n_filters, k, h, w, 1)
    assert (found.corners >= 0).all()
    assert (np.add(found.corners, [h, w]) <= [12, 11]).all()
    for j in range(n_filters):
        places = np.argwhere(maps[:, j])
        order = places[np.argsort(-np.abs(maps[:, j][tuple(places.T)]))][:k].tolist()
        assert found.samples[j].tolist() == [at[0] for at in order] + [-1] * (k - len(order))
        for name in ("coefficients", "corners", "crops", "projections"):
            assert not found[name][j, len(order) :].any()
        for rank, (i, y, x) in enumerate(order):
            assert found.coefficients[j, rank] == maps[i, j, y, x]
            top, left = found.corners[j, rank]
            crop = images[i, top : top + h, left : left + w]
            np.testing.assert_array_equal(found.crops[j, rank, ..., 0], crop)
            alone = np.zeros_like(maps[i])
            alone[j, y, x] = maps[i, j, y, x]
            drawn = draw(net, code, i, number, alone)
            whole = np.zeros_like(drawn)
            whole[top : top + h, left : left + w] = found.projections[j, rank]
            np.testing.assert_allclose(whole, drawn, atol=1e-12)


def test_filters_without_activations(net, images):
    zeros = net.top_activations(np.zeros((2, 12, 11)), 2, 3)
    assert (zeros.samples == -1).all()
    assert not any(zeros[name].any() for name in zeros if name != "samples")
    assert zeros.crops.shape == net.top_activations(images, 2, 3).crops.shape
    silent = deepcopy(net)
    silent.filters_ = [one.copy() for one in net.filters_]
    silent.filters_[2][1] = 0
    found = silent.top_activations(images, k=2)
    assert (found.samples[1] == -1).all()
    assert (found.samples[0] >= 0).all()
    assert not found.projections[1].any()
