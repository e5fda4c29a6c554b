"""Versions of the package, of Python and of the dependencies, for bug reports."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from skdeconv._utils.persistence import current_version

_REQUIRED = ("numpy", "scipy", "scikit-learn", "joblib", "threadpoolctl")
_OPTIONAL = ("numba", "matplotlib", "pillow", "pandas", "polars", "dask", "distributed", "rich")


def show_versions() -> None:
    """Print the versions of Python, the package and its dependencies, for bug reports.

    Optional packages are not imported to find their versions. The thread pools are those of the
    libraries for linear algebra and OpenMP that are loaded, with their numbers of threads.

    Examples
    --------
    >>> import skdeconv
    >>> skdeconv.show_versions()
    System
        python: 3...
    """
    system = {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "platform": platform.platform(),
    }
    _print("System", system)
    _print("Packages", {"skdeconv": current_version()} | _versions(_REQUIRED))
    _print("Optional packages", _versions(_OPTIONAL))
    for pool in threadpool_info():
        _print("Thread pool", pool)


def _versions(names):
    return {name: _version(name) for name in names}


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _print(heading, lines):
    print(heading)
    for name, value in lines.items():
        print(f"    {name}: {value}")
