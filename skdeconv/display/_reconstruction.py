"""Plot of an image beside its reconstruction."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skdeconv.display._base import ImageDisplay
from skdeconv.display._drawing import as_curves, draw_curves, draw_mosaic
from skdeconv.layouts import check_images, full_shape


class ReconstructionDisplay(ImageDisplay):
    """An image, its reconstruction and their difference, side by side.

    All three share one scale. If the image has negative values it ranges from -m to m, with m the
    largest absolute value of the image; otherwise it ranges from the smallest to the largest value
    of the image. In the difference, zero has the middle of the scale. Images with three channels
    are shown in colour, images with another number of channels as rows of grey tiles, and signals
    as curves. Missing pixels (NaN) of the image are light green in the image and in the difference,
    or gaps in a curve; they do not affect the scale.

    Parameters
    ----------
    image, reconstruction : array-like of shape (length,), (height, width) or \
            (height, width, n_channels)
        The image and its reconstruction from the maps.
    score : float, default=None
        Coefficient of determination of the reconstruction, shown in the title.

    Attributes
    ----------
    axes_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.

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
    def _of(cls, estimator, one):
        images = check_images(estimator, one, reset=False)
        shape = images.image_shape
        image = images.stack(slice(0, 1))[0].transpose(1, 2, 0).reshape(shape)
        if hasattr(estimator, "inverse_transform"):
            drawn = estimator.inverse_transform(estimator.transform(one))[0]
        else:
            drawn = estimator.decode(estimator.encode(one))[0]
        return cls(image, np.reshape(drawn, shape), estimator.score(one))

    def plot(self, ax=None, **kwargs) -> ReconstructionDisplay:
        """Plot image, reconstruction and difference on one axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on. If None, a new figure is created.
        **kwargs : dict
            Keyword arguments passed to ``imshow``, or to ``plot`` for signals.

        Returns
        -------
        self : ReconstructionDisplay
            Object that stores the plotted data, with ``axes_`` and ``figure_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the image and the reconstruction do not have the same shape, of one to three
            dimensions, or no pixel of the image is known.
        """
        image, drawn = (np.asarray(a, dtype=float) for a in (self.image, self.reconstruction))
        if image.shape != drawn.shape or not 1 <= image.ndim <= 3:
            raise ValueError(
                "image and reconstruction must be of one shape, (length,), (height, width) or "
                f"(height, width, n_channels), got {image.shape} and {drawn.shape}."
            )
        known = image[~np.isnan(image)]
        if image.size and not known.size:
            raise ValueError("image has no known pixel: all its values are NaN.")
        names = ["image", "reconstruction", "difference"]
        n_channels = full_shape(image.shape)[2]
        image, drawn = (a.reshape(full_shape(image.shape)) for a in (image, drawn))
        curves = as_curves(np.stack([image, drawn, image - drawn]))
        if curves is not None:
            names[0] = "signal"
            self.axes_ = ax = draw_curves(ax, curves, names, **kwargs)
        else:
            low, high, limit = known.min(), known.max(), np.abs(known).max()
            low, high = (-limit, limit) if low < 0 else (low, high)
            tiles = np.stack([image, drawn, (low + high) / 2 + image - drawn])
            if n_channels != 3:
                tiles = tiles.transpose(0, 3, 1, 2).reshape(-1, *image.shape[:2])
            columns = 3 if n_channels in (1, 3) else n_channels
            self.axes_ = ax = draw_mosaic(ax, tiles, columns, (low, high), names, **kwargs)
        if self.score is not None:
            ax.set_title(f"R² = {self.score:.3f}")
        return self
