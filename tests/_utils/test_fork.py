"""Processes forked while other threads are inside a pass over images: they start as if outside."""

import json
import os
import signal
import threading
import warnings
from contextlib import ExitStack

import pytest
import sklearn.linear_model
from reference.images import images_of
from threadpoolctl import threadpool_info, threadpool_limits

from skdeconv import DeconvNetLayer
from skdeconv._utils.parallel import one_blas_thread
from skdeconv.kernels import _portable

IMAGES = images_of(12, 11, n_samples=2)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
    # Python 3.12 warns of any fork with threads.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def blas_threads():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def before_within_after():
    found = [blas_threads()]
    with one_blas_thread():
        found.append(blas_threads())
    return [*found, blas_threads()]


def in_child(function):
    """Result of a function in a forked process, by JSON; the child is killed if it hangs."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            signal.alarm(30)
            os.write(theirs, json.dumps(function()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        content = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0, "the child failed or was killed"
    return json.loads(content)


@pytest.fixture
def other_thread():
    """A thread that stays inside a pass."""
    inside, done = threading.Event(), threading.Event()

    def work():
        with one_blas_thread():
            inside.set()
            done.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(60)
    yield
    done.set()
    thread.join(60)


def assert_ends_outside(found):
    before, within, after = found
    assert set(before) == set(after) == {2}
    assert set(within) == {1}


def test_a_pass_of_another_thread_ends_in_the_child(other_thread):
    assert_ends_outside(in_child(before_within_after))
    # Here it goes on.
    assert set(blas_threads()) == {1}


def test_a_child_of_a_child(other_thread):
    assert_ends_outside(in_child(lambda: in_child(before_within_after)))


def test_a_pass_of_the_thread_that_forks_ends_with_its_block(other_thread):
    with ExitStack() as block:
        block.enter_context(one_blas_thread())
        within, after = in_child(lambda: [blas_threads(), block.close(), blas_threads()][::2])
    assert set(within) == {1}
    assert set(after) == {2}


@pytest.mark.slow
def test_forks_while_another_thread_changes_the_limits():
    done = threading.Event()

    def work():
        while not done.is_set():
            with one_blas_thread():
                pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            assert_ends_outside(in_child(before_within_after))
    finally:
        done.set()
        thread.join(60)
    assert set(blas_threads()) == {2}


def test_a_child_sweeps_while_another_thread_did(monkeypatch):
    monkeypatch.setenv("SKDECONV_KERNELS", "portable")
    layer = DeconvNetLayer(2, 3, max_iter=1, random_state=0).fit(IMAGES)
    inside, done = threading.Event(), threading.Event()

    def lasso_path(*arguments, **options):
        inside.set()
        done.wait(60)
        return sklearn.linear_model.lasso_path(*arguments, **options)

    def work():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_portable, "lasso_path", lasso_path)
            layer.transform(IMAGES)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(60)

    def sweep():
        _portable.lasso_path = sklearn.linear_model.lasso_path
        maps = layer.transform(IMAGES)
        return [maps.tolist(), [str(one[1]) for one in warnings.filters if "skdeconv" in str(one)]]

    found, left = in_child(sweep)
    done.set()
    thread.join(60)
    assert not left
    assert found == layer.transform(IMAGES).tolist()
