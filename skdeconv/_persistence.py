"""Fitted estimators in files: the version that wrote them, and the types that skops must trust."""

from __future__ import annotations

import sys
import warnings

from skdeconv.exceptions import VersionWarning

_MARKER = "_skdeconv_version"

#: Names for ``skops.io.load(file, trusted=SKOPS_TRUSTED)``: the estimators of the package, and the
#: kernel that a classifier behind them may hold. Everything else in their files skops knows.
SKOPS_TRUSTED = [
    "skdeconv._adaptive._estimator.AdaptiveDeconvNet",
    "skdeconv._hierarchical.HierarchicalDeconvNet",
    "skdeconv._layer.DeconvNetLayer",
    "skdeconv._one_pass.OnePassEncoder",
    "skdeconv.features._bag.BagOfFeatures",
    "skdeconv.features._kernel.histogram_intersection",
    "skdeconv.features._pixels.PixelFeatures",
    "skdeconv.features._pyramid.SpatialPyramid",
    "skdeconv.preprocessing._normalizer.LocalContrastNormalizer",
]


class Versioned:
    """Writes the version of the package into files, and compares it with that which reads them.

    A base of estimators, before ``BaseEstimator``. pickle, joblib and skops go through it, and
    copies as well; in the loaded estimator nothing of it is left.

    Warns
    -----
    VersionWarning
        While an estimator is loaded, if another version wrote it, or none is recorded.

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
            warnings.warn(
                f"{type(self).__name__}: file of skdeconv {version or 'of unknown version'} loaded "
                f"with {current}: it may fail, or give other results. Load it with the version "
                "that wrote it, or fit it again.",
                VersionWarning,
                stacklevel=2,
            )
        super().__setstate__(state)


def current_version():
    # The package imports this module, not the other way round.
    return sys.modules[__package__].__version__
