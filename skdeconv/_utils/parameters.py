"""Parameters that several estimators share: per layer, per axis, n_jobs, wrapped estimators."""

from __future__ import annotations

from sklearn.frozen import FrozenEstimator

from skdeconv._utils.validation import check_integer


def check_jobs(n_jobs) -> None:
    """Check that ``n_jobs`` is None or an integer other than zero."""
    if n_jobs is not None and check_integer("n_jobs", n_jobs) == 0:
        raise ValueError("n_jobs must be a number of workers, -1 for all cores, or None; got 0.")


def thawed(estimator):
    """The estimator inside a ``FrozenEstimator``; any other estimator is returned unchanged."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def check_depth(n_filters) -> int:
    """Check that ``n_filters`` is a tuple, and return its length, the number of layers."""
    if not isinstance(n_filters, tuple | list):
        raise TypeError(
            "n_filters must be a tuple of integers, one for each layer, such as (9, 45); got "
            f"{n_filters!r}."
        )
    if not len(n_filters):
        raise ValueError("n_filters must have an entry for each layer, got none.")
    return len(n_filters)


def of_each_layer(name, value, depth) -> list:
    """List with one value per layer, from a tuple or from one value for all layers."""
    if not isinstance(value, tuple | list):
        return [value] * depth
    if len(value) != depth:
        raise ValueError(
            f"{name} must be one value, or a tuple with one for each of the {depth} layers of "
            f"n_filters; got {len(value)} in {value!r}."
        )
    return list(value)


def of_each_axis(number, size) -> tuple[int, int]:
    """One number per axis, from a number for both axes of images of the given (height, width).

    Signals have a height or a width of 1, and the number is that of the other axis: (1, number) or
    (number, 1). A single pixel is a signal of height 1.
    """
    height, width = size
    if height == 1:
        return 1, number
    return number, 1 if width == 1 else number
