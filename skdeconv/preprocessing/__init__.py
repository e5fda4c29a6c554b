"""Preprocessing of images: local contrast normalisation."""

from skdeconv.preprocessing._normalizer import LocalContrastNormalizer

__all__ = ["LocalContrastNormalizer"]
