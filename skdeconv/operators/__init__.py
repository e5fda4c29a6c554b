"""Linear operators from feature maps to images."""

from skdeconv.operators._composition import Composition, Operator, compose
from skdeconv.operators._convolution import Convolution
from skdeconv.operators._low_frequency import LowFrequencyOperator
from skdeconv.operators._masked import Masked, zeros_for_nan
from skdeconv.operators._pooling import (
    Unpooling,
    check_switches,
    flat_switches,
    pool,
    pooled_shape,
    unpool,
)
from skdeconv.operators._sparse import SparseOperator
from skdeconv.operators._switched import SwitchedConvolution
from skdeconv.operators._synthesis import LowFrequencySynthesis, Synthesis

__all__ = [
    "Composition",
    "Convolution",
    "LowFrequencyOperator",
    "LowFrequencySynthesis",
    "Masked",
    "Operator",
    "SparseOperator",
    "SwitchedConvolution",
    "Synthesis",
    "Unpooling",
    "check_switches",
    "compose",
    "flat_switches",
    "pool",
    "pooled_shape",
    "unpool",
    "zeros_for_nan",
]
