"""Warnings point to the line of the user, whatever stands between."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.exceptions import VersionWarning, ZeroMapsWarning

IMAGES = np.random.default_rng(0).standard_normal((12, 8, 8))
ROWS = IMAGES.reshape(12, 64)
ZERO, FEW = {"lam": 1e-9, "max_iter": 1}, {"inference_max_iter": 1, "inference_tol": 1e-9}
LAYER = DeconvNetLayer(2, 3, lam=5.0, max_iter=1, random_state=0)
NET = HierarchicalDeconvNet((2, 3), 3, lam=5.0, max_iter=1, random_state=0)
ADAPTIVE = AdaptiveDeconvNet((2, 3), 3, lam=5.0, max_iter=1, random_state=0)


def of(estimator, **params):
    return pickle.loads(pickle.dumps(estimator)).set_params(**params)


def fitted(estimator, **params):
    return of(estimator).fit(IMAGES).set_params(**params)


def old_file():
    state = pickle.dumps(LAYER).replace(b"0.1.0", b"0.0.9")
    return pickle.loads(state)


CALLS = {
    "layer, rows of squares": (lambda: of(LAYER).fit(ROWS), UserWarning),
    "layer, zero maps in fit": (lambda: of(LAYER, **ZERO).fit(IMAGES), ZeroMapsWarning),
    "layer, fit_transform": (lambda: of(LAYER, **ZERO).fit_transform(IMAGES), ZeroMapsWarning),
    "layer, partial_fit": (lambda: of(LAYER, **ZERO).partial_fit(IMAGES), ZeroMapsWarning),
    "layer, transform": (
        lambda: fitted(LAYER, lam=1e-9).transform(IMAGES),
        ZeroMapsWarning,
    ),
    "layer, score": (lambda: fitted(LAYER, **FEW).score(IMAGES), ConvergenceWarning),
    "net, zero maps in fit": (lambda: of(NET, **ZERO).fit(IMAGES), ZeroMapsWarning),
    "net, transform": (lambda: fitted(NET, lam=1e-9).transform(IMAGES), ZeroMapsWarning),
    "net, encode": (lambda: fitted(NET, **FEW).encode(IMAGES), ConvergenceWarning),
    "net, top_activations": (
        lambda: fitted(NET, lam=1e-9).top_activations(IMAGES),
        ZeroMapsWarning,
    ),
    "adaptive, fit": (lambda: of(ADAPTIVE, **ZERO).fit(IMAGES), ZeroMapsWarning),
    "adaptive, transform": (
        lambda: fitted(ADAPTIVE, lam=1e-9).transform(IMAGES),
        ZeroMapsWarning,
    ),
    "adaptive, encode": (lambda: fitted(ADAPTIVE, lam=1e-9).encode(IMAGES), ZeroMapsWarning),
    "encoder": (lambda: OnePassEncoder(of(LAYER, **ZERO)).fit(IMAGES), ZeroMapsWarning),
    "pipeline": (
        lambda: make_pipeline(of(LAYER, **ZERO), LogisticRegression()).fit(
            IMAGES, np.arange(12) % 2
        ),
        ZeroMapsWarning,
    ),
    "cross-validation": (
        lambda: cross_val_score(
            make_pipeline(of(LAYER, **ZERO), LogisticRegression()),
            IMAGES,
            np.arange(12) % 2,
            cv=2,
        ),
        ZeroMapsWarning,
    ),
    "pickle": (old_file, VersionWarning),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_caller_is_named(call):
    function, category = CALLS[call]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    found = [one for one in caught if issubclass(one.category, category)]
    assert found
    assert {one.filename for one in found} == {__file__}
