"""Plots of the projections of the strongest activations, beside the images that cause them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdeconv.display._base import LayersDisplay, check_array, check_estimator
from skdeconv.display._drawing import (
    as_curves,
    as_pictures,
    draw_curves,
    draw_mosaic,
    normalized_tiles,
    subplots,
)

_SHAPE = "n_filters, k, h, w, n_channels"


class ActivationsDisplay(LayersDisplay):
    """Projections of the strongest activations of a layer, beside crops of the images.

    Two mosaics of the same layout: the left one shows the projections of the activations to pixels,
    the right one the crops of the images at the same positions. If a filter has more than one
    activation, they form a block of tiles. Every tile has its own grey scale, in which mid-grey is
    zero. Tiles of signals are plotted as curves. Missing pixels (NaN) of the image are shown in
    light green, or as gaps in a curve.

    Parameters
    ----------
    projections, crops : array-like of shape (n_filters, k, h, w, n_channels)
        Projections of the activations, and crops of the images at their positions, as returned by
        ``top_activations`` of a net.
    layer : int, default=None
        Layer of the activations, shown in the title.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2,)
        Axes of the projections and of the images.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.display import ActivationsDisplay
    >>> rng = np.random.default_rng(0)
    >>> projections, crops = rng.standard_normal((2, 12, 4, 9, 9, 1))
    >>> display = ActivationsDisplay(projections, crops, layer=2).plot()
    >>> [ax.get_title() for ax in display.axes_]
    ['layer 2: 4 strongest activations of 12 filters', 'images']
    """

    def __init__(self, projections: ArrayLike, crops: ArrayLike, layer: int | None = None):
        self.projections, self.crops, self.layer = projections, crops, layer

    @classmethod
    def from_estimator(
        cls, estimator, X: ArrayLike, *, layer: int | None = None, k: int = 1, axes=None, **kwargs
    ) -> ActivationsDisplay:
        """Plot the strongest activations of a fitted net on images.

        Parameters
        ----------
        estimator : AdaptiveDeconvNet or HierarchicalDeconvNet
            A fitted net.
        X : array-like, DataFrame or list of images
            Images in any layout that the net accepts.
        layer : int, default=None
            The layer, 1 for the lowest; None for the top.
        k : int, default=1
            Number of activations per filter.
        axes : array-like of two matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``plot``.

        Returns
        -------
        display : ActivationsDisplay
            Object that stores the plotted data.

        Raises
        ------
        TypeError
            If ``estimator`` is not a net.
        """
        check_estimator(estimator, "top_activations", "a net such as AdaptiveDeconvNet")
        found = estimator.top_activations(X, layer, k)
        if layer is None:
            layer = len(getattr(estimator, "layers_", None) or estimator.filters_)
        return cls(found.projections, found.crops, layer).plot(axes=axes, **kwargs)

    def plot(self, axes=None, *, n_columns: int | None = None, **kwargs) -> ActivationsDisplay:
        """Plot the activations.

        Parameters
        ----------
        axes : array-like of two matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        n_columns : int, default=None
            Number of filters per row. If None, rows and columns are about equally many.
        **kwargs : dict
            Keyword arguments passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : ActivationsDisplay
            Object that stores the plotted data, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the arrays do not have the same five-dimensional shape, ``n_columns`` is below 1, or
            the number of axes is not two.
        """
        pair = (
            check_array("projections", self.projections, _SHAPE),
            check_array("crops", self.crops, _SHAPE),
        )
        if pair[0].shape != pair[1].shape:
            raise ValueError(
                f"projections and crops must be of one shape, got {pair[0].shape} and "
                f"{pair[1].shape}."
            )
        n_filters, k = pair[0].shape[:2]
        axes = subplots(11.0, 5.8, ncols=2) if axes is None else np.ravel(axes)
        if len(axes) != 2:
            raise ValueError(f"axes must hold two Axes, got {len(axes)}.")
        for ax, tiles in zip(axes, pair, strict=True):
            tiles = normalized_tiles(tiles.reshape(n_filters * k, *tiles.shape[2:]))
            curves = as_curves(tiles)
            if curves is not None:
                names = np.repeat(np.arange(n_filters), k)
                draw_curves(ax, curves, names, **kwargs)
            else:
                draw_mosaic(ax, _blocks(as_pictures(tiles), k), n_columns, (-1, 1), **kwargs)
        which = "strongest activation" if k == 1 else f"{k} strongest activations"
        title = f"{which} of {n_filters} filters"
        axes[0].set_title(title if self.layer is None else f"layer {self.layer}: {title}")
        axes[1].set_title("images" if curves is None else "signals")
        self.axes_ = np.asarray(axes)
        return self


def _blocks(tiles, k):
    """Join the k tiles (n * k, h, w[, 3]) of each filter into one, separated by white lines."""
    if k == 1:
        return tiles
    (h, w), color, columns = tiles.shape[1:3], tiles.shape[3:], int(np.ceil(np.sqrt(k)))
    rows = -(-k // columns)
    white = 1.0 if color else np.inf
    blocks = np.full((len(tiles) // k, rows, columns, h + 1, w + 1, *color), white)
    cells = blocks.reshape(-1, rows * columns, h + 1, w + 1, *color)
    cells[:, :k, :h, :w] = tiles.reshape(-1, k, h, w, *color)
    blocks = blocks.swapaxes(2, 3).reshape(-1, rows * (h + 1), columns * (w + 1), *color)
    return blocks[:, :-1, :-1]
