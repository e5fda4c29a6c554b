"""Warnings of the package."""

from __future__ import annotations

__all__ = ["VersionWarning", "ZeroMapsWarning"]


class VersionWarning(UserWarning):
    """A fitted estimator was loaded that another version of the package has written."""


class ZeroMapsWarning(UserWarning):
    """All maps are zero although the images are not: ``lam`` is too small for them."""
