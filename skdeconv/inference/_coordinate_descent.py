"""The default solver: coordinate descent on a growing working set, reweighted for p < 1."""

from __future__ import annotations

import numpy as np

from skdeconv.inference._result import (
    Finished,
    cheaper,
    dual_value,
    relative_gap,
    stationarity,
)
from skdeconv.inference._working_set import WorkingSet

# Sweeps of a reweighting round, and eps of the rounds that smooth, in units of the mean modulus on
# the support: large at first, so that no coefficient is lost to the start.
_SWEEPS = 10
_SMOOTHING = np.geomspace(1e-2, 1e-3, 8)


def solve(operator, images, penalty, weight, *, init=None, tol=1e-3, max_iter=50):
    r"""Infer sparse maps by coordinate descent on a working set.

    Minimises :math:`\lambda/2 \|F z - y\|^2 + \sum |z|^p` for each image. At p = 1 every round
    correlates the residual with all atoms, adds at each pixel the coefficient that violates
    optimality most, and sweeps over the working set, two sweeps more from round to round, until
    the duality gap of the whole problem is below ``tol``. At p < 1 the support of that solution,
    and that of ``init``, is refined by a sequence of tangent weighted-l1 problems with slopes
    :math:`p (|z| + \epsilon)^{p-1}`, and the cheaper of the two is kept.

    Parameters
    ----------
    operator : operator
        Linear map from one image's maps to the image.
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images y, of the operator's floating type.
    penalty : PowerPenalty
        The sparsity term.
    weight : float
        lambda, the weight of the squared error.
    init : csr_array of shape (n_samples, n_coefficients), default=None
        Maps to start from; zeros by default.
    tol : float, default=1e-3
        At p = 1 the relative duality gap at which an image is done. At p < 1 the reweighting ends
        when a round lowers the cost by less than ``tol / 10`` of it.
    max_iter : int, default=50
        Largest number of rounds, and of reweighting rounds after the smoothing has ended.

    Returns
    -------
    result : InferenceResult
        The maps with their certificates.
    """
    lasso = _grow(operator, images, penalty.positive, weight, init, tol, max_iter)
    if penalty.p == 1:
        return lasso
    problem = operator, images, penalty, weight
    result = _reweight(*problem, lasso.maps, _SMOOTHING, tol, max_iter)
    if init is None:
        return result
    return cheaper(result, _reweight(*problem, init, (), tol, max_iter))


def _grow(operator, images, positive, weight, init, tol, max_iter):
    """Solve the problem at p = 1 for a stack, each image until its own gap is closed."""
    working = WorkingSet(operator, images, weight, positive, init)
    finished = Finished(len(images))
    dual = np.full(len(images), -np.inf)
    for iteration in range(max_iter + 1):
        gradient = weight * operator.adjoint(working.residual)
        score = gradient if positive else np.abs(gradient, out=gradient)
        best = score.max(axis=1).reshape(len(score), -1)
        cost = working.cost(1.0)
        dual = np.maximum(
            dual, dual_value(working.images, working.residual, best.max(axis=1), weight)
        )
        gap = relative_gap(cost, dual)
        done = (gap <= tol) | (iteration == max_iter)
        if done.any():
            chosen = np.flatnonzero(done)
            part = working.select(chosen)
            finished.add(
                part.maps(), part.samples, cost[chosen], gap[chosen], iteration, gap[chosen] <= tol
            )
            going = np.flatnonzero(~done)
            if not len(going):
                break
            working, dual = working.select(going), dual[going]
            score, best = score[going], best[going]
        working.add(_worst_at_each_pixel(score, best, 1 + min(tol, 1) / 2))
        working.descend(2 + 2 * iteration)
    return finished.result()


def _worst_at_each_pixel(score, best, threshold):
    """Index, over the stack, of each map position's largest score where it is above threshold."""
    n_filters, n_positions = score.shape[1], best.shape[1]
    sample, position = np.nonzero(best > threshold)
    kernel = score.reshape(len(score), n_filters, -1)[sample, :, position].argmax(axis=1)
    return (sample * n_filters + kernel) * n_positions + position


def _reweight(operator, images, penalty, weight, maps, smoothing, tol, max_iter):
    """Descend at p < 1 from the given maps, on their support."""
    working = WorkingSet(operator, images, weight, penalty.positive, maps)
    typical = working.per_image(np.abs(working.values)) / np.maximum(np.diff(maps.indptr), 1)
    for fraction in smoothing:
        eps = (fraction * typical)[working.sample].astype(images.dtype)
        working.descend(_SWEEPS, penalty.slope(working.values, eps))
    finished = Finished(len(images))
    before = np.full(len(images), np.inf)
    for iteration in range(max_iter + 1):
        # Without smoothing the tangent problem majorises the cost, so that no round can raise it.
        cost = working.cost(penalty.p)
        settled = before - cost <= 0.1 * tol * cost
        done = settled | (iteration == max_iter)
        if done.any():
            chosen = np.flatnonzero(done)
            part = working.select(chosen)
            gradient = weight * operator.adjoint(part.residual)
            found = part.maps()
            violation = stationarity(found, gradient, penalty.p)
            finished.add(found, part.samples, cost[chosen], violation, iteration, settled[chosen])
            going = np.flatnonzero(~done)
            if not len(going):
                break
            working, cost = working.select(going), cost[going]
        before = cost
        working.descend(_SWEEPS, penalty.slope(working.values, 0))
    return finished.result()
