"""The kernel for comparing histograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics.pairwise import check_pairwise_arrays, manhattan_distances


def histogram_intersection(X: ArrayLike, Y: ArrayLike | None = None) -> np.ndarray:
    r"""Histogram intersection kernel, what two histograms have in common.

    .. math::

        K_{ij} = \sum_d \min(X_{id}, Y_{jd})
               = \tfrac{1}{2} \Big( \sum_d X_{id} + \sum_d Y_{jd} - \|X_i - Y_j\|_1 \Big).

    It is positive semi-definite on non-negative features alone, such as a spatial pyramid's [1]_,
    and meant for ``SVC(kernel=histogram_intersection)``.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
        Non-negative features.
    Y : {array-like, sparse matrix} of shape (n_samples_Y, n_features), default=None
        Non-negative features; None takes ``X``.

    Returns
    -------
    K : ndarray of shape (n_samples_X, n_samples_Y), float64
        The kernel, not negative, in double precision also for features that are float32.

    Raises
    ------
    ValueError
        If ``X`` or ``Y`` is negative somewhere or not finite, or their widths differ.

    See Also
    --------
    sklearn.svm.SVC : Takes the function as its ``kernel``.

    References
    ----------
    .. [1] S. Lazebnik, C. Schmid, J. Ponce, "Beyond bags of features: spatial pyramid matching for
       recognizing natural scene categories", CVPR 2006.

    Examples
    --------
    >>> from sklearn.svm import SVC
    >>> from skdeconv.features import histogram_intersection
    >>> histogram_intersection([[3, 0, 1], [1, 1, 1]])
    array([[4., 2.],
           [2., 3.]])
    >>> SVC(kernel=histogram_intersection).fit([[3, 0, 1], [0, 3, 1]], [0, 1]).predict([[2, 1, 1]])
    array([0])
    """
    # Differences of sparse features would be taken in their own precision.
    X, Y = check_pairwise_arrays(X, Y, dtype=np.float64)
    for name, values in (("X", X), ("Y", Y)):
        if (least := values.min()) < 0:
            raise ValueError(
                f"{name} must not be negative, got {least:.3g}: on negative features the histogram "
                "intersection is no kernel. Take magnitudes, or split features by their sign."
            )
    # Matrices of scipy's older kind give sums as a column.
    K = np.add.outer(*(np.ravel(values.sum(axis=1)) for values in (X, Y)))
    K -= manhattan_distances(X, Y)
    K /= 2
    # Zeros come out as rounding errors of either sign.
    return np.maximum(K, 0, out=K)
