"""Checks of the parameters that every estimator of sparse maps shares."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_array

from skdeconv._learner import Coding
from skdeconv._penalty import PowerPenalty
from skdeconv._validation import check_flag, check_in, check_integer, check_real
from skdeconv.inference import SOLVERS


def check_coding(estimator) -> Coding:
    """Check the parameters of inference and bind them together.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of range.
    """
    above_zero = {"min_val": 0, "include_boundaries": "neither"}
    p = check_real("p", estimator.p, min_val=0, max_val=1, include_boundaries="right")
    solver = SOLVERS[check_in("solver", estimator.solver, list(SOLVERS))]
    options = {
        "beta_min": check_real("beta_min", estimator.beta_min, **above_zero),
        "beta_factor": check_real(
            "beta_factor", estimator.beta_factor, min_val=1, include_boundaries="neither"
        ),
        "beta_max": check_real("beta_max", estimator.beta_max, **above_zero),
        "beta_repeats": check_integer("beta_repeats", estimator.beta_repeats, min_val=1),
        "cg_max_iter": check_integer("cg_max_iter", estimator.cg_max_iter, min_val=1),
    }
    if options["beta_max"] <= options["beta_min"]:
        raise ValueError(
            f"beta_max must be above beta_min={estimator.beta_min}, got {estimator.beta_max}."
        )
    smoothness = check_real("smoothness", estimator.smoothness, **above_zero)
    low_frequency = check_flag("low_frequency", estimator.low_frequency)
    if check_in("output", estimator.output, ["rows", "maps"]) == "maps" and low_frequency:
        raise ValueError(
            'low_frequency=True needs output="rows": smooth maps have no place in a stack of '
            "sparse ones. to_maps(rows) gives the sparse maps, to_low_frequency(rows) the others."
        )
    check_flag("sparse_output", estimator.sparse_output)
    check_jobs(estimator.n_jobs)
    return Coding(
        solve=solver.solve,
        penalty=PowerPenalty(p, check_flag("positive", estimator.positive)),
        weight=check_real("lam", estimator.lam, **above_zero),
        tol=check_real("inference_tol", estimator.inference_tol, min_val=0),
        max_iter=check_integer("inference_max_iter", estimator.inference_max_iter, min_val=1),
        options={name: options[name] for name in solver.options},
        smoothness=smoothness if low_frequency else None,
    )


def check_jobs(n_jobs) -> None:
    """Require None or an integer other than zero."""
    if n_jobs is not None and check_integer("n_jobs", n_jobs) == 0:
        raise ValueError("n_jobs must be a number of workers, -1 for all cores, or None; got 0.")


def check_filter_size(filter_size, height, name="filter_size") -> tuple[int, int]:
    """(h, w) from an integer or a pair; an integer means (1, size) where the height is 1."""
    if isinstance(filter_size, tuple | list):
        if len(filter_size) != 2:
            raise ValueError(f"{name} must be an integer or a pair, got {filter_size!r}.")
        h, w = (check_integer(name, size, min_val=1) for size in filter_size)
        return h, w
    if not isinstance(filter_size, Integral):
        raise TypeError(f"{name} must be an integer or a pair, got {filter_size!r}.")
    size = check_integer(name, filter_size, min_val=1)
    return (1 if height == 1 else size), size


def check_connectivity(connectivity, n_filters, n_channels) -> np.ndarray | None:
    """A boolean array of shape (n_filters, n_channels) with something in every row, or None."""
    if connectivity is None:
        return None
    try:
        array = np.asarray(connectivity)
    except ValueError as error:  # ragged
        raise ValueError(f"connectivity must be of one shape, got {connectivity!r}.") from error
    if array.dtype != bool:
        raise TypeError(
            f"connectivity must be a boolean array of shape (n_filters, n_channels), or None; got "
            f"{connectivity!r}."
        )
    if array.shape != (n_filters, n_channels):
        raise ValueError(
            f"connectivity must be of shape (n_filters, n_channels) = {(n_filters, n_channels)}, "
            f"got {array.shape}."
        )
    if not array.any(axis=1).all():
        rows = np.flatnonzero(~array.any(axis=1)).tolist()
        raise ValueError(
            f"connectivity must let every filter see a channel; rows {rows} are all False."
        )
    return array


def check_filters(name, filters, shape, dtype) -> np.ndarray:
    """Filters in public layout, of the wanted shape, as (n_filters, n_channels, h, w)."""
    if not hasattr(filters, "__array__") and not isinstance(filters, list | tuple):
        raise TypeError(f"{name} must be an array of filters of shape {shape}, got {filters!r}.")
    try:
        array = check_array(
            filters, dtype=[np.float64, np.float32], allow_nd=True, ensure_2d=False, input_name=name
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of filters of shape {shape}: {error}") from error
    if array.ndim == 3:
        array = array[..., None]
    if array.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {array.shape}.")
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)).astype(dtype)


def thawed(estimator):
    """What a ``FrozenEstimator`` holds; any other estimator as it is."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def check_depth(n_filters) -> int:
    """Number of layers of a net, from its tuple of numbers of filters."""
    if not isinstance(n_filters, tuple | list):
        raise TypeError(
            "n_filters must be a tuple of integers, one for each layer, such as (9, 45); got "
            f"{n_filters!r}."
        )
    if not len(n_filters):
        raise ValueError("n_filters must have an entry for each layer, got none.")
    return len(n_filters)


def of_each_layer(name, value, depth) -> list:
    """One value for every layer: that of a tuple, or the same for all."""
    if not isinstance(value, tuple | list):
        return [value] * depth
    if len(value) != depth:
        raise ValueError(
            f"{name} must be one value, or a tuple of one for each of the {depth} layers of "
            f"n_filters; got {len(value)} in {value!r}."
        )
    return list(value)
