"""A layer with low-frequency maps, and images that need them."""

import numpy as np

from skdeconv import DeconvNetLayer


def layer_of(**options):
    defaults = {"filter_size": 3, "lam": 5.0, "max_iter": 2, "random_state": 0}
    return DeconvNetLayer(2, **defaults | {"low_frequency": True} | options)


def shaded(n_samples, shape, seed=0):
    """Noise, under brightness that differs between images and grows along their width."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 2, shape[0] if len(shape) == 1 else shape[1])
    if len(shape) == 3:
        ramp = ramp[:, None]
    brightness = 3 * rng.random((n_samples, *[1] * len(shape)))
    return rng.standard_normal((n_samples, *shape)) + ramp + brightness
