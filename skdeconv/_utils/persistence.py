"""Persistence of estimators: the version that saved them, and the types that skops must trust."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from skdeconv._utils.warnings import warn
from skdeconv.exceptions import VersionWarning

# Entries of a saved state: the version, and the names of attributes that are paths.
_VERSION, _PATHS = "_skdeconv_version", "_skdeconv_paths"

#: Names for ``skops.io.load(file, trusted=SKOPS_TRUSTED)``: the estimators and solvers of the
#: package, the kernel of a classifier, and the scorer of a search. skops trusts all other types in
#: files of estimators of the package by default.
SKOPS_TRUSTED = [
    "skdeconv._adaptive.AdaptiveDeconvNet",
    "skdeconv._hierarchical.HierarchicalDeconvNet",
    "skdeconv._layer.DeconvNetLayer",
    "skdeconv._one_pass.OnePassEncoder",
    "skdeconv.features._bag.BagOfFeatures",
    "skdeconv.features._batch_transformer.BatchTransformer",
    "skdeconv.features._kernel.histogram_intersection",
    "skdeconv.features._multiscale.Multiscale",
    "skdeconv.features._pixels.PixelFeatures",
    "skdeconv.features._pyramid.SpatialPyramid",
    "skdeconv.inference._coordinate_descent.CoordinateDescent",
    "skdeconv.inference._fista.Fista",
    "skdeconv.inference._half_quadratic.HalfQuadratic",
    "skdeconv.model_selection._held_out.HeldOutPixels",
    "skdeconv.preprocessing._normalizer.LocalContrastNormalizer",
    "skdeconv.preprocessing._resizer.Resizer",
    "skdeconv.preprocessing._signals.AsSignals",
]


def saved_state(state: dict) -> dict:
    """State of an object with the version of the package, in types that skops trusts by default.

    Parameters
    ----------
    state : dict
        Attributes of the object. Paths become strings and memory-mapped arrays become arrays, also
        inside tuples, lists and dictionaries.
    """
    # Classes of paths depend on the system and on the version of Python.
    paths = [name for name, value in state.items() if isinstance(value, os.PathLike)]
    return _plain(state) | {_VERSION: current_version()} | ({_PATHS: paths} if paths else {})


def _plain(value):
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, np.memmap):
        return np.asarray(value)
    if type(value) is dict:
        return {key: _plain(one) for key, one in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value


def loaded_state(state: dict, name: str) -> dict:
    """State of an object that was saved, with its paths, and by the current version.

    Parameters
    ----------
    state : dict
        Result of ``saved_state``.
    name : str
        Name of the class in the message.

    Warns
    -----
    VersionWarning
        If the version is another one, or missing.
    """
    state = dict(state)
    version, current = state.pop(_VERSION, None), current_version()
    if version != current:
        warn(
            f"{name} was saved by skdeconv {version or 'of unknown version'} and is loaded by "
            f"{current}: it may fail or give other results. Load it with the version that saved "
            "it, or fit it again.",
            VersionWarning,
        )
    paths = state.pop(_PATHS, ())
    return state | {name: Path(state[name]) for name in paths}


def current_version() -> str:
    """Version of the package."""
    # Not imported, since the package imports this module.
    return sys.modules["skdeconv"].__version__
