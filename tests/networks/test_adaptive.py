"""Operators of an adaptive network's layers for images of any size, against explicit matrices."""

import numpy as np
from reference.convolution import explicit_matrix

from skdeconv.networks import _adaptive_network
from skdeconv.operators import Unpooling


def test_operators_of_known_pixels_are_their_rows():
    rng = np.random.default_rng(0)
    filters = [rng.standard_normal(shape) for shape in ((3, 1, 3, 2), (4, 2, 2, 3))]
    layers = _adaptive_network.AdaptiveNetwork(filters, [(2, 2, 2), (1, 1, 1)])
    for size in ((7, 6), (5, 9)):
        image = rng.standard_normal((1, 1, *size))
        image[0, 0, rng.random(size) < 0.3] = np.nan
        stack, known, zeros = (
            layers.at(size),
            _adaptive_network.known_of(image),
            np.nan_to_num(image),
        )
        assert stack.maps_shape(2) == layers.maps_shape(2, size)
        switches = [rng.integers(0, 8, (2, (size[0] + 3) // 2, (size[1] + 2) // 2))]
        # Some blocks are cut off.
        switches[0][1], switches[0][:, -1], switches[0][:, :, -1] = 0, 0, 0
        unpooling = Unpooling(switches[0], (2, 2, 2), stack.maps_shape(1))
        selection = np.zeros((np.prod(stack.maps_shape(1)), unpooling.index.size))
        selection[unpooling.index.ravel(), np.arange(unpooling.index.size)] = 1
        lower = explicit_matrix(filters[0], size) @ selection
        matrix = lower @ explicit_matrix(filters[1], switches[0].shape[1:])
        operator = _adaptive_network.masked(stack.operator(switches), known)
        below = _adaptive_network.masked(stack.lower(switches), known)
        for one, explicit in ((operator, matrix), (below, lower)):
            explicit = explicit * known.reshape(-1, 1)
            maps = rng.standard_normal((1, *one.maps_shape))
            drawn = one.forward(maps).ravel()
            np.testing.assert_allclose(drawn, explicit @ maps.ravel(), atol=1e-12)
            pulled = one.adjoint(zeros).ravel()
            np.testing.assert_allclose(pulled, explicit.T @ zeros.ravel(), atol=1e-12)
            index = np.arange(explicit.shape[1])
            np.testing.assert_allclose(one.atoms(index).toarray(), explicit, atol=1e-12)
            assert one.norm() >= np.linalg.norm(explicit, 2)
    assert _adaptive_network.known_of(np.zeros((1, 1, 2, 2))) is None


def test_layers_for_a_size_are_shared_and_dropped(monkeypatch):
    monkeypatch.setattr(_adaptive_network, "_SIZES", 2)
    rng = np.random.default_rng(0)
    lower = _adaptive_network.AdaptiveNetwork([rng.standard_normal((3, 1, 3, 3))], [(2, 2, 2)])
    higher = lower.topped(rng.standard_normal((4, 2, 3, 3)), (1, 1, 1))
    first = higher.at((8, 9))
    assert first.convolutions[0] is lower.at((8, 9)).convolutions[0]
    assert [one.images_shape for one in first.convolutions] == [(1, 8, 9), (2, 5, 6)]
    assert higher.at((7, 9)) is not first
    assert higher.at((8, 9)) is first
    # The size that was used least lately goes.
    other = higher.at((7, 9))
    higher.at((6, 6))
    assert higher.at((7, 9)) is other
    assert higher.at((8, 9)) is not first
