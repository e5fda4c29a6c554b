"""Plotting of mosaics of tiles and of stacked curves with matplotlib."""

from __future__ import annotations

import numpy as np

from skdeconv._utils.validation import check_integer

_TINY = np.finfo(float).tiny
# Colour of missing pixels, which is part neither of a grey scale nor of a map from blue to red.
_MISSING = (0.65, 0.78, 0.70, 1.0)
_EXTREMES = (np.fmax.reduce, np.fmin.reduce)
# Options of imshow that also apply to the overlay of missing pixels.
_PLACE = ("aspect", "extent", "origin", "zorder")


def subplots(width, height, **grid):
    """Axes of a new figure of ``width`` x ``height`` inches."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Displays need matplotlib: pip install 'skdeconv[plot]'.") from error
    return plt.subplots(figsize=(width, height), layout="constrained", **grid)[1]


def draw_mosaic(ax, tiles, n_columns, limits, names=(), gap="white", **imshow):
    """Plot tiles (n, height, width[, 3]) in rows of ``n_columns``, with names on one side.

    NaN marks a missing pixel, infinity a blank area.
    """
    (low, high), n = limits, len(tiles)
    if n_columns is None:
        n_columns = int(np.ceil(np.sqrt(n)))
    n_columns = min(check_integer("n_columns", n_columns, min_val=1), n)
    if tiles.ndim == 4:
        missing = np.isnan(tiles).any(axis=3, keepdims=True)
        colors = np.clip((tiles - low) / max(high - low, _TINY), 0, 1)
        mosaic = _mosaic(np.where(missing, _MISSING[:3], colors), n_columns, 1.0)
    else:
        mosaic = _mosaic(tiles, n_columns, np.nan)
        scale = {} if "norm" in imshow else {"vmin": low, "vmax": high}
        imshow = {"cmap": "gray"} | scale | imshow
    height, width = mosaic.shape[:2]
    # Large maps need a large figure, so that no coefficient is lost by downsampling.
    inches = np.clip(max(height, width) / 72, 9 if names else 5.6, 12) / max(height, width)
    if ax is None:
        ax = subplots(inches * width, inches * height + (0.7 if names else 0.4))
    ax.imshow(mosaic, **imshow)
    if tiles.ndim == 3 and np.isnan(tiles).any():
        shade = _mosaic(np.isnan(tiles), n_columns, False)[..., None] * np.array(_MISSING)
        place = {name: imshow[name] for name in _PLACE if name in imshow}
        ax.imshow(shade, interpolation="nearest", **place)
    ax.set(xticks=[], yticks=[], facecolor=gap)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    if names:
        along, size = (ax.set_xticks, width) if n <= n_columns else (ax.set_yticks, height)
        along((np.arange(len(names)) + 0.5) * size / len(names) - 0.5, names)
    return ax


def normalized_tiles(tiles):
    """Divide each tile (n, height, width, n_channels) by its largest known absolute value."""
    largest = np.fmax.reduce(np.abs(tiles), axis=(1, 2, 3), keepdims=True, initial=0)
    return tiles / np.where(largest > 0, largest, 1)


def as_pictures(tiles):
    """Convert tiles (n, height, width, n_channels) to colour or grey images.

    Three channels are colours; any other number of channels is averaged.
    """
    return tiles if tiles.shape[3] == 3 else tiles.mean(axis=3)


def _mosaic(tiles, n_columns, gap):
    """Arrange tiles (n, height, width, ...) in rows, separated by lines of ``gap``."""
    n, height, width, *color = tiles.shape
    line, n_rows = max(1, height // 40), -(-n // n_columns)
    margins = [(0, n_rows * n_columns - n), (0, line), (0, line)] + [(0, 0)] * len(color)
    tiles = np.pad(tiles, margins, constant_values=gap)
    tiles = tiles.reshape(n_rows, n_columns, height + line, width + line, *color).swapaxes(1, 2)
    mosaic = tiles.reshape(n_rows * (height + line), n_columns * (width + line), *color)
    return mosaic[:-line, :-line]


def as_curves(tiles):
    """Convert tiles (n, height, width, n_channels) of one row or one column to curves, or to None.

    Curves are of shape (n, length, n_channels). None stands for tiles of images.
    """
    n, height, width, n_channels = tiles.shape
    return tiles.reshape(n, -1, n_channels) if 1 in (height, width) else None


def draw_curves(ax, curves, names, stems=False, **kwargs):
    """Plot curves (n, length, n_channels) one below the other, on the same scale.

    With ``stems`` only non-zero values are plotted. NaN leaves a gap in a curve.
    """
    # The common range includes zero, so that curves do not overlap.
    highest, lowest = (reduce(curves, axis=None, initial=0) for reduce in _EXTREMES)
    step = 1.1 * max(highest - lowest, _TINY)
    if ax is None:
        ax = subplots(8.0, curves_height(len(curves)))
    for i, curve in enumerate(curves):
        ax.axhline(-i * step, color="0.85", linewidth=0.8, zorder=0)
        for c, values in enumerate(curve.T):
            style = {"color": f"C{c if curve.shape[1] > 1 else i}"} | _dots(values) | kwargs
            if stems:
                at = np.flatnonzero(values)
                ax.vlines(at, -i * step, values[at] - i * step, **style)
            else:
                ax.plot(values - i * step, **style)
    ax.set_yticks(-step * np.arange(len(curves)), names)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_xlim(-0.5, curves.shape[1] - 0.5)
    return ax


def _dots(values):
    """Style that marks values between two missing ones, which a line does not show."""
    known = np.pad(~np.isnan(values), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if known[1:-1].all() or not alone.any():
        return {}
    return {"marker": ".", "markevery": np.flatnonzero(alone).tolist()}


def curves_height(n_curves):
    """Height in inches of a figure of ``n_curves`` curves."""
    return 0.8 + 0.7 * min(n_curves, 14)
