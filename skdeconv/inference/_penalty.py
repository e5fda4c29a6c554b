"""The sparsity term: its value, proximal operator, tangents and optimality conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True, slots=True)
class PowerPenalty:
    r"""Sum of :math:`|z|^p` over all coefficients z, with z >= 0 if ``positive``.

    All methods compute in float32 for float32 maps and in float64 otherwise.

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
    >>> from skdeconv.inference import PowerPenalty
    >>> PowerPenalty(p=1.0).prox(np.array([-3.0, 0.5, 2.0]), 1.0)
    array([-2.,  0.,  1.])
    >>> PowerPenalty(p=0.5).value(np.array([[4.0, 0.0, -9.0], [1.0, 0.0, 0.0]]))
    array([5., 1.])
    """

    p: float = 1.0
    positive: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1:
            raise ValueError(f"p must be above 0 and at most 1, got {self.p!r}.")
        # A numpy scalar would promote float32 maps.
        object.__setattr__(self, "p", float(self.p))

    @property
    def is_convex(self) -> bool:
        """Whether p = 1, so that the duality gap certifies a solution."""
        return self.p == 1

    @property
    def relaxed(self) -> PowerPenalty:
        """The convex penalty, p = 1, under the same constraint."""
        return PowerPenalty(1.0, self.positive)

    def terms(self, values: np.ndarray) -> np.ndarray:
        r""":math:`|z|^p` of every coefficient.

        Parameters
        ----------
        values : ndarray
            z, of any shape.

        Returns
        -------
        terms : ndarray of the shape of ``values``
            The contribution of each coefficient to the penalty.
        """
        return np.abs(values) ** self.p

    def value(self, maps: np.ndarray) -> np.ndarray:
        r"""Sum of :math:`|z|^p` over the maps of every image, accumulated in float64.

        Parameters
        ----------
        maps : ndarray of shape (n_samples, ...)
            z, of any real dtype.

        Returns
        -------
        value : ndarray of shape (n_samples,), float64
            The sums; infinite if ``positive`` and any z of the image is negative.
        """
        flat = _as_floating(maps).reshape(len(maps), -1)
        value = np.sum(self.terms(flat), axis=1, dtype=np.float64)
        if self.positive:
            value[(flat < 0).any(axis=1)] = np.inf
        return value

    def score(self, gradient: np.ndarray) -> np.ndarray:
        r"""Quantity whose bound 1 is the optimality condition of zero coefficients at p = 1.

        A coefficient of zero is optimal at p = 1 if its score is at most 1.

        Parameters
        ----------
        gradient : ndarray
            :math:`\lambda F^T r`, the negative gradient of the squared error.

        Returns
        -------
        score : ndarray of the shape of ``gradient``
            Absolute value of the gradient; if ``positive``, the gradient itself.
        """
        return gradient if self.positive else np.abs(gradient)

    def dual_norm(self, gradient: np.ndarray) -> np.ndarray:
        r"""Largest score of every image, at least 0; zero maps are optimal at p = 1 if it is <= 1.

        Parameters
        ----------
        gradient : ndarray of shape (n_samples, ...)
            :math:`\lambda F^T r`.

        Returns
        -------
        norm : ndarray of shape (n_samples,)
            The maxima.
        """
        return self.score(gradient).reshape(len(gradient), -1).max(axis=1, initial=0)

    def violation(self, maps: csr_array, gradient: np.ndarray) -> np.ndarray:
        r"""Largest violation of :math:`\lambda F^T r = p |z|^{p-1} \mathrm{sign} z` on the support.

        Parameters
        ----------
        maps : csr_array of shape (n_samples, n_coefficients)
            z.
        gradient : ndarray of shape (n_samples, ...)
            :math:`\lambda F^T r`.

        Returns
        -------
        violation : ndarray of shape (n_samples,), float64
            Zero where the support is empty.
        """
        sample = np.repeat(np.arange(maps.shape[0]), np.diff(maps.indptr))
        wanted = self.p * np.abs(maps.data) ** (self.p - 1) * np.sign(maps.data)
        violation = np.zeros(maps.shape[0])
        apart = np.abs(gradient.reshape(maps.shape)[sample, maps.indices] - wanted)
        np.maximum.at(violation, sample, apart)
        return violation

    def slope(self, maps: np.ndarray, eps: float | np.ndarray) -> np.ndarray:
        r"""Weights :math:`p (|z| + \epsilon)^{p-1}` of the tangent weighted-l1 problem.

        The smoothed penalty :math:`(|z| + \epsilon)^p` is a concave function of :math:`|z|`, so
        its tangent majorises it.

        Parameters
        ----------
        maps : ndarray
            z, of any shape.
        eps : float or ndarray that broadcasts to ``maps``
            Non-negative smoothing.

        Returns
        -------
        slope : ndarray of the shape of ``maps``, float32 or float64
            The weights: one for p = 1, infinite if p < 1 and :math:`|z| + \epsilon` is zero.
        """
        maps = _as_floating(maps)
        smoothed = (np.abs(maps) + eps).astype(maps.dtype, copy=False)
        # At and near zero the slope may exceed the range of floats; infinity is the right limit.
        with np.errstate(divide="ignore", over="ignore"):
            return self.p * smoothed ** (self.p - 1)

    def prox(self, maps: np.ndarray, step: float | np.ndarray) -> np.ndarray:
        r"""Global minimiser u of :math:`s |u|^p + \frac{1}{2} (u - v)^2` for every coefficient v.

        It is zero if and only if :math:`|v| \le \tau` (:math:`v \le \tau` if ``positive``), with

        .. math:: \tau = (2 - p) \, s^{1 / (2 - p)} \, (2 - 2p)^{-(1 - p) / (2 - p)},

        so that ties between zero and the other minimum are resolved in favour of zero. Otherwise
        it is :math:`v t` with the largest root t of :math:`1 - t = a t^{p - 1}`, where
        :math:`a = p s |v|^{p - 2}`. The root is computed in closed form for p = 1, 2/3 and 1/2,
        and by Newton's method to the precision of the dtype for other p.

        Parameters
        ----------
        maps : ndarray
            v, of any shape.
        step : float or ndarray that broadcasts to ``maps``
            Non-negative step size s.

        Returns
        -------
        u : ndarray of the shape of ``maps``, float32 or float64
            The minimisers, as a new array without negative zeros.
        """
        maps, step = _as_floating(maps), np.asarray(step, dtype=np.float64)
        if self.p == 1:
            return self._soft_threshold(maps, step)
        # The step stays in float64, since its range is that of |v|^(2 - p). t depends only on the
        # ratio of threshold and |v|, which lies in [0, 1].
        threshold = _threshold(step, self.p)
        # Ties are detected up to rounding errors.
        tied = np.broadcast_to(threshold * (1 + 4 * np.finfo(np.float64).eps), maps.shape)
        # Negated, so that NaN is kept instead of being set to zero.
        kept = ~((maps if self.positive else np.abs(maps)) <= tied)
        above = maps[kept]
        ratio = np.broadcast_to(threshold, maps.shape)[kept] / np.abs(above)
        ratio = ratio.astype(maps.dtype, copy=False)
        minimiser = np.zeros_like(maps)
        # Adding zero turns the -0.0 of an underflow into 0.0.
        minimiser[kept] = above * _share_kept(ratio, self.p) + 0.0
        return minimiser

    def _soft_threshold(self, maps, step):
        # Steps above the largest number of the dtype exceed every v.
        step = np.minimum(step, np.finfo(maps.dtype).max).astype(maps.dtype)
        step = np.broadcast_to(step, maps.shape)
        return maps - np.clip(maps, -np.inf if self.positive else -step, step) + 0.0


def _as_floating(maps):
    maps = np.asarray(maps)
    return maps if maps.dtype == np.float32 else maps.astype(np.float64, copy=False)


def _threshold(step, p):
    """Largest |v| whose minimiser is zero, in a form that is exact in the limit p = 1."""
    q = 1 - p
    return (1 + q) * (2 * q) ** (-q / (1 + q)) * step ** (1 / (1 + q))


def _share_kept(ratio, p):
    """Largest root t <= 1 of 1 - t = a t^(p - 1), given ratio = threshold / |v| <= 1.

    The root is u / v. In terms of the ratio, a = a_max * ratio^(2 - p), with a_max the value of a
    at the threshold. This avoids powers of v, which could overflow.
    """
    q = 1 - p
    a = p * (2 * q) ** q / (1 + q) ** (1 + q) * ratio ** (1 + q)
    if p == 1 / 2:
        return _root_for_half(a)
    if p == 2 / 3:
        return _root_for_two_thirds(a)
    return _root_by_newton(a, p)


def _root_for_half(a):
    """Root for p = 1/2: the trigonometric solution of a cubic equation in t^(1/2)."""
    angle = np.arcsin(1.5 * 3**0.5 * a) / 3
    return 1 - 4 / 3 * np.sin(angle) * np.sin(angle + np.pi / 3)


def _root_for_two_thirds(a):
    """Root for p = 2/3, as w^3 with w the largest root of w^4 - w + a.

    The quartic factors into (w^2 + m w + n) (w^2 - m w + k) with m^6 - 4 a m^2 - 1 = 0, a cubic in
    m^2 that has one real root for |v| above the threshold.
    """
    b = 4 / 3 * a
    first = np.cbrt(0.5 + np.sqrt(0.25 - b**3))
    m = np.sqrt(first + b / first)
    w = (m + np.sqrt(2 / m - m**2)) / 2
    # This is w^3, and one exactly at a = 0.
    return 1 - a / w


def _root_by_newton(a, p):
    """Root for any p < 1, by Newton's method on t - 1 + a t^(p - 1).

    The function is convex. On [2 (1 - p) / (2 - p), 1], which contains the root for every v above
    the threshold, its slope is at least 1 - p / 2. The iterates therefore decrease monotonically
    from 1 to the root; clipping to the interval only guards against rounding. After a step of
    length e the error is at most e^2 / (1 - p).
    """
    q, eps = 1 - p, np.finfo(a.dtype).eps
    lowest, tol = 2 * q / (1 + q), np.sqrt(eps * max(q, 16 * eps))
    # The first step, from t = 1, needs no power.
    t = np.maximum(1 - a / (1 - q * a), lowest)
    moving = np.ones(a.shape, dtype=bool)
    for _ in range(30):
        pull = a * t**-q
        change = (1 - t - pull) / (1 - q * pull / t)
        # Each root has its own stopping test, so that it does not depend on the others.
        t = np.where(moving, np.maximum(t + change, lowest), t)
        moving &= np.abs(change) > tol
        if not moving.any():
            break
    return t
