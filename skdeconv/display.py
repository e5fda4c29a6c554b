"""Pictures of filters, maps and reconstructions, by scikit-learn's Display convention."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skdeconv._images import check_images, full_shape

__all__ = ["FiltersDisplay", "MapsDisplay", "ReconstructionDisplay"]


class _Display:
    """Takes the axes that a picture is drawn on, and remembers them."""

    def _axes(self, ax):
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError("Displays need matplotlib: pip install 'skdeconv[plot]'.") from error
        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.axes_, self.figure_ = ax, ax.figure
        return ax

    def _draw_mosaic(self, ax, tiles, n_columns, symmetric=True, **imshow):
        """Draw tiles (n, height, width[, 3]) side by side, each on its own scale if asked."""
        ax.set_axis_off()
        limit = max(float(np.abs(tiles).max(initial=0)), np.finfo(float).tiny)
        if tiles.ndim == 4:
            ax.imshow(_mosaic(0.5 + tiles / (2 * limit), n_columns, 1.0), **imshow)
            return
        scale = {"vmin": -limit, "vmax": limit} if symmetric else {}
        ax.imshow(_mosaic(tiles, n_columns, np.nan), **{"cmap": "gray", **scale, **imshow})


class FiltersDisplay(_Display):
    """Filters as a mosaic of small pictures; those of signals as curves.

    Every filter has unit norm, so that all share one scale, symmetric about zero: mid-grey is
    zero. Filters of three channels are drawn in colour, those of another number as one row of
    grey planes for each filter.

    Parameters
    ----------
    filters : array-like of shape (n_filters, h, w, n_channels)
        The filters, such as ``filters_`` of a layer.

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

    def __init__(self, filters: ArrayLike):
        self.filters = filters

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, **kwargs) -> FiltersDisplay:
        """Draw the filters of a fitted layer.

        Parameters
        ----------
        estimator : DeconvNetLayer
            A fitted layer.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : FiltersDisplay
            The drawn display.
        """
        check_is_fitted(estimator, "filters_")
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
        """
        filters = _check_stack("filters", self.filters)
        ax = self._axes(ax)
        n_filters, h, _, n_channels = filters.shape
        ax.set_title(f"{n_filters} filters")
        if h == 1:
            _draw_curves(ax, filters[:, 0, :, 0] if n_channels == 1 else filters[:, 0], **kwargs)
        elif n_channels in (1, 3):
            tiles = filters[..., 0] if n_channels == 1 else filters
            self._draw_mosaic(ax, tiles, n_columns or _columns(n_filters), **kwargs)
        else:
            planes = filters.transpose(0, 3, 1, 2).reshape(-1, *filters.shape[1:3])
            self._draw_mosaic(ax, planes, n_channels, **kwargs)
        return self


class MapsDisplay(_Display):
    """The sparse maps of one image as a mosaic; those of a signal as stems.

    Parameters
    ----------
    maps : array-like of shape (map_height, map_width, n_filters)
        Maps of one image, on one scale that is symmetric about zero: red is positive, blue
        negative.

    Attributes
    ----------
    axes_ : matplotlib Axes
        Where they are drawn.
    figure_ : matplotlib Figure
        The figure of ``axes_``.

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
    def from_estimator(cls, estimator, X, *, index: int = 0, ax=None, **kwargs) -> MapsDisplay:
        """Draw the maps that a fitted layer infers for one image.

        Parameters
        ----------
        estimator : DeconvNetLayer
            A fitted layer.
        X : array-like or list of images
            Images in any layout that the layer takes.
        index : int, default=0
            Which of them.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : MapsDisplay
            The drawn display.
        """
        check_is_fitted(estimator, "filters_")
        codes = estimator.transform(X[index : index + 1])
        return cls(estimator.to_maps(codes)[0]).plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, n_columns: int | None = None, **kwargs) -> MapsDisplay:
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        n_columns : int, default=None
            Maps side by side; about as many as one below the other by default.
        **kwargs : dict
            Passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : MapsDisplay
            With ``axes_`` and ``figure_`` set.
        """
        maps = np.asarray(self.maps, dtype=float)
        if maps.ndim != 3:
            raise ValueError(
                f"maps must be of shape (map_height, map_width, n_filters), got {maps.shape}."
            )
        ax = self._axes(ax)
        n_filters = maps.shape[2]
        ax.set_title(f"{n_filters} maps, {100 * np.mean(maps != 0):.1f} % non-zero")
        if maps.shape[0] == 1:
            _draw_curves(ax, maps[0].T, **kwargs)
        else:
            tiles = maps.transpose(2, 0, 1)
            columns = n_columns or _columns(n_filters)
            self._draw_mosaic(ax, tiles, columns, **{"cmap": "RdBu_r", **kwargs})
        return self


class ReconstructionDisplay(_Display):
    """An image, its reconstruction and their difference, side by side.

    Parameters
    ----------
    image, reconstruction : array-like of shape (L,), (H, W) or (H, W, 3)
        The image and what the maps draw. All three pictures share the image's scale; the
        difference is drawn about its middle.
    score : float
        Share of the variance explained, for the title.

    Attributes
    ----------
    axes_ : matplotlib Axes
        Where they are drawn.
    figure_ : matplotlib Figure
        The figure of ``axes_``.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.display import ReconstructionDisplay
    >>> display = ReconstructionDisplay(np.eye(8), 0.9 * np.eye(8), 0.99).plot()
    >>> display.axes_.get_title()
    'image, reconstruction (R² = 0.990), difference'
    """

    def __init__(self, image: ArrayLike, reconstruction: ArrayLike, score: float):
        self.image, self.reconstruction, self.score = image, reconstruction, score

    @classmethod
    def from_estimator(
        cls, estimator, X, *, index: int = 0, ax=None, **kwargs
    ) -> ReconstructionDisplay:
        """Draw one image and what a fitted layer makes of it.

        Parameters
        ----------
        estimator : DeconvNetLayer
            A fitted layer.
        X : array-like or list of images
            Images in any layout that the layer takes.
        index : int, default=0
            Which of them.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : ReconstructionDisplay
            The drawn display.
        """
        check_is_fitted(estimator, "filters_")
        one = X[index : index + 1]
        image, _, shape = check_images(estimator, one, reset=False)
        drawn, _, _ = check_images(
            estimator, estimator.inverse_transform(estimator.transform(one)), reset=False
        )
        height, width, n_channels = full_shape(shape)
        size = (width,) if height == 1 else (height, width)
        size = (*size, n_channels) if n_channels > 1 else size
        pair = (stack[0].transpose(1, 2, 0).reshape(size) for stack in (image, drawn))
        return cls(*pair, estimator.score(one)).plot(ax=ax, **kwargs)

    def plot(self, ax=None, **kwargs) -> ReconstructionDisplay:
        """Draw the three pictures on one axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : ReconstructionDisplay
            With ``axes_`` and ``figure_`` set.
        """
        image, drawn = (np.asarray(a, dtype=float) for a in (self.image, self.reconstruction))
        if image.shape != drawn.shape:
            raise ValueError(
                f"image and reconstruction must be of one shape, got {image.shape} and "
                f"{drawn.shape}."
            )
        ax = self._axes(ax)
        ax.set_title(f"image, reconstruction (R² = {self.score:.3f}), difference")
        if image.ndim == 1 or (image.ndim == 2 and image.shape[1] == 1):
            _draw_curves(ax, np.stack([image.ravel(), drawn.ravel(), (image - drawn).ravel()]))
            return self
        low, high = image.min(), image.max()
        middle = (low + high) / 2
        tiles = np.stack([image, drawn, middle + image - drawn])
        if tiles.ndim == 4:
            tiles = np.clip((tiles - low) / max(high - low, np.finfo(float).tiny), 0, 1) - 0.5
            self._draw_mosaic(ax, tiles * 2, 3, **kwargs)
        else:
            self._draw_mosaic(ax, tiles, 3, symmetric=False, vmin=low, vmax=high, **kwargs)
        return self


def _check_stack(name, array):
    array = np.asarray(array, dtype=float)
    if array.ndim != 4:
        raise ValueError(f"{name} must be of shape (n, height, width, n_channels), got {array.shape}.")
    return array


def _columns(n):
    return int(np.ceil(np.sqrt(n)))


def _mosaic(tiles, n_columns, gap):
    """Tiles (n, height, width, ...) in rows, with lines of ``gap`` between them."""
    n, height, width = tiles.shape[:3]
    n_rows = -(-n // n_columns)
    line = max(1, height // 40)
    shape = n_rows * (height + line) - line, n_columns * (width + line) - line, *tiles.shape[3:]
    mosaic = np.full(shape, gap)
    for i, tile in enumerate(tiles):
        top, left = i // n_columns * (height + line), i % n_columns * (width + line)
        mosaic[top : top + height, left : left + width] = tile
    return mosaic


def _draw_curves(ax, curves, **kwargs):
    """Curves (n, length[, n_channels]) one below the other, on one scale."""
    step = 1.1 * max(float(np.ptp(curves)), np.finfo(float).tiny)
    for i, curve in enumerate(curves):
        ax.axhline(-i * step, color="0.85", linewidth=0.8)
        ax.plot(curve - i * step, **kwargs)
    ax.set_yticks([])
