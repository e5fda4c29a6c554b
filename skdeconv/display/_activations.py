"""Pictures of what the strongest activations draw, beside the images that cause them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdeconv.display._base import LayersDisplay, check_array, check_estimator
from skdeconv.display._drawing import (
    as_pictures,
    draw_curves,
    draw_mosaic,
    normalized_tiles,
    subplots,
)

_SHAPE = "n_filters, k, h, w, n_channels"


class ActivationsDisplay(LayersDisplay):
    """Strongest activations of the filters of a layer, drawn in pixels, beside the image there.

    Two mosaics of one layout: on the left what the activations draw, on the right the image at the
    same place. With more than one activation for each filter a filter has a block of tiles. Every
    tile has its own scale, symmetric about zero: mid-grey is zero. Those of signals are curves.
    Missing pixels of the image, NaN, are light green, and gaps of a curve.

    Parameters
    ----------
    projections, crops : array-like of shape (n_filters, k, h, w, n_channels)
        What each activation draws, and the image there, as ``top_activations`` of a net gives
        them.
    layer : int, default=None
        Layer of a net that they belong to, for the title.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (2,)
        Where they are drawn: projections, images.
    figure_ : matplotlib Figure
        The figure of ``axes_``.

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
        """Draw the strongest activations that a fitted net finds in images.

        Parameters
        ----------
        estimator : AdaptiveDeconvNet or HierarchicalDeconvNet
            A fitted net.
        X : array-like, DataFrame or list of images
            Images in any layout that the net takes.
        layer : int, default=None
            Which layer, 1 for the lowest; None for the top.
        k : int, default=1
            How many activations of each filter.
        axes : array-like of two matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : ActivationsDisplay
            The drawn display.

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
        """Draw the activations.

        Parameters
        ----------
        axes : array-like of two matplotlib Axes, default=None
            Where to draw; a new figure by default.
        n_columns : int, default=None
            Filters side by side; about as many as one below the other by default.
        **kwargs : dict
            Passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : ActivationsDisplay
            With ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the arrays are not of one shape of five dimensions, ``n_columns`` is below 1, or
            there are not two axes.
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
        n_filters, k, h, _, _ = pair[0].shape
        axes = subplots(11.0, 5.8, ncols=2) if axes is None else np.ravel(axes)
        if len(axes) != 2:
            raise ValueError(f"axes must hold two Axes, got {len(axes)}.")
        for ax, tiles in zip(axes, pair, strict=True):
            tiles = normalized_tiles(tiles.reshape(n_filters * k, *tiles.shape[2:]))
            if h == 1:
                names = np.repeat(np.arange(n_filters), k)
                draw_curves(ax, tiles[:, 0], names, **kwargs)
            else:
                draw_mosaic(ax, _blocks(as_pictures(tiles), k), n_columns, (-1, 1), **kwargs)
        which = "strongest activation" if k == 1 else f"{k} strongest activations"
        title = f"{which} of {n_filters} filters"
        axes[0].set_title(title if self.layer is None else f"layer {self.layer}: {title}")
        axes[1].set_title("signals" if h == 1 else "images")
        self.axes_ = np.asarray(axes)
        return self


def _blocks(tiles, k):
    """One picture for the k tiles (n * k, h, w[, 3]) of each filter, with white lines between."""
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
