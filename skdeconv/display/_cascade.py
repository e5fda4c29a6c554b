"""A picture of one feature, and of those in the layers below that it is made of."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from skdeconv.display._base import LayersDisplay, check_array, check_axes, check_estimator, one_of
from skdeconv.display._drawing import (
    as_pictures,
    draw_curves,
    draw_mosaic,
    normalized_tiles,
    subplots,
)


class CascadeDisplay(LayersDisplay):
    """One activation of an adaptive net, and the features that it drives in the layers below.

    A mosaic for each layer, from the highest down: one feature, its parts, and theirs, each drawn
    in pixels on the patch that it may reach. Every tile has its own scale, symmetric about zero:
    mid-grey is zero. Those of signals are curves.

    Parameters
    ----------
    patches : sequence of array-like of shape (n_features, h, w, n_channels)
        What the features of each layer draw, the highest layer first, as ``cascade`` of a net gives
        them.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_layers,)
        Where they are drawn, the highest layer first.
    figure_ : matplotlib Figure
        The figure of ``axes_``.

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
        """Draw what the strongest activation of one image drives.

        Parameters
        ----------
        estimator : AdaptiveDeconvNet
            A fitted net.
        X : array-like, DataFrame or list of images
            Images in any layout that the net takes.
        index : int, default=0
            Which of them.
        layer : int, default=None
            Layer of the activation, 1 for the lowest; None for the top.
        k : int, default=5
            Parts of each feature.
        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each layer; a new figure by default.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : CascadeDisplay
            The drawn display.

        Raises
        ------
        TypeError
            If ``estimator`` is not an adaptive net.
        """
        check_estimator(estimator, "cascade", "an AdaptiveDeconvNet")
        code = estimator.encode(one_of(X, index))
        return cls(estimator.cascade(code, layer, k)).plot(axes=axes, **kwargs)

    def plot(self, axes=None, **kwargs) -> CascadeDisplay:
        """Draw the features.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, default=None
            Where to draw, one for each layer; a new figure by default.
        **kwargs : dict
            Passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : CascadeDisplay
            With ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are no patches, those of a layer are not of four dimensions, or the number of
            axes is not that of the layers.
        """
        shape = "n_features, h, w, n_channels"
        layers = [check_array(f"patches[{i}]", one, shape) for i, one in enumerate(self.patches)]
        if not layers:
            raise ValueError("patches must hold those of one layer or more, got none.")
        n = len(layers)
        axes = subplots(3.4 * n, 3.7, ncols=n, squeeze=False) if axes is None else axes
        axes = check_axes(axes, n)
        for number, (ax, tiles) in enumerate(zip(axes, layers, strict=True)):
            tiles = normalized_tiles(tiles)
            if tiles.shape[1] == 1:
                draw_curves(ax, tiles[:, 0], range(len(tiles)), **kwargs)
            else:
                draw_mosaic(ax, as_pictures(tiles), None, (-1, 1), **kwargs)
            word = "feature" if len(tiles) == 1 else "features"
            ax.set_title(f"layer {n - number}: {len(tiles)} {word}")
            ax.set_anchor("N")
        self.axes_ = axes
        return self
