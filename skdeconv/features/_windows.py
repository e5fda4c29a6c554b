"""Weights of every position in every window, along one axis of the maps."""

from __future__ import annotations

import numpy as np

# Standard deviations beyond which a Gaussian counts as zero: exp(-8) is 3e-4.
_REACH = 4.0


def cell_weights(size: int, n_cells: int, overlap: float) -> np.ndarray:
    """Fraction of every position that lies in each of equal cells.

    A position is the interval from its index to the next. If a cell boundary lies inside the
    interval, the position is split between both cells, so that without overlap the weights of every
    position sum to one.

    Parameters
    ----------
    size : int
        Number of positions along the axis.
    n_cells : int
        Number of cells.
    overlap : float
        Overlap of a cell with each of its neighbours, as a fraction of the cell.

    Returns
    -------
    weights : ndarray of shape (n_cells, size)
        Weights between 0 and 1.
    """
    first = (np.arange(n_cells) - overlap / 2) * size / n_cells
    last = (np.arange(n_cells) + 1 + overlap / 2) * size / n_cells
    begin = np.arange(size)
    inside = np.minimum(last[:, None], begin + 1) - np.maximum(first[:, None], begin)
    # Fractions below 1e-9 are rounding errors.
    return np.where(inside > 1e-9, np.minimum(inside, 1), 0)


def grid_weights(size: int, window: str, sigma: float, stride: float) -> np.ndarray:
    """Weights of windows on a regular grid that is centred on the axis.

    Parameters
    ----------
    size : int
        Number of positions along the axis.
    window : {"gaussian", "triangular"}
        Shape of the windows; the weight at the centre of a window is 1.
    sigma : float
        Standard deviation of the windows in positions.
    stride : float
        Distance between the centres of neighbouring windows in positions.

    Returns
    -------
    weights : ndarray of shape (n_windows, size)
        Weights between 0 and 1, for as many windows as have their centres on the axis.

    Raises
    ------
    ValueError
        If ``sigma`` is so small that a window contains no position.
    """
    n_windows = int((size - 1) // stride) + 1
    centres = (size - 1) / 2 + (np.arange(n_windows) - (n_windows - 1) / 2) * stride
    distance = np.abs(np.arange(size) - centres[:, None]) / sigma
    if window == "gaussian":
        weights = np.where(distance <= _REACH, np.exp(-(distance**2) / 2), 0)
    else:
        # The half width of a triangle is sqrt(6) times its standard deviation.
        weights = np.maximum(1 - distance / 6**0.5, 0)
    if not weights.any(axis=1).all():
        raise ValueError(
            f"sigma={sigma} is so small that some windows contain no position. Increase sigma."
        )
    return weights
