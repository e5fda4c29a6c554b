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

from skdeconv import _checkpoint, _images, _learner, _one_pass, _progress, _transformer
from skdeconv._adaptive import _codes, _estimator
from skdeconv._adaptive import _learner as _adaptive_learner
from skdeconv._adaptive._learner import AdaptiveLearner
from skdeconv._adaptive._stack import AdaptiveStack
from skdeconv._checkpoint import read_checkpoint
from skdeconv._drawing import Drawing
from skdeconv._learner import Coding, Learner
from skdeconv._progress import Progress
from skdeconv.inference._adaptive import _Problem
from skdeconv.inference._working_set import WorkingSet
from skdeconv.learning import Statistics, _through

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]

ERRORS = [KeyboardInterrupt, MemoryError, StoppedError]
# Of another size than those of the fit before, so that any trace of them would show.
OTHER = GREY[:, :8, :8]
LEARNING = [
    *product(("layer", "net"), ("new", "fitted", "streamed"), ("fit", "partial_fit")),
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
    "the images checked": (_images, "validate_data", 1, True),
    "before inference": (Coding, "__call__", 2, False),
    "inside inference": (WorkingSet, "descend", 5, True),
    "after inference": (Coding, "__call__", 2, True),
    "inside the statistics": (Statistics, "add", 2, True),
    "before the update": (_learner, "update_filters", 2, False),
    "inside the update": (Statistics, "rescale", 2, True),
    "after the update": (_learner, "update_filters", 2, True),
    "between passes": (Learner, "tend", 1, True),
}
OF_ADAPTIVE = {
    "the images checked": (_images, "validate_data", 1, True),
    "before inference": (AdaptiveLearner, "_infer", 2, False),
    "inside inference": (_Problem, "step", 5, True),
    "after inference": (AdaptiveLearner, "_infer", 2, True),
    "before the update": (_adaptive_learner, "descend_through", 2, False),
    "inside the update": (_through, "patch_sums", 5, True),
    "after the update": (_adaptive_learner, "descend_through", 2, True),
    "between passes": (AdaptiveLearner, "tend", 1, True),
    "between layers": (_estimator, "next_switches", 1, True),
}
CODING_BY_LAYERS = {
    "the images checked": (_images, "validate_data", 1, True),
    "before inference": (Coding, "__call__", 1, False),
    "inside inference": (WorkingSet, "descend", 2, True),
    "after inference": (Coding, "__call__", 1, True),
}
CODING_BY_ADAPTIVE = {
    "the images checked": (_images, "validate_data", 1, True),
    "before inference": (AdaptiveStack, "encode", 3, False),
    "inside inference": (_Problem, "step", 5, True),
    "after inference": (AdaptiveStack, "encode", 3, True),
}


@cache
def uninterrupted(kind, state, method):
    """What an estimator calls with what, what comes of it, and how many calls it takes."""
    images = OTHER if method == "fit" else GREY[::-1]
    estimator = estimator_of(kind, state)
    with ctrl_c_at_call() as calls:
        wanted = outcome(estimator, method, images)
    return images, wanted, len(calls)


def assert_survives(kind, state, method, points):
    """Interrupt a call at all points by all errors, then let it do its work."""
    estimator, (images, wanted, _) = estimator_of(kind, state), uninterrupted(kind, state, method)
    for (*point, after), error in product(points, ERRORS):
        interrupt(estimator, images, *point, after=after, error=error, method=method)
    assert_equal(outcome(estimator, method, images), wanted)


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
    owner, name = Progress, "finish"
    if method == "partial_fit" and not (kind == "net" and state == "new"):
        owner, name = type(estimator_of(kind)), "_partial_fit"
    if kind == "one pass":
        owner, name = _one_pass, "_centred"
    assert_survives(kind, state, method, [(owner, name, 1, True)])


@pytest.mark.parametrize(
    ("kind", "method", "point"),
    [
        ("layer", "transform", (_transformer, "present_codes", 1, False)),
        ("layer", "score", (Drawing, "draw", 1, True)),
        ("net", "encode", (_transformer, "present_codes", 2, False)),
        ("adaptive", "encode", (_codes, "code_of", 1, True)),
        ("adaptive", "score", (AdaptiveStack, "drawn", 3, True)),
        ("one pass", "transform", (_one_pass, "_correlate", 1, True)),
    ],
    ids=lambda one: one[1] if isinstance(one, tuple) else one,
)
def test_nothing_is_left_of_codes_that_are_being_presented(kind, method, point):
    assert_survives(kind, "fitted", method, [point])


@pytest.mark.parametrize(("kind", "state", "method"), [*LEARNING, *WARM, *CODING, *ONE_PASS])
def test_ctrl_c_at_any_moment(kind, state, method):
    images, wanted, n_calls = uninterrupted(kind, state, method)
    estimator, threads = estimator_of(kind, state), threadpool_info()
    for number in np.linspace(1, n_calls, 10, endpoint=False).astype(int):
        with unchanged(estimator), pytest.raises(KeyboardInterrupt), ctrl_c_at_call(number):
            getattr(estimator, method)(images)
    assert threadpool_info() == threads
    assert_equal(outcome(estimator, method, images), wanted)


@pytest.mark.parametrize(
    ("kind", "state"), [("layer", "new"), ("net", "warm"), ("adaptive", "new")]
)
def test_ctrl_c_at_any_moment_leaves_a_whole_file_or_none(kind, state, tmp_path, monkeypatch):
    monkeypatch.setattr(_progress, "_SECONDS", 0)
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
            read_checkpoint(path)
        assert_equal(outcome(deepcopy(estimator), "fit", GREY), wanted)
        assert not os.listdir(tmp_path)


@pytest.mark.parametrize("kind", ["net", "adaptive"])
@pytest.mark.parametrize(
    "point",
    [
        (_checkpoint, "_write_entries", 2, False), (_checkpoint, "_write_entries", 2, True),
        (os, "fsync", 1, True), (os, "replace", 2, False), (os, "replace", 2, True),
        (_checkpoint, "_sync_folder", 2, True), (os, "unlink", 1, True),
    ],
    ids=lambda point: f"{'after' if point[3] else 'before'} {point[1].strip('_')}",
)  # fmt: skip
def test_while_a_checkpoint_is_written(kind, point, tmp_path, monkeypatch):
    monkeypatch.setattr(_progress, "_SECONDS", 0)
    *point, after = point
    estimator = estimator_of(kind, "fitted").set_params(checkpoint=tmp_path / "fit.npz")
    wanted = outcome(deepcopy(estimator), "fit", GREY)
    for error in ERRORS:
        interrupt(estimator, GREY, *point, after=after, error=error)
        assert set(os.listdir(tmp_path)) <= {"fit.npz"}
    assert_equal(outcome(estimator, "fit", GREY), wanted)
    assert not os.listdir(tmp_path)


class Fails:
    """A callback whose call ``number`` fails, whatever it is for."""

    number, calls, error = None, [], None

    def setup(self, estimator, context, **kwargs):
        self.calls.append(1)
        if len(self.calls) == self.number:
            raise self.error

    teardown = on_fit_task_begin = on_fit_task_end = setup


@pytest.mark.parametrize("error", [KeyboardInterrupt, StoppedError])
@pytest.mark.parametrize("state", ["new", "fitted"])
@pytest.mark.parametrize("kind", ["layer", "net", "adaptive"])
def test_an_exception_in_any_call_of_a_callback(kind, state, error, monkeypatch):
    pytest.importorskip("sklearn.callback")
    monkeypatch.setattr(Fails, "error", error)
    monkeypatch.setattr(Fails, "calls", calls := [])
    estimator = estimator_of(kind, state).set_callbacks(Fails())
    wanted = outcome(deepcopy(estimator), "fit", OTHER)
    for number in range(1, len(calls) + 1):
        calls.clear()
        monkeypatch.setattr(Fails, "number", number)
        with unchanged(estimator), pytest.raises(error):
            estimator.fit(OTHER)
    monkeypatch.undo()
    assert number >= 6
    assert_equal(outcome(estimator, "fit", OTHER), wanted)
