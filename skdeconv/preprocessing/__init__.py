"""Preprocessing of images and signals: local contrast normalisation, and layouts of signals."""

from skdeconv.preprocessing._normalizer import LocalContrastNormalizer
from skdeconv.preprocessing._signals import AsSignals, as_signals

__all__ = ["AsSignals", "LocalContrastNormalizer", "as_signals"]
