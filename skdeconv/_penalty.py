"""The sparsity term: the sum of |z|^p, what it costs, its exact proximal map and its tangents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PowerPenalty:
    r"""Sum of :math:`|z|^p` over all coefficients z, of either sign or kept non-negative.

    All methods compute in float32 for float32 maps and in float64 for all others.

    Parameters
    ----------
    p : float, default=1.0
        The exponent, 0 < p <= 1.
    positive : bool, default=False
        Whether the maps are constrained to z >= 0.

    Raises
    ------
    ValueError
        If ``p`` is not in (0, 1].

    References
    ----------
    D. Krishnan, R. Fergus, "Fast image deconvolution using hyper-Laplacian priors", NIPS 2009.

    M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus, "Deconvolutional networks", CVPR 2010,
    equation 8.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv._penalty import PowerPenalty
    >>> PowerPenalty(p=1.0).prox(np.array([-3.0, 0.5, 2.0]), 1.0)
    array([-2.,  0.,  1.])
    >>> PowerPenalty(p=0.5).value(np.array([4.0, 0.0, -9.0]))
    5.0
    """

    p: float = 1.0
    positive: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1:
            raise ValueError(f"p must be above 0 and at most 1, got {self.p!r}.")
        # A numpy scalar would promote float32 maps.
        object.__setattr__(self, "p", float(self.p))

    def value(self, maps: np.ndarray) -> float:
        r"""Sum of :math:`|z|^p`, accumulated in float64.

        Parameters
        ----------
        maps : ndarray
            z, of any shape and real dtype.

        Returns
        -------
        value : float
            The sum; infinite if ``positive`` and any z is negative.
        """
        maps = _as_floating(maps)
        if self.positive and np.any(maps < 0):
            return np.inf
        return float(np.sum(np.abs(maps) ** self.p, dtype=np.float64))

    def slope(self, maps: np.ndarray, eps: float | np.ndarray) -> np.ndarray:
        r"""Weights :math:`p (|z| + \epsilon)^{p-1}` of the tangent weighted-l1 problem.

        As a function of :math:`|z|` the smoothed penalty :math:`(|z| + \epsilon)^p` is concave:
        its tangent lies above it everywhere.

        Parameters
        ----------
        maps : ndarray
            z, of any shape.
        eps : float or ndarray that broadcasts to ``maps``
            Smoothing, not negative.

        Returns
        -------
        slope : ndarray of the shape of ``maps``, float32 or float64
            The weights: ones for p = 1, infinite where p < 1 and :math:`|z| + \epsilon` is zero.
        """
        maps = _as_floating(maps)
        smoothed = (np.abs(maps) + eps).astype(maps.dtype, copy=False)
        # At and next to zero the tangent can be steeper than any float: infinite is right there.
        with np.errstate(divide="ignore", over="ignore"):
            return self.p * smoothed ** (self.p - 1)

    def prox(self, maps: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        r"""Global minimiser u of :math:`s |u|^p + \frac{1}{2} (u - v)^2` for every coefficient v.

        It is zero exactly where :math:`|v| \le \tau` (v where ``positive``), with

        .. math:: \tau = (2 - p) \, s^{1 / (2 - p)} \, (2 - 2p)^{-(1 - p) / (2 - p)},

        so that a tie between zero and the other minimum goes to zero. Beyond, it is
        :math:`v t` with the largest root t of :math:`1 - t = a t^{p - 1}`, where
        :math:`a = p s |v|^{p - 2}`: in closed form for p = 1, 2/3 and 1/2, else by Newton's
        method to the precision of the dtype.

        Parameters
        ----------
        maps : ndarray
            v, of any shape.
        step : float or ndarray that broadcasts to ``maps``
            s, not negative.

        Returns
        -------
        u : ndarray of the shape of ``maps``, float32 or float64
            The minimisers, a new array. Zeros are never negative zeros.
        """
        maps, step = _as_floating(maps), np.asarray(step, dtype=np.float64)
        if self.p == 1:
            return self._soft_threshold(maps, step)
        # The step stays in float64, since its range is that of |v|^(2 - p); the ratio to the
        # threshold lies in [0, 1] and is all that t depends on.
        threshold = _threshold(step, self.p)
        # A tie but for rounding is a tie.
        tied = np.broadcast_to(threshold * (1 + 4 * np.finfo(np.float64).eps), maps.shape)
        # So written a NaN is kept, not hidden as a zero.
        kept = ~((maps if self.positive else np.abs(maps)) <= tied)
        above = maps[kept]
        ratio = np.broadcast_to(threshold, maps.shape)[kept] / np.abs(above)
        ratio = ratio.astype(maps.dtype, copy=False)
        minimiser = np.zeros_like(maps)
        # Adding zero turns the -0.0 of an underflow into 0.0.
        minimiser[kept] = above * _share_kept(ratio, self.p) + 0.0
        return minimiser

    def _soft_threshold(self, maps, step):
        # A step beyond the range of the dtype exceeds every v.
        step = np.minimum(step, np.finfo(maps.dtype).max).astype(maps.dtype)
        step = np.broadcast_to(step, maps.shape)
        return maps - np.clip(maps, -np.inf if self.positive else -step, step) + 0.0


def _as_floating(maps):
    maps = np.asarray(maps)
    return maps if maps.dtype == np.float32 else maps.astype(np.float64, copy=False)


def _threshold(step, p):
    """Largest |v| whose minimiser is zero, written so that it is exact in the limit p = 1."""
    q = 1 - p
    return (1 + q) * (2 * q) ** (-q / (1 + q)) * step ** (1 / (1 + q))


def _share_kept(ratio, p):
    """Largest root t <= 1 of 1 - t = a t^(p - 1), given ratio = threshold / |v| <= 1.

    It is u / v. In terms of the ratio a = a_max * ratio^(2 - p), where a_max belongs to the
    threshold: no power of v is left that could overflow.
    """
    q = 1 - p
    a = p * (2 * q) ** q / (1 + q) ** (1 + q) * ratio ** (1 + q)
    if p == 1 / 2:
        return _root_for_half(a)
    if p == 2 / 3:
        return _root_for_two_thirds(a)
    return _root_by_newton(a, p)


def _root_for_half(a):
    """Root for p = 1/2: a cubic for t^(1/2), by the sines of a third of an angle."""
    angle = np.arcsin(1.5 * 3**0.5 * a) / 3
    return 1 - 4 / 3 * np.sin(angle) * np.sin(angle + np.pi / 3)


def _root_for_two_thirds(a):
    """Root for p = 2/3, as w^3 with w the largest root of w^4 - w + a.

    The quartic is (w^2 + m w + n) (w^2 - m w + k) with m^6 - 4 a m^2 - 1 = 0, a cubic for m^2
    that has one real root as far as the threshold.
    """
    b = 4 / 3 * a
    first = np.cbrt(0.5 + np.sqrt(0.25 - b**3))
    m = np.sqrt(first + b / first)
    w = (m + np.sqrt(2 / m - m**2)) / 2
    # This is w^3, and one exactly at a = 0.
    return 1 - a / w


def _root_by_newton(a, p):
    """Root for any p < 1, by Newton's method on t - 1 + a t^(p - 1).

    The function is convex, and on [2 (1 - p) / (2 - p), 1], which holds the root of every v above
    its threshold, it rises with a slope of at least 1 - p / 2. So the iterates fall from 1 to the
    root and can not pass it: the end of the interval is a guard against rounding only. A step of
    length e leaves an error of at most e^2 / (1 - p).
    """
    q, eps = 1 - p, np.finfo(a.dtype).eps
    lowest, tol = 2 * q / (1 + q), np.sqrt(eps * max(q, 16 * eps))
    # The first step, from t = 1, needs no power.
    t = np.maximum(1 - a / (1 - q * a), lowest)
    moving = np.ones(a.shape, dtype=bool)
    for _ in range(30):
        pull = a * t**-q
        change = (1 - t - pull) / (1 - q * pull / t)
        # Each root has its own stopping test, so that it does not depend on its neighbours.
        t = np.where(moving, np.maximum(t + change, lowest), t)
        moving &= np.abs(change) > tol
        if not moving.any():
            break
    return t
