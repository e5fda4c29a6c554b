"""Plot of the filters of all layers of a net."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

from numpy.typing import ArrayLike

from skdeconv.display._base import LayersDisplay, check_array, check_axes, check_estimator
from skdeconv.display._drawing import as_curves, curves_height, subplots
from skdeconv.display._filters import FILTERS_SHAPE, draw_filters
from skdeconv.filters import normalized


class HierarchyDisplay(LayersDisplay):
    """Filters of all layers of a net, projected to pixels: one mosaic per layer, side by side.

    Every filter is divided by its norm. The filters of a layer share one scale, in which mid-grey
    is zero. The tiles of all layers have about the same size, whatever the size of the filters.
    Filters with three channels are shown in colour, filters with another number of channels as one
    row of grey tiles per filter, and filters of signals as curves.

    Parameters
    ----------
    filters : sequence of array-like of shape (n_filters, h, w, n_channels)
        Projections of the filters of every layer, the lowest layer first, as returned by
        ``project_filters`` of a net.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_layers,)
        Axes of the layers, the lowest layer first.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.display import HierarchyDisplay
    >>> rng = np.random.default_rng(0)
    >>> filters = [rng.standard_normal((9, 7, 7, 1)), rng.standard_normal((45, 13, 13, 1))]
    >>> display = HierarchyDisplay(filters).plot()
    >>> [ax.get_title() for ax in display.axes_]
    ['layer 1: 9 filters', 'layer 2: 45 filters']
    """

    def __init__(self, filters: Sequence[ArrayLike]):
        self.filters = filters

    @classmethod
    def from_estimator(cls, estimator, *, axes=None, **kwargs) -> HierarchyDisplay:
        """Plot the filters of all layers of a fitted net.

        Parameters
        ----------
        estimator : HierarchicalDeconvNet
            A fitted net.
        axes : array-like of matplotlib Axes, default=None
            Axes to plot on, one per layer. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``plot``.

        Returns
        -------
        display : HierarchyDisplay
            Object that stores the plotted data.

        Raises
        ------
        TypeError
            If ``estimator`` is not a net.
        """
        check_estimator(estimator, "project_filters", "a net such as HierarchicalDeconvNet")
        layers = range(1, len(estimator.layers_) + 1)
        filters = [estimator.project_filters(layer) for layer in layers]
        return cls(filters).plot(axes=axes, **kwargs)

    def plot(self, axes=None, **kwargs) -> HierarchyDisplay:
        """Plot the filters of all layers.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Axes to plot on, one per layer. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : HierarchyDisplay
            Object that stores the plotted data, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no filters, the filters of a layer do not have four dimensions, or the
            numbers of axes and layers differ.
        """
        layers = [
            normalized(check_array(f"filters[{i}]", layer, FILTERS_SHAPE))
            for i, layer in enumerate(self.filters)
        ]
        if not layers:
            raise ValueError("filters must hold those of one layer or more, got none.")
        columns = [None] * len(layers)
        if axes is None:
            axes, columns = _new_axes(layers)
        axes = check_axes(axes, len(layers))
        for i, (ax, filters) in enumerate(zip(axes, layers, strict=True)):
            draw_filters(ax, filters, columns[i], **kwargs)
            ax.set_title(f"layer {i + 1}: {len(filters)} filters")
            ax.set_anchor("N")
        self.axes_ = axes
        return self


def _new_axes(layers):
    """Axes side by side in a new figure, and the number of columns of each mosaic."""
    n = len(layers)
    if as_curves(layers[0]) is not None:
        height = curves_height(max(len(filters) for filters in layers))
        return subplots(max(8.0, 4.0 * n), height, ncols=n, squeeze=False), [None] * n
    # All mosaics have the same number of rows, chosen so that the figure is about twice as wide as
    # high.
    n_rows = max(1, round(sqrt(sum(len(filters) for filters in layers) / 2)))
    columns, heights = [], []
    for n_filters, h, w, n_channels in (filters.shape for filters in layers):
        planes = n_channels not in (1, 3)
        columns.append(n_channels if planes else ceil(n_filters / n_rows))
        heights.append((n_filters if planes else ceil(n_filters / columns[-1])) * h / w)
    tile = min(0.8, 11 / sum(columns), 11 / max(heights))
    # Titles need a minimum width.
    widths = [max(tile * n_columns, 1.8) for n_columns in columns]
    size = sum(widths) + 0.2 * (n - 1), tile * max(heights) + 0.4
    return subplots(*size, ncols=n, width_ratios=widths, squeeze=False), columns
