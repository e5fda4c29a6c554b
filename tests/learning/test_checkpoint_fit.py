"""An interrupted fit goes on where it was, bit for bit; anything else leaves the file alone."""

import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from reference.interruptions import (
    COLOUR,
    GREY,
    HOLED,
    MIXED,
    adaptive_of,
    assert_same_fit,
    fitted,
    interrupt,
    layer_of,
    net_of,
    refused,
)
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skdeconv.learning import AdaptiveLearner, LayerLearner, _checkpoint, _layer_learner

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]

SEEN = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1]], dtype=bool)
# What is fitted, made anew each time, and on what.
MODES = {
    "online": (lambda: layer_of(), GREY),
    "online, colour": (lambda: layer_of(connectivity=SEEN), COLOUR),
    "whole passes": (lambda: layer_of(batch_size=None, max_iter=5), COLOUR),
    "nothing kept": (lambda: layer_of(keep_maps=False), GREY),
    "nothing kept, whole passes": (
        lambda: layer_of(batch_size=None, keep_maps=False, max_iter=5), COLOUR
    ),
    "low frequency": (lambda: layer_of(low_frequency=True), GREY + 2),
    "p < 1": (lambda: layer_of(p=0.7), GREY),
    "positive": (lambda: layer_of(positive=True, solver="fista"), GREY),
    "init": (lambda: layer_of(init=np.ones((3, 3, 3, 1)).tolist()), GREY),
    "warm start": (lambda: fitted(layer_of(warm_start=True)), GREY),
    "sizes": (lambda: layer_of(), MIXED),
    "sizes, whole passes": (lambda: layer_of(batch_size=None, max_iter=5), MIXED),
    "NaN": (lambda: layer_of(), HOLED),
    "generator": (lambda: layer_of(random_state=np.random.RandomState(3)), GREY),
    "rows": (lambda: layer_of(image_shape=[9, 10]), GREY.reshape(5, -1)),
    "net": (lambda: net_of(), GREY),
    "net, generator": (lambda: net_of(random_state=np.random.RandomState(3)), COLOUR),
    "net, random pairs": (lambda: net_of(connectivity="random-pairs"), COLOUR),
    "net, tables": (lambda: net_of((3, 3), connectivity=(None, SEEN), batch_size=(3, None)), MIXED),
    "net, layer below": (lambda: net_of(max_iter=3, lower=fitted(layer_of(max_iter=1))), GREY),
    "net, frozen net below": (
        lambda: net_of(
            (3, 4, 2), max_iter=3, lower=FrozenEstimator(fitted(net_of(max_iter=1)))
        ), GREY
    ),
    "net, warm start": (lambda: fitted(net_of(warm_start=True)), GREY),
    "net, one layer more": (
        lambda: fitted(net_of(warm_start=True)).set_params(n_filters=(3, 4, 2), max_iter=3), GREY
    ),
}  # fmt: skip
KINDS = ("random-pairs", "pairs", "auto")


@pytest.fixture(scope="module")
def fits():
    """What nobody interrupted has learned from the grey images, by what makes the estimator."""
    return {make: make().fit(GREY) for make in (layer_of, net_of)}


def every_update(patch):
    patch.setattr(_checkpoint, "_SECONDS", 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.npz"


@pytest.mark.parametrize("mode", MODES)
def test_it_goes_on_bit_for_bit(mode, path, monkeypatch):
    make, images = MODES[mode]
    wanted = make().fit(images)
    every_update(monkeypatch)
    stopped = make().set_params(checkpoint=path)
    interrupt(stopped, images, LayerLearner, "_visit", 3, after=True)
    assert os.listdir(path.parent) == [path.name]
    interrupt(stopped, images, LayerLearner, "_visit", 2)
    assert_same_fit(stopped.fit(images), wanted, images)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize(
    "point",
    [
        (LayerLearner, "_visit", 1), (LayerLearner, "_visit", 4),
        (_layer_learner, "update_filters", 5), (LayerLearner, "repair_filters", 2),
        (LayerLearner, "_recenter", 2), (_checkpoint, "write_archive", 2),
        (np, "savez", 1), (np, "savez", 2),
    ],
    ids=lambda point: f"{point[1].strip('_')} {point[2]}",
)  # fmt: skip
@pytest.mark.parametrize(
    ("after", "often"), [(False, True), (True, False)], ids=["before", "after"]
)
def test_points_of_interruption(point, after, often, path, fits, monkeypatch):
    if often:
        every_update(monkeypatch)
    layer = layer_of(checkpoint=str(path))
    interrupt(layer, GREY, *point, after=after, error=KeyboardInterrupt)
    assert set(os.listdir(path.parent)) <= {path.name}
    first = not path.exists()
    with pytest.MonkeyPatch.context() as patch:
        visits = []
        visit = LayerLearner._visit
        patch.setattr(LayerLearner, "_visit", lambda *args: visits.append(1) or visit(*args))
        layer.fit(GREY)
    assert (len(visits) == 3 * 2) == first
    assert_same_fit(layer, fits[layer_of], GREY)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize(("make", "numbers"), [(layer_of, (2, 2, 2)), (net_of, (4, 3, 3))])
def test_where_no_gram_fits_into_memory(make, numbers, path, monkeypatch):
    monkeypatch.setattr(_layer_learner, "LARGEST_GRAM", 0)
    every_update(monkeypatch)
    wanted = make().fit(HOLED)
    stopped = make(checkpoint=path)
    for number in numbers:
        interrupt(stopped, HOLED, LayerLearner, "_visit", number)
    assert_same_fit(stopped.fit(HOLED), wanted, HOLED)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_net_between_any_two_passes(number, path, fits):
    wanted, stopped = deepcopy(fits[net_of]), net_of(checkpoint=path)
    interrupt(stopped, GREY, LayerLearner, "run_pass", number)
    assert_same_fit(stopped.fit(GREY), wanted, GREY)
    assert_same_fit(stopped.partial_fit(GREY[:3]), wanted.partial_fit(GREY[:3]))


@pytest.mark.parametrize("name", ["propagate_callback_context", "call_on_fit_task_end"])
@pytest.mark.parametrize("number", [1, 2])
def test_callbacks_may_interrupt(name, number, path, fits):
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
        stopped = make(checkpoint=path).set_callbacks(Interrupts())
        before = vars(stopped).copy()
        with pytest.raises(KeyboardInterrupt):
            stopped.fit(GREY)
        assert vars(stopped) == before
        again = make(checkpoint=path).fit(GREY)
        assert_same_fit(again, fits[make], GREY)
        assert not os.listdir(path.parent)


def test_without_a_seed_it_goes_on_all_the_same(path):
    stopped = layer_of(random_state=None, checkpoint=path)
    np.random.seed(5)  # noqa: NPY002
    wanted = clone(stopped).set_params(checkpoint=None).fit(GREY)
    np.random.seed(5)  # noqa: NPY002
    interrupt(stopped, GREY, LayerLearner, "run_pass", 3)
    np.random.seed(6)  # noqa: NPY002
    assert_same_fit(stopped.fit(GREY), wanted, GREY)


def test_a_generator_is_set_back_and_another_is_refused(path):
    layer = layer_of(random_state=np.random.RandomState(3), checkpoint=path)
    before = layer.random_state.get_state()[1].copy()
    interrupt(layer, GREY, LayerLearner, "run_pass", 3)
    np.testing.assert_array_equal(layer.random_state.get_state()[1], before)
    refused(layer_of(random_state=np.random.RandomState(4), checkpoint=path), GREY, "random_state")


KILLED = """
import os, signal, sys
import numpy as np
from skdeconv import HierarchicalDeconvNet
from skdeconv.learning import LayerLearner, _checkpoint

_checkpoint._SECONDS = 0
owner, name, number = {"visit": (LayerLearner, "_visit", 6), "write": (os, "replace", 6),
                       "entries": (np, "savez", 6)}[sys.argv[1]]
before, calls = getattr(owner, name), []

def killed(*args, **kwargs):
    result = before(*args, **kwargs)
    calls.append(1)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(owner, name, killed)
net = HierarchicalDeconvNet((3, 4), 3, lam=5.0, max_iter=2, tol=0, batch_size=3, random_state=0)
net.set_params(inference_tol=0.1, checkpoint=sys.argv[3]).fit(np.load(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGKILL")
def test_a_killed_process_goes_on_in_another(tmp_path):
    np.save(tmp_path / "images.npy", GREY)
    folders = {point: tmp_path / point for point in ("visit", "write", "entries")}
    children = []
    for point, folder in folders.items():
        folder.mkdir()
        command = [sys.executable, "-c", KILLED, point, tmp_path / "images.npy", folder / "fit.npz"]
        children.append(subprocess.Popen(command, cwd=Path(__file__).parents[2]))
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


@pytest.mark.parametrize(
    ("options", "numbers"),
    [({}, (2, 7)), ({"keep_maps": True}, (3, 6)), ({"batch_size": None}, (2, 4))],
    ids=["nothing kept", "maps kept", "whole passes"],
)
@pytest.mark.parametrize("which", [0, 1], ids=["first", "second"])
def test_an_adaptive_net_goes_on_bit_for_bit(which, options, numbers, path, monkeypatch):
    wanted = adaptive_of(**options).fit(GREY)
    stopped = adaptive_of(**options, checkpoint=path)
    every_update(monkeypatch)
    interrupt(stopped, GREY, AdaptiveLearner, "_visit", numbers[which])
    stopped.fit(GREY)
    for name in ("filters_", "cost_"):
        for one, other in zip(getattr(stopped, name), getattr(wanted, name), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not os.listdir(path.parent)
