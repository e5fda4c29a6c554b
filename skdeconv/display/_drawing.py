"""Mosaics of tiles and curves one below the other, on matplotlib axes."""

from __future__ import annotations

import numpy as np

from skdeconv._validation import check_integer

_TINY = np.finfo(float).tiny
# Of missing pixels: a tint that no grey has, and that is no step of a map from blue to red.
_MISSING = (0.65, 0.78, 0.70, 1.0)
_EXTREMES = (np.fmax.reduce, np.fmin.reduce)
# What of the options of a picture also holds for that of its missing pixels.
_PLACE = ("aspect", "extent", "origin", "zorder")


def subplots(width, height, **grid):
    """Axes of a new figure of ``width`` and ``height`` inches."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Displays need matplotlib: pip install 'skdeconv[plot]'.") from error
    return plt.subplots(figsize=(width, height), layout="constrained", **grid)[1]


def draw_mosaic(ax, tiles, n_columns, limits, names=(), gap="white", **imshow):
    """Draw tiles (n, height, width[, 3]) in rows of ``n_columns``; names stand on one side.

    NaN marks a missing pixel, infinity a part that is left blank.
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
    # Large maps get a large figure, so that no coefficient vanishes between two of its pixels.
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
    """Tiles (n, height, width, n_channels), each divided by its largest known modulus."""
    largest = np.fmax.reduce(np.abs(tiles), axis=(1, 2, 3), keepdims=True, initial=0)
    return tiles / np.where(largest > 0, largest, 1)


def as_pictures(tiles):
    """Tiles (n, height, width, n_channels) as a mosaic takes them.

    Three channels are colours; of any other number the mean is drawn.
    """
    return tiles if tiles.shape[3] == 3 else tiles.mean(axis=3)


def _mosaic(tiles, n_columns, gap):
    """Tiles (n, height, width, ...) in rows, with lines of ``gap`` between them."""
    n, height, width, *color = tiles.shape
    line, n_rows = max(1, height // 40), -(-n // n_columns)
    margins = [(0, n_rows * n_columns - n), (0, line), (0, line)] + [(0, 0)] * len(color)
    tiles = np.pad(tiles, margins, constant_values=gap)
    tiles = tiles.reshape(n_rows, n_columns, height + line, width + line, *color).swapaxes(1, 2)
    mosaic = tiles.reshape(n_rows * (height + line), n_columns * (width + line), *color)
    return mosaic[:-line, :-line]


def draw_curves(ax, curves, names, stems=False, **kwargs):
    """Curves (n, length, n_channels) one below the other, on one scale.

    Of ``stems`` those of height zero are left out. Where values are NaN a curve has a gap.
    """
    # The range of all holds zero, so that no curve reaches into the next.
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
    """Style that shows values between two missing ones, which no line reaches."""
    known = np.pad(~np.isnan(values), 1)
    alone = known[1:-1] & ~known[:-2] & ~known[2:]
    if known[1:-1].all() or not alone.any():
        return {}
    return {"marker": ".", "markevery": np.flatnonzero(alone).tolist()}


def curves_height(n_curves):
    """Inches for a figure of that many curves."""
    return 0.8 + 0.7 * min(n_curves, 14)
