"""Folders of images, sample photos, and synthetic images with known filters and maps."""

from skdeconv.datasets._folder import ImageFolder
from skdeconv.datasets._samples import load_sample_photos, make_sparse_images

__all__ = ["ImageFolder", "load_sample_photos", "make_sparse_images"]
