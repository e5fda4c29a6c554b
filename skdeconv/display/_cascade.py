"""Plot of one feature and of its parts in the layers below."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from skdeconv.display._base import LayersDisplay, check_array, check_axes, check_estimator, one_of
from skdeconv.display._drawing import (
    as_curves,
    as_pictures,
    draw_curves,
    draw_mosaic,
    normalized_tiles,
    subplots,
)


class CascadeDisplay(LayersDisplay):
    """One activation of an adaptive net, and the features in the layers below that compose it.

    One mosaic per layer, from the highest to the lowest: a feature, its parts in the layer below,
    the parts of these, and so on. Each is projected to pixels and shown on the patch that it
    affects. Every tile has its own grey scale, in which mid-grey is zero. Tiles of signals are
    plotted as curves.

    Parameters
    ----------
    patches : sequence of array-like of shape (n_features, h, w, n_channels)
        Projections of the features of each layer, the highest layer first, as returned by
        ``cascade`` of a net.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_layers,)
        Axes of the layers, the highest layer first.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.display import CascadeDisplay
    >>> rng = np.random.default_rng(0)
    >>> patches = [rng.standard_normal((n, 20, 20, 1)) for n in (1, 5, 25)]
    >>> display = CascadeDisplay(patches).plot()
    >>> [ax.get_title() for ax in display.axes_]
    ['layer 3: 1 feature', 'layer 2: 5 features', 'layer 1: 25 features']
    """

    def __init__(self, patches: Sequence[ArrayLike]):
        self.patches = patches

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X: ArrayLike,
        *,
        index: int = 0,
        layer: int | None = None,
        k: int = 5,
        axes=None,
        **kwargs,
    ) -> CascadeDisplay:
        """Plot the strongest activation of a layer on one image, and its parts.

        Parameters
        ----------
        estimator : AdaptiveDeconvNet
            A fitted net.
        X : array-like, DataFrame or list of images
            Images in any layout that the net accepts.
        index : int, default=0
            Index of the image.
        layer : int, default=None
            Layer of the activation, 1 for the lowest; None for the top.
        k : int, default=5
            Number of parts per feature.
        axes : array-like of matplotlib Axes, default=None
            Axes to plot on, one per layer. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``plot``.

        Returns
        -------
        display : CascadeDisplay
            Object that stores the plotted data.

        Raises
        ------
        TypeError
            If ``estimator`` is not an adaptive net.
        """
        check_estimator(estimator, "cascade", "an AdaptiveDeconvNet")
        code = estimator.encode(one_of(X, index))
        return cls(estimator.cascade(code, layer, k)).plot(axes=axes, **kwargs)

    def plot(self, axes=None, **kwargs) -> CascadeDisplay:
        """Plot the features.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Axes to plot on, one per layer. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : CascadeDisplay
            Object that stores the plotted data, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no patches, the patches of a layer do not have four dimensions, or the
            numbers of axes and layers differ.
        """
        shape = "n_features, h, w, n_channels"
        layers = [check_array(f"patches[{i}]", one, shape) for i, one in enumerate(self.patches)]
        if not layers:
            raise ValueError("patches must hold the patches of one layer or more, got none.")
        n = len(layers)
        axes = subplots(3.4 * n, 3.7, ncols=n, squeeze=False) if axes is None else axes
        axes = check_axes(axes, n)
        for number, (ax, tiles) in enumerate(zip(axes, layers, strict=True)):
            tiles = normalized_tiles(tiles)
            curves = as_curves(tiles)
            if curves is not None:
                draw_curves(ax, curves, range(len(tiles)), **kwargs)
            else:
                draw_mosaic(ax, as_pictures(tiles), None, (-1, 1), **kwargs)
            word = "feature" if len(tiles) == 1 else "features"
            ax.set_title(f"layer {n - number}: {len(tiles)} {word}")
            ax.set_anchor("N")
        self.axes_ = axes
        return self
