"""Preparing images: local contrast normalisation, as scikit-learn transformers."""

from skdeconv.preprocessing._normalizer import LocalContrastNormalizer

__all__ = ["LocalContrastNormalizer"]
