"""Validation of constructor parameters."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path

import numpy as np
from sklearn.utils import check_random_state, check_scalar


def check_in(name: str, value, options: Sequence[str | None]):
    """Check that a parameter is one of a few strings, or None if it is an option.

    Returns
    -------
    value : str or None
        The value, unchanged.

    Raises
    ------
    TypeError
        If ``value`` is neither a string nor, if that is an option, None.
    ValueError
        If it is a string that is not among ``options``.
    """
    wanted = ", ".join(map(repr, options))
    if not (isinstance(value, str) or (value is None and None in options)):
        raise TypeError(f"{name} must be one of {wanted}, got {value!r}.")
    if value not in options:
        raise ValueError(f"{name} must be one of {wanted}, got {value!r}.")
    return value


def check_flag(name: str, value) -> bool:
    """Check that a parameter is a boolean; 0, 1 and "yes" raise a TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_real(name: str, value, **limits) -> float:
    """Check that a parameter is a finite real number.

    Parameters
    ----------
    name : str
        Name of the parameter in the message.
    value : object
        Its value.
    **limits : dict
        ``min_val``, ``max_val`` and ``include_boundaries``, as in
        :func:`sklearn.utils.check_scalar`.

    Returns
    -------
    value : float
        The number.

    Raises
    ------
    TypeError
        If it is not a number, or a boolean.
    ValueError
        If it is NaN, infinite or outside of the limits.
    """
    return float(_check_number(name, value, Real, "a finite number", limits))


def check_integer(name: str, value, **limits) -> int:
    """Check that a parameter is an integer, with the arguments and errors of ``check_real``."""
    return int(_check_number(name, value, Integral, "an integer", limits))


def _check_number(name, value, kind, wanted, limits):
    # bool is a subclass of int, and check_scalar accepts NaN.
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {wanted}, got {value!r}.")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        finite = kind is Integral
    if not finite:
        raise ValueError(f"{name} must be {wanted}, got {value!r}.")
    check_scalar(value, name, kind, **limits)
    return value


def check_shape(name: str, value, wanted: str, lengths) -> tuple[int, ...] | None:
    """Check that a parameter is None or a sequence of positive integers of a permitted length.

    Raises
    ------
    TypeError
        If it is neither a tuple nor a list.
    ValueError
        If it has another length, or other elements.
    """
    if value is None:
        return None
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name} must be {wanted}, or None, got {value!r}.")
    integers = all(isinstance(n, Integral) and not isinstance(n, bool) for n in value)
    if not integers or len(value) not in lengths or any(n < 1 for n in value):
        raise ValueError(f"{name} must be {wanted}, or None, of positive integers, got {value!r}.")
    return tuple(int(n) for n in value)


def check_path(name: str, value) -> Path | None:
    """Check that a parameter is None or the path of a file in an existing folder.

    Raises
    ------
    TypeError
        If it is not a path.
    ValueError
        If it is a folder, or its parent folder does not exist.
    """
    if value is None:
        return None
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be the path of a file, or None, got {value!r}.")
    path = Path(value)
    if path.is_dir():
        raise ValueError(f"{name} must be the path of a file, but {str(path)!r} is a folder.")
    if not path.parent.is_dir():
        raise ValueError(
            f"{name}={str(path)!r} is in a folder that does not exist; create "
            f"{str(path.parent)!r} first."
        )
    return path


def check_seed(value) -> np.random.RandomState:
    """Generator for ``random_state``; errors name the parameter, unlike scikit-learn's.

    Raises
    ------
    ValueError
        If it is neither None, a valid seed nor a RandomState.
    """
    try:
        return check_random_state(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState, got "
            f"{value!r}."
        ) from error


def check_verbose(value) -> int:
    """Check that ``verbose`` is a boolean or a non-negative integer."""
    if isinstance(value, bool | np.bool_):
        return int(value)
    return check_integer("verbose", value, min_val=0)


def check_input_features(estimator, input_features) -> None:
    """Check names against the column names seen in fit; if there were none, their number."""
    if input_features is None:
        return
    names = np.asarray(input_features, dtype=object)
    seen = getattr(estimator, "feature_names_in_", None)
    if seen is not None and not np.array_equal(seen, names):
        raise ValueError("input_features is not equal to feature_names_in_")
    n_features = getattr(estimator, "n_features_in_", None)
    if n_features is not None and len(names) != n_features:
        raise ValueError(
            f"input_features should have length equal to number of features ({n_features}), got "
            f"{len(names)}"
        )
