"""Workers of joblib: threads where kernels are compiled, unless the user chooses otherwise."""

import os
import sys
import threading
import warnings

import joblib
import pytest
import sklearn

from skdeconv._utils.parallel import map_tasks, workers


def places(**options):
    """Whether tasks run in other processes, and whether in other threads of this one."""
    with workers(2, **options) as parallel:
        processes = map_tasks(os.getpid, [()] * 4, parallel)
        threads = map_tasks(threading.get_native_id, [()] * 4, parallel)
    return os.getpid() not in processes, threading.get_native_id() not in threads


IN_PROCESSES, IN_THREADS = (True, True), (False, True)


def test_compiled_kernels_run_in_threads(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")
    assert places(in_kernels=True) == IN_THREADS
    assert places() == IN_PROCESSES


def test_portable_kernels_run_in_processes(monkeypatch):
    monkeypatch.setenv("SKDECONV_KERNELS", "portable")
    assert places(in_kernels=True) == IN_PROCESSES


def test_a_backend_of_the_user_wins(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")
    with joblib.parallel_config("loky"):
        assert places(in_kernels=True) == IN_PROCESSES
    with joblib.parallel_config("threading"):
        assert places() == IN_THREADS


def test_one_task_runs_in_this_thread():
    with workers(2, in_kernels=True) as parallel:
        assert map_tasks(threading.get_native_id, [()], parallel) == [threading.get_native_id()]


def test_threads_leave_the_filters_of_warnings():
    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with joblib.parallel_config("threading"), workers(2, tasks_at_once=1) as parallel:
            map_tasks(sum, [(range(100),)] * 500, parallel)
    finally:
        sys.setswitchinterval(interval)
    assert warnings.filters == before


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_take_over_filters_and_configuration(backend):
    with (
        joblib.parallel_config(backend),
        workers(2) as parallel,
        warnings.catch_warnings(),
        sklearn.config_context(working_memory=7),
    ):
        warnings.filterwarnings("error", "broken")
        for one in map_tasks(sklearn.get_config, [()] * 3, parallel):
            assert one["working_memory"] == 7
        with pytest.raises(UserWarning, match="broken"):
            map_tasks(warnings.warn, [("broken",)] * 3, parallel)
