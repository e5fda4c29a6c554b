"""Validation of the parameters with which a layer is learned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skdeconv._utils.validation import check_flag, check_integer, check_real, check_verbose
from skdeconv.filters import check_connectivity, check_filter_size, check_filters, normalized
from skdeconv.inference import Coding
from skdeconv.layouts import Collection, in_windows
from skdeconv.learning._scale import lam_unit

# Size in bytes of the Gram matrix in float64 above which filters are learned from stored maps
# instead.
LARGEST_GRAM = 256 * 2**20
# Number of pixels of a mini-batch for "auto", which is also the number that is remembered with the
# strongest forgetting, and the minimum number of updates per pass.
BATCH_PIXELS, _LEAST_UPDATES = 10_000, 10
# Larger images than this number of mini-batches are visited in windows of about one.
_LARGE = 10


@dataclass(frozen=True)
class LayerPlan:
    """Validated parameters with which a layer is learned.

    Parameters
    ----------
    coding : Coding
        Parameters of inference.
    shape : tuple of four ints
        (n_filters, h, w, n_channels).
    connectivity : ndarray of bool of shape (n_filters, n_channels) or None
        Which filter is connected to which channel; None connects all.
    first : ndarray of shape (n_filters, n_channels, h, w) or None
        Initial filters, of unit norm; None for random ones.
    window : tuple of two ints or None
        Number of pixels of the windows in which large images are visited, and of an image above
        which it is large; None if images are visited as a whole.
    batch_size : int
        Number of images or windows per update.
    whole_passes : bool
        Whether each pass is one update, so that the cost never rises.
    patience : int
        Number of pixels without use after which a filter is redrawn.
    forgetting : float
        At update t earlier statistics are weighted by (1 - 1/t)^forgetting.
    keep_maps : bool
        Whether inference is warm-started from the codes of the previous pass.
    max_iter : int
        Maximum number of passes.
    tol : float
        Learning stops at a relative decrease of the cost below this value.
    canonical_signs : bool
        Whether the entry of largest magnitude of each filter is made positive at the end.
    verbose : int
        If above 0, prints the cost, the non-zeros and the seconds of each pass.
    """

    coding: Coding
    shape: tuple[int, int, int, int]
    connectivity: np.ndarray | None
    first: np.ndarray | None
    window: tuple[int, int] | None
    batch_size: int
    whole_passes: bool
    patience: int
    forgetting: float
    keep_maps: bool
    max_iter: int
    tol: float
    canonical_signs: bool
    verbose: int


def check_layer_plan(parameters, coding, images, fitted=None, *, streaming=False) -> LayerPlan:
    """Check the parameters of a layer for a collection of images.

    Parameters
    ----------
    parameters : DeconvNetLayer or object with its parameters
        The parameters.
    coding : Coding
        Parameters of inference, as returned by ``check_coding``.
    images : Collection
        The images.
    fitted : ndarray of shape (n_filters, h, w, n_channels), default=None
        Filters of a previous fit, used as initial filters instead of ``init``. A stream, which
        continues them anyway, only takes their size from them.
    streaming : bool, default=False
        Whether the images are a batch of a stream, for which ``max_iter`` is ignored, and ``lam``
        is already in the units of ``lam_scale``.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of range, or does not match the images.
    """
    n_channels = images.n_channels
    n_filters = check_integer("n_filters", parameters.n_filters, min_val=1)
    size = images.sizes.max(axis=0)
    filter_size = check_filter_size(parameters.filter_size, size, fitted=fitted)
    shape = n_filters, *filter_size, n_channels
    connectivity = check_connectivity(parameters.connectivity, n_filters, n_channels)
    first = None
    if fitted is not None and not streaming:
        name = "filters_ of the previous fit"
        first = _first_filters(name, fitted, shape, connectivity, images.dtype)
    elif parameters.init is not None:
        first = _first_filters("init", parameters.init, shape, connectivity, images.dtype)
    warm_start = check_flag("warm_start", parameters.warm_start)
    window = windows_for(parameters.batch_size, BATCH_PIXELS)
    # Only their sizes matter here; the learner cuts the images.
    visited = Collection(images.sizes, n_channels, images.dtype)
    visited = in_windows(visited, *window) if window else visited
    batch_size = check_batch_size(parameters.batch_size, visited)
    keep_maps = check_flag("keep_maps", parameters.keep_maps)
    whole_passes = batch_size >= len(visited)
    if whole_passes and not keep_maps:
        check_statistics("keep_maps=False with whole passes", shape)
    known = streaming or first is not None
    if not streaming:
        coding = coding.scaled(lam_unit(parameters, images, filter_size))
    return LayerPlan(
        coding=coding,
        shape=shape,
        connectivity=connectivity,
        first=first,
        window=window,
        batch_size=batch_size,
        whole_passes=whole_passes,
        patience=images.n_pixels,
        forgetting=check_real("forgetting", parameters.forgetting, min_val=0),
        keep_maps=keep_maps,
        max_iter=check_passes("max_iter", parameters.max_iter, known=known),
        tol=check_real("tol", parameters.tol, min_val=0),
        canonical_signs=not (coding.penalty.positive or warm_start or first is not None),
        verbose=check_verbose(parameters.verbose),
    )


def _first_filters(name, filters, shape, connectivity, dtype):
    """Check initial filters, and normalise them on the channels to which they are connected."""
    filters = normalized(check_filters(name, filters, shape, dtype), connectivity)
    if not filters.any(axis=(1, 2, 3)).all():
        raise ValueError(f"{name} must not be zero on all channels to which a filter is connected.")
    return filters


def statistics_size(shape) -> int:
    """Size in bytes of the Gram matrix of filters (n_filters, h, w, n_channels) in float64."""
    n_filters, h, w, _ = shape
    return 8 * (n_filters * h * w) ** 2


def check_statistics(what, shape) -> None:
    """Raise if the statistics for filters (n_filters, h, w, n_channels) are too large."""
    size = statistics_size(shape)
    if size > LARGEST_GRAM:
        raise ValueError(
            f"{what} needs {size / 2**20:.0f} MB of statistics for filters of shape {shape}, but "
            f"is limited to {LARGEST_GRAM / 2**20:.0f} MB. Decrease n_filters or filter_size."
        )


def check_passes(name, max_iter, *, known) -> int:
    """Check the number of passes, which may be 0 if the filters are known."""
    max_iter = check_integer(name, max_iter, min_val=0)
    if not (max_iter or known):
        raise ValueError(
            f"{name} is 0, so that no filters are learned. Pass filters as init, set warm_start "
            "after a fit, or increase max_iter."
        )
    return max_iter


def windows_for(batch_size, of_auto) -> tuple[int, int] | None:
    """Pixels of a window and of a large image, which only "auto" visits in windows; else None."""
    auto = isinstance(batch_size, str) and batch_size == "auto"
    return (of_auto, _LARGE * of_auto) if auto else None


def check_batch_size(batch_size, images, of_auto=BATCH_PIXELS, name="batch_size") -> int:
    """Number of images per update, from the constructor parameter.

    "auto" stands for ``of_auto`` pixels, with at least ten updates per pass.
    """
    if isinstance(batch_size, str) and batch_size != "auto":
        raise ValueError(f'{name} must be an integer, "auto" or None, got {batch_size!r}.')
    if batch_size is None:
        return len(images)
    if not isinstance(batch_size, str):
        return check_integer(name, batch_size, min_val=1)
    of_pixels = of_auto * len(images) // images.n_pixels
    return min(max(1, of_pixels), max(1, len(images) // _LEAST_UPDATES))
