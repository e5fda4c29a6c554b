"""Processes forked while other threads are inside a pass over images: they start as if outside."""

import json
import os
import signal
import threading
import warnings
from contextlib import ExitStack

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skdeconv._utils.parallel import quiet_single_thread

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
    # Python 3.12 warns of any fork with threads.
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def state():
    """Number of BLAS threads, and the warning filters of a pass, as plain values."""
    threads = [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]
    patterns = [getattr(one[1], "pattern", one[1]) or "" for one in warnings.filters]
    return threads, [one for one in patterns if "skdeconv" in one]


def before_within_after():
    found = [state()]
    with quiet_single_thread():
        found.append(state())
    return [*found, state()]


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
        with quiet_single_thread():
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
    assert set(before[0]) == set(after[0]) == {2}
    assert set(within[0]) == {1}
    assert (before[1], len(within[1]), after[1]) == ([], 2, [])


def test_a_pass_of_another_thread_ends_in_the_child(other_thread):
    assert_ends_outside(in_child(before_within_after))
    # Here it goes on.
    threads, filters = state()
    assert set(threads) == {1}
    assert len(filters) == 2


def test_a_child_of_a_child(other_thread):
    assert_ends_outside(in_child(lambda: in_child(before_within_after)))


def test_a_pass_of_the_thread_that_forks_ends_with_its_block(other_thread):
    with ExitStack() as block:
        block.enter_context(quiet_single_thread())
        within, after = in_child(lambda: [state(), block.close(), state()][::2])
    assert (set(within[0]), len(within[1])) == ({1}, 2)
    assert (set(after[0]), after[1]) == ({2}, [])


@pytest.mark.slow
def test_forks_while_another_thread_changes_the_limits():
    done = threading.Event()

    def work():
        while not done.is_set():
            with quiet_single_thread():
                pass

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(20):
            assert_ends_outside(in_child(before_within_after))
    finally:
        done.set()
        thread.join(60)
    assert set(state()[0]) == {2}
