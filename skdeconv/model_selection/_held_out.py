"""Scorer that hides pixels, and compares them with the reconstruction from the others."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.parameters import thawed
from skdeconv._utils.scores import r_squared
from skdeconv._utils.validation import check_integer, check_real
from skdeconv.layouts import Images, check_images


@dataclass(frozen=True)
class HeldOutPixels:
    r"""Scorer of reconstructions at pixels that inference has not seen.

    A fraction of the known pixels of each image is hidden, as if they were missing. A fitted net
    infers the maps from the other pixels and reconstructs the image. The score is the coefficient
    of determination at the hidden pixels H,

    .. math:: 1 - \frac{\sum_{i \in H} (y_i - \hat y_i)^2}{\sum_{i \in H} (y_i - \bar y)^2},

    with both sums over all images, and the mean :math:`\bar y` of all known pixels, hidden or not,
    of the image and channel. It is at most 1, and 0 for an image that is constant at this mean;
    greater is better. The ``score`` of a net is the same ratio at the pixels that inference has
    seen, and increases with ``lam`` by construction. This one decreases again where the maps fit
    the other pixels at the expense of the hidden ones.

    Pass it as ``scoring`` to :class:`sklearn.model_selection.GridSearchCV`,
    :func:`sklearn.model_selection.cross_val_score` and the like. Called as ``scorer(estimator,
    X)`` it returns the score of a fitted estimator on images that ``transform`` accepts.

    Parameters
    ----------
    fraction : float, default=0.1
        Fraction of the known pixels of each image to hide, above 0 and below 1. At least one pixel
        is hidden and at least one is kept; in an image with a single known pixel none is hidden. A
        pixel is a position, and is hidden in all channels.
    random_state : int, default=0
        Seed of the choice of hidden pixels, from 0 to 2**32 - 1. The choice depends on it, on the
        index of the image in X and on its known pixels alone, so that all candidates of a search
        are scored at the same pixels. A generator or None would hide others at each call.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type. On a call, if the estimator does not reconstruct images
        from inferred maps.
    ValueError
        If a parameter is out of range. On a call, if no image has two known pixels, or if
        ``transform`` does not accept X.

    See Also
    --------
    skdeconv.DeconvNetLayer.score : Coefficient of determination at all known pixels.
    skdeconv.lam_min : The scale of ``lam``, for the grid.

    Notes
    -----
    The estimator may be a ``DeconvNetLayer``, ``HierarchicalDeconvNet`` or ``AdaptiveDeconvNet``,
    whose top layer reconstructs the image; a ``Pipeline`` that ends with one; a search fitted on
    one; or a ``FrozenEstimator`` of one. ``output`` and ``sparse_output`` have no effect.

    In a pipeline, pixels are hidden in the images that reach the net, after the steps before it,
    because these are the images that it reconstructs. The steps before it see all pixels. Scores
    of different preprocessing therefore refer to different images, and cannot be compared.

    Pixels that are missing in X are neither hidden nor scored. Images that are read on access are
    read one portion at a time.

    Examples
    --------
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.datasets import make_sparse_images
    >>> from skdeconv.model_selection import HeldOutPixels
    >>> images = make_sparse_images(
    ...     10, (16, 16), n_filters=2, filter_size=5, noise=0.2, random_state=0
    ... ).images
    >>> layer = DeconvNetLayer(2, 5, max_iter=2, random_state=0)
    >>> grid = {"lam": [2.0, 5.0, 50.0]}
    >>> search = GridSearchCV(layer, grid, scoring=HeldOutPixels(0.1), cv=3).fit(images)
    >>> search.best_params_
    {'lam': 5.0}
    """

    fraction: float = 0.1
    _: KW_ONLY
    random_state: int = 0

    def __post_init__(self):
        limits = {"min_val": 0, "max_val": 1, "include_boundaries": "neither"}
        check_real("fraction", self.fraction, **limits)
        check_integer("random_state", self.random_state, min_val=0, max_val=2**32 - 1)

    def __call__(self, estimator, X: ArrayLike, y=None) -> float:
        """Score of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            A fitted net, or a fitted pipeline or search of one.
        X : array-like, DataFrame or list of images
            Images, as for ``transform`` of the estimator.
        y : None
            Ignored.

        Returns
        -------
        score : float
            At most 1. If all hidden pixels are equal to the mean, 1 if the reconstruction is exact,
            otherwise 0.
        """
        steps, net = _unwrapped(estimator)
        check_is_fitted(net)
        for step in steps:
            X = step.transform(X)
        images = check_images(net, X, reset=False)
        return r_squared(self._parts(net, images))

    def _parts(self, net, images):
        """Yield stacks of images, their reconstructions, and which of their pixels were hidden."""
        any_hidden = False
        pairs = net._reconstructions(_WithHiddenPixels(images, self.fraction, self.random_state))
        for part, (seen, reconstructed) in zip(images.portions(), pairs, strict=True):
            stack = images.stack(part)
            hidden = np.isnan(seen) & ~np.isnan(stack)
            any_hidden |= hidden.any()
            yield stack, reconstructed, hidden
        if not any_hidden:
            raise ValueError("X has no pixel to hide: each image has a single known pixel.")


class _WithHiddenPixels:
    """Sequence of images that become NaN at hidden pixels on access, so that none is kept."""

    def __init__(self, images: Images, fraction: float, seed: int):
        self.images, self.fraction, self.seed = images, fraction, seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, sample: int) -> np.ndarray:
        image = self.images.stack(slice(sample, sample + 1))[0].transpose(1, 2, 0).copy()
        known = np.argwhere(~np.isnan(image).all(axis=2))
        wanted = max(1, round(self.fraction * len(known)))
        order = np.random.default_rng([self.seed, sample]).permutation(len(known))
        rows, columns = known[order[: min(wanted, len(known) - 1)]].T
        image[rows, columns] = np.nan
        return image


def _unwrapped(estimator):
    """Transformers in front of the net of an estimator, and the net."""
    steps, net = [], thawed(estimator)
    while isinstance(net, Pipeline | BaseSearchCV):
        if isinstance(net, BaseSearchCV):
            net = thawed(_best_of(net))
        else:
            while len(net) > 1 and net[-1] in ("passthrough", None):
                net = net[:-1]
            steps += [net[:-1]] if len(net) > 1 else []
            net = thawed(net[-1])
    if not hasattr(net, "_reconstructions"):
        raise TypeError(
            "HeldOutPixels scores a DeconvNetLayer, HierarchicalDeconvNet or AdaptiveDeconvNet, or "
            f"a Pipeline that ends with one; got {type(net).__name__}, which does not reconstruct "
            "images from inferred maps."
        )
    return steps, net


def _best_of(search):
    """The estimator that a search has fitted again, whose parameters were best."""
    name = type(search).__name__
    if not search.refit:
        raise TypeError(
            f"HeldOutPixels needs a fitted net, but a {name} with refit=False keeps none; pass "
            "refit=True."
        )
    check_is_fitted(search, "best_estimator_")
    return search.best_estimator_
