"""Maps of any layer of an adaptive network, as the top layer reconstructs them."""

from copy import deepcopy

import numpy as np
import pytest
from reference.adaptive import dense_maps, draw
from reference.images import images_of
from scipy.sparse import csr_array

from skdeconv import AdaptiveDeconvNet, SparseMaps

OPTIONS = {
    "filter_size": 3, "lam": (4.0, 5.0, 6.0), "n_inference_steps": 5, "max_iter": 1,
    "random_state": 0,
}  # fmt: skip
POOLED = ((2, 2, 2), (2, 1, 1), None)


def net_of(**options):
    return AdaptiveDeconvNet((4, 3, 5), **OPTIONS | {"pooling": POOLED} | options)


@pytest.fixture(scope="module")
def images():
    return images_of(12, 11)


@pytest.fixture(scope="module")
def fitted(images):
    return net_of().fit(images)


@pytest.fixture
def net(fitted):
    return deepcopy(fitted).set_params(layer=2)


def test_the_second_layer_is_reconstructed_by_the_third(net, images):
    maps, code = net.set_params(output="maps").transform(images), net.encode(images)
    for i in range(len(images)):
        expected = draw(net, code, i, 3, to="layer2")
        assert expected.any()
        np.testing.assert_allclose(maps[i], expected, atol=1e-12)
        assert not ((maps[i] != 0) & (np.abs(expected) < 1e-15)).any()
        # They are not the layer's own, from which the image is reconstructed no better.
        own = dense_maps(code, i, 2)
        assert not np.allclose(maps[i], own.transpose(1, 2, 0))
        # With the switches below they reconstruct what the top reconstructs.
        pixels = draw(net, code, i, 2, maps[i].transpose(2, 0, 1))
        np.testing.assert_allclose(pixels[..., 0], net.decode(code)[i], atol=1e-12)


@pytest.mark.parametrize("layer", [2, 3])
def test_shapes_and_feature_names(layer, net, images):
    net.set_params(layer=layer)
    rows, names = net.transform(images), net.get_feature_names_out()
    height, width, n_filters = net.to_maps(rows).shape[1:]
    assert n_filters == (3 if layer == 2 else 5)
    assert rows.shape == (4, len(names)) == (4, height * width * n_filters)
    assert len(set(names)) == len(names)
    maps = net.encode(images).maps[layer - 1]
    assert (height, width) == maps.map_shapes[0]
    for column in (0, 1, len(names) // 2, len(names) - 1):
        k, y, x = (int(word[1:]) for word in names[column].split("_"))
        maps = net.to_maps(np.eye(1, len(names), column))
        assert maps[0, y, x, k] == 1
        assert np.count_nonzero(maps) == 1


def test_forms_of_codes_hold_the_same(net, images):
    rows = net.transform(images)
    maps = net.set_params(output="maps").transform(images)
    sparse_maps = net.set_params(sparse_output=True).transform(images)
    sparse_rows = net.set_params(output="rows").transform(images)
    assert [type(one) for one in (sparse_maps, sparse_rows)] == [SparseMaps, csr_array]
    assert rows.any()
    np.testing.assert_array_equal(maps.reshape(4, -1), rows)
    np.testing.assert_array_equal(sparse_maps.to_dense(), maps)
    np.testing.assert_array_equal(sparse_rows.toarray(), rows)
    for form in (rows, maps, sparse_maps, sparse_rows):
        np.testing.assert_array_equal(net.to_maps(form), maps)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_fits_do_not_depend_on_the_layer(layer, fitted, images):
    net = net_of(layer=layer).fit(images)
    for one, other in zip(net.filters_, fitted.filters_, strict=True):
        np.testing.assert_array_equal(one, other)
    assert net.score(images) == fitted.score(images)
    np.testing.assert_array_equal(
        net.transform(images), deepcopy(fitted).set_params(layer=layer).transform(images)
    )


def test_the_top_has_two_numbers(net, images):
    top = net.set_params(layer=3).transform(images)
    assert top.any()
    np.testing.assert_array_equal(net.set_params(layer=-1).transform(images), top)
    code = net.encode(images)
    np.testing.assert_array_equal(net.decode(code, -1), net.decode(code, 3))
    np.testing.assert_array_equal(net.project(code, -1, k=2), net.project(code, 3, k=2))


def test_images_of_several_sizes(images):
    X = [images[0], images[1][:9], images[2][:, :8]]
    net = net_of(layer=2, output="maps").fit(X)
    maps, code = net.transform(X), net.encode(X)
    assert isinstance(maps, SparseMaps)
    for i in range(3):
        expected = draw(net, code, i, 3, to="layer2")
        found = maps[[i]].to_dense()[0]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("pooling", "highest"),
    [
        (POOLED, 1),
        (((1, 1, 1), (2, 2, 1), None), 2),
        ((None, (2, 1, 1), (2, 1, 1)), 2),
        ((None, None, (2, 2, 2)), 3),
        (None, 3),
    ],
    ids=str,
)
def test_inverse_transform_needs_no_pooling_below(pooling, highest, images):
    net = net_of(pooling=pooling).fit(images)
    code = net.encode(images)
    for layer in (1, 2, 3):
        assert hasattr(net.set_params(layer=layer), "inverse_transform") == (layer <= highest)
        codes = net.transform(images)
        if layer > highest:
            with pytest.raises(AttributeError, match="inverse_transform") as caught:
                net.inverse_transform(codes)
            assert "use layer=1, or decode" in str(caught.value.__cause__)
            continue
        reconstructed = net.inverse_transform(codes)
        assert reconstructed.any()
        np.testing.assert_allclose(reconstructed, net.decode(code), atol=1e-12)
        maps = net.to_maps(codes)
        for i in range(len(images)):
            expected = draw(net, code, i, layer, maps[i].transpose(2, 0, 1))[..., 0]
            np.testing.assert_allclose(reconstructed[i], expected, atol=1e-12)
    assert hasattr(net.set_params(layer=-1), "inverse_transform") == (highest == 3)


@pytest.mark.parametrize(
    ("layer", "error"),
    [(0, ValueError), (4, ValueError), (-2, ValueError), ("top", TypeError), (1.5, TypeError),
     (True, TypeError)],
)  # fmt: skip
def test_other_layers_are_errors(layer, error, net, images):
    rows, code = net.transform(images), net.encode(images)
    new = net_of(layer=layer)
    net.set_params(layer=layer)
    calls = [
        lambda: new.fit(images),
        lambda: net.fit(images),
        lambda: net.transform(images),
        lambda: net.to_maps(rows),
        net.get_feature_names_out,
        lambda: net.decode(code, layer),
        lambda: net.project(code, layer),
        lambda: net.cascade(code[0], layer),
        lambda: net.top_activations(images, layer),
    ]
    for call in calls:
        with pytest.raises(error, match=f"^layer must be .*{layer}"):
            call()
    assert not hasattr(new, "filters_")
