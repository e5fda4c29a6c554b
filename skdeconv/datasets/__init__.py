"""Folders of images, photos that scikit-learn ships, and images made of known filters and maps."""

from skdeconv.datasets._folder import ImageFolder
from skdeconv.datasets._samples import load_sample_photos, make_sparse_images

__all__ = ["ImageFolder", "load_sample_photos", "make_sparse_images"]
