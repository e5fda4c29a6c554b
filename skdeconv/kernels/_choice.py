"""The choice between compiled and portable kernels."""

from __future__ import annotations

import logging
import os
from functools import cache
from importlib import import_module

from skdeconv.kernels import _portable

_VARIABLE, _COMPILED, _PORTABLE = "SKDECONV_KERNELS", "compiled", "portable"


def compiled():
    """Compiled kernels, or None if the portable ones are used.

    Returns
    -------
    kernels : module or None
        See the package ``skdeconv.kernels``.

    Raises
    ------
    ValueError
        If the environment variable ``SKDECONV_KERNELS`` is neither "compiled" nor "portable".
    ImportError
        If it is "compiled", and numba cannot be imported.
    """
    return _load(os.environ.get(_VARIABLE, ""))


@cache
def _load(choice):
    if choice not in ("", _COMPILED, _PORTABLE):
        raise ValueError(
            f"The environment variable {_VARIABLE} must be {_COMPILED!r}, {_PORTABLE!r} or unset, "
            f"got {choice!r}."
        )
    if choice == _PORTABLE:
        return None
    try:
        return import_module("skdeconv.kernels._compiled")
    except Exception as error:  # An installation of numba that is broken may raise anything.
        if choice == _COMPILED:
            raise ImportError(f"{_VARIABLE} is {_COMPILED!r}, but numba cannot be used.") from error
        logging.getLogger("skdeconv").debug("Portable kernels are used, without numba: %r", error)
        return None


def pair_sums(*arguments):
    """Sums of products of coefficients; see the package ``skdeconv.kernels``."""
    return (compiled() or _portable).pair_sums(*arguments)


def draw_patches(*arguments):
    """Sum of filters times coefficients; see the package ``skdeconv.kernels``."""
    return (compiled() or _portable).draw_patches(*arguments)


def subtract_unseen(*arguments) -> None:
    """Subtract products at unseen pixels; see the package ``skdeconv.kernels``."""
    (compiled() or _portable).subtract_unseen(*arguments)


def patch_sums(*arguments):
    """Sums of coefficients times windows; see the package ``skdeconv.kernels``."""
    return (compiled() or _portable).patch_sums(*arguments)
