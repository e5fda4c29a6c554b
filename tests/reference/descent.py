"""Coordinate descent with the exact proximal map, one coefficient after the other."""

import numpy as np
from scipy.sparse import csc_array

from skdeconv._penalty import PowerPenalty


def exact_prox(v, step, p):
    """Global minimiser of ``step * |u|^p + (u - v)^2 / 2`` for each v, by Newton's method.

    At the threshold zero ties with the other minimum w, so that w^(2 - p) = 2 (1 - p) step. Above
    it the derivative has its larger root in (w, |v|), where it is convex: Newton's iterates fall
    from |v| to it.
    """
    v, step = np.broadcast_arrays(np.asarray(v, dtype=float), step)
    if p == 1:
        return np.sign(v) * np.maximum(np.abs(v) - step, 0)
    w = (2 * (1 - p) * step) ** (1 / (2 - p))
    kept = np.flatnonzero(np.abs(v) > w + step * p * w ** (p - 1))
    minimiser, above, s = np.zeros(v.size), np.abs(v.flat[kept]), step.flat[kept]
    u = above
    for _ in range(8):
        slope = s * p * u ** (p - 1)
        u = u - (u - above + slope) / (1 - (1 - p) * slope / u)
    minimiser[kept] = u * np.sign(v.flat[kept])
    return minimiser.reshape(v.shape)


def descend(matrix, image, weight, p, n_sweeps, order=None):
    """Sweeps over all columns of an explicit matrix, from zeros; returns the coefficients."""
    z, residual = np.zeros(matrix.shape[1]), image.ravel().astype(float)
    squares = (matrix**2).sum(axis=0)
    for _ in range(n_sweeps):
        for j in range(len(z)) if order is None else order:
            if squares[j] == 0:
                continue
            wanted = z[j] + matrix[:, j] @ residual / squares[j]
            found = exact_prox(wanted, 1 / (weight * squares[j]), p)
            residual += matrix[:, j] * (z[j] - found)
            z[j] = found
    return z


def descend_blocks(filters, images, weight, p, tol, max_sweeps):
    """The same for photos of one channel, fast enough in numpy.

    Coefficients of one filter whose positions are whole multiples of the filter size apart draw
    on different pixels. All of them are updated at once, which is what their updates one after
    the other would give: the order is offset of the lattice, then filter. Ends when no image's
    cost falls by more than ``tol`` of it in a sweep.

    Returns the maps (n_samples, n_filters, map_height, map_width), and each image's cost.
    """
    n_filters, _, h, w = filters.shape
    n_samples, height, width = images.shape
    margins = ((0, 0), (h - 1, h - 1), (w - 1, w - 1))
    residual, inside = np.pad(images, margins), np.pad(np.ones_like(images), margins)
    maps = np.zeros((n_samples, n_filters, height + h - 1, width + w - 1))
    costs = [np.full(n_samples, np.inf)]
    while len(costs) <= max_sweeps:
        for top, left in np.ndindex(h, w):
            mask, target = (_blocks(image, top, left, h, w) for image in (inside, residual))
            # Blocks are those of the maps that have this offset, in the same order.
            mask, rows = mask.reshape(-1, h * w), target.reshape(-1, h * w)
            for k in range(n_filters):
                lattice = maps[:, k, top::h, left::w]
                atom = filters[k, 0].ravel()
                squares = mask @ atom**2
                wanted = lattice.ravel() + rows @ atom / squares
                found = exact_prox(wanted, 1 / (weight * squares), p)
                change = lattice.ravel() - found
                moved = np.flatnonzero(change)
                rows[moved] += change[moved, None] * atom * mask[moved]
                lattice[...] = found.reshape(lattice.shape)
            _set_blocks(residual, rows.reshape(target.shape), top, left)
        fit = 0.5 * weight * (residual**2).sum(axis=(1, 2))
        costs.append(fit + (np.abs(maps) ** p).sum(axis=(1, 2, 3)))
        if np.all(costs[-2] - costs[-1] <= tol * costs[-1]):
            break
    return maps, costs[-1]


def _blocks(images, top, left, h, w):
    """Copy of the (h, w) blocks from (top, left) on: (n_samples, vertical, horizontal, h, w)."""
    down, across = (images.shape[1] - top) // h, (images.shape[2] - left) // w
    part = images[:, top : top + down * h, left : left + across * w]
    return part.reshape(len(images), down, h, across, w).transpose(0, 1, 3, 2, 4).copy()


def _set_blocks(images, blocks, top, left):
    _, down, across, h, w = blocks.shape
    part = images[:, top : top + down * h, left : left + across * w]
    part[...] = blocks.transpose(0, 1, 3, 2, 4).reshape(part.shape)


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
        before, cost = cost, weight / 2 * residual @ residual + penalty.value(values)
        if before - cost <= tol * cost:
            break
    return values, cost
