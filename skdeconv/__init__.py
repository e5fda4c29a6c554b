"""Deconvolutional networks: unsupervised convolutional feature learning for scikit-learn."""

from skdeconv._lam_min import lam_min
from skdeconv._layer import DeconvNetLayer
from skdeconv._maps import SparseMaps

__version__ = "0.1.0"

__all__ = ["DeconvNetLayer", "SparseMaps", "lam_min"]
