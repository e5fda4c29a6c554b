"""Linear maps from feature maps to images."""

from skdeconv.operators._composition import compose
from skdeconv.operators._convolution import Convolution
from skdeconv.operators._smooth import UniformConvolution

__all__ = ["Convolution", "UniformConvolution", "compose"]
