"""Filters for given maps: statistics, updates, initialisation."""

from skdeconv.learning._initialize import normalized, random_filters, redraw
from skdeconv.learning._kept_maps import KeptMaps
from skdeconv.learning._recenter import recenter
from skdeconv.learning._statistics import Statistics
from skdeconv.learning._update import flattened, update_filters

__all__ = [
    "KeptMaps",
    "Statistics",
    "flattened",
    "normalized",
    "random_filters",
    "recenter",
    "redraw",
    "update_filters",
]
