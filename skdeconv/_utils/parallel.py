"""Parallel tasks by joblib, each on one BLAS thread."""

from __future__ import annotations

import os
import sys
import warnings
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from itertools import chain, islice

from joblib import Parallel, delayed
from sklearn import config_context, get_config
from threadpoolctl import ThreadpoolController

from skdeconv.kernels import WhileAny, compiled, quiet_sweeps

_LIMITS = ExitStack()


@cache
def _controller():
    return ThreadpoolController()


@contextmanager
def _limit():
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


#: Context manager that limits BLAS to one thread: the last bits of products depend on their number.
one_blas_thread = WhileAny(lambda: _LIMITS.enter_context(_limit()), _LIMITS.close)


def workers(
    n_jobs: int | None, tasks_at_once: int | str = "auto", in_kernels: bool = False
) -> Parallel:
    """Workers of joblib, for ``map_tasks``.

    Arguments are sent to processes directly. The files of joblib's memory maps would stay, often in
    memory, until the last pass, with a copy of the images for each pass.

    Parameters
    ----------
    n_jobs : int or None
        Number of workers.
    tasks_at_once : int or "auto", default="auto"
        Number of tasks that are sent together; "auto" sends more of them if they are short.
    in_kernels : bool, default=False
        Whether tasks spend most of their time in kernels. Compiled ones release the lock of the
        interpreter, so that threads are then preferred to processes, unless a backend of joblib is
        configured.
    """
    prefer = "threads" if in_kernels and compiled() is not None else None
    return Parallel(n_jobs=n_jobs, max_nbytes=None, batch_size=tasks_at_once, prefer=prefer)


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
    with one_blas_thread(), quiet_sweeps():
        if parallel is None or len(first) < 2:
            return [function(*one) for one in tasks]
        # scikit-learn's own workers set the filters of warnings in each task, which apply to the
        # whole process, and are lost where tasks are threads.
        state = get_config(), list(warnings.filters), os.getpid()
        with _large_graphs():
            return parallel(delayed(_run)(function, one, *state) for one in tasks)


def _run(function, args, config, filters, pid):
    """Run a task in a worker, which does not inherit limits of threads, nor other settings."""
    with ExitStack() as stack:
        stack.enter_context(config_context(**config))
        stack.enter_context(one_blas_thread())
        if os.getpid() != pid:
            stack.enter_context(warnings.catch_warnings())
            warnings.resetwarnings()
            warnings.filters.extend(filters)
        stack.enter_context(quiet_sweeps())
        return function(*args)


@contextmanager
def _large_graphs():
    """Ignore the advice of dask on large arguments of tasks.

    joblib would store them on workers of a cluster, where they are lost with the worker. With its
    task, a tuple can be moved to another worker.
    """
    with warnings.catch_warnings() if "distributed" in sys.modules else nullcontext():
        if "distributed" in sys.modules:
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        yield
