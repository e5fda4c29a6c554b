"""Preprocessing: contrast and size of images, and layouts of signals."""

from skdeconv.preprocessing._normalizer import LocalContrastNormalizer
from skdeconv.preprocessing._resizer import Resizer
from skdeconv.preprocessing._signals import AsSignals, as_signals

__all__ = ["AsSignals", "LocalContrastNormalizer", "Resizer", "as_signals"]
