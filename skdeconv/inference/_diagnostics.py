"""Warnings that inference did not converge, or that all maps are zero."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.exceptions import ConvergenceWarning

from skdeconv._utils.warnings import warn
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.operators import Convolution, zeros_for_nan


def dual_norms(images, filters, penalty) -> np.ndarray:
    """Dual norm of F^T y of every image; its inverse is the largest ``lam`` with zero maps.

    Filters are of shape (n_filters, n_channels, h, w); NaN marks missing pixels.
    """
    operator, images = Convolution(filters, images.shape[2:]), zeros_for_nan(images)
    norms = (penalty.dual_norm(operator.adjoint(images[i : i + 1])) for i in range(len(images)))
    return np.concatenate(list(norms))


def largest_patch_norms(images, h, w) -> np.ndarray:
    """Largest norm of a patch of h x w pixels of every image, (n_samples, n_channels, ...)."""
    # Squares of scaled images stay in range.
    largest = np.abs(images).max(axis=(1, 2, 3), initial=0, keepdims=True).astype(np.float64)
    images = np.divide(images, largest, out=np.zeros(images.shape), where=largest > 0)
    energy = np.pad((images**2).sum(axis=1), ((0, 0), (h - 1, h - 1), (w - 1, w - 1)))
    sums = sliding_window_view(energy, h, axis=1).sum(axis=-1)
    sums = sliding_window_view(sums, w, axis=2).sum(axis=-1)
    return largest.ravel() * np.sqrt(sums.reshape(len(images), -1).max(axis=1))


def without_low_frequency(images, synthesis, low_frequency=None) -> Iterable[np.ndarray]:
    """Yield stacks of images of one size, minus their low-frequency part."""
    for part in images.portions():
        size = images.sizes[part][0]
        yield images.stack(part) - synthesis.low_frequency_part(low_frequency, part, size)


def warn_of_zero_maps(stacks, filters, coding, *, of="") -> None:
    """Warn that all maps are zero, unless all images are, and state the ``lam`` that is needed.

    Parameters
    ----------
    stacks : iterable of ndarray of shape (n_samples, n_channels, height, width)
        The images that the filters reconstruct.
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The filters.
    coding : Coding
        Parameters with which the maps were inferred.
    of : str, default=""
        Names the layer in the message, such as " of layer 2".
    """
    known = (stack for stack in map(zeros_for_nan, stacks) if stack.any())
    largest = [float(dual_norms(stack, filters, coding.penalty).max()) for stack in known]
    if not largest:
        return
    lam, needed = coding.lam, 1 / max(largest) / coding.scale if max(largest) > 0 else np.inf
    if lam <= needed:
        # It gives the scale of the first layer alone.
        advice = "" if of else "; see skdeconv.lam_min"
        warn(
            f"All maps are zero: lam={lam}{of} is too small for these images. With these filters "
            f"maps become non-zero above lam={needed:.3g}{advice}.",
            ZeroMapsWarning,
        )
    else:
        warn(
            f"All maps are zero, although lam={lam}{of} is above lam={needed:.3g}, where maps "
            "become non-zero with these filters. Increase lam further, or decrease inference_tol="
            f"{coding.tol}.",
            ZeroMapsWarning,
        )


def warn_of_unconverged(result, coding, *, of="") -> None:
    """Warn of images for which inference did not converge.

    Parameters
    ----------
    result : InferenceResult
        What was inferred.
    coding : Coding
        How it was inferred.
    of : str, default=""
        Names the layer in the message, such as " of layer 2".
    """
    if result.converged.all():
        return
    measure = "gap" if coding.penalty.is_convex else "violation of stationarity"
    warn(
        f"Inference{of} did not converge for {np.sum(~result.converged)} of "
        f"{len(result.converged)} images (largest {measure} {result.optimality.max():.2g}). "
        f"Increase inference_max_iter={coding.max_iter} or inference_tol={coding.tol}.",
        ConvergenceWarning,
    )
