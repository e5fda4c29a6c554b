"""Sparse maps beside smooth maps of the low frequencies, by alternation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skdeconv.inference._result import Finished, dense_maps

# Alternations at most; raw photos need three to eight.
ALTERNATIONS = 30


def solve_with_low(
    solve,
    uniform,
    operator,
    images,
    penalty,
    weight,
    *,
    init=None,
    tol=1e-3,
    alternations=ALTERNATIONS,
    **options,
):
    r"""Infer sparse maps and smooth maps in turn, until the cost that they share settles.

    Minimises :math:`\lambda/2 \, (\|F z + A z_0 - y\|^2 + \psi \|\nabla z_0\|^2) + \sum |z|^p`: the
    smooth maps :math:`z_0` by a linear system for the residual of the sparse ones, then the sparse
    ones by a solver for what the smooth ones leave.

    Parameters
    ----------
    solve : callable
        The solver of the sparse maps.
    uniform : UniformConvolution
        A, with psi.
    operator, images, penalty, weight, init, tol, **options
        As for the solver.
    alternations : int, default=30
        Largest number of alternations.

    Returns
    -------
    result : InferenceResult
        With ``low``. An image has converged where its solver has and its last alternation lowered
        the cost by no more than ``tol`` of it.
    """
    finished = Finished(len(images))
    low = np.empty((len(images), *uniform.maps_shape), images.dtype)
    going, maps = np.arange(len(images)), init
    before = np.full(len(images), np.inf)
    for turn in range(1, alternations + 1):
        sparse = operator.forward(dense_maps(operator, images[going], maps))
        low[going], roughness = uniform.fit(images[going] - sparse)
        rest = images[going] - uniform.forward(low[going])
        result = solve(operator, rest, penalty, weight, init=maps, tol=tol, **options)
        cost = result.cost + 0.5 * weight * roughness
        settled = before - cost <= tol * cost
        done = settled | (turn == alternations)
        # One alternation is all that learning asks for: it has nothing to settle.
        converged = result.converged & (settled | (alternations == 1))
        part = np.flatnonzero(done)
        if len(part):
            finished.add(
                result.maps[part],
                going[part],
                cost[part],
                result.optimality[part],
                result.n_iter[part],
                converged[part],
            )
        left = np.flatnonzero(~done)
        if not len(left):
            break
        going, maps, before = going[left], result.maps[left], cost[left]
    return replace(finished.result(), low=low)
