"""An interrupted fit goes on where it was, bit for bit; anything else leaves the file alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from reference.interruptions import (
    COLOUR,
    GREY,
    HOLED,
    MIXED,
    assert_same_fit,
    fitted,
    interrupt,
    layer_of,
    net_of,
    refused,
)
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdeconv import AdaptiveDeconvNet, _checkpoint, _learner, _progress
from skdeconv._adaptive._learner import AdaptiveLearner
from skdeconv._learner import Learner

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]

SEEN = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=bool)
# What is fitted, made anew each time, and on what.
MODES = {
    "online": (lambda: layer_of(), GREY),
    "online, colour": (lambda: layer_of(connectivity=SEEN), COLOUR),
    "whole passes": (lambda: layer_of(batch_size=None, max_iter=6), COLOUR),
    "nothing kept": (lambda: layer_of(keep_maps=False), GREY),
    "nothing kept, whole passes": (
        lambda: layer_of(batch_size=None, keep_maps=False, max_iter=6), COLOUR
    ),
    "low frequency": (lambda: layer_of(low_frequency=True), GREY + 2),
    "p < 1": (lambda: layer_of(p=0.7), GREY),
    "positive": (lambda: layer_of(positive=True, solver="fista"), GREY),
    "init": (lambda: layer_of(init=np.ones((3, 3, 3, 1)).tolist()), GREY),
    "warm start": (lambda: fitted(layer_of(warm_start=True, max_iter=2)), GREY),
    "sizes": (lambda: layer_of(), MIXED),
    "sizes, whole passes": (lambda: layer_of(batch_size=None, max_iter=6), MIXED),
    "NaN": (lambda: layer_of(), HOLED),
    "generator": (lambda: layer_of(random_state=np.random.RandomState(3)), GREY),
    "rows": (lambda: layer_of(image_shape=[9, 10]), GREY.reshape(8, -1)),
    "net": (lambda: net_of(), GREY),
    "net, generator": (lambda: net_of(random_state=np.random.RandomState(3)), COLOUR),
    "net, random pairs": (lambda: net_of(connectivity="random-pairs"), COLOUR),
    "net, tables": (lambda: net_of((3, 3), connectivity=(None, SEEN), batch_size=(3, None)), MIXED),
    "net, layer below": (lambda: net_of(lower=fitted(layer_of(max_iter=1))), GREY),
    "net, frozen net below": (
        lambda: net_of((3, 4, 2), lower=FrozenEstimator(fitted(net_of(max_iter=1)))), GREY
    ),
    "net, warm start": (lambda: fitted(net_of(warm_start=True, max_iter=2)), GREY),
    "net, one layer more": (
        lambda: fitted(net_of(warm_start=True, max_iter=2)).set_params(n_filters=(3, 4, 2)), GREY
    ),
}  # fmt: skip
KINDS = ("random-pairs", "pairs", "auto")


def every_update(patch):
    patch.setattr(_progress, "_SECONDS", 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.npz"


@pytest.mark.parametrize("mode", MODES)
def test_it_goes_on_bit_for_bit(mode, path, monkeypatch):
    make, images = MODES[mode]
    wanted = make().fit(images)
    every_update(monkeypatch)
    stopped = make().set_params(checkpoint=path)
    online = "whole" not in mode
    interrupt(stopped, images, Learner, "_visit", 5 if online else 3, after=True)
    assert os.listdir(path.parent) == [path.name]
    interrupt(stopped, images, Learner, "_visit", 2)
    assert_same_fit(stopped.fit(images), wanted, images)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("often", [False, True])
@pytest.mark.parametrize(
    "point",
    [
        (Learner, "_visit", 1), (Learner, "_visit", 7), (_learner, "update_filters", 8),
        (Learner, "tend", 2), (Learner, "_recenter", 3), (_progress, "write_checkpoint", 2),
        (_checkpoint, "_write_entries", 1), (_checkpoint, "_write_entries", 3),
    ],
    ids=lambda point: f"{point[1].strip('_')} {point[2]}",
)  # fmt: skip
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_points_of_interruption(point, after, often, path, monkeypatch):
    if often:
        every_update(monkeypatch)
    layer = layer_of(checkpoint=str(path))
    interrupt(layer, GREY, *point, after=after, error=KeyboardInterrupt)
    assert set(os.listdir(path.parent)) <= {path.name}
    first = not path.exists()
    with pytest.MonkeyPatch.context() as patch:
        visits = []
        visit = Learner._visit
        patch.setattr(Learner, "_visit", lambda *args: visits.append(1) or visit(*args))
        layer.fit(GREY)
    assert (len(visits) == 4 * 3) == first
    assert_same_fit(layer, layer_of().fit(GREY), GREY)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("make", [layer_of, net_of])
def test_where_no_gram_fits_into_memory(make, path, monkeypatch):
    monkeypatch.setattr(_learner, "LARGEST_GRAM", 0)
    every_update(monkeypatch)
    wanted = make().fit(HOLED)
    stopped = make(checkpoint=path)
    for number in (5, 4, 5):
        interrupt(stopped, HOLED, Learner, "_visit", number)
    assert_same_fit(stopped.fit(HOLED), wanted, HOLED)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("number", range(1, 7))
def test_a_net_between_any_two_passes(number, path):
    wanted, stopped = net_of().fit(GREY), net_of(checkpoint=path)
    interrupt(stopped, GREY, Learner, "run_epoch", number)
    assert_same_fit(stopped.fit(GREY), wanted, GREY)
    assert_same_fit(stopped.partial_fit(GREY[:3]), wanted.partial_fit(GREY[:3]))


@pytest.mark.parametrize("name", ["propagate_callback_context", "call_on_fit_task_end"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_callbacks_may_interrupt(name, number, path):
    pytest.importorskip("sklearn.callback")
    hook = "on_fit_task_begin" if name == "propagate_callback_context" else "on_fit_task_end"

    class Interrupts:
        n_calls = 0

        def setup(self, estimator, context):
            pass

        teardown = setup

        def on_fit_task_begin(self, estimator, context, **kwargs):
            self.count("on_fit_task_begin", context)

        def on_fit_task_end(self, estimator, context, **kwargs):
            self.count("on_fit_task_end", context)

        def count(self, here, context):
            if here == hook and context.task_name in ("pass", "layer"):
                self.n_calls += 1
                if self.n_calls == number:
                    raise KeyboardInterrupt

    for make in (layer_of, net_of):
        if make is net_of and number == 4:
            continue
        stopped = make(checkpoint=path).set_callbacks(Interrupts())
        before = vars(stopped).copy()
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(GREY)
        assert vars(stopped) == before
        again = make(checkpoint=path).fit(GREY)
        assert_same_fit(again, make().fit(GREY), GREY)
        assert not os.listdir(path.parent)


def test_without_a_seed_it_goes_on_all_the_same(path):
    stopped = layer_of(random_state=None, checkpoint=path)
    np.random.seed(5)  # noqa: NPY002
    wanted = clone(stopped).set_params(checkpoint=None).fit(GREY)
    np.random.seed(5)  # noqa: NPY002
    interrupt(stopped, GREY, Learner, "run_epoch", 3)
    np.random.seed(6)  # noqa: NPY002
    assert_same_fit(stopped.fit(GREY), wanted, GREY)


def test_a_generator_is_set_back_and_another_is_refused(path):
    layer = layer_of(random_state=np.random.RandomState(3), checkpoint=path)
    before = layer.random_state.get_state()[1].copy()
    interrupt(layer, GREY, Learner, "run_epoch", 3)
    np.testing.assert_array_equal(layer.random_state.get_state()[1], before)
    refused(layer_of(random_state=np.random.RandomState(4), checkpoint=path), GREY, "random_state")


KILLED = """
import os, signal, sys
import numpy as np
from skdeconv import DeconvNetLayer, HierarchicalDeconvNet, _checkpoint, _progress
from skdeconv._learner import Learner

_progress._SECONDS = 0
owner, name, number = {"visit": (Learner, "_visit", 8), "write": (_checkpoint, "_sync_folder", 8),
                       "entries": (_checkpoint, "_write_entries", 8)}[sys.argv[1]]
before, calls = getattr(owner, name), []

def killed(*args):
    result = before(*args)
    calls.append(1)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, killed)
net = HierarchicalDeconvNet((3, 4), 3, lam=5.0, max_iter=3, tol=0, batch_size=3, random_state=0)
images = np.load(sys.argv[2])
net.set_params(checkpoint=sys.argv[3]).fit(images)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_killed_process_goes_on_in_another(tmp_path):
    np.save(tmp_path / "images.npy", GREY)
    folders = {point: tmp_path / point for point in ("visit", "write", "entries")}
    children = []
    for point, folder in folders.items():
        folder.mkdir()
        command = [sys.executable, "-c", KILLED, point, tmp_path / "images.npy", folder / "fit.npz"]
        children.append(subprocess.Popen(command, cwd=Path(__file__).parents[1]))
    wanted = net_of().fit(GREY)
    for child, folder in zip(children, folders.values(), strict=True):
        assert child.wait(60) == -9
        left = set(os.listdir(folder)) - {"fit.npz"}
        assert len(left) == (folder.name == "entries")
        assert all(re.fullmatch(r"fit\.npz\.[0-9a-f]{16}\.tmp", name) for name in left)
        assert (folder / "fit.npz").exists()
        (folder / "fit.npz.tmp").touch()
        assert_same_fit(net_of(checkpoint=folder / "fit.npz").fit(GREY), wanted, GREY)
        assert os.listdir(folder) == ["fit.npz.tmp"]


@pytest.mark.parametrize("options", [{}, {"keep_maps": True}, {"batch_size": None}], ids=str)
@pytest.mark.parametrize("number", [2, 5, 8, 11])
def test_an_adaptive_net_goes_on_bit_for_bit(number, options, path, monkeypatch):
    def make(**more):
        given = {"lam": (10.0, 5.0), "batch_size": 3, "max_iter": 2, "tol": 0, "random_state": 0}
        return AdaptiveDeconvNet((4, 6), 3, (2, 2, 2), **given | options | more)

    wanted, stopped = make().fit(GREY), make(checkpoint=path)
    every_update(monkeypatch)
    n_visits = 4 if options.get("batch_size", 3) is None else 12
    number = min(number, n_visits)
    interrupt(stopped, GREY, AdaptiveLearner, "_visit", number)
    stopped.fit(GREY)
    for name in ("filters_", "cost_"):
        for one, other in zip(getattr(stopped, name), getattr(wanted, name), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not os.listdir(path.parent)
