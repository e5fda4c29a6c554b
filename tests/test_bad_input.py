"""Every public estimator, each of its parameters and methods, and values that none of them takes.

The tables of single estimators say what the messages are; here no place is left out.
"""

import copy
import importlib
import inspect
from fractions import Fraction
from functools import cache

import numpy as np
import pandas as pd
import pytest
from reference.faults import INHERITED, check_each
from reference.images import images_of
from reference.quick import QUICK, QUICK_NET
from reference.state import frozen
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

from skdeconv import (
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
    SparseMaps,
    lam_min,
)
from skdeconv.features import (
    BagOfFeatures,
    BatchTransformer,
    Multiscale,
    PixelFeatures,
    SpatialPyramid,
)
from skdeconv.preprocessing import AsSignals, LocalContrastNormalizer, Resizer

NAN, INF = float("nan"), float("inf")
IMAGES = images_of(8, 8)
MAPS = np.stack([IMAGES, -IMAGES], axis=3)
ONE, TWO = QUICK | {"lam": 20.0}, QUICK_NET | {"lam": 20.0}
ESTIMATORS = [
    DeconvNetLayer(**ONE, low_frequency=True, inference_tol=0.1),
    HierarchicalDeconvNet(**TWO, low_frequency=True, inference_tol=0.1),
    AdaptiveDeconvNet(**TWO, pooling=(2, 2, 1)),
    OnePassEncoder(np.eye(3)[None]),
    LocalContrastNormalizer(),
    Resizer(6),
    PixelFeatures(DeconvNetLayer(**ONE)),
    BatchTransformer(DeconvNetLayer(**ONE), batch_size=3, subsample=20),
    Multiscale(make_pipeline(OnePassEncoder(np.eye(3)[None]), SpatialPyramid()), (8, 5)),
    SpatialPyramid(),
    BagOfFeatures(2, patch_size=4, pool=2, random_state=0),
]
FITTED = {type(one): one.fit(MAPS if hasattr(one, "maps_shape") else IMAGES) for one in ESTIMATORS}
# Methods that take images, or maps where an estimator is of maps; and those that take codes.
OF_IMAGES = {
    "fit", "fit_transform", "partial_fit", "transform", "score", "encode", "top_activations"
}  # fmt: skip
OF_CODES = {
    "inverse_transform", "to_maps", "to_low_frequency", "decode", "project_maps", "project",
    "cascade",
}  # fmt: skip
OF_NEITHER = {"get_feature_names_out", "project_filters", "from_filters"}


def public_estimators():
    modules = [importlib.import_module(f"skdeconv{name}") for name in ("", ".features")]
    modules.append(importlib.import_module("skdeconv.preprocessing"))
    values = [getattr(module, name) for module in modules for name in module.__all__]
    found = {one for one in values if inspect.isclass(one) and issubclass(one, BaseEstimator)}
    # It takes signals of all shapes, and tests/preprocessing/test_signals.py has its bad input.
    return found - {AsSignals}


def methods_of(kind):
    """Names of its public methods; what ends with an underscore is an attribute of a fit."""
    names = {name for name in dir(kind) if not (name.startswith("_") or name[-1] == "_")}
    return {name for name in names - INHERITED if hasattr(FITTED[kind], name)}


@cache
def good(kind, method):
    """Input that a method of a fitted estimator takes."""
    if method in OF_IMAGES:
        return MAPS if hasattr(FITTED[kind], "maps_shape") else IMAGES
    if kind is AdaptiveDeconvNet and method in {"decode", "project", "cascade"}:
        return FITTED[kind].encode(IMAGES[:1])
    return FITTED[kind].transform(IMAGES)


def each_method(but=(), of_arrays=False):
    """Parameters of a test over all methods that take data."""
    cases = [
        pytest.param(kind, name, id=f"{kind.__name__}.{name}")
        for kind in FITTED
        for name in sorted(methods_of(kind) & (OF_IMAGES | OF_CODES) - set(but))
        if not of_arrays or isinstance(good(kind, name), np.ndarray)
    ]
    return pytest.mark.parametrize(("kind", "method"), cases)


# Completeness


def test_every_public_estimator_is_here():
    assert set(FITTED) == public_estimators()


@pytest.mark.parametrize("kind", FITTED)
def test_every_public_method_is_here(kind):
    assert methods_of(kind) <= OF_IMAGES | OF_CODES | OF_NEITHER
    for name in methods_of(kind) & OF_NEITHER:
        _, first = [*inspect.signature(getattr(kind, name)).parameters][:2]
        assert first in {"input_features", "layer", "params"}


# Parameters

NO_VALUES = [object(), 1j, {"a": 1}, lambda: 1, np.array([[1j]])]


@pytest.mark.parametrize("kind", FITTED)
def test_no_parameter_takes_what_is_no_value(kind):
    def check(parameter, value):
        estimator = copy.deepcopy(FITTED[kind]).set_params(**{parameter: value})
        before = vars(estimator).copy()
        with pytest.raises((TypeError, ValueError), match=parameter):
            estimator.fit(good(kind, "fit"))
        assert vars(estimator).keys() == before.keys()
        assert all(vars(estimator)[name] is before[name] for name in before)

    names = FITTED[kind].get_params(deep=False)
    cases = [(name, value) for name in names for value in NO_VALUES]
    check_each(((f"{name}={value}", (name, value)) for name, value in cases), check)


# Data


class Liar:
    """A sequence whose items are no images."""

    def __len__(self):
        return 2

    def __getitem__(self, i):
        return [None, "text"][i]


BAD = {
    "None": None,
    "a number": 3.0,
    "a string": "images",
    "bytes": b"images",
    "an object": object(),
    "a class": DeconvNetLayer,
    "a function": images_of,
    "an estimator": DeconvNetLayer(),
    "a dictionary": {"X": IMAGES},
    "a set": {1.0, 2.0},
    "a generator": (image for image in IMAGES),
    "an empty list": [],
    "an empty array": np.empty((0, 8, 8)),
    "an array without pixels": np.empty((2, 0, 8)),
    "an array of no dimension": np.array(1.0),
    "an array of one dimension": np.ones(64),
    "an array of five dimensions": np.ones((2, 8, 8, 2, 1)),
    "a list of None": [None, None],
    "a list of strings": ["a.png", "b.png"],
    "a list of objects": [object(), object()],
    "a list of numbers": [1.0, 2.0],
    "a list of ragged images": [[IMAGES[0], IMAGES[1, :3]], [IMAGES[2]]],
    "a list of images and None": [IMAGES[0], None],
    "a list of images and text": [IMAGES[0], "b.png"],
    "a list of an empty image": [IMAGES[0], np.empty((0, 8))],
    "ragged rows": [[1.0, 2.0], [3.0], 4.0],
    "objects": np.full((2, 64), object()),
    "objects and numbers": np.array([[1.0] * 63 + [object()]] * 2, dtype=object),
    "ragged objects": np.array([[1.0, 2.0], [3.0], 4.0], dtype=object),
    "text": np.full((2, 64), "a"),
    "dates": np.full((2, 8, 8), np.datetime64("2020-01-01")),
    "times": np.full((2, 8, 8), np.timedelta64(3, "s")),
    "a list of times": [np.full((8, 8), np.timedelta64(3, "s"))],
    "records": np.zeros((2, 64), dtype=[("a", float), ("b", float)]),
    "complex": np.ones((2, 64)) * 1j,
    "complex stack": np.ones((2, 8, 8)) * 1j,
    "a frame of text": pd.DataFrame([["a"] * 64] * 2),
    "a sequence of garbage": Liar(),
    "a list of lists of objects": [[object()] * 64] * 2,
    "a list of images of objects": [[[object()] * 8] * 8],
    "integers that no float holds": [[10**400] * 64] * 2,
}
SPARSE = {"sparse rows": csr_array(np.eye(64)), "sparse maps of nothing": SparseMaps([], [])}


def assert_refused(kind, method, value, message=None):
    """The method raises, and leaves what was fitted as it is."""
    estimator = FITTED[kind]
    before, contents = vars(estimator).copy(), frozen(estimator)
    with pytest.raises((TypeError, ValueError, OverflowError), match=message) as caught:
        getattr(estimator, method)(value)
    assert str(caught.value)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is before[name] for name in before)
    assert frozen(estimator) == contents


@each_method()
def test_no_method_takes_garbage(kind, method):
    check_each(
        ((fault, [value]) for fault, value in (BAD | SPARSE).items()),
        lambda value: assert_refused(kind, method, value),
    )


def with_one(values, value):
    """Copies of some input with one entry replaced, in each of its forms."""
    if issparse(values):
        values = values.toarray()
    values = np.array(values, dtype=float)
    values[(-1,) * values.ndim] = value
    forms = [values, np.asfortranarray(values), values.astype(np.float32), list(values)]
    # scikit-learn itself does not look at objects in lists.
    objects = np.full(values.shape, Fraction(1), dtype=object)
    objects[(-1,) * values.ndim] = value
    forms.append([one.tolist() for one in objects])
    if values.ndim == 2:
        forms += [csr_array(values), pd.DataFrame(values), values.tolist()]
    return forms


@each_method(of_arrays=True)
def test_no_method_takes_infinity(kind, method):
    forms = [*with_one(good(kind, method), INF), *with_one(good(kind, method), -INF)]
    if method in {"fit", "fit_transform"}:
        # Their names are seen before their values are.
        forms.append(pd.DataFrame(forms[0].reshape(len(forms[0]), -1)).add_prefix("x"))
    message = r"infinity|[Ss]parse|maps_shape|must be a stack"
    check_each(
        ((f"{i}, {type(form).__name__}", [form]) for i, form in enumerate(forms)),
        lambda form: assert_refused(kind, method, form, message),
    )


@each_method(but={"fit", "fit_transform"}, of_arrays=True)
def test_no_method_takes_other_channels(kind, method):
    values = good(kind, method)
    other = np.concatenate([values] * 2, axis=-1) if method in OF_CODES else values[..., None]
    other = np.repeat(other, 3, axis=-1) if method in OF_IMAGES else other
    for form in (other, list(other) if other.ndim > 2 else other.tolist()):
        assert_refused(kind, method, form)


def test_lam_min_takes_no_garbage():
    def check(value):
        with pytest.raises((TypeError, ValueError, OverflowError)):
            lam_min(value, filter_size=3)

    check_each(((fault, [value]) for fault, value in (BAD | SPARSE).items()), check)


def test_lam_min_takes_no_infinity():
    for form in [*with_one(IMAGES, INF), *with_one(IMAGES, -INF)]:
        for options in ({"filter_size": 3}, {"filters": np.ones((1, 3, 3))}):
            with pytest.raises(ValueError, match="infinity"):
                lam_min(form, **options)


# What was refused


@pytest.mark.parametrize("kind", FITTED)
def test_a_fitted_estimator_works_on(kind):
    """After all of the above, which came before in this file, it is as it was at first."""
    fresh = clone(FITTED[kind]).fit(good(kind, "fit"))
    X = good(kind, "transform")
    np.testing.assert_array_equal(FITTED[kind].transform(X), fresh.transform(X))
