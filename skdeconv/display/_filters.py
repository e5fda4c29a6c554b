"""Plot of filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdeconv.display._base import Display, check_array, check_estimator
from skdeconv.display._drawing import as_curves, draw_curves, draw_mosaic
from skdeconv.filters import normalized

FILTERS_SHAPE = "n_filters, h, w, n_channels"


class FiltersDisplay(Display):
    """Mosaic of filters; filters of signals are plotted as curves.

    All filters share one scale, in which mid-grey is zero. Filters with three channels are shown in
    colour, filters with another number of channels as one row of grey tiles per filter.

    Parameters
    ----------
    filters : array-like of shape (n_filters, h, w, n_channels)
        The filters, such as ``filters_`` of a layer. They should have unit norm.
    layer : int, default=None
        Layer of the filters, shown in the title.

    Attributes
    ----------
    axes_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.display import FiltersDisplay
    >>> display = FiltersDisplay(np.random.default_rng(0).standard_normal((9, 7, 7, 1))).plot()
    >>> display.axes_.get_title()
    '9 filters'
    """

    def __init__(self, filters: ArrayLike, layer: int | None = None):
        self.filters, self.layer = filters, layer

    @classmethod
    def from_estimator(
        cls, estimator, *, layer: int | None = None, ax=None, **kwargs
    ) -> FiltersDisplay:
        """Plot the filters of a fitted layer, or those of a net projected to pixels.

        The filters of a net are those returned by its ``project_filters``, each divided by its
        norm.

        Parameters
        ----------
        estimator : DeconvNetLayer, HierarchicalDeconvNet, AdaptiveDeconvNet or OnePassEncoder
            A fitted layer, net or encoder.
        layer : int, default=None
            Layer of a net, 1 for the lowest; None for the top. Only the first layer of an
            adaptive net has filters that do not depend on an image.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``plot``.

        Returns
        -------
        display : FiltersDisplay
            Object that stores the plotted data.

        Raises
        ------
        TypeError
            If ``estimator`` is neither a layer nor a net.
        ValueError
            If ``layer`` is given for a single layer, or is above the first layer of an adaptive
            net.
        """
        if hasattr(estimator, "project_filters"):
            check_estimator(estimator, "project_filters")
            filters = normalized(np.asarray(estimator.project_filters(layer), dtype=float))
            layer = len(estimator.layers_) if layer is None else layer
            return cls(filters, layer).plot(ax=ax, **kwargs)
        # A OnePassEncoder has filters, but no to_maps.
        is_encoder = hasattr(estimator, "competition")
        check_estimator(estimator, "competition" if is_encoder else "to_maps")
        if isinstance(estimator.filters_, list):
            if layer not in (None, 1):
                raise ValueError(
                    "layer must be 1 for an adaptive net: the projections of filters of higher "
                    "layers depend on the switches of an image. Use ActivationsDisplay for them. "
                    f"Got {layer!r}."
                )
            return cls(estimator.filters_[0], 1).plot(ax=ax, **kwargs)
        if layer is not None:
            raise ValueError(
                f"layer must be None for a single {type(estimator).__name__}, got {layer!r}."
            )
        return cls(estimator.filters_).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, n_columns: int | None = None, **kwargs) -> FiltersDisplay:
        """Plot the filters.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        n_columns : int, default=None
            Number of filters per row. If None, rows and columns are about equally many.
        **kwargs : dict
            Keyword arguments passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : FiltersDisplay
            Object that stores the plotted data, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the filters do not have four dimensions, or ``n_columns`` is below 1.
        """
        filters = check_array("filters", self.filters, FILTERS_SHAPE)
        self.axes_ = ax = draw_filters(ax, filters, n_columns, **kwargs)
        title = f"{len(filters)} filters"
        ax.set_title(title if self.layer is None else f"{title} of layer {self.layer}")
        return self


def draw_filters(ax, filters, n_columns=None, **kwargs):
    """Plot filters (n_filters, h, w, n_channels), in a new figure if ``ax`` is None."""
    n_filters, h, w, n_channels = filters.shape
    curves = as_curves(filters)
    if curves is not None:
        return draw_curves(ax, curves, range(n_filters), **kwargs)
    limit = np.abs(filters).max()
    if n_channels != 3:
        filters = filters.transpose(0, 3, 1, 2).reshape(-1, h, w)
        n_columns = n_columns if n_channels == 1 else n_channels
    return draw_mosaic(ax, filters, n_columns, (-limit, limit), **kwargs)
