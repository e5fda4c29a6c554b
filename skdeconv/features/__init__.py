"""Features for classifiers: rows of fixed length from maps, and a kernel."""

from skdeconv.features._bag import BagOfFeatures
from skdeconv.features._batch_transformer import BatchTransformer
from skdeconv.features._kernel import histogram_intersection
from skdeconv.features._multiscale import Multiscale
from skdeconv.features._pixels import PixelFeatures
from skdeconv.features._pyramid import SpatialPyramid

__all__ = [
    "BagOfFeatures",
    "BatchTransformer",
    "Multiscale",
    "PixelFeatures",
    "SpatialPyramid",
    "histogram_intersection",
]
