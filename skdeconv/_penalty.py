"""The sparsity term, the sum of |z|^p."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PowerPenalty:
    r"""Sum of :math:`|z|^p` over all coefficients, 0 < p <= 1, of either sign or non-negative.

    Parameters
    ----------
    p : float, default=1.0
        The exponent, 0 < p <= 1.
    positive : bool, default=False
        Whether the maps are kept non-negative.

    References
    ----------
    D. Krishnan, R. Fergus, "Fast Image Deconvolution using Hyper-Laplacian Priors", NIPS 2009.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv._penalty import PowerPenalty
    >>> PowerPenalty(p=1.0).prox(np.array([-3.0, 0.5, 2.0]), 1.0)
    array([-2.,  0.,  1.])
    """

    p: float = 1.0
    positive: bool = False

    def value(self, maps: np.ndarray) -> float:
        """Sum of |z|^p in float64; infinite where a map that must not be negative is.

        Parameters
        ----------
        maps : ndarray
            Coefficients of any shape.

        Returns
        -------
        value : float
            The penalty.
        """
        if self.positive and np.any(maps < 0):
            return np.inf
        return float(np.sum(np.abs(maps) ** self.p, dtype=np.float64))

    def slope(self, maps: np.ndarray, eps) -> np.ndarray:
        r"""Weights :math:`p (|z| + \epsilon)^{p-1}` of the tangent weighted-l1 problem.

        Parameters
        ----------
        maps : ndarray
            Coefficients; none of them zero where ``eps`` is.
        eps : float or ndarray
            Smoothing, not negative.

        Returns
        -------
        slope : ndarray
            Shape and dtype of ``maps``.
        """
        return (self.p * (np.abs(maps) + eps) ** (self.p - 1)).astype(maps.dtype, copy=False)

    def prox(self, maps: np.ndarray, step) -> np.ndarray:
        r"""Global minimiser of :math:`s |u|^p + (u - v)^2 / 2` for every coefficient v.

        Parameters
        ----------
        maps : ndarray
            v, of any shape.
        step : float or ndarray
            s, not negative, broadcast to ``maps``.

        Returns
        -------
        u : ndarray
            Shape and dtype of ``maps``; exactly zero up to a threshold, where both minima tie.
        """
        values = np.asarray(maps, dtype=np.float64)
        step = np.broadcast_to(np.asarray(step, dtype=np.float64), values.shape)
        size = values if self.positive else np.abs(values)
        kept = size > self._threshold(step)
        moved = np.zeros_like(values)
        moved[kept] = np.sign(values[kept]) * self._shrink(size[kept], step[kept])
        return moved.astype(maps.dtype, copy=False)

    def _threshold(self, step):
        """Largest |v| whose minimiser is zero."""
        p = self.p
        if p == 1:
            return step
        return (2 * (1 - p) * step) ** (1 / (2 - p)) * (2 - p) / (2 * (1 - p))

    def _shrink(self, size, step):
        """The larger minimiser for v > threshold, as v times t with t in (0, 1]."""
        if self.p == 1:
            return size - step
        # In units of v there is one parameter: minimise strength * t^p + (t - 1)^2 / 2.
        strength = step * size ** (self.p - 2)
        if self.p == 1 / 2:
            return size * _root_of_half(strength)
        if self.p == 2 / 3:
            return size * _root_of_two_thirds(strength)
        return size * _root(strength, self.p)


def _root(strength, p):
    """Largest root of t - 1 + p * strength * t^(p - 1), by Newton's method from t = 1.

    The function is convex, and positive at 1: the iterates fall to its largest root and can not
    pass it, so that no bracket is needed.
    """
    t = np.ones_like(strength)
    for _ in range(60):
        pull = p * strength * t ** (p - 1)
        change = (t - 1 + pull) / (1 - (1 - p) * pull / t)
        t = t - change
        if np.all(np.abs(change) <= 4 * np.finfo(float).eps * t):
            break
    return t


def _root_of_half(strength):
    angle = np.arccos(np.minimum(3**1.5 / 4 * strength, 1))
    return 2 / 3 * (1 + np.cos(2 * np.pi / 3 - 2 / 3 * angle))


def _root_of_two_thirds(strength):
    # Below this the root is 1 - p * strength to rounding, and the hyperbolic angle overflows.
    tiny = strength < 1e-8
    safe = np.where(tiny, 1e-8, strength)
    angle = np.arccosh(np.maximum(27 / 16 * (2 * safe) ** -1.5, 1))
    half = 2 / np.sqrt(3) * (2 * safe) ** 0.25 * np.sqrt(np.cosh(angle / 3))
    root = ((half + np.sqrt(np.maximum(2 / half - half**2, 0))) / 2) ** 3
    return np.where(tiny, 1 - 2 / 3 * strength, root)
