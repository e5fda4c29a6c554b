"""Pictures of filters, maps and reconstructions, by scikit-learn's Display convention."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skdeconv._images import check_images, full_shape
from skdeconv._validation import check_integer

__all__ = ["FiltersDisplay", "MapsDisplay", "ReconstructionDisplay"]

_TINY = np.finfo(float).tiny


class _Display:
    @property
    def figure_(self):
        return self.axes_.figure


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
        _check_layer(estimator)
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
        filters = _check_array("filters", self.filters, "n_filters, h, w, n_channels")
        n_filters, h, _, n_channels = filters.shape
        if h == 1:
            self.axes_ = ax = _draw_curves(ax, filters[:, 0], range(n_filters), **kwargs)
        else:
            tiles = filters
            if n_channels != 3:
                tiles = filters.transpose(0, 3, 1, 2).reshape(-1, *filters.shape[1:3])
                n_columns = n_columns if n_channels == 1 else n_channels
            limit = np.abs(tiles).max()
            self.axes_ = ax = _draw_mosaic(ax, tiles, n_columns, (-limit, limit), **kwargs)
        ax.set_title(f"{n_filters} filters")
        return self


class _ImageDisplay(_Display):
    @classmethod
    def from_estimator(cls, estimator, X: ArrayLike, *, index: int = 0, ax=None, **kwargs) -> Self:
        """Draw what a fitted layer makes of one image.

        Parameters
        ----------
        estimator : DeconvNetLayer
            A fitted layer.
        X : array-like, DataFrame or list of images
            Images in any layout that the layer takes.
        index : int, default=0
            Which of them.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        **kwargs : dict
            Passed to ``plot``.

        Returns
        -------
        display : object
            The drawn display.
        """
        _check_layer(estimator)
        n = len(X)
        start = check_integer("index", index, min_val=-n, max_val=n - 1) % n
        # Rows of a frame by position, whatever its index holds.
        one = getattr(X, "iloc", X)[start : start + 1]
        return cls._of(estimator, one).plot(ax=ax, **kwargs)


class MapsDisplay(_ImageDisplay):
    """The sparse maps of one image as a mosaic; those of a signal as stems.

    All maps share one scale, symmetric about zero: red is positive, blue negative. Few
    coefficients are large, so that the full colour is given to the upper quarter of those that
    are not zero; ``vmin`` and ``vmax`` change that.

    Parameters
    ----------
    maps : array-like of shape (map_height, map_width, n_filters)
        Maps of one image.

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
    def _of(cls, layer, one):
        return cls(layer.to_maps(layer.transform(one))[0])

    def plot(self, ax=None, *, n_columns: int | None = None, **kwargs) -> MapsDisplay:
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        n_columns : int, default=None
            Maps side by side; about as many as one below the other by default.
        **kwargs : dict
            Passed to ``imshow``, or to ``vlines`` for signals.

        Returns
        -------
        self : MapsDisplay
            With ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the maps are not of three dimensions, or ``n_columns`` is below 1.
        """
        maps = _check_array("maps", self.maps, "map_height, map_width, n_filters")
        n_filters = maps.shape[2]
        if maps.shape[0] == 1:
            self.axes_ = ax = _draw_curves(
                ax, maps[0].T[:, :, None], range(n_filters), stems=True, **kwargs
            )
        else:
            nonzero = np.abs(maps[maps != 0])
            limit = np.percentile(nonzero, 75) if nonzero.size else 1.0
            tiles, style = maps.transpose(2, 0, 1), {"cmap": "RdBu_r", "gap": "0.8"} | kwargs
            self.axes_ = ax = _draw_mosaic(ax, tiles, n_columns, (-limit, limit), **style)
        ax.set_title(f"{n_filters} maps, {100 * np.mean(maps != 0):.1f} % non-zero")
        return self


class ReconstructionDisplay(_ImageDisplay):
    """An image, its reconstruction and their difference, side by side.

    All three share one scale: from -m to m where the image has negative values, m being its
    largest modulus, otherwise from its smallest to its largest value. The difference is drawn
    about the middle of the scale. Images of three channels are in colour, those of another
    number are rows of grey planes, and signals curves, one below the other.

    Parameters
    ----------
    image, reconstruction : array-like of shape (length,), (height, width) or \
            (height, width, n_channels)
        The image and what the maps draw.
    score : float, default=None
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
    'R² = 0.990'
    """

    def __init__(self, image: ArrayLike, reconstruction: ArrayLike, score: float | None = None):
        self.image, self.reconstruction, self.score = image, reconstruction, score

    @classmethod
    def _of(cls, layer, one):
        image, _, shape = check_images(layer, one, reset=False)
        image = image[0].transpose(1, 2, 0).reshape(shape)
        drawn = layer.inverse_transform(layer.transform(one))[0]
        return cls(image, np.reshape(drawn, shape), layer.score(one))

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

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the image and the reconstruction are not of one shape, of one to three dimensions.
        """
        image, drawn = (np.asarray(a, dtype=float) for a in (self.image, self.reconstruction))
        if image.shape != drawn.shape or not 1 <= image.ndim <= 3:
            raise ValueError(
                "image and reconstruction must be of one shape, (length,), (height, width) or "
                f"(height, width, n_channels), got {image.shape} and {drawn.shape}."
            )
        names = ["image", "reconstruction", "difference"]
        n_channels = full_shape(image.shape)[2]
        image, drawn = (a.reshape(full_shape(image.shape)) for a in (image, drawn))
        if len(image) == 1:
            curves, names[0] = np.stack([image, drawn, image - drawn])[:, 0], "signal"
            self.axes_ = ax = _draw_curves(ax, curves, names, **kwargs)
        else:
            low, high, limit = image.min(), image.max(), np.abs(image).max()
            low, high = (-limit, limit) if low < 0 else (low, high)
            tiles = np.stack([image, drawn, (low + high) / 2 + image - drawn])
            if n_channels != 3:
                tiles = tiles.transpose(0, 3, 1, 2).reshape(-1, *image.shape[:2])
            columns = 3 if n_channels in (1, 3) else n_channels
            self.axes_ = ax = _draw_mosaic(ax, tiles, columns, (low, high), names, **kwargs)
        if self.score is not None:
            ax.set_title(f"R² = {self.score:.3f}")
        return self


def _check_layer(estimator):
    if not hasattr(estimator, "to_maps"):
        raise TypeError(
            f"estimator must be a layer such as DeconvNetLayer, got {type(estimator).__name__}. "
            "Of a pipeline pass the step: pipeline[-1]."
        )
    check_is_fitted(estimator, "filters_")


def _check_array(name, array, shape):
    array = np.asarray(array, dtype=float)
    if array.ndim != shape.count(",") + 1 or not array.size:
        raise ValueError(f"{name} must be of shape ({shape}), got {array.shape}.")
    return array


def _axes(ax, width, height):
    """The axes given, or those of a new figure of ``width`` and ``height`` inches."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Displays need matplotlib: pip install 'skdeconv[plot]'.") from error
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _draw_mosaic(ax, tiles, n_columns, limits, names=(), gap="white", **imshow):
    """Draw tiles (n, height, width[, 3]) in rows of ``n_columns``; names stand on one side."""
    (low, high), n = limits, len(tiles)
    if n_columns is None:
        n_columns = int(np.ceil(np.sqrt(n)))
    n_columns = min(check_integer("n_columns", n_columns, min_val=1), n)
    if tiles.ndim == 4:
        mosaic = _mosaic(np.clip((tiles - low) / max(high - low, _TINY), 0, 1), n_columns, 1.0)
    else:
        mosaic = _mosaic(tiles, n_columns, np.nan)
        scale = {} if "norm" in imshow else {"vmin": low, "vmax": high}
        imshow = {"cmap": "gray"} | scale | imshow
    height, width = mosaic.shape[:2]
    # Large maps get a large figure, so that no coefficient vanishes between two of its pixels.
    inches = np.clip(max(height, width) / 72, 9 if names else 5.6, 12) / max(height, width)
    ax = _axes(ax, inches * width, inches * height + (0.7 if names else 0.4))
    ax.imshow(mosaic, **imshow)
    ax.set(xticks=[], yticks=[], facecolor=gap)
    ax.tick_params(length=0, labeltop=True, labelbottom=False)
    ax.spines[:].set_visible(False)
    if names:
        along, size = (ax.set_xticks, width) if n <= n_columns else (ax.set_yticks, height)
        along((np.arange(len(names)) + 0.5) * size / len(names) - 0.5, names)
    return ax


def _mosaic(tiles, n_columns, gap):
    """Tiles (n, height, width, ...) in rows, with lines of ``gap`` between them."""
    n, height, width, *color = tiles.shape
    line, n_rows = max(1, height // 40), -(-n // n_columns)
    margins = [(0, n_rows * n_columns - n), (0, line), (0, line)] + [(0, 0)] * len(color)
    tiles = np.pad(tiles, margins, constant_values=gap)
    tiles = tiles.reshape(n_rows, n_columns, height + line, width + line, *color).swapaxes(1, 2)
    mosaic = tiles.reshape(n_rows * (height + line), n_columns * (width + line), *color)
    return mosaic[:-line, :-line]


def _draw_curves(ax, curves, names, stems=False, **kwargs):
    """Curves (n, length, n_channels) one below the other, on one scale.

    Of ``stems`` those of height zero are left out.
    """
    # The range of all holds zero, so that no curve reaches into the next.
    step = 1.1 * max(max(curves.max(), 0) - min(curves.min(), 0), _TINY)
    ax = _axes(ax, 8.0, 0.8 + 0.7 * min(len(curves), 14))
    for i, curve in enumerate(curves):
        ax.axhline(-i * step, color="0.85", linewidth=0.8, zorder=0)
        for c, values in enumerate(curve.T):
            style = {"color": f"C{c if curve.shape[1] > 1 else i}"} | kwargs
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
