"""Coordinate descent on chosen coefficients of a convolution."""

from __future__ import annotations

from skdeconv.kernels._compiled._jit import jit
from skdeconv.kernels._compiled._padding import fill, unfill
from skdeconv.kernels._compiled._vectors import add, add_known, dot, energy_known


@jit
def descend(
    images, padded, known, taps, begins, places, norms, h, w, wide, weight, positive,
    indptr, kernel, pixel, cut, slopes, inverse, values, n_sweeps, residual,
):  # fmt: skip
    """Sweep over the coefficients of each image; ``values`` and ``residual`` are overwritten."""
    stride = images.shape[3] + 2 * (w - 1)
    zero, one = images.dtype.type(0), images.dtype.type(1)
    for s in range(len(images)):
        fill(padded, images, s, h, w)
        for i in range(indptr[s], indptr[s + 1]):
            k = kernel[i]
            tap, first, last = begins[k] * h * wide, begins[k], begins[k + 1]
            norm = norms[k]
            if cut[i]:
                norm = energy_known(
                    taps, tap, known, pixel[i], places, first, last, stride, h, wide
                )
            # Coefficients of atoms that are zero are left as they are.
            inverse[i] = one / norm if norm > 0 else zero
            slopes[i] *= inverse[i] / weight
        # Before the first sweep, the reconstruction is subtracted.
        for sweep in range(n_sweeps + 1):
            for i in range(indptr[s], indptr[s + 1]):
                k, old = kernel[i], values[i]
                tap, first, last = begins[k] * h * wide, begins[k], begins[k + 1]
                change = old
                if sweep and inverse[i] > 0:
                    inner = dot(taps, tap, padded, pixel[i], places, first, last, stride, h, wide)
                    goal = old + inner * inverse[i]
                    new = max((goal if positive else abs(goal)) - slopes[i], zero)
                    values[i] = new if goal > 0 else -new
                    change = values[i] - old
                elif sweep:
                    change = zero
                if change != 0:
                    if cut[i]:
                        add_known(
                            -change, taps, tap, padded, known, pixel[i], places, first, last,
                            stride, h, wide,
                        )  # fmt: skip
                    else:
                        add(
                            -change, taps, tap, padded, pixel[i], places, first, last, stride, h,
                            wide,
                        )  # fmt: skip
        unfill(padded, residual, s, h, w)
