"""Persistence of estimators: the version that saved them, and the types that skops must trust."""

from __future__ import annotations

import sys

from skdeconv._utils.warnings import warn
from skdeconv.exceptions import VersionWarning

_MARKER = "_skdeconv_version"

#: Names for ``skops.io.load(file, trusted=SKOPS_TRUSTED)``: the estimators and solvers of the
#: package, and the kernel of a classifier. skops trusts all other types in their files by default.
SKOPS_TRUSTED = [
    "skdeconv._adaptive.AdaptiveDeconvNet",
    "skdeconv._hierarchical.HierarchicalDeconvNet",
    "skdeconv._layer.DeconvNetLayer",
    "skdeconv._one_pass.OnePassEncoder",
    "skdeconv.features._bag.BagOfFeatures",
    "skdeconv.features._kernel.histogram_intersection",
    "skdeconv.features._pixels.PixelFeatures",
    "skdeconv.features._pyramid.SpatialPyramid",
    "skdeconv.inference._coordinate_descent.CoordinateDescent",
    "skdeconv.inference._fista.Fista",
    "skdeconv.inference._half_quadratic.HalfQuadratic",
    "skdeconv.preprocessing._normalizer.LocalContrastNormalizer",
]


class Versioned:
    """Mixin that saves the version of the package with an estimator, and checks it on loading.

    It comes before ``BaseEstimator``. It applies to pickle, joblib, skops and copies. The loaded
    estimator does not contain the version.

    Warns
    -----
    VersionWarning
        If the loaded estimator was saved by another version, or without one.

    Examples
    --------
    >>> import pickle
    >>> from skdeconv import OnePassEncoder
    >>> b"_skdeconv_version" in pickle.dumps(OnePassEncoder())
    True
    >>> vars(pickle.loads(pickle.dumps(OnePassEncoder()))) == vars(OnePassEncoder())
    True
    """

    def __getstate__(self):
        return super().__getstate__() | {_MARKER: current_version()}

    def __setstate__(self, state):
        state = dict(state)
        version, current = state.pop(_MARKER, None), current_version()
        if version != current:
            warn(
                f"{type(self).__name__} was saved by skdeconv {version or 'of unknown version'} "
                f"and is loaded by {current}: it may fail or give other results. Load it with the "
                "version that saved it, or fit it again.",
                VersionWarning,
            )
        super().__setstate__(state)


def current_version() -> str:
    """Version of the package."""
    # Not imported, since the package imports this module.
    return sys.modules["skdeconv"].__version__
