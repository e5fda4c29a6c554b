"""One pass of inference over many images: chunks of fixed size, joblib, one BLAS thread."""

from __future__ import annotations

import math
import re
import threading
import warnings
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from itertools import chain, islice

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

from skdeconv.inference._known import solve_known
from skdeconv.inference._low_frequency import solve_with_low
from skdeconv.inference._result import InferenceResult, rows_of, stacked_rows

# Coefficients of one chunk: enough small images to share the cost of each call, one large photo.
_CHUNK = 2**20
# Limits and filters are the process's, and not a thread's: the first of the passes that run at one
# time sets them, and the last takes them back.
_LOCK, _PASSES, _WHILE_ANY = threading.Lock(), set(), ExitStack()
# By their words: what estimators say of unfinished maps is for another thread to hear. The comment
# makes them differ from whatever filter somebody else has set.
_IGNORED = [
    ("ignore", re.compile(f"{words}(?#skdeconv)", re.IGNORECASE), category, None, 0)
    for words, category in [
        # joblib puts large arguments on workers of a dask cluster, and what lies there is lost with
        # its worker. A tuple travels with its task, which the scheduler can then give to another.
        ("Sending large graph", UserWarning),
        # Of each fixed number of sweeps that a solver runs.
        ("Objective did not converge", ConvergenceWarning),
    ]
]


@cache
def _controller():
    return ThreadpoolController()


@contextmanager
def _one_blas_thread():
    """The limit, which another thread than the one that has set it may take back."""
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
    # threadpoolctl 3.8 ignores all threads but the one that was the first to set a limit.
    for library in _controller().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@contextmanager
def quiet_single_thread():
    """One BLAS thread, and no warning for each fixed number of sweeps that a solver runs."""
    this_pass = object()
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
            if not _PASSES:
                try:
                    _WHILE_ANY.close()
                finally:
                    warnings.filters[:] = [one for one in warnings.filters if one not in _IGNORED]


def keep_quiet() -> None:
    """Set the filters again, where another thread has replaced their list during a pass.

    scikit-learn's check of every array does.
    """
    if _PASSES and warnings.filters[:1] != _IGNORED[-1:]:
        for _, words, category, *_ in _IGNORED:
            warnings.filterwarnings("ignore", words.pattern, category)


def infer(solve, drawing, images, penalty, weight, *, init=None, parallel=None, **options):
    """Infer the maps of all images, chunk by chunk.

    The result is bit-identical for any number of workers: the chunks are of one size, each runs
    on one BLAS thread, and no image depends on its neighbours.

    Parameters
    ----------
    solve : callable
        A solver's function.
    drawing : Drawing
        What draws images of any size from maps, sparse and smooth.
    images : Collection
        The images; NaN marks a missing pixel.
    penalty, weight
        As for the solver.
    init : csr_array, default=None
        Codes to start from, one row per image; zeros by default.
    parallel : joblib.Parallel, default=None
        Where to run the chunks; None runs them here.
    **options
        Further keyword arguments of the solver.

    Returns
    -------
    result : InferenceResult
        Of all images, in order. Where they differ in size a row of ``maps`` ends with the
        coefficients of its own image, and the width is that of the largest. ``low`` is a list.
    """
    chunks = list(images.groups(lambda size: _CHUNK // _checked_number(drawing, size)))

    def tasks():
        for chunk in chunks:
            operator, uniform = drawing.at(images.sizes[chunk][0])
            start = None if init is None else rows_of(init, chunk, math.prod(operator.maps_shape))
            yield operator, uniform, images.part(chunk), penalty, weight, start

    results = map_tasks(partial(_solve_chunk, solve, options), tasks(), parallel)
    return _joined(results, chunks, len(images))


def _checked_number(drawing, size):
    """Coefficients of an image of a size, which 32 bits must be able to count."""
    number = drawing.n_coefficients(size)
    if number > np.iinfo(np.int32).max:
        raise ValueError(
            f"An image of {size[0]} x {size[1]} pixels has {number} coefficients, more than 32-bit "
            "indices can tell apart. Cut it into parts, or take fewer filters."
        )
    return number


def _solve_chunk(solve, options, operator, uniform, images, penalty, weight, init):
    images, solve = images.stack(slice(None)), partial(solve_known, solve)
    if uniform is not None:
        solve = partial(solve_with_low, solve, uniform)
    return solve(operator, images, penalty, weight, init=init, **options)


def _joined(results, chunks, n_samples):
    """One result for all images, in their order."""
    fields = {
        name: np.concatenate([getattr(one, name) for one in results])
        for name in ("cost", "n_iter", "optimality", "converged")
    }
    maps, low = stacked_rows([one.maps for one in results]), None
    if results[0].low is not None:
        low = [maps for one in results for maps in one.low]
    order = np.concatenate([np.arange(n_samples)[chunk] for chunk in chunks])
    if (np.diff(order) < 0).any():
        place = np.argsort(order)
        maps, fields = maps[place], {name: field[place] for name, field in fields.items()}
        low = None if low is None else [low[i] for i in place]
    return InferenceResult(maps, **fields, low=low)


def workers(n_jobs: int | None) -> Parallel:
    """Workers of joblib, for ``map_tasks``.

    What they are to work on goes to them directly. Files that joblib would map it from stay, often
    in memory, until the last pass is done, and each pass would leave a copy of its images.
    """
    return Parallel(n_jobs=n_jobs, max_nbytes=None)


def map_tasks(function, arguments, parallel=None) -> list:
    """``function(*one)`` for each of the arguments, in order, each on one BLAS thread.

    Parameters
    ----------
    function : callable
        What to run.
    arguments : iterable of tuple
        What to run it with.
    parallel : joblib.Parallel, default=None
        Where to run it; None runs it here, and so does a single tuple: a cluster takes longer to
        answer than many a mini-batch to be coded.
    """
    tasks = iter(arguments)
    first = list(islice(tasks, 2))
    tasks = chain(first, tasks)
    with quiet_single_thread():
        if parallel is None or len(first) < 2:
            return [function(*one) for one in tasks]
        return parallel(delayed(_run)(function, one) for one in tasks)


def _run(function, args):
    # Filters and limits of the calling process do not reach its workers.
    with quiet_single_thread():
        return function(*args)
