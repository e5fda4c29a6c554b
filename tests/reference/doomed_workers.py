"""A process whose joblib workers meet a fate while they infer; run by test_interrupted_workers.

Its arguments are a kind of estimator, a folder, and calls as "method:fate". Each call loses
one worker, or its memory, and is then made again. What is defined here travels to the workers by
value, since it belongs to ``__main__``.
"""

import os
import resource
import signal
import sys
import time
import warnings
from copy import deepcopy
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib.externals.loky.process_executor import TerminatedWorkerError

from reference.interruptions import GREY, assert_equal, estimator_of, outcome, unchanged
from skdeconv._utils import parallel
from skdeconv.inference import _coding
from skdeconv.networks import _encoding

KIND, FOLDER, *CALLS = sys.argv[1:]
# Whoever removes it is the one.
MARK = os.path.join(FOLDER, "mark")
# As a list they may be of any size. A large one needs some 100 MB.
IMAGES, LARGE = list(GREY), [np.ones((900, 1000))] * 2
ERRORS = {
    "killed": TerminatedWorkerError,
    "failing": MemoryError,
    "exhausted": MemoryError,
    "waiting": KeyboardInterrupt,
}


def killed(task):
    task()
    os.kill(os.getpid(), signal.SIGKILL)


def failing(task):
    task()
    raise MemoryError


def waiting(task):
    task()
    print("waiting", flush=True)
    time.sleep(600)


def exhausted(task):
    """Allow the worker 32 MB more than it has already."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most, before = pages * resource.getpagesize() + 2**25, resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        return task()
    finally:
        # The error is to find its way back.
        resource.setrlimit(resource.RLIMIT_AS, before)


def fated(fate):
    """Stands for what runs a task in a worker."""
    here = os.getpid()

    def run(*args):
        def task():
            return parallel._run(*args)

        if os.getpid() == here:
            raise AssertionError("no worker runs it")
        try:
            os.unlink(MARK)
        except FileNotFoundError:
            return task()
        return fate(task)

    return run


def meet(fate, estimator, method, images):
    """Make a call in which a worker meets its fate."""
    Path(MARK).touch()
    parallel._run = fated(globals()[fate])
    with unchanged(estimator), pytest.raises(ERRORS[fate]):
        getattr(estimator, method)(images)
    assert not os.path.exists(MARK)
    print(f"{method}:{fate}", flush=True)


def main():
    # Shells tell the jobs that they run in the background to ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Chunks of a few small images, so that each call has tasks for both workers.
    _coding._CHUNK, _encoding._CHUNK = 800, 1
    estimator = estimator_of(KIND).set_params(n_jobs=2, output="maps")
    with joblib.parallel_config("sequential"):
        estimator.fit(IMAGES)
        if hasattr(estimator, "partial_fit"):
            estimator.partial_fit(IMAGES)
        methods = {call.split(":")[0] for call in CALLS}
        wanted = {one: outcome(deepcopy(estimator), one, IMAGES) for one in methods}
    # With compiled kernels workers would be threads, which cannot be lost.
    with joblib.parallel_config("loky"):
        for method, fate in (call.split(":") for call in CALLS):
            meet(fate, estimator, method, LARGE if fate == "exhausted" else IMAGES)
            assert_equal(outcome(deepcopy(estimator), method, IMAGES), wanted[method])
        assert_equal(outcome(estimator, method, IMAGES), wanted[method])
    print("done", flush=True)


if __name__ == "__main__":
    with warnings.catch_warnings(action="ignore"):
        main()
