"""Linear maps from sparse feature maps to images."""

from skdeconv.operators._convolution import Convolution

__all__ = ["Convolution"]
