"""The adaptive network: pooling with switches, and layers that all explain the pixels."""

from skdeconv._adaptive._code import AdaptiveCode
from skdeconv._adaptive._estimator import AdaptiveDeconvNet

__all__ = ["AdaptiveCode", "AdaptiveDeconvNet"]
