"""What the displays share: their figure, and the checks of what they are to draw."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skdeconv._images import is_image_list
from skdeconv._validation import check_integer


class Display:
    """A drawn display, on one axes."""

    @property
    def figure_(self):
        """The figure of ``axes_``."""
        return self.axes_.figure


class LayersDisplay:
    """A drawn display, on several axes."""

    @property
    def figure_(self):
        """The figure of ``axes_``."""
        return self.axes_[0].figure


class ImageDisplay(Display):
    """What an estimator makes of one image; ``_of`` collects it from a stack of one."""

    @classmethod
    def from_estimator(cls, estimator, X: ArrayLike, *, index: int = 0, ax=None, **kwargs) -> Self:
        """Draw what a fitted estimator makes of one image.

        Parameters
        ----------
        estimator : DeconvNetLayer, HierarchicalDeconvNet or AdaptiveDeconvNet
            A fitted layer or net.
        X : array-like, DataFrame or list of images
            Images in any layout that the estimator takes.
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
        check_estimator(estimator)
        return cls._of(estimator, one_of(X, index)).plot(ax=ax, **kwargs)


def one_of(X, index):
    """One of the images as images of the same layout."""
    n = len(X)
    start = check_integer("index", index, min_val=-n, max_val=n - 1) % n
    if is_image_list(X):
        return [X[start]]
    # Rows of a frame by position, whatever its index holds.
    return getattr(X, "iloc", X)[start : start + 1]


def check_estimator(estimator, method="to_maps", kind="a layer such as DeconvNetLayer"):
    """Require a fitted estimator that has the method."""
    if not hasattr(estimator, method):
        raise TypeError(
            f"estimator must be {kind}, got {type(estimator).__name__}. "
            "Of a pipeline pass the step: pipeline[-1]."
        )
    check_is_fitted(estimator)


def check_array(name, array, shape):
    """Array of floats, not empty, of as many dimensions as the words of ``shape``."""
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
