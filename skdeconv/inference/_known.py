"""Sparse maps of images with missing pixels, by any solver."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, vstack

from skdeconv.inference._result import InferenceResult
from skdeconv.operators import Masked, zeros_for_nan


def solve_known(solve, operator, images, penalty, weight, *, init=None, **options):
    r"""Infer sparse maps of a stack of images, of which NaN marks the missing pixels.

    Minimises :math:`\lambda/2 \sum_i ((F z)_i - y_i)^2 + \sum |z|^p` for each image, over its known
    pixels i. Images with one mask are one stack for the solver; those without missing pixels are
    solved as if there were no others.

    Parameters
    ----------
    solve : callable
        A solver's function.
    operator : operator
        Linear map from one image's maps to the image.
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images y, of the operator's floating type. Each channel may have its own mask.
    penalty, weight, init, **options
        As for the solver.

    Returns
    -------
    result : InferenceResult
        In the order of the stack. A coefficient that reaches no known pixel is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv._penalty import PowerPenalty
    >>> from skdeconv.inference import SOLVERS
    >>> from skdeconv.inference._known import solve_known
    >>> from skdeconv.operators import Convolution
    >>> images = np.array([[[[3.0, np.nan, -2.0]]]])
    >>> operator = Convolution(np.ones((1, 1, 1, 1)), (1, 3))
    >>> solve = SOLVERS["fista"].solve
    >>> solve_known(solve, operator, images, PowerPenalty(1.0), 2.0).maps.toarray()
    array([[ 2.5,  0. , -1.5]])
    """
    known = ~np.isnan(images)
    if known.all():
        return solve(operator, images, penalty, weight, init=init, **options)
    masks, group = np.unique(known.reshape(len(known), -1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    samples, results = [], []
    for i, mask in enumerate(masks):
        chosen = np.flatnonzero(group == i)
        stack, start = images[chosen], None if init is None else init[chosen]
        seen = operator
        if not mask.all():
            seen = Masked(operator, mask.reshape(images.shape[1:]))
            stack, start = zeros_for_nan(stack), _reaching(seen, start)
        samples.append(chosen)
        results.append(solve(seen, stack, penalty, weight, init=start, **options))
    return _in_order(results, np.argsort(np.concatenate(samples)))


def _reaching(operator, maps):
    """Maps without the coefficients that reach no known pixel, which no solver has to visit."""
    if maps is None or not maps.nnz:
        return maps
    used, place = np.unique(maps.indices, return_inverse=True)
    atoms = operator.atoms(used)
    column = np.repeat(np.arange(len(used)), np.diff(atoms.indptr))
    reaches = np.bincount(column, weights=atoms.data != 0, minlength=len(used)) > 0
    data = np.where(reaches[place], maps.data, maps.dtype.type(0))
    maps = csr_array((data, maps.indices, maps.indptr), shape=maps.shape, copy=True)
    maps.eliminate_zeros()
    return maps


def _in_order(results, order):
    """One result of several, its samples in the given order."""
    names = ["cost", "n_iter", "optimality", "converged"]
    if results[0].low is not None:
        names.append("low")
    fields = {
        name: np.concatenate([getattr(one, name) for one in results])[order] for name in names
    }
    maps = vstack([one.maps for one in results], format="csr")[order]
    return InferenceResult(maps, **fields)
