"""What the learning of one layer leads to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LearnedLayer:
    """What the passes over the images have led to.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, h, w, n_channels)
        The filters.
    cost : ndarray of shape (n_passes,)
        Mean cost per image of each pass.
    n_updates : int
        Number of updates of the filters.
    """

    filters: np.ndarray
    cost: np.ndarray
    n_updates: int
