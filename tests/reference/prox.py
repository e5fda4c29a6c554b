"""The proximal map of |u|^p by a search of the whole line, for all p in (0, 1]."""

import numpy as np
from scipy.optimize import minimize_scalar


def objective(u, v, step, p):
    return step * np.abs(u) ** p + (u - v) ** 2 / 2


def threshold(step, p):
    """Where zero ties with the other minimum w: their equal objectives give w, w gives v."""
    if p == 1:
        return step
    w = (2 * (1 - p) * step) ** (1 / (2 - p))
    return w + p * step * w ** (p - 1)


def global_minimiser(v, step, p, positive=False):
    """Best of zero and all local minima of a fine grid, polished between their neighbours."""
    grid = np.linspace(0 if positive else -2 * abs(v), 2 * abs(v), 4001)
    costs = objective(grid, v, step, p)
    walled = np.pad(costs, 1, constant_values=np.inf)
    dips = np.flatnonzero((costs <= walled[:-2]) & (costs <= walled[2:]))
    candidates = [0.0]
    for dip in dips:
        bounds = grid[max(dip - 1, 0)], grid[min(dip + 1, 4000)]
        options = {"xatol": 1e-12 * abs(v)}
        found = minimize_scalar(
            objective, bounds=bounds, args=(v, step, p), method="bounded", options=options
        )
        candidates.append(found.x)
    return min(candidates, key=lambda u: objective(u, v, step, p))
