"""Workers of joblib: threads where kernels are compiled, unless the user chooses otherwise."""

import threading

import joblib
import pytest

from skdeconv._utils.parallel import map_tasks, workers


def in_another_thread(number):
    return threading.current_thread() is not threading.main_thread()


def run(**options):
    with workers(2, **options) as parallel:
        return map_tasks(in_another_thread, [(number,) for number in range(4)], parallel)


def test_compiled_kernels_run_in_threads(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")
    assert all(run(in_kernels=True))
    assert not any(run())


def test_portable_kernels_run_in_processes(monkeypatch):
    monkeypatch.setenv("SKDECONV_KERNELS", "portable")
    assert not any(run(in_kernels=True))


def test_a_backend_of_the_user_wins(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")
    with joblib.parallel_config("loky"):
        assert not any(run(in_kernels=True))
    with joblib.parallel_config("threading"):
        assert all(run())


def test_one_task_runs_in_this_thread():
    with workers(2, in_kernels=True) as parallel:
        assert map_tasks(in_another_thread, [(0,)], parallel) == [False]
