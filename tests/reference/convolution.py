"""The valid convolution by its formula, entry by entry, as an explicit matrix."""

import numpy as np


def explicit_matrix(filters, image_shape):
    """Matrix F of ``(F z)_c[y, x] = sum_k sum_ab f_kc[a, b] z_k[y + h - 1 - a, x + w - 1 - b]``.

    Rows are the pixels of all channels, columns the coefficients of all maps, both in C order;
    ``filters`` are of shape (n_filters, n_channels, h, w). In float64.
    """
    n_filters, n_channels, h, w = filters.shape
    height, width = image_shape
    rows, columns = height + h - 1, width + w - 1
    matrix = np.zeros((n_channels, height, width, n_filters, rows, columns))
    for c, y, x in np.ndindex(n_channels, height, width):
        for k, a, b in np.ndindex(n_filters, h, w):
            matrix[c, y, x, k, y + h - 1 - a, x + w - 1 - b] = filters[k, c, a, b]
    return matrix.reshape(n_channels * height * width, n_filters * rows * columns)
