"""Images coded by the processes of a dask cluster, and what travels to them and back."""

import os
import pickle
import signal
import threading

import joblib
import numpy as np
import pytest

from skdeconv import DeconvNetLayer
from skdeconv._utils.parallel import map_tasks
from skdeconv.layouts import Images
from skdeconv.learning import _layer_learner

distributed = pytest.importorskip("distributed")
psutil = pytest.importorskip("psutil")

# Sockets of a killed worker are closed when the collector finds them.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

FITS = [
    pytest.param({"batch_size": batch_size, "keep_maps": keep_maps}, id=f"{name}-{keep_maps}")
    for name, batch_size in (("whole", None), ("online", 12))
    for keep_maps in (False, True)
]


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        first = client.run(os.getpid)
        yield client
        last = client.run(os.getpid)
    for pid in {*first.values(), *last.values()}:
        assert not psutil.pid_exists(pid), f"worker {pid} outlives its cluster"


@pytest.fixture(scope="module")
def images():
    # Large enough for several chunks, of 2**20 coefficients each.
    return np.random.default_rng(0).standard_normal((24, 96, 96)).astype(np.float32)


def make_layer(**changed):
    options = {"lam": 0.7, "random_state": 0, "max_iter": 2, "tol": 0, "inference_tol": 1e-2}
    return DeconvNetLayer(9, 7, **options | {"sparse_output": True} | changed)


@pytest.fixture(scope="module")
def layer(images):
    return make_layer(max_iter=1).fit(images[:4])


def assert_same_rows(one, other):
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_transform_gives_the_bits_of_one_process(client, images, layer):
    here = layer.transform(images)
    with joblib.parallel_config("dask"):
        there = layer.transform(images)
    assert_same_rows(here, there)


@pytest.mark.parametrize("options", FITS)
def test_fit_gives_the_bits_of_one_process(client, images, options):
    here = make_layer(n_jobs=1, **options).fit(images)
    with joblib.parallel_config("dask"):
        there = make_layer(**options).fit(images)
    np.testing.assert_array_equal(here.filters_, there.filters_)
    np.testing.assert_array_equal(here.cost_, there.cost_)


def test_a_worker_that_is_killed_costs_no_result(client, images, tmp_path):
    options = {"batch_size": None, "keep_maps": False}
    here = make_layer(n_jobs=1, **options).fit(images)
    victim = min(client.run(os.getpid).values())
    killed = threading.Event()

    def kill():
        os.kill(victim, signal.SIGKILL)
        killed.set()

    timer = threading.Timer(0.3, kill)
    with joblib.parallel_config("dask"):
        timer.start()
        there = make_layer(**options).fit(images)
    # If the fit was over before the worker died, nothing has been tried.
    assert killed.is_set()
    timer.join()
    np.testing.assert_array_equal(here.filters_, there.filters_)
    np.testing.assert_array_equal(here.cost_, there.cost_)


def test_rows_of_a_dask_array(client, images):
    array = pytest.importorskip("dask.array")
    rows = images[:6, :32, :32].reshape(6, -1)
    layer = make_layer(image_shape=(32, 32), max_iter=1, sparse_output=False).fit(rows)
    here = layer.transform(rows)
    lazy = array.from_array(rows, chunks=(2, -1))
    there = lazy.map_blocks(
        layer.transform, dtype=here.dtype, chunks=(lazy.chunks[0], (here.shape[1],))
    )
    assert there.shape == here.shape
    np.testing.assert_array_equal(there.compute(), here)


def pickled_of_a_fit(images, monkeypatch):
    """Bytes of the images in all tasks of a pass, and of what each task returns."""
    sent, returned = [], []

    def counted(function, arguments, parallel=None):
        tasks = list(arguments)
        sent.append(sum(len(pickle.dumps((function, one), protocol=5)) for one in tasks))
        results = map_tasks(function, tasks, parallel)
        returned.extend(len(pickle.dumps(one, protocol=5)) for one in results)
        return results

    monkeypatch.setattr(_layer_learner, "map_tasks", counted)
    make_layer(batch_size=None, keep_maps=False).fit(images)
    return sent, returned


def test_what_returns_does_not_grow_with_the_pixels(images, monkeypatch):
    _, of_small = pickled_of_a_fit(images[:, :24, :24], monkeypatch)
    _, of_large = pickled_of_a_fit(images[:, :72, :72], monkeypatch)
    assert len(of_small) == len(of_large) > 2
    # The Gram matrix of nine filters of 7x7 in float32 is nearly all of it.
    gram = 4 * (9 * 49) ** 2
    assert gram < min(of_small) <= max(of_small + of_large) < 1.02 * gram
    assert max(of_large) - min(of_small) < 100


def test_images_are_sent_once_a_pass(images, monkeypatch):
    sent, _ = pickled_of_a_fit(images[:, :72, :72].copy(), monkeypatch)
    data = images[:, :72, :72].nbytes
    assert len(sent) == 2
    for of_a_pass in sent:
        assert data < of_a_pass < 1.1 * data


def test_the_size_of_images_is_that_of_their_pixels(images):
    # By it dask decides where to send tasks.
    sizes = np.full((len(images), 2), 96)
    for source in (images, list(images)):
        assert Images(source, sizes, 1, images.dtype).__sizeof__() > images.nbytes
