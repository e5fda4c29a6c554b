"""Windows over maps: how much every position counts in every window, one axis at a time."""

from __future__ import annotations

import numpy as np

# Standard deviations beyond which a Gaussian counts as zero: exp(-8) is 3e-4.
_REACH = 4.0


def cell_weights(size: int, n_cells: int, overlap: float) -> np.ndarray:
    """Share of every position that lies in each of equal cells.

    A position is the interval from its index to the next. A cell boundary that falls inside of it
    shares it between two cells, so that without overlap the cells add up to the whole.

    Parameters
    ----------
    size : int
        Positions along the axis.
    n_cells : int
        Cells that they are cut into.
    overlap : float
        What a cell has in common with each of its neighbours, as a share of the cell.

    Returns
    -------
    weights : ndarray of shape (n_cells, size)
        From 0 to 1.
    """
    first = (np.arange(n_cells) - overlap / 2) * size / n_cells
    last = (np.arange(n_cells) + 1 + overlap / 2) * size / n_cells
    begin = np.arange(size)
    inside = np.minimum(last[:, None], begin + 1) - np.maximum(first[:, None], begin)
    # What rounding adds to a cell is no share of a position.
    return np.where(inside > 1e-9, np.minimum(inside, 1), 0)


def grid_weights(size: int, window: str, sigma: float, stride: float) -> np.ndarray:
    """Weights of windows on a regular grid, in the middle of the axis.

    Parameters
    ----------
    size : int
        Positions along the axis.
    window : {"gaussian", "triangular"}
        Shape of the windows, which are 1 at their centres.
    sigma : float
        Their standard deviation in positions.
    stride : float
        Positions from one centre to the next.

    Returns
    -------
    weights : ndarray of shape (n_windows, size)
        From 0 to 1; there are as many windows as centres fit on the axis.

    Raises
    ------
    ValueError
        If the windows are so narrow that some fall between the positions.
    """
    n_windows = int((size - 1) // stride) + 1
    centres = (size - 1) / 2 + (np.arange(n_windows) - (n_windows - 1) / 2) * stride
    distance = np.abs(np.arange(size) - centres[:, None]) / sigma
    if window == "gaussian":
        weights = np.where(distance <= _REACH, np.exp(-(distance**2) / 2), 0)
    else:
        # A triangle's half width is sqrt(6) of its standard deviations.
        weights = np.maximum(1 - distance / 6**0.5, 0)
    if not weights.any(axis=1).all():
        raise ValueError(f"sigma={sigma} is so small that windows fall between the positions.")
    return weights
