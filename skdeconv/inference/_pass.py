"""One pass of inference over many images: chunks of fixed size, joblib, one BLAS thread."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager, nullcontext
from functools import cache, partial

import numpy as np
from scipy.sparse import vstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

from skdeconv.inference._result import InferenceResult

# Coefficients of one chunk: enough small images to share the cost of each call, one large photo.
_CHUNK = 2**20


@cache
def _controller():
    return ThreadpoolController()


@contextmanager
def quiet_single_thread():
    """One BLAS thread, and no warning for each fixed number of sweeps that a solver runs."""
    with warnings.catch_warnings(), _controller().limit(limits=1, user_api="blas"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def infer(solve, operator, images, penalty, weight, *, init=None, parallel=None, **options):
    """Infer the maps of all images, chunk by chunk.

    The result is bit-identical for any number of workers: the chunks are of one size, each runs
    on one BLAS thread, and no image depends on its neighbours.

    Parameters
    ----------
    solve : callable
        A solver's function.
    operator, images, penalty, weight, init
        As for the solver, for any number of images.
    parallel : joblib.Parallel, default=None
        Where to run the chunks; None runs them here.
    **options
        Further keyword arguments of the solver.

    Returns
    -------
    result : InferenceResult
        Of all images, in order.
    """
    size = max(1, _CHUNK // int(np.prod(operator.maps_shape)))
    results = map_tasks(
        partial(_solve_chunk, solve, options),
        (
            (operator, images[chunk], penalty, weight, None if init is None else init[chunk])
            for chunk in gen_batches(len(images), size)
        ),
        parallel,
    )
    if len(results) == 1:
        return results[0]
    names = ["cost", "n_iter", "optimality", "converged"]
    if results[0].low is not None:
        names.append("low")
    return InferenceResult(
        vstack([one.maps for one in results], format="csr"),
        *(np.concatenate([getattr(one, name) for one in results]) for name in names),
    )


def _solve_chunk(solve, options, operator, images, penalty, weight, init):
    return solve(operator, images, penalty, weight, init=init, **options)


def map_tasks(function, arguments, parallel=None) -> list:
    """``function(*one)`` for each of the arguments, in order, each on one BLAS thread.

    Parameters
    ----------
    function : callable
        What to run.
    arguments : iterable of tuple
        What to run it with.
    parallel : joblib.Parallel, default=None
        Where to run it; None runs it here.
    """
    here = os.getpid()
    tasks = (delayed(_run)(here, function, *one) for one in arguments)
    with quiet_single_thread():
        return (parallel or Parallel(n_jobs=1))(tasks)


def _run(caller, function, *args):
    # Filters and limits of the calling process reach its threads, but not its workers.
    elsewhere = os.getpid() != caller
    with quiet_single_thread() if elsewhere else nullcontext():
        return function(*args)
