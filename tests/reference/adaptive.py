"""What codes of an adaptive network draw, operator by operator, and what they cost."""

import numpy as np

from skdeconv import AdaptiveDeconvNet
from skdeconv.operators import Convolution, Unpooling

OPTIONS = {
    "filter_size": 3, "pooling": (2, 2, 2), "lam": 4.0, "n_inference_steps": 5, "max_iter": 1,
    "random_state": 0,
}  # fmt: skip


def net_of(*n_filters, **options):
    """A small net, whose codes tests look at."""
    return AdaptiveDeconvNet(n_filters, **OPTIONS | options)


def assert_unit_norms(net):
    """Require filters of norm 1 in all layers."""
    for filters in net.filters_:
        norms = np.linalg.norm(filters.reshape(len(filters), -1), axis=1)
        np.testing.assert_allclose(norms, 1, rtol=1e-6)


def operators_of(net, code, i, layer):
    """F_1, U_1, F_2, ... F_l of one image of a code."""
    size, operators = code.image_shapes[i], []
    for number in range(1, layer + 1):
        convolution = Convolution(net.filters_[number - 1].transpose(0, 3, 1, 2), size)
        operators.append(convolution)
        if number < layer:
            switches = np.moveaxis(code.switches[number - 1][i], 2, 0)
            unpooling = Unpooling(switches, net.pooling_[number - 1], convolution.maps_shape)
            operators.append(unpooling)
            size = unpooling.maps_shape[1:]
    return operators


def dense_maps(code, i, layer):
    """Maps (n_filters, height, width) of one image."""
    maps = code.maps[layer - 1]
    return maps[i].toarray().T.reshape(-1, *maps.map_shapes[i])


def draw(net, code, i, layer, maps=None, to="pixels"):
    """What maps of a layer, by default the code's, draw with the switches of image i.

    In pixels, or as maps of a lower layer such as "layer1"; its own maps stay as they are.
    """
    drawn = (dense_maps(code, i, layer) if maps is None else maps)[None]
    operators = operators_of(net, code, i, layer)
    first = 0 if to == "pixels" else 2 * int(to.removeprefix("layer")) - 1
    for operator in reversed(operators[first:]):
        drawn = operator.forward(drawn)
    return drawn[0].transpose(1, 2, 0)


def draw_each(net, code, i, layer, k, to="pixels"):
    """What the k strongest coefficients of an image draw, each alone; zeros where it has fewer."""
    maps = dense_maps(code, i, layer)
    order = np.argsort(-np.abs(maps.ravel()))[:k]
    drawn = []
    for rank in range(k):
        alone = np.zeros_like(maps)
        if rank < len(order):
            alone.flat[order[rank]] = maps.flat[order[rank]]
        drawn.append(draw(net, code, i, layer, alone, to))
    return np.stack(drawn)


def costs_of(net, code, X, layer, lam):
    """lam / 2 of the squared error plus the moduli, of each image of a stack."""
    costs = []
    for i in range(len(code)):
        error = draw(net, code, i, layer) - np.reshape(X[i], (*code.image_shapes[i], -1))
        costs.append(lam / 2 * np.sum(error**2) + np.abs(dense_maps(code, i, layer)).sum())
    return np.array(costs)
