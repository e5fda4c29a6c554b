"""Linear maps from feature maps to images."""

from skdeconv.operators._composition import Composition, compose
from skdeconv.operators._convolution import Convolution
from skdeconv.operators._masked import Masked, zeros_for_nan
from skdeconv.operators._pooling import (
    Unpooling,
    check_switches,
    flat_switches,
    pool,
    pooled_shape,
    unpool,
)
from skdeconv.operators._smooth import UniformConvolution
from skdeconv.operators._sparse import SparseOperator

__all__ = [
    "Composition",
    "Convolution",
    "Masked",
    "SparseOperator",
    "UniformConvolution",
    "Unpooling",
    "check_switches",
    "compose",
    "flat_switches",
    "pool",
    "pooled_shape",
    "unpool",
    "zeros_for_nan",
]
