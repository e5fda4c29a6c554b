"""Coordinate descent with the exact proximal map, one coefficient after the other."""

import numpy as np
from scipy.sparse import csc_array

from skdeconv.inference import PowerPenalty


def disjoint_groups(filters_shape, maps_shape):
    """Coefficients of one filter whose atoms share no pixel, for all offsets in turn."""
    h, w = filters_shape[2:]
    index = np.arange(np.prod(maps_shape)).reshape(maps_shape)
    return [
        index[k, a::h, b::w].ravel()
        for k in range(maps_shape[0])
        for a in range(min(h, maps_shape[1]))
        for b in range(min(w, maps_shape[2]))
    ]


def coordinate_descent(
    matrix, y, p, weight, groups, *, start=None, positive=False, tol=1e-5, max_iter=100
):
    """Coefficients and cost of weight / 2 ||A z - y||^2 + sum |z|^p, each minimised in turn.

    The columns of a group share no row, so that all of them together are as good as one after
    the other. Ends when a sweep lowers the cost by less than ``tol`` of it.
    """
    penalty = PowerPenalty(p, positive)
    matrix = csc_array(matrix)
    values = np.zeros(matrix.shape[1]) if start is None else np.array(start, dtype=np.float64)
    lengths = (matrix**2).sum(axis=0)
    groups = [group[lengths[group] > 0] for group in groups]
    blocks = [(group, matrix[:, group], lengths[group]) for group in groups if len(group)]
    blocks = [(*block, block[1].T.tocsr()) for block in blocks]
    residual = y - matrix @ values
    cost = np.inf
    for _ in range(max_iter):
        for group, atoms, squared, transposed in blocks:
            before = values[group]
            found = penalty.prox(before + (transposed @ residual) / squared, 1 / (weight * squared))
            change = found - before
            if change.any():
                values[group] = found
                residual -= atoms @ change
        before, cost = cost, weight / 2 * residual @ residual + penalty.terms(values).sum()
        if before - cost <= tol * cost:
            break
    return values, cost
