"""Warnings of the package."""

from __future__ import annotations

__all__ = ["VersionWarning", "ZeroMapsWarning"]


class VersionWarning(UserWarning):
    """Warning that a loaded estimator was saved by another version of the package."""


class ZeroMapsWarning(UserWarning):
    """Warning that all maps are zero although the images are not: ``lam`` is too small."""
