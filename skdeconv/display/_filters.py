"""Pictures of filters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdeconv.display._base import Display, check_array, check_estimator
from skdeconv.display._drawing import draw_curves, draw_mosaic
from skdeconv.learning import normalized

FILTERS_SHAPE = "n_filters, h, w, n_channels"


class FiltersDisplay(Display):
    """Filters as a mosaic of small pictures; those of signals as curves.

    All share one scale, symmetric about zero: mid-grey is zero. Filters of three channels are
    drawn in colour, those of another number as one row of grey planes for each filter.

    Parameters
    ----------
    filters : array-like of shape (n_filters, h, w, n_channels)
        The filters, such as ``filters_`` of a layer. They should have unit norm.
    layer : int, default=None
        Layer of a net that they belong to, for the title.

    Attributes
    ----------
    axes_ : matplotlib Axes
        Where they are drawn.
    figure_ : matplotlib Figure
        The figure of ``axes_``.

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
        """Draw the filters of a fitted layer, or what those of a net draw in the image.

        Filters of a net are those that its ``project_filters`` gives, each divided by its norm.

        Parameters
        ----------
        estimator : DeconvNetLayer, HierarchicalDeconvNet, AdaptiveDeconvNet or OnePassEncoder
            A fitted layer, net or encoder.
        layer : int, default=None
            Layer of a net, 1 for the lowest; the top one by default. Of an adaptive net only the
            first layer can be drawn without an image.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : FiltersDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If ``estimator`` is neither a layer nor a net.
        ValueError
            If ``layer`` is given although ``estimator`` is a single layer, or is above the first of
            an adaptive net.
        """
        if hasattr(estimator, "project_filters"):
            check_estimator(estimator, "project_filters")
            filters = normalized(np.asarray(estimator.project_filters(layer), dtype=float))
            layer = len(estimator.layers_) if layer is None else layer
            return cls(filters, layer).plot(ax=ax, **kwargs)
        # A OnePassEncoder has filters too, and no maps that draw images.
        is_encoder = hasattr(estimator, "competition")
        check_estimator(estimator, "competition" if is_encoder else "to_maps")
        if isinstance(estimator.filters_, list):
            if layer not in (None, 1):
                raise ValueError(
                    "layer must be 1 for an adaptive net: filters above the first draw what the "
                    f"switches of an image make of them; see ActivationsDisplay. Got {layer!r}."
                )
            return cls(estimator.filters_[0], 1).plot(ax=ax, **kwargs)
        if layer is not None:
            raise ValueError(
                f"layer must be None for a single {type(estimator).__name__}, got {layer!r}."
            )
        return cls(estimator.filters_).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, n_columns: int | None = None, **kwargs) -> FiltersDisplay:
        """Draw the filters.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        n_columns : int, default=None
            Filters side by side; about as many as one below the other by default.
        **kwargs : dict
            Passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : FiltersDisplay
            With ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the filters are not of four dimensions, or ``n_columns`` is below 1.
        """
        filters = check_array("filters", self.filters, FILTERS_SHAPE)
        self.axes_ = ax = draw_filters(ax, filters, n_columns, **kwargs)
        title = f"{len(filters)} filters"
        ax.set_title(title if self.layer is None else f"{title} of layer {self.layer}")
        return self


def draw_filters(ax, filters, n_columns=None, **kwargs):
    """Draw filters (n_filters, h, w, n_channels), in a new figure without ``ax``."""
    n_filters, h, w, n_channels = filters.shape
    if h == 1:
        return draw_curves(ax, filters[:, 0], range(n_filters), **kwargs)
    limit = np.abs(filters).max()
    if n_channels != 3:
        filters = filters.transpose(0, 3, 1, 2).reshape(-1, h, w)
        n_columns = n_columns if n_channels == 1 else n_channels
    return draw_mosaic(ax, filters, n_columns, (-limit, limit), **kwargs)
