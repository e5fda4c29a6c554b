"""Warnings of the package."""

from __future__ import annotations

__all__ = ["ZeroMapsWarning"]


class ZeroMapsWarning(UserWarning):
    """All maps are zero although the images are not: ``lam`` is too small for them."""
