"""The scale of ``lam``: its unit, and warnings if it does not suit the images."""

from __future__ import annotations

import numpy as np

from skdeconv._utils.scores import centred, means_of_known
from skdeconv._utils.validation import check_in
from skdeconv._utils.warnings import warn, warn_of_trap
from skdeconv.inference import largest_patch_norms
from skdeconv.layouts import Images
from skdeconv.operators import zeros_for_nan

# Most images of which the median of lam_min is taken, and of which the scale is checked.
_OF_UNIT, _CHECKED = 200, 20
# Smaller images are not checked.
_LEAST_PIXELS = 1000
# lam above this multiple of lam_min, and a larger share of non-zero coefficients, are not sparse.
_FAR_ABOVE, _DENSE = 300, 1 / 3


def lam_unit(estimator, images, filter_size) -> float:
    """Value of ``lam`` that the parameter ``lam`` is a multiple of.

    Parameters
    ----------
    estimator : estimator
        An estimator with the parameter ``lam_scale``.
    images : Collection
        Images seen in fit.
    filter_size : tuple of two ints
        Height and width of the filters of the first layer.

    Returns
    -------
    unit : float
        1 for "absolute". For "median" the median of ``lam_min`` over the images, at most 200 of
        them, that are not zero; 1 if all are. Where low-frequency maps represent the mean, it is
        subtracted first.

    Raises
    ------
    TypeError, ValueError
        If ``lam_scale`` is none of the two.
    """
    if check_in("lam_scale", estimator.lam_scale, ["absolute", "median"]) == "absolute":
        return 1.0
    centre = bool(getattr(estimator, "low_frequency", False))
    return _median_lam_min(_sample(images, _OF_UNIT), filter_size, centre) or 1.0


def warn_of_scale(images, coding, filter_size) -> None:
    """Warn of photos whose mean exceeds their contrast, and of a ``lam`` far above their scale.

    Parameters
    ----------
    images : Collection
        Images seen in fit. Maps of a lower layer, and images whose layout is doubtful, are not
        checked.
    coding : Coding or AdaptiveCoding
        Parameters of inference in the first layer.
    filter_size : tuple of two ints
        Height and width of its filters.
    """
    if not _is_checked(images):
        return
    stacks, words = _sample(images, _CHECKED), []
    centre = getattr(coding, "smoothness", None) is not None
    if not centre and images.sizes.min() > 1 and _mean_exceeds_contrast(stacks):
        words.append(
            "The mean of the images exceeds their standard deviation, so that filters represent "
            "brightness instead of structure, slowly. Normalise photos by skdeconv.preprocessing."
            "LocalContrastNormalizer, or set low_frequency=True if the estimator has it."
        )
    unit = _median_lam_min(stacks, filter_size, centre)
    if unit and coding.weight > _FAR_ABOVE * unit:
        words.append(
            f"lam={coding.lam:.3g} is {coding.weight / unit:.0f} times the median lam_min of the "
            "images (see skdeconv.lam_min), so that maps are hardly sparse. Sparse maps need about "
            f'lam={30 * unit / coding.scale:.2g}, or lam_scale="median" and lam=30.'
        )
    if words:
        images.trap = " ".join(words)
        warn_of_trap(images.trap)


def warn_of_dense_maps(images, coding, share) -> None:
    """Warn if more than a third of the coefficients were non-zero in the last pass."""
    if share <= _DENSE or not _is_checked(images):
        return
    warn(
        f"{share:.0%} of the coefficients are non-zero: the maps are not sparse. Decrease "
        f"lam={coding.lam:.3g}; skdeconv.lam_min gives its scale.",
        UserWarning,
    )


def _is_checked(images):
    large = images.n_pixels >= _LEAST_PIXELS * len(images)
    return large and isinstance(images, Images) and not images.trap


def _sample(images, most):
    """Stacks of single images, evenly spaced, with the channels first."""
    chosen = np.unique(np.linspace(0, len(images) - 1, min(most, len(images))).astype(int))
    return [images.stack(slice(i, i + 1)) for i in chosen.tolist()]


def _median_lam_min(stacks, filter_size, centre):
    """Median of ``lam_min`` of the images that are not zero; 0 if all are.

    ``centre`` is whether the mean is subtracted first, since low-frequency maps represent it.
    """
    stacks = [centred(stack) for stack in stacks] if centre else stacks
    largest = [largest_patch_norms(zeros_for_nan(stack), *filter_size)[0] for stack in stacks]
    values = [1 / norm for norm in largest if norm > 0]
    return float(np.median(values)) if values else 0.0


def _mean_exceeds_contrast(stacks):
    ratios = []
    for stack in stacks:
        mean = means_of_known(stack)
        spread = np.sqrt(np.nanmean((stack - mean) ** 2, dtype=np.float64))
        ratios.append(np.abs(mean).mean() > spread)
    return np.median(ratios) > 0.5
