"""Base classes of the displays, and validation of their arguments."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.validation import check_integer
from skdeconv.layouts import is_image_list, unpacked


class Display:
    """Base class of displays with a single axes."""

    @property
    def figure_(self):
        """The figure of ``axes_``."""
        return self.axes_.figure


class LayersDisplay:
    """Base class of displays with several axes."""

    @property
    def figure_(self):
        """The figure of ``axes_``."""
        return self.axes_[0].figure


class ImageDisplay(Display):
    """Base class of displays of one image; ``_of`` computes them from a stack of one image."""

    @classmethod
    def from_estimator(cls, estimator, X: ArrayLike, *, index: int = 0, ax=None, **kwargs) -> Self:
        """Plot the result of a fitted estimator on one image.

        Parameters
        ----------
        estimator : DeconvNetLayer, HierarchicalDeconvNet or AdaptiveDeconvNet
            A fitted layer or net.
        X : array-like, DataFrame or list of images
            Images in any layout that the estimator accepts.
        index : int, default=0
            Index of the image.
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``plot``.

        Returns
        -------
        display : object
            Object that stores the plotted data.
        """
        check_estimator(estimator)
        return cls._of(estimator, one_of(X, index)).plot(ax=ax, **kwargs)


def one_of(X, index):
    """Images of the same layout that hold one of the images."""
    X = unpacked(X)
    n = len(X)
    start = check_integer("index", index, min_val=-n, max_val=n - 1) % n
    if is_image_list(X):
        return [X[start]]
    # Rows of a DataFrame by position, not by label.
    return getattr(X, "iloc", X)[start : start + 1]


def check_estimator(estimator, method="to_maps", kind="a layer such as DeconvNetLayer"):
    """Raise unless the estimator is fitted and has the method."""
    if not hasattr(estimator, method):
        raise TypeError(
            f"estimator must be {kind}, got {type(estimator).__name__}. "
            "For a pipeline pass the step, such as pipeline[-1]."
        )
    check_is_fitted(estimator)


def check_array(name, array, shape):
    """Non-empty array of floats, with as many dimensions as ``shape`` names."""
    array = np.asarray(array, dtype=float)
    if array.ndim != shape.count(",") + 1 or not array.size:
        raise ValueError(f"{name} must be of shape ({shape}), got {array.shape}.")
    return array


def check_axes(axes, n_layers):
    """One Axes for each layer, as a flat array."""
    axes = np.ravel(axes)
    if len(axes) != n_layers:
        raise ValueError(f"axes must hold one Axes for each of {n_layers} layers, got {len(axes)}.")
    return axes
