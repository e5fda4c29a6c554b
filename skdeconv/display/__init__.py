"""Plots of filters, maps and reconstructions, as scikit-learn's Display objects."""

from skdeconv.display._activations import ActivationsDisplay
from skdeconv.display._cascade import CascadeDisplay
from skdeconv.display._filters import FiltersDisplay
from skdeconv.display._hierarchy import HierarchyDisplay
from skdeconv.display._maps import MapsDisplay
from skdeconv.display._reconstruction import ReconstructionDisplay

__all__ = [
    "ActivationsDisplay",
    "CascadeDisplay",
    "FiltersDisplay",
    "HierarchyDisplay",
    "MapsDisplay",
    "ReconstructionDisplay",
]
