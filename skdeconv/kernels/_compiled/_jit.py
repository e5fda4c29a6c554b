"""Compilation by numba, cached on disk where a folder can be written."""

from __future__ import annotations

from numba import njit


def jit(function):
    """Compile a function on first use, without the lock of the interpreter."""
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # Neither the folder of the package nor that of the user can be written.
        return njit(**options)(function)
