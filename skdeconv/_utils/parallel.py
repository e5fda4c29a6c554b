"""Parallel tasks by joblib, each on one BLAS thread."""

from __future__ import annotations

import os
import re
import threading
import warnings
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import chain, islice

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

# Thread limits and warning filters apply to the whole process. The first of several concurrent
# blocks sets them, and the last one restores them. A block is a pair of its thread and a key.
_LOCK, _PASSES, _WHILE_ANY = threading.RLock(), set(), ExitStack()
# Filtered by message, since other threads must still receive the ConvergenceWarning of estimators.
# The regular expression comment distinguishes these filters from those set by other code.
_IGNORED = [
    ("ignore", re.compile(f"{words}(?#skdeconv)", re.IGNORECASE), category, None, 0)
    for words, category in [
        # joblib stores large arguments on workers of a dask cluster, where they are lost with the
        # worker. A tuple is sent with its task, which the scheduler can move to another worker.
        ("Sending large graph", UserWarning),
        # Raised by scikit-learn after each fixed number of sweeps of a solver.
        ("Objective did not converge", ConvergenceWarning),
    ]
]


@cache
def _controller():
    return ThreadpoolController()


@contextmanager
def _one_blas_thread():
    """Limit BLAS to one thread; another thread than the one that set the limit may restore it."""
    _let_this_thread_limit()
    limiter = _controller().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        try:
            _let_this_thread_limit()
        finally:
            limiter.restore_original_limits()
            _let_this_thread_limit()


def _let_this_thread_limit():
    # threadpoolctl 3.8 ignores all threads but the first one that has set a limit.
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@contextmanager
def quiet_single_thread():
    """Limit BLAS to one thread, and ignore the warnings of ``_IGNORED``."""
    this_pass = threading.get_ident(), object()
    try:
        with _LOCK:
            _PASSES.add(this_pass)
            if len(_PASSES) == 1:
                _WHILE_ANY.enter_context(_one_blas_thread())
        keep_quiet()
        yield
    finally:
        with _LOCK:
            _PASSES.discard(this_pass)
            _restore_after_the_last()


def _restore_after_the_last():
    """Restore thread limits and warning filters, unless a block needs them."""
    if not _PASSES:
        try:
            _WHILE_ANY.close()
        finally:
            warnings.filters[:] = [one for one in warnings.filters if one not in _IGNORED]


def _before_fork():
    # A fork waits for threads that change the limits. Otherwise the child would get half a change.
    _LOCK.acquire()


def _after_fork_in_parent():
    _LOCK.release()


def _after_fork_in_child():
    """End the blocks of threads, none of which a fork copies but the one that calls it."""
    global _LOCK
    # The other threads may have waited for the old lock.
    _LOCK = threading.RLock()
    _PASSES.intersection_update([one for one in _PASSES if one[0] == threading.get_ident()])
    _restore_after_the_last()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )


def keep_quiet() -> None:
    """Set the warning filters again, if another thread has replaced the list of filters.

    ``check_array`` of scikit-learn does so.
    """
    if _PASSES and warnings.filters[:1] != _IGNORED[-1:]:
        for _, words, category, *_ in _IGNORED:
            warnings.filterwarnings("ignore", words.pattern, category)


def workers(n_jobs: int | None, tasks_at_once: int | str = "auto") -> Parallel:
    """Workers of joblib, for ``map_tasks``.

    Arguments are sent to workers directly. The files of joblib's memory maps would stay, often in
    memory, until the last pass, with a copy of the images for each pass.

    Parameters
    ----------
    n_jobs : int or None
        Number of workers.
    tasks_at_once : int or "auto", default="auto"
        Number of tasks that are sent together; "auto" sends more of them if they are short.
    """
    return Parallel(n_jobs=n_jobs, max_nbytes=None, batch_size=tasks_at_once)


def map_tasks(function, arguments, parallel=None) -> list:
    """Apply ``function`` to each tuple of arguments, on one BLAS thread; results are in order.

    Parameters
    ----------
    function : callable
        The function.
    arguments : iterable of tuple
        Positional arguments of each call.
    parallel : joblib.Parallel, default=None
        Workers. None runs the calls in this thread, as does a single tuple, since the latency of a
        cluster often exceeds the time to encode a mini-batch.
    """
    tasks = iter(arguments)
    first = list(islice(tasks, 2))
    tasks = chain(first, tasks)
    with quiet_single_thread():
        if parallel is None or len(first) < 2:
            return [function(*one) for one in tasks]
        return parallel(delayed(_run)(function, one) for one in tasks)


def _run(function, args):
    # Workers do not inherit warning filters and thread limits.
    with quiet_single_thread():
        return function(*args)
