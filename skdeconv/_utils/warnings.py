"""Warnings that point to the user's code."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

# Packages whose frames can lie between the user's code and the warning.
_LIBRARIES = {"copy", "joblib", "pickle", "skdeconv", "sklearn", "skops"}


# Traps of which the running call has warned; None outside of a call that warns at most once.
_issued: ContextVar[list | None] = ContextVar("issued", default=None)


def warn_of_trap(message: str) -> None:
    """Warn of a likely mistake in the call, unless ``one_trap`` forbids it.

    Parameters
    ----------
    message : str
        Text of the warning.
    """
    issued = _issued.get()
    if issued:
        return
    warn(message, UserWarning)
    if issued is not None:
        issued.append(message)


@contextmanager
def one_trap(*, issued: bool = False) -> Iterator[None]:
    """Context of a call in which ``warn_of_trap`` warns at most once.

    Parameters
    ----------
    issued : bool, default=False
        Whether an earlier part of the call looked at the same layout, so that it warns no more.
    """
    outer = _issued.get()
    inner = [] if outer is None else outer
    token = _issued.set(["by an earlier part"] if issued else inner)
    try:
        yield
    finally:
        _issued.reset(token)


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the innermost frame that belongs neither to the package nor to scikit-learn.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type
        Category of the warning.
    """
    frame, level = sys._getframe(1), 2
    while frame is not None and _library(frame) in _LIBRARIES:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _library(frame):
    return frame.f_globals.get("__name__", "").partition(".")[0]
