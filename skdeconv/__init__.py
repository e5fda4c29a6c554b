"""Deconvolutional networks: unsupervised convolutional feature learning for scikit-learn."""

from skdeconv._adaptive import AdaptiveDeconvNet
from skdeconv._hierarchical import HierarchicalDeconvNet
from skdeconv._lam_min import lam_min
from skdeconv._layer import DeconvNetLayer
from skdeconv._one_pass import OnePassEncoder
from skdeconv._utils.persistence import SKOPS_TRUSTED
from skdeconv._utils.versions import show_versions
from skdeconv.filters import make_connectivity
from skdeconv.layouts import AdaptiveCode, SparseMaps

__version__ = "0.1.0"

__all__ = [
    "SKOPS_TRUSTED",
    "AdaptiveCode",
    "AdaptiveDeconvNet",
    "DeconvNetLayer",
    "HierarchicalDeconvNet",
    "OnePassEncoder",
    "SparseMaps",
    "lam_min",
    "make_connectivity",
    "show_versions",
]
