"""Any order of calls: fits, parameters set after them, files, clones and calls that fail."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from reference.images import images_of
from reference.state import frozen, parts
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet

# A few images may be too little for lam, or too much for the default iterations.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]

IMAGES = images_of(6, 5, n_samples=3)
DATA = {
    "stack": IMAGES,
    "other images": 1.5 * IMAGES[::-1],
    "float32": IMAGES[:2].astype(np.float32),
    "list": [2 * image for image in IMAGES],
}
COLOUR = np.stack([IMAGES] * 3, axis=3)
INFINITE = np.where(IMAGES == IMAGES.max(), np.inf, IMAGES)
each_data = st.sampled_from(sorted(DATA))

ONE = {"filter_size": 3, "max_iter": 1, "random_state": 0, "lam": 20.0}
# Kind: an estimator, values of parameters, and what draws images from codes.
KINDS = {
    "layer": (
        DeconvNetLayer(2, **ONE, batch_size=2, inference_tol=0.1),
        {"lam": [5.0, 40.0], "max_iter": [1, 2], "positive": [True, False], "n_filters": [2, 3],
         "p": [0.5, 1.0], "solver": ["fista", "coordinate_descent"]},
        ["filters_"],
    ),
    "hierarchy": (
        HierarchicalDeconvNet((2, 2), **ONE, batch_size=2, inference_tol=0.1),
        {"lam": [5.0, (40.0, 10.0)], "max_iter": [1, (2, 1)], "n_filters": [(2, 2), (2, 3)],
         "inference": ["greedy", "joint"]},
        ["layers_", "factors_"],
    ),
    "adaptive": (
        AdaptiveDeconvNet((2, 2), **ONE, pooling=(2, 2, 1), n_inference_steps=3),
        {"lam": [5.0, (40.0, 10.0)], "max_iter": [1, (2, 1)], "n_filters": [(2, 2), (2, 3)],
         "inference": ["ista", "fista"], "n_inference_steps": [2, 3]},
        ["filters_", "pooling_"],
    ),
}  # fmt: skip
COMMON = {"sparse_output": [True, False]}


def dense(codes):
    return codes.toarray() if issparse(codes) else codes


class Calls(RuleBasedStateMachine):
    """Calls on one estimator, and what has to hold after each."""

    def __init__(self, kind):
        super().__init__()
        start, values, self.drawing = KINDS[kind]
        self.estimator, self.values = clone(start), values | COMMON
        self.streams = hasattr(start, "partial_fit")
        # Whatever was an attribute once, and how it was when it was new.
        self.seen = {}

    def other_filters(self):
        """Whether another number of filters was set after the fit."""
        top = getattr(self.estimator, "layers_", [self.estimator])[-1]
        return len(top.filters_) != np.ravel(self.estimator.n_filters)[-1]

    @initialize(name=each_data)
    def start(self, name):
        self.fit(name)

    @rule(data=st.data())
    def set_params(self, data):
        name = data.draw(st.sampled_from(sorted(self.values)))
        value = data.draw(st.sampled_from(self.values[name]))
        attributes = {k: v for k, v in vars(self.estimator).items() if k != name}
        self.estimator.set_params(**{name: value})
        assert self.estimator.get_params()[name] == value
        assert all(vars(self.estimator)[k] is v for k, v in attributes.items())

    @rule(name=each_data)
    def fit(self, name):
        assert self.estimator.fit(DATA[name]) is self.estimator
        fresh = clone(self.estimator).fit(DATA[name])
        assert frozen(self.estimator) == frozen(fresh)

    @precondition(lambda self: self.streams)
    @rule(name=each_data)
    def partial_fit(self, name):
        before, twin = self.estimator.n_iter_, copy.deepcopy(self.estimator)
        if self.other_filters():
            with pytest.raises(ValueError, match="n_filters"):
                self.estimator.partial_fit(DATA[name])
            assert frozen(self.estimator) == frozen(twin)
            return
        self.estimator.partial_fit(DATA[name])
        assert self.estimator.n_iter_ == before + 1
        assert frozen(twin.partial_fit(DATA[name])) == frozen(self.estimator)

    @rule(name=each_data)
    def transform(self, name):
        attributes = vars(self.estimator).copy()
        codes = self.estimator.transform(DATA[name])
        assert issparse(codes) == self.estimator.sparse_output
        assert all(vars(self.estimator)[key] is value for key, value in attributes.items())
        assert attributes.keys() == vars(self.estimator).keys()
        # Nothing but parameters of now and filters of the fit counts.
        fresh = clone(self.estimator)
        for key in [*self.drawing, "image_shape_", "_layout", "n_features_in_"]:
            if key in attributes:
                setattr(fresh, key, copy.deepcopy(attributes[key]))
        np.testing.assert_array_equal(dense(fresh.transform(DATA[name])), dense(codes), strict=True)
        assert fresh.score(DATA[name]) == self.estimator.score(DATA[name])
        drawn = self.estimator.inverse_transform(codes)
        np.testing.assert_array_equal(fresh.inverse_transform(codes), drawn)

    @rule(name=each_data, load=st.sampled_from([pickle.dumps, copy.deepcopy]))
    def store(self, name, load):
        before = frozen(self.estimator)
        codes = dense(self.estimator.transform(DATA[name]))
        loaded = load(self.estimator)
        loaded = pickle.loads(loaded) if isinstance(loaded, bytes) else loaded
        assert frozen(loaded) == frozen(self.estimator) == before
        np.testing.assert_array_equal(dense(loaded.transform(DATA[name])), codes, strict=True)
        self.estimator = loaded

    @rule()
    def copy_unfitted(self):
        before = frozen(self.estimator)
        fresh = clone(self.estimator)
        assert not fresh.__sklearn_is_fitted__()
        assert frozen(fresh.get_params()) == frozen(self.estimator.get_params())
        with pytest.raises(NotFittedError):
            fresh.transform(IMAGES)
        assert frozen(self.estimator) == before

    @rule(data=st.data(), bad=st.sampled_from(["lam", "channels", "infinity", "max_iter"]))
    def fail(self, data, bad):
        methods = ["fit", "transform", "score", *(["partial_fit"] if self.streams else [])]
        methods = {"channels": methods[1:], "max_iter": ["fit"]}.get(bad, methods)
        method = data.draw(st.sampled_from(methods))
        # Of another shape, so that a fit has seen it when it comes to max_iter.
        X = {"lam": IMAGES, "infinity": INFINITE}.get(bad, COLOUR)
        before, params = frozen(self.estimator), self.estimator.get_params(deep=False)
        if bad in params:
            self.estimator.set_params(**{bad: -1})
        attributes = vars(self.estimator).copy()
        with pytest.raises(ValueError, match=r"lam|shape|infinity|max_iter"):
            getattr(self.estimator, method)(X)
        assert attributes.keys() == vars(self.estimator).keys()
        assert all(vars(self.estimator)[key] is value for key, value in attributes.items())
        self.estimator.set_params(**params)
        assert frozen(self.estimator) == before

    @invariant()
    def nothing_is_changed_in_place(self):
        for *_, one in parts(self.estimator):
            if isinstance(one, np.ndarray):
                self.seen.setdefault(id(one), (one, one.tobytes()))
        assert all(one.tobytes() == then for one, then in self.seen.values())


@pytest.mark.parametrize("kind", KINDS)
def test_any_order_of_calls(kind):
    run_state_machine_as_test(
        lambda: Calls(kind),
        settings=settings(
            max_examples=10,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
