"""Linear maps from feature maps to images."""

from skdeconv.operators._composition import Composition, compose
from skdeconv.operators._convolution import Convolution
from skdeconv.operators._pooling import Unpooling, flat_switches, pool, pooled_shape, unpool
from skdeconv.operators._smooth import UniformConvolution

__all__ = [
    "Composition",
    "Convolution",
    "UniformConvolution",
    "Unpooling",
    "compose",
    "flat_switches",
    "pool",
    "pooled_shape",
    "unpool",
]
