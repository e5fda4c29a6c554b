"""Whole rounds of coordinate descent on a working set, image by image."""

from __future__ import annotations

import numpy as np

from skdeconv.kernels._compiled._correlation import best_of_windows
from skdeconv.kernels._compiled._descent import found_cut, invert, subtract, sweep
from skdeconv.kernels._compiled._jit import jit
from skdeconv.kernels._compiled._padding import fill, row_start
from skdeconv.kernels._schedule import FIRST_SWEEPS, MARGIN, MORE_SWEEPS, NEARLY, SCALINGS

# A multiplication in a sweep takes about ten times as long as one in a correlation. Sweeps of few
# coefficients that take less time than the correlation before are repeated, up to a limit, or
# until no inner product changes by more than a fraction of the tolerance.
_SHARE, _MOST_SWEEPS, _ENOUGH = 0.1, 50, 0.1


@jit
def lasso(
    images, known, masked, padded, scaled, filters, together, taps, begins, places, norms, h, w,
    wide, weight, precise, positive, tol, budget, max_iter, score, kernel, score_scaled,
    kernel_scaled, indptr, pixels, kernels, values, new_indptr, new_pixels, new_kernels, new_values,
    rounds, cost, dual, gap,
):  # fmt: skip
    """Run rounds for each image, up to ``max_iter`` of all calls, or until the budget is spent.

    The budget is a number of multiplications, that of an image and that of a call: an image that
    has spent it is continued by the next call, and others are begun by the next call. Initial
    coefficients, by column, row and filter, come before the arrays for those after the rounds. The
    last four arrays are updated, with negative rounds of images that were not begun.
    """
    n_samples, _, height, width = images.shape
    stride, end, total = width + 2 * (w - 1), 0, 0.0
    new_indptr[0] = 0
    for s in range(n_samples):
        pixel, chosen = pixels[indptr[s] : indptr[s + 1]], kernels[indptr[s] : indptr[s + 1]]
        z = values[indptr[s] : indptr[s + 1]]
        going = total <= budget and (rounds[s] < 0 or (gap[s] > tol and rounds[s] < max_iter))
        if going:
            fill(padded, images, s, h, w)
            cut = found_cut(pixel, height, width, h, w, masked)
            subtract(
                0, len(z), padded, known, taps, begins, places, stride, h, wide, chosen, pixel,
                cut, z,
            )  # fmt: skip
            rounds[s] = max(rounds[s], 0)
        spent = 0.0
        while going:
            cost_before = cost[s]
            found, error = certified(
                images, s, padded, filters, begins, places, len(norms), together, h, w, weight,
                precise, positive, score, kernel,
            )  # fmt: skip
            cost[s], dual[s] = error + total_of(z), max(dual[s], found)
            gap[s] = relative_gap(cost[s], dual[s])
            if gap[s] > tol and rounds[s] and cost_before - cost[s] <= tol * cost[s]:
                dual[s] = tightened(
                    images, s, padded, scaled, filters, begins, places, len(norms), together, h,
                    w, weight, precise, positive, tol, score, score_scaled, kernel_scaled, cost[s],
                    dual[s],
                )  # fmt: skip
                gap[s] = relative_gap(cost[s], dual[s])
            if gap[s] <= tol or rounds[s] >= max_iter or spent > budget:
                break
            pixel, chosen, z, work = descended(
                padded, known, masked, len(filters), taps, begins, places, norms, height, width,
                h, w, wide, weight, positive, tol, budget, rounds[s], score, kernel, pixel, chosen,
                z,
            )  # fmt: skip
            spent += work
            rounds[s] += 1
        total += spent
        for i in range(len(z)):
            new_pixels[end + i], new_kernels[end + i] = pixel[i], chosen[i]
            new_values[end + i] = z[i]
        end += len(z)
        new_indptr[s + 1] = end


@jit
def certified(
    images, s, padded, filters, begins, places, n_filters, together, h, w, weight, precise,
    positive, score, kernel,
):  # fmt: skip
    """Best filter of each window of a residual, its dual objective, and weighted squared error."""
    n_rows, n_columns = images.shape[2] + h - 1, images.shape[3] + w - 1
    stride = n_columns + w - 1
    best_of_windows(
        padded, filters, begins, places, n_filters, together, n_rows * stride, stride, h, w,
        positive, score, kernel,
    )  # fmt: skip
    most = highest_score(score, weight, n_rows, n_columns, stride)
    return bound(images, s, padded, precise, most, h, w)


@jit
def tightened(
    images, s, padded, scaled, filters, begins, places, n_filters, together, h, w, weight, precise,
    positive, tol, score, score_scaled, kernel_scaled, cost, dual,
):  # fmt: skip
    """Lower bound on the cost from residuals that are scaled locally."""
    shrink(padded, scaled, score, weight, score_scaled, images, h, w)
    for scaling in range(SCALINGS):
        found, _ = certified(
            images, s, scaled, filters, begins, places, n_filters, together, h, w, weight, precise,
            positive, score_scaled, kernel_scaled,
        )  # fmt: skip
        dual = max(dual, found)
        gap = relative_gap(cost, dual)
        if scaling == SCALINGS - 1 or gap <= tol or gap > NEARLY * tol:
            break
        shrink(scaled, scaled, score_scaled, weight, score_scaled, images, h, w)
    return dual


@jit
def descended(
    padded, known, masked, n_taps, taps, begins, places, norms, height, width, h, w, wide, weight,
    positive, tol, budget, n_rounds, score, kernel, pixel, chosen, z,
):  # fmt: skip
    """Coefficients after sweeps over them and the best ones of all windows, and the work of it."""
    n_rows, n_columns = height + h - 1, width + w - 1
    stride = n_columns + w - 1
    pixel, chosen, z = extended(
        pixel, chosen, z, score, kernel, weight, 1 + min(tol, 1) / 2, n_rows, n_columns, stride
    )
    cut, slopes = found_cut(pixel, height, width, h, w, masked), np.ones_like(z)
    inverse = np.empty_like(z)
    invert(
        0, len(z), known, taps, begins, places, norms, stride, h, wide, weight, chosen, pixel, cut,
        slopes, inverse,
    )  # fmt: skip
    one_sweep = len(z) * (len(taps) / len(norms))
    # Windows without known pixels do not count, so that a frame of missing pixels has no effect.
    reached = float(n_taps * count_reached(score, n_rows, n_columns, stride))
    repeated = min(_MOST_SWEEPS, int(_SHARE * reached / max(1.0, one_sweep)))
    n_sweeps = max(FIRST_SWEEPS + MORE_SWEEPS * n_rounds, repeated)
    n_sweeps = min(n_sweeps, max(1, int(budget * _SHARE / max(1.0, 2 * one_sweep))))
    n_sweeps = sweep(
        0, len(z), padded, known, taps, begins, places, stride, h, wide, positive, chosen, pixel,
        cut, slopes, inverse, z, n_sweeps, padded.dtype.type(_ENOUGH * tol / weight),
    )  # fmt: skip
    work = 4.0 * n_taps * n_rows * stride + 2 * n_sweeps * one_sweep / _SHARE
    n = 0
    for i in range(len(z)):
        pixel[n], chosen[n], z[n] = pixel[i], chosen[i], z[i]
        n += z[i] != 0
    return pixel[:n], chosen[:n], z[:n], work


@jit
def extended(pixel, chosen, z, score, kernel, weight, threshold, n_rows, n_columns, stride):
    """Coefficients with the best one of each window whose score is above a threshold."""
    n = len(z)
    most = n
    for y in range(n_rows):
        for x in range(n_columns):
            most += weight * score[y * stride + x] > threshold
    new_pixel, new_chosen = np.empty(most, pixel.dtype), np.empty(most, chosen.dtype)
    new_z = np.empty(most, z.dtype)
    old, new = 0, 0
    for x in range(n_columns):
        for y in range(n_rows):
            here, is_new = y * stride + x, weight * score[y * stride + x] > threshold
            while old < n and pixel[old] == here:
                if is_new and chosen[old] > kernel[here]:
                    new_pixel[new], new_chosen[new], new_z[new] = here, kernel[here], 0
                    is_new, new = False, new + 1
                is_new = is_new and chosen[old] != kernel[here]
                new_pixel[new], new_chosen[new], new_z[new] = here, chosen[old], z[old]
                old, new = old + 1, new + 1
            if is_new:
                new_pixel[new], new_chosen[new], new_z[new] = here, kernel[here], 0
                new += 1
    return new_pixel[:new], new_chosen[:new], new_z[:new]


@jit
def highest_score(score, weight, n_rows, n_columns, stride):
    """Largest weighted score of the windows of one image."""
    most = score[0]
    for y in range(n_rows):
        for x in range(n_columns):
            most = max(most, score[y * stride + x])
    return weight * most


@jit
def count_reached(score, n_rows, n_columns, stride):
    """Number of windows whose score is not zero."""
    number = 0
    for y in range(n_rows):
        for x in range(n_columns):
            number += score[y * stride + x] != 0
    return number


@jit
def bound(images, s, padded, precise, most, h, w):
    """Dual objective of a residual, as in ``inference``, and its weighted squared error."""
    _, n_channels, height, width = images.shape
    inner, energy = 0.0, 0.0
    for c in range(n_channels):
        for y in range(height):
            row = row_start(c, y, height, width, h, w)
            for x in range(width):
                one = np.float64(padded[row + x])
                inner += one * np.float64(images[s, c, y, x])
                energy += one * one
    tiny = np.finfo(np.float64).tiny
    norm = np.float64(most) * (1 + MARGIN * np.finfo(padded.dtype).eps)
    scale = min(max(inner / max(energy, tiny), 0.0), 1 / max(norm, tiny))
    return precise * scale * (inner - 0.5 * scale * energy), 0.5 * precise * energy


@jit
def relative_gap(cost, dual):
    """Relative duality gap; zero where the cost is zero."""
    return (cost - dual) / cost if cost > 0 else 0.0


@jit
def shrink(padded, scaled, score, weight, highest, images, h, w):
    """Divide pixels by the largest violation, at least 1, of the atoms that reach them."""
    _, n_channels, height, width = images.shape
    stride, one = width + 2 * (w - 1), images.dtype.type(1)
    for y in range(height + h - 1):
        for x in range(width):
            most = one
            for b in range(w):
                most = max(most, weight * score[y * stride + x + b])
            highest[y * stride + x] = most
    for y in range(height):
        for x in range(width):
            most = highest[y * stride + x]
            for a in range(1, h):
                most = max(most, highest[(y + a) * stride + x])
            highest[y * stride + x] = most
    for c in range(n_channels):
        for y in range(height):
            row = row_start(c, y, height, width, h, w)
            for x in range(width):
                scaled[row + x] = padded[row + x] / highest[y * stride + x]


@jit
def total_of(z):
    """Sum of the absolute values, in float64."""
    total = 0.0
    for i in range(len(z)):
        total += abs(z[i])
    return total
