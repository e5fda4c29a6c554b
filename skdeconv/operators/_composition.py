"""Convolutions that follow each other, as one."""

from __future__ import annotations

import numpy as np


def compose(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    r"""Filters whose convolution is that with ``upper``, followed by that with ``lower``.

    A valid convolution of a valid convolution is again one, because the maps in between are drawn
    as a whole: :math:`F_1 F_2` has the filters :math:`\sum_b f_{2,k,b} * f_{1,b,c}` with the full
    convolution. So a stack of layers is one :class:`Convolution`, and needs no operator of its own.

    Parameters
    ----------
    upper : ndarray of shape (n_filters, n_maps, h, w)
        Filters that draw the maps of the layer below.
    lower : ndarray of shape (n_maps, n_channels, h2, w2)
        Filters of that layer.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h + h2 - 1, w + w2 - 1)
        What one coefficient of the upper layer draws through both.

    References
    ----------
    M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010, section
    3.3 and equation 12.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import compose
    >>> compose(np.ones((45, 9, 7, 7)), np.ones((9, 1, 7, 7))).shape
    (45, 1, 13, 13)
    """
    n_filters, _, h, w = upper.shape
    _, n_channels, h2, w2 = lower.shape
    filters = np.zeros((n_filters, n_channels, h + h2 - 1, w + w2 - 1), dtype=upper.dtype)
    flat = lower.reshape(len(lower), -1)
    for a in range(h):
        for b in range(w):
            part = (upper[:, :, a, b] @ flat).reshape(n_filters, n_channels, h2, w2)
            filters[:, :, a : a + h2, b : b + w2] += part
    return filters
