"""Plot of sparse maps."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdeconv.display._base import ImageDisplay, check_array
from skdeconv.display._drawing import as_curves, draw_curves, draw_mosaic


class MapsDisplay(ImageDisplay):
    """Mosaic of the sparse maps of one image; maps of a signal are plotted as stems.

    All maps share one scale: red is positive, blue is negative. Since few coefficients are large,
    the scale saturates at the 75th percentile of the absolute non-zero coefficients. Use ``vmin``
    and ``vmax`` to change that.

    Parameters
    ----------
    maps : array-like of shape (map_height, map_width, n_filters)
        Maps of one image.

    Attributes
    ----------
    axes_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.display import MapsDisplay
    >>> display = MapsDisplay(np.eye(12)[:, :, None] * [1.0, -1.0]).plot()
    >>> display.axes_.get_title()
    '2 maps, 8.3 % non-zero'
    """

    def __init__(self, maps: ArrayLike):
        self.maps = maps

    @classmethod
    def _of(cls, estimator, one):
        return cls(estimator.to_maps(estimator.transform(one))[0])

    def plot(self, ax=None, *, n_columns: int | None = None, **kwargs) -> MapsDisplay:
        """Plot the maps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        n_columns : int, default=None
            Number of maps per row. If None, rows and columns are about equally many.
        **kwargs : dict
            Keyword arguments passed to ``imshow``, or to ``vlines`` for signals.

        Returns
        -------
        self : MapsDisplay
            Object that stores the plotted data, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the maps do not have three dimensions, or ``n_columns`` is below 1.
        """
        maps = check_array("maps", self.maps, "map_height, map_width, n_filters")
        n_filters = maps.shape[2]
        tiles = maps.transpose(2, 0, 1)
        curves = as_curves(tiles[..., None])
        if curves is not None:
            self.axes_ = ax = draw_curves(ax, curves, range(n_filters), stems=True, **kwargs)
        else:
            nonzero = np.abs(maps[maps != 0])
            limit = np.percentile(nonzero, 75) if nonzero.size else 1.0
            style = {"cmap": "RdBu_r", "gap": "0.8"} | kwargs
            self.axes_ = ax = draw_mosaic(ax, tiles, n_columns, (-limit, limit), **style)
        ax.set_title(f"{n_filters} maps, {100 * np.mean(maps != 0):.1f} % non-zero")
        return self
