"""Filters for given maps: statistics, updates, initialisation."""

from skdeconv.learning._initialize import (
    normalized,
    random_filters,
    redraw,
    with_canonical_signs,
)
from skdeconv.learning._kept_maps import KeptMaps
from skdeconv.learning._recenter import recenter
from skdeconv.learning._statistics import Statistics
from skdeconv.learning._through import descend_through
from skdeconv.learning._update import flattened, update_filters

__all__ = [
    "KeptMaps",
    "Statistics",
    "descend_through",
    "flattened",
    "normalized",
    "random_filters",
    "recenter",
    "redraw",
    "update_filters",
    "with_canonical_signs",
]
