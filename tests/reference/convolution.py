"""The valid convolution as an explicit matrix, entry by entry from its definition."""

import numpy as np


def explicit_matrix(filters, image_shape):
    """Matrix of y[c, i, j] = sum f[k, c, a, b] z[k, i + h - 1 - a, j + w - 1 - b] in float64.

    Rows run over (c, i, j) and columns over (k, u, v), both in C order.
    """
    n_filters, n_channels, h, w = filters.shape
    height, width = image_shape
    maps_shape = n_filters, height + h - 1, width + w - 1
    matrix = np.zeros((n_channels, height, width, *maps_shape))
    for k, c, a, b in np.ndindex(filters.shape):
        for i, j in np.ndindex(height, width):
            matrix[c, i, j, k, i + h - 1 - a, j + w - 1 - b] += filters[k, c, a, b]
    return matrix.reshape(n_channels * height * width, -1)
