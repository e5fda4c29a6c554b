"""Parts of a hierarchy of layers."""

from copy import deepcopy


def cut(net, depth):
    """The net of the lowest layers."""
    result = deepcopy(net)
    for name, value in net.get_params(deep=False).items():
        if isinstance(value, tuple):
            setattr(result, name, value[:depth])
    result.layers_, result.factors_ = result.layers_[:depth], result.factors_[:depth]
    return result
