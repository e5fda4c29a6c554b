"""What an adaptive network says where all maps of a layer are zero."""

import re
from copy import deepcopy

import pytest
from reference.quick import QUICK_NET

from skdeconv import AdaptiveDeconvNet
from skdeconv.datasets import make_sparse_images
from skdeconv.exceptions import ZeroMapsWarning


def net_of(*n_filters, **options):
    options = {"n_inference_steps": 3, "pooling": (2, 2, 2), "n_filters": n_filters} | options
    return AdaptiveDeconvNet(**QUICK_NET | options)


LEVELS = re.compile(r"lam=1e-05 of layer (\d) is too small .* above lam=([\d.e+-]+)\.$")


def told(caught):
    """Layer and lam that the warning of zero maps names."""
    messages = [str(one.message) for one in caught if one.category is ZeroMapsWarning]
    assert len(messages) == 1
    layer, lam = LEVELS.search(messages[0]).groups()
    return int(layer), float(lam)


@pytest.mark.parametrize("inference", ["fista", "ista", "coordinate_descent"])
@pytest.mark.parametrize("silent", [1, 2])
def test_silence_is_told_with_the_lam_that_ends_it(silent, inference):
    images = make_sparse_images(6, (12, 11), filter_size=3, density=0.03, random_state=0).images
    lam = tuple(1e-5 if layer == silent else 4.0 for layer in (1, 2))
    net = net_of(2, 3, lam=lam, inference=inference)
    for method in ("fit", "encode", "transform"):
        if method == "transform" and silent == 1:
            # What is returned is not zero.
            assert net.transform(images).any()
            continue
        with pytest.warns(ZeroMapsWarning) as caught:
            getattr(net, method)(images)
        layer, needed = told(caught)
        assert layer == silent
        below, above = (
            deepcopy(net).set_params(lam=tuple(factor * needed if one < 1 else one for one in lam))
            # Coordinate descent takes zeros that are within its tolerance.
            for factor in (0.99, 1.3 if inference == "coordinate_descent" else 1.01)
        )
        with pytest.warns(ZeroMapsWarning, match=f"layer {silent}"):
            assert not below.encode(images).maps[silent - 1].to_dense().any()
        assert above.encode(images).maps[silent - 1].to_dense().any()
