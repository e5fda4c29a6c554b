"""Pictures of filters, maps and reconstructions, by scikit-learn's Display convention."""

from skdeconv.display._filters import FiltersDisplay
from skdeconv.display._hierarchy import HierarchyDisplay
from skdeconv.display._maps import MapsDisplay
from skdeconv.display._reconstruction import ReconstructionDisplay

__all__ = ["FiltersDisplay", "HierarchyDisplay", "MapsDisplay", "ReconstructionDisplay"]
