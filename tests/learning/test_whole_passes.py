"""Passes over all images that keep no maps: what is in memory at once, and what is not."""

import numpy as np
import pytest
from joblib import wrap_non_picklable_objects

from skdeconv import DeconvNetLayer
from skdeconv._utils.parallel import map_tasks, workers
from skdeconv.layouts import _collection
from skdeconv.learning import _layer_learner

IMAGES = np.random.default_rng(0).standard_normal((20, 8, 7))
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def layer_of(**options):
    given = {"lam": 4.0, "max_iter": 2, "tol": 0, "batch_size": None, "keep_maps": False}
    return DeconvNetLayer(3, 3, **given | {"random_state": 0} | options)


class Lazy:
    """A sequence that reads on access, and counts the images that somebody still holds."""

    def __init__(self):
        self.held, self.most = set(), 0

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, i):
        image = IMAGES[i].copy().view(Counted)
        image.owner, image.number = self, i
        self.held.add(i)
        self.most = max(self.most, len(self.held))
        return image


class Counted(np.ndarray):
    """An image that tells its sequence when it is gone."""

    def __del__(self):
        if getattr(self, "owner", None) is not None:
            self.owner.held.discard(self.number)


def test_a_lazy_sequence_is_never_in_memory_as_a_whole(monkeypatch):
    monkeypatch.setattr(_collection, "_PIXELS", 2 * IMAGES[0].size)
    images = Lazy()
    layer = layer_of().fit(images)
    # A task has three images.
    assert images.most <= 4
    np.testing.assert_array_equal(layer.filters_, layer_of().fit(IMAGES).filters_)


@pytest.mark.parametrize("waiting", [1, 30_000])
def test_statistics_are_summed_before_many_of_them_wait(waiting, monkeypatch):
    wanted, rounds = layer_of().fit(IMAGES), []

    def counted(function, arguments, parallel=None):
        results = map_tasks(function, arguments, parallel)
        rounds.append(len(results))
        return results

    monkeypatch.setattr(_layer_learner, "map_tasks", counted)
    monkeypatch.setattr(_layer_learner, "_WAITING", waiting)
    layer = layer_of().fit(IMAGES)
    # 27 x 27 numbers of eight bytes.
    assert max(rounds) == max(2, waiting // 5832)
    np.testing.assert_array_equal(layer.filters_, wanted.filters_)
    np.testing.assert_array_equal(layer.cost_, wanted.cost_)


def test_many_images_make_many_tasks(monkeypatch):
    wanted, sizes = layer_of().fit(IMAGES), []

    def counted(function, arguments, parallel=None):
        tasks = list(arguments)
        sizes.append([len(images) for (images,) in tasks])
        return map_tasks(function, tasks, parallel)

    monkeypatch.setattr(_layer_learner, "map_tasks", counted)
    monkeypatch.setattr(_layer_learner, "_PART_PIXELS", 2 * IMAGES[0].size)
    layer = layer_of(max_iter=1).fit(IMAGES)
    assert sizes == [10 * [2]]
    np.testing.assert_allclose(layer.cost_, wanted.cost_[:1], rtol=1e-9)


@pytest.mark.parametrize("mapped", [False, True])
def test_no_copies_for_workers_pile_up_on_disk(mapped, tmp_path):
    # Of two megabytes, beyond which joblib maps arrays from files unless it is told not to.
    array = np.zeros((8, 2**18))
    if mapped:
        np.save(tmp_path / "images.npy", array)
        array = np.load(tmp_path / "images.npy", mmap_mode="r")
    kind = wrap_non_picklable_objects(lambda one: (type(one).__name__, one.shape))
    with workers(2) as parallel:
        found = map_tasks(kind, ((array[i : i + 2],) for i in range(0, 8, 2)), parallel)
    # What lies in a file already stays there.
    assert found == 4 * [("memmap" if mapped else "ndarray", (2, 2**18))]
