"""Whatever interrupts a call, and wherever: the estimator is as it was, and works."""

import os
from copy import deepcopy
from functools import cache
from itertools import product

import numpy as np
import pytest
from reference.interruptions import (
    GREY,
    StoppedError,
    assert_equal,
    ctrl_c_at_call,
    estimator_of,
    interrupt,
    outcome,
    unchanged,
)
from threadpoolctl import threadpool_info

from skdeconv import _adaptive, _base, _one_pass
from skdeconv.filters import Statistics, _through
from skdeconv.inference import Coding
from skdeconv.inference._adapted_maps import _SwitchedProblem
from skdeconv.inference._working_set import WorkingSet
from skdeconv.layouts import _images
from skdeconv.learning import (
    AdaptiveLearner,
    Checkpoint,
    LayerLearner,
    _adaptive_learner,
    _checkpoint,
    _layer_learner,
)
from skdeconv.learning._archive import read_archive
from skdeconv.networks import SizedNetwork
from skdeconv.operators import Synthesis

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]

ERRORS = [KeyboardInterrupt, MemoryError, StoppedError]
# Of another size than those of the fit before, so that any trace of them would show.
OTHER = GREY[:, :8, :8]
LEARNING = [
    *product(("layer", "net"), ("new", "fitted"), ("fit", "partial_fit")),
    *product(("layer", "net"), ("streamed",), ("partial_fit",)),
    *product(("adaptive",), ("new", "fitted"), ("fit",)),
]
WARM = [*product(("layer", "net", "adaptive"), ("warm",), ("fit",)), ("net", "warm", "partial_fit")]
CODING = [
    *product(("layer", "net", "adaptive"), ("fitted",), ("transform", "score")),
    *product(("net", "adaptive"), ("fitted",), ("encode",)),
    ("layer", "streamed", "transform"),
    ("net", "streamed", "encode"),
]
ONE_PASS = [
    *product(("one pass",), ("new", "fitted"), ("fit",)), ("one pass", "fitted", "transform")
]  # fmt: skip

# Where, in which call of what, and whether after its work.
OF_LAYERS = {
    "the images checked": (_images, "check_range", 1, True),
    "before inference": (Coding, "infer", 2, False),
    "inside inference": (WorkingSet, "maps", 2, True),
    "after inference": (Coding, "infer", 2, True),
    "inside the statistics": (Statistics, "add", 2, True),
    "before the update": (_layer_learner, "update_filters", 2, False),
    "inside the update": (Statistics, "rescale", 2, True),
    "after the update": (_layer_learner, "update_filters", 2, True),
    "between passes": (LayerLearner, "repair_filters", 1, True),
}
OF_ADAPTIVE = {
    "the images checked": (_images, "check_range", 1, True),
    "before inference": (AdaptiveLearner, "_infer", 2, False),
    "inside inference": (_SwitchedProblem, "step", 5, True),
    "after inference": (AdaptiveLearner, "_infer", 2, True),
    "before the update": (_adaptive_learner, "descend_through", 2, False),
    "inside the update": (_through, "patch_sums", 5, True),
    "after the update": (_adaptive_learner, "descend_through", 2, True),
    "between passes": (AdaptiveLearner, "repair_filters", 1, True),
    "between layers": (_adaptive, "next_switches", 1, True),
}
CODING_BY_LAYERS = {
    "the images checked": (_images, "check_range", 1, True),
    "before inference": (Coding, "infer", 1, False),
    "inside inference": (WorkingSet, "maps", 1, True),
    "after inference": (Coding, "infer", 1, True),
}
CODING_BY_ADAPTIVE = {
    "the images checked": (_images, "check_range", 1, True),
    "before inference": (SizedNetwork, "encode", 3, False),
    "inside inference": (_SwitchedProblem, "step", 5, True),
    "after inference": (SizedNetwork, "encode", 3, True),
}


@cache
def uninterrupted(kind, state, method):
    """What an estimator is given, what comes of it, and how many attributes are assigned."""
    images, estimator = OTHER if method == "fit" else GREY[::-1], estimator_of(kind, state)
    owner, assigned = type(estimator), []

    def counted(self, name, value):
        object.__setattr__(self, name, value)
        assigned.append(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, "__setattr__", counted)
        wanted = outcome(estimator, method, images)
    return images, wanted, len(assigned)


def assert_survives(kind, state, method, points, errors=(KeyboardInterrupt,)):
    """Interrupt a call at all points by all errors, then let it do its work."""
    estimator, (images, wanted, _) = estimator_of(kind, state), uninterrupted(kind, state, method)
    for (*point, after), error in product(points, errors):
        interrupt(estimator, images, *point, after=after, error=error, method=method)
    assert_equal(outcome(estimator, method, images), wanted)


@pytest.mark.parametrize("kind", ["layer", "net", "adaptive"])
def test_any_error_leaves_no_trace(kind):
    points = OF_ADAPTIVE if kind == "adaptive" else OF_LAYERS
    assert_survives(kind, "fitted", "fit", [points["inside inference"]], ERRORS)


@pytest.mark.parametrize(("kind", "state", "method"), [*LEARNING, *WARM])
def test_learning_leaves_no_trace(kind, state, method):
    points = OF_ADAPTIVE if kind == "adaptive" else OF_LAYERS
    assert_survives(kind, state, method, points.values())


@pytest.mark.parametrize(("kind", "state", "method"), CODING)
def test_coding_leaves_no_trace(kind, state, method):
    points = CODING_BY_ADAPTIVE if kind == "adaptive" else CODING_BY_LAYERS
    assert_survives(kind, state, method, points.values())


@pytest.mark.parametrize(("kind", "state", "method"), [*LEARNING, *WARM, *ONE_PASS[:2]])
def test_all_that_was_assigned_is_taken_back(kind, state, method):
    owner, (*_, n_assigned) = type(estimator_of(kind, state)), uninterrupted(kind, state, method)
    points = [(owner, "__setattr__", n_assigned, True)]
    if kind == "one pass":
        points.append((_one_pass, "_centred", 1, True))
    elif method == "fit":
        points.append((Checkpoint, "finish", 1, True))
    assert_survives(kind, state, method, points)


@pytest.mark.parametrize(
    ("kind", "method", "point"),
    [
        ("layer", "transform", (_base, "present_codes", 1, False)),
        ("layer", "score", (Synthesis, "reconstruct", 1, True)),
        ("net", "encode", (_base, "present_codes", 2, False)),
        ("adaptive", "encode", (_adaptive, "code_of", 1, True)),
        ("adaptive", "score", (SizedNetwork, "reconstruct", 3, True)),
        ("one pass", "transform", (_one_pass, "_correlate", 1, True)),
    ],
    ids=lambda one: one[1] if isinstance(one, tuple) else one,
)
def test_nothing_is_left_of_codes_that_are_being_presented(kind, method, point):
    assert_survives(kind, "fitted", method, [point])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "state", "method"), [*LEARNING, *WARM, *CODING, *ONE_PASS])
def test_ctrl_c_at_any_moment(kind, state, method):
    images, wanted, _ = uninterrupted(kind, state, method)
    estimator, threads = estimator_of(kind, state), threadpool_info()
    copied = deepcopy(estimator)
    with ctrl_c_at_call() as calls:
        outcome(copied, method, images)
    for number in np.linspace(1, len(calls), 10, endpoint=False).astype(int):
        with unchanged(estimator), pytest.raises(KeyboardInterrupt), ctrl_c_at_call(number):
            getattr(estimator, method)(images)
    assert threadpool_info() == threads
    assert_equal(outcome(estimator, method, images), wanted)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "state"), [("layer", "new"), ("net", "warm"), ("adaptive", "new")]
)
def test_ctrl_c_at_any_moment_leaves_a_whole_file_or_none(kind, state, tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_SECONDS", 0)
    path = tmp_path / "fit.npz"
    estimator = estimator_of(kind, state).set_params(checkpoint=path)
    whole = deepcopy(estimator)
    with ctrl_c_at_call() as calls:
        wanted = outcome(whole, "fit", GREY)
    for number in np.linspace(1, len(calls), 5, endpoint=False).astype(int):
        with unchanged(estimator), pytest.raises(KeyboardInterrupt), ctrl_c_at_call(number):
            estimator.fit(GREY)
        assert set(os.listdir(tmp_path)) <= {path.name}
        if path.exists():
            read_archive(path)
        assert_equal(outcome(deepcopy(estimator), "fit", GREY), wanted)
        assert not os.listdir(tmp_path)


@pytest.mark.parametrize("kind", ["net", "adaptive"])
@pytest.mark.parametrize(
    "point",
    [
        (np, "savez", 2, False), (np.lib.format, "write_array", 3, True), (np, "savez", 2, True),
        (os, "fsync", 1, True), (os, "replace", 2, False), (os, "replace", 2, True),
        (_checkpoint, "write_archive", 2, True), (os, "unlink", 1, True),
    ],
    ids=lambda point: f"{'after' if point[3] else 'before'} {point[1].strip('_')}",
)  # fmt: skip
def test_while_a_checkpoint_is_written(kind, point, tmp_path, monkeypatch):
    monkeypatch.setattr(_checkpoint, "_SECONDS", 0)
    (*point, after), path = point, tmp_path / "fit.npz"
    images, wanted, _ = uninterrupted(kind, "fitted", "fit")
    estimator = estimator_of(kind, "fitted").set_params(checkpoint=path)
    interrupt(estimator, images, *point, after=after, error=KeyboardInterrupt)
    assert set(os.listdir(tmp_path)) <= {path.name}
    assert_equal(outcome(estimator, "fit", images), wanted | {"checkpoint": path})
    assert not os.listdir(tmp_path)


class Fails:
    """A callback whose call ``number`` fails, whatever it is for."""

    number, calls, error = None, [], None

    def setup(self, estimator, context, **kwargs):
        self.calls.append(1)
        if len(self.calls) == self.number:
            raise self.error

    teardown = on_fit_task_begin = on_fit_task_end = setup


@pytest.mark.parametrize(
    ("kind", "state", "error"),
    [
        ("layer", "new", StoppedError),
        ("layer", "fitted", KeyboardInterrupt),
        ("net", "fitted", StoppedError),
        ("adaptive", "fitted", KeyboardInterrupt),
    ],
)
def test_an_exception_in_any_call_of_a_callback(kind, state, error, monkeypatch):
    pytest.importorskip("sklearn.callback")
    monkeypatch.setattr(Fails, "error", error)
    monkeypatch.setattr(Fails, "calls", calls := [])
    # Of a net one pass over each layer has all its tasks.
    max_iter = 2 if kind == "layer" else 1
    estimator = estimator_of(kind, state).set_params(max_iter=max_iter).set_callbacks(Fails())
    wanted = outcome(deepcopy(estimator), "fit", OTHER)
    for number in range(1, len(calls) + 1):
        calls.clear()
        monkeypatch.setattr(Fails, "number", number)
        with unchanged(estimator), pytest.raises(error):
            estimator.fit(OTHER)
    monkeypatch.undo()
    assert number >= 6
    assert_equal(outcome(estimator, "fit", OTHER), wanted)
