"""Checks of constructor parameters, and fits that leave no trace when they fail."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_random_state, check_scalar


@contextmanager
def restored_on_failure(estimator) -> Iterator[None]:
    """Give an estimator its attributes back when the block raises, Ctrl-C included.

    A failed refit would otherwise refuse the data of the old fit, because scikit-learn's
    ``validate_data`` writes ``n_features_in_`` before anything else is known. The snapshot is
    shallow: inside the block attributes may be replaced, their contents must not be changed. Only
    a generator that was given as ``random_state`` is set back to where it was.

    Parameters
    ----------
    estimator : object
        Anything with a ``__dict__``.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> layer = SimpleNamespace(n_features_in_=64)
    >>> try:
    ...     with restored_on_failure(layer):
    ...         layer.n_features_in_ = 3
    ...         raise KeyboardInterrupt
    ... except KeyboardInterrupt:
    ...     layer.n_features_in_
    64
    """
    snapshot = vars(estimator).copy()
    generator = snapshot.get("random_state")
    state = generator.get_state() if isinstance(generator, np.random.RandomState) else None
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(snapshot)
        if state is not None:
            generator.set_state(state)
        raise


def check_in(name: str, value, options: Sequence[str | None]):
    """Require one of a few strings, or None where it is among them.

    Returns
    -------
    value : str or None
        The value as it came.

    Raises
    ------
    TypeError
        If ``value`` is not a string, nor None where None is an option.
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
    """Require a boolean; 0, 1 and "yes" raise a TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def check_real(name: str, value, **limits) -> float:
    """Require a finite real number.

    Parameters
    ----------
    name : str
        The parameter, as the message names it.
    value : object
        What the user gave.
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
        If it is not a number; a boolean is none.
    ValueError
        If it is NaN, infinite or out of the limits.
    """
    return float(_check_number(name, value, Real, "a finite number", limits))


def check_integer(name: str, value, **limits) -> int:
    """Require an integer, with the arguments and errors of ``check_real``."""
    return int(_check_number(name, value, Integral, "an integer", limits))


def _check_number(name, value, kind, wanted, limits):
    # Python's booleans are integers, and NaN passes every comparison of check_scalar.
    if isinstance(value, bool) or not isinstance(value, kind):
        raise TypeError(f"{name} must be {wanted}, got {value!r}.")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        finite = kind is Integral
    if not finite:
        raise ValueError(f"{name} must be {wanted}, got {value!r}.")
    check_scalar(value, name, kind, **limits)
    return value


def check_shape(name: str, value, wanted: str, lengths) -> tuple[int, ...] | None:
    """Require a tuple or list of positive integers, of one of the lengths; None stays None.

    Raises
    ------
    TypeError
        If it is neither a tuple nor a list.
    ValueError
        If it is of another length, or holds anything else.
    """
    if value is None:
        return None
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name} must be {wanted}, or None, got {value!r}.")
    integers = all(isinstance(n, Integral) and not isinstance(n, bool) for n in value)
    if not integers or len(value) not in lengths or any(n < 1 for n in value):
        raise ValueError(f"{name} must be {wanted}, or None, of positive integers, got {value!r}.")
    return tuple(int(n) for n in value)


def check_seed(value) -> np.random.RandomState:
    """Generator of a ``random_state``, which scikit-learn's own message does not name.

    Raises
    ------
    ValueError
        If it is neither None, a legal seed nor a RandomState.
    """
    try:
        return check_random_state(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState, got "
            f"{value!r}."
        ) from error


def check_verbose(value) -> int:
    """Require a boolean or a non-negative integer."""
    if isinstance(value, bool | np.bool_):
        return int(value)
    return check_integer("verbose", value, min_val=0)


def check_input_features(estimator, input_features) -> None:
    """Require the column names seen in fit, or as many names as there were columns."""
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
