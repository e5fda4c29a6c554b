"""Calls that are interrupted at a named point, and what must come of them."""

import inspect
import os
import signal
import sys
import time
import warnings
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import skdeconv
from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.learning import LayerLearner

rng = np.random.RandomState(0)
GREY = rng.normal(size=(5, 9, 10))
COLOUR = rng.normal(size=(5, 8, 9, 3)).astype(np.float32)
HOLED = np.where(rng.uniform(size=GREY.shape) < 0.1, np.nan, GREY)
MIXED = [rng.normal(size=(7 + i % 2, 8, 2)) for i in range(5)]


# Two visits in a pass, and short of any optimum: what is compared are bits.
OPTIONS = {"tol": 0, "batch_size": 3, "random_state": 0}
ROUGHLY = OPTIONS | {"inference_tol": 0.1}


def layer_of(**options):
    options = ROUGHLY | {"lam": 4.0, "max_iter": 3} | options
    return DeconvNetLayer(**{"n_filters": 3, "filter_size": 3} | options)


def net_of(n_filters=(3, 4), **options):
    return HierarchicalDeconvNet(n_filters, 3, **ROUGHLY | {"lam": 5.0, "max_iter": 2} | options)


def adaptive_of(n_filters=(4, 6), **options):
    given = OPTIONS | {"lam": (10.0, 5.0), "max_iter": 2, "n_inference_steps": 4}
    return AdaptiveDeconvNet(n_filters, 3, (2, 2, 2), **given | options)


def one_pass_of(**options):
    return OnePassEncoder(layer_of(**options))


def fitted(estimator, images=GREY):
    return estimator.fit(images)


MAKE = {"layer": layer_of, "net": net_of, "adaptive": adaptive_of, "one pass": one_pass_of}


def estimator_of(kind, state="new"):
    """An estimator of its own, "new", "fitted", "warm" or "streamed"."""
    return deepcopy(_estimator_of(kind, state))


@cache
def _estimator_of(kind, state):
    # The generator of a stream is not the one that was given, and must not be used up either.
    seed = 3 if state == "streamed" else np.random.RandomState(3)
    estimator = MAKE[kind](max_iter=2, random_state=seed)
    if state != "new":
        estimator.fit(GREY)
    if state == "warm":
        estimator.set_params(warm_start=True)
    if state == "streamed":
        estimator.partial_fit(GREY)
        layers_of(estimator)[-1]._stream["idle"] += 1
    return estimator


def outcome(estimator, method, images):
    """What a call gives: codes or a number, or the attributes of what has learned."""
    found = getattr(estimator, method)(images)
    return vars(found) if found is estimator else found


class StoppedError(Exception):
    """What no part of the package raises or catches by itself."""


def raise_at(patch, where, name, number, *, after=False, error=StoppedError):
    """Let call ``number`` of a function fail, before or after its work."""
    before, calls = getattr(where, name), []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == number and not after:
            raise error
        result = before(*args, **kwargs)
        if len(calls) == number:
            raise error
        return result

    patch.setattr(where, name, interrupted)


@contextmanager
def ctrl_c_at_call(number=None):
    """Raise KeyboardInterrupt in the ``number``-th call of any function of the package.

    The calls are counted by the list that is given; without a number that is all.
    """
    package, calls = str(Path(skdeconv.__file__).parent), []

    def called(frame, event, arg):
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        # What the process was set to is taken back there; Ctrl-C at that very moment prevents it.
        spared = file.endswith(("parallel.py", "_process.py")) or name == "_stop_ignoring"
        if event != "call" or not file.startswith(package) or spared:
            return
        # Python ignores what is raised while a generator is closed.
        if not frame.f_code.co_flags & inspect.CO_GENERATOR:
            calls.append(file)
            if len(calls) == number:
                raise KeyboardInterrupt

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        yield calls
    finally:
        sys.setprofile(before)


@contextmanager
def unchanged(estimator):
    """Require the same attributes after a block, in each what was in it, and no warning hidden."""
    before, contents = vars(estimator).copy(), deepcopy(vars(estimator))
    filters = warnings.filters[:]
    yield
    assert vars(estimator).keys() == before.keys()
    for name, one in before.items():
        assert vars(estimator)[name] is one, name
    assert_equal(vars(estimator), contents)
    assert warnings.filters == filters


def interrupt(estimator, images, where, name, number, *, method="fit", **options):
    with unchanged(estimator), pytest.MonkeyPatch.context() as patch:
        raise_at(patch, where, name, number, **options)
        with pytest.raises(options.get("error", StoppedError)):
            getattr(estimator, method)(images)


def assert_equal(found, wanted):
    """Require the same types and the same bits, however deep they lie."""
    assert type(found) is type(wanted)
    if isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    elif isinstance(wanted, np.random.RandomState):
        assert_equal(found.get_state(legacy=False), wanted.get_state(legacy=False))
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name, one in wanted.items():
            assert_equal(found[name], one)
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for pair in zip(found, wanted, strict=True):
            assert_equal(*pair)
    elif hasattr(wanted, "__dict__"):
        assert_equal(vars(found), vars(wanted))
    else:
        assert found == wanted


def layers_of(estimator):
    return getattr(estimator, "layers_", [estimator])


def assert_same_fit(found, wanted, images=None):
    assert len(layers_of(found)) == len(layers_of(wanted))
    for one, other in zip(layers_of(found), layers_of(wanted), strict=True):
        assert one.filters_.dtype == other.filters_.dtype
        np.testing.assert_array_equal(one.filters_, other.filters_)
        np.testing.assert_array_equal(one.cost_, other.cost_)
        np.testing.assert_array_equal(one.connectivity, other.connectivity)
        assert one.n_iter_ == other.n_iter_
        assert one._stream.keys() == other._stream.keys()
        for name in set(one._stream) - {"random_state"}:
            np.testing.assert_array_equal(one._stream[name], other._stream[name])
        assert vars(one).keys() == vars(other).keys()
    assert found.n_iter_ == wanted.n_iter_
    assert vars(found).keys() == vars(wanted).keys()
    if isinstance(wanted.random_state, np.random.RandomState):
        assert found.random_state.randint(2**31) == wanted.random_state.randint(2**31)
    if isinstance(images, np.ndarray):
        np.testing.assert_array_equal(found.transform(images), wanted.transform(images))


def refused(estimator, images, match, error=ValueError):
    """Refused before any work, with file, folder and estimator as they were."""
    path = Path(estimator.checkpoint)
    before, content = vars(estimator).copy(), path.read_bytes() if path.is_file() else None
    with pytest.MonkeyPatch.context() as patch:
        raise_at(patch, LayerLearner, "_visit", 1)
        with pytest.raises(error, match=match):
            estimator.fit(images)
    assert vars(estimator) == before
    if content is not None:
        assert path.read_bytes() == content
        assert os.listdir(path.parent) == [path.name]


def is_gone(group, seconds=20):
    """Whether the last process of a group ends in time."""
    for _ in range(10 * seconds):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return False
