"""Histogram intersection kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics.pairwise import check_pairwise_arrays, manhattan_distances


def histogram_intersection(X: ArrayLike, Y: ArrayLike | None = None) -> np.ndarray:
    r"""Compute the histogram intersection kernel between X and Y.

    .. math::

        K_{ij} = \sum_d \min(X_{id}, Y_{jd})
               = \tfrac{1}{2} \Big( \sum_d X_{id} + \sum_d Y_{jd} - \|X_i - Y_j\|_1 \Big).

    The kernel is positive semi-definite only for non-negative features, such as those of a spatial
    pyramid [1]_. Use it as ``SVC(kernel=histogram_intersection)``.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples_X, n_features)
        Non-negative features.
    Y : {array-like, sparse matrix} of shape (n_samples_Y, n_features), default=None
        Non-negative features. If None, ``X`` is used.

    Returns
    -------
    K : ndarray of shape (n_samples_X, n_samples_Y), float64
        The kernel matrix, non-negative, in float64 even if the features are float32.

    Raises
    ------
    ValueError
        If ``X`` or ``Y`` holds negative or non-finite values, or their numbers of features differ.

    See Also
    --------
    sklearn.svm.SVC : Accepts the function as ``kernel``.

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
    # Otherwise the differences of sparse features would have the precision of their dtype.
    X, Y = check_pairwise_arrays(X, Y, dtype=np.float64)
    for name, values in (("X", X), ("Y", Y)):
        if (least := values.min()) < 0:
            raise ValueError(
                f"{name} must not be negative, got {least:.3g}: the histogram intersection is not "
                "a kernel for negative features. Use magnitudes, or split features by sign."
            )
    # Sums over rows of sparse matrices, unlike those of sparse arrays, are columns.
    K = np.add.outer(*(np.ravel(values.sum(axis=1)) for values in (X, Y)))
    K -= manhattan_distances(X, Y)
    K /= 2
    # Rounding makes zeros slightly positive or negative.
    return np.maximum(K, 0, out=K)
