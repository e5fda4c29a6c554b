"""Filters for given maps: statistics, updates, initialisation, connectivity."""

from skdeconv.filters._checks import (
    check_any_filters,
    check_connectivity,
    check_filter_size,
    check_filters,
)
from skdeconv.filters._connectivity import KINDS, make_connectivity
from skdeconv.filters._implicit import ImplicitStatistics
from skdeconv.filters._initialize import (
    normalized,
    random_filters,
    redraw,
    with_canonical_signs,
)
from skdeconv.filters._recenter import recenter
from skdeconv.filters._statistics import Statistics
from skdeconv.filters._through import descend_through
from skdeconv.filters._update import flattened, update_filters

__all__ = [
    "KINDS",
    "ImplicitStatistics",
    "Statistics",
    "check_any_filters",
    "check_connectivity",
    "check_filter_size",
    "check_filters",
    "descend_through",
    "flattened",
    "make_connectivity",
    "normalized",
    "random_filters",
    "recenter",
    "redraw",
    "update_filters",
    "with_canonical_signs",
]
