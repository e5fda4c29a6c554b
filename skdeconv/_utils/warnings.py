"""Warnings that point to the user's code."""

from __future__ import annotations

import sys
import warnings

# Packages whose frames can lie between the user's code and the warning.
_LIBRARIES = {"copy", "joblib", "pickle", "skdeconv", "sklearn", "skops"}


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
