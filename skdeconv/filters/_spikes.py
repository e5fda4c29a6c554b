"""Non-zero coefficients of maps, and products with the matrix P of shifted maps."""

from __future__ import annotations

import numpy as np

from skdeconv.kernels import draw_patches, pair_sums, patch_sums, subtract_unseen


class Spikes:
    """Non-zero coefficients of a stack of maps, sorted by image, row and column.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_filters * map_height * map_width)
        The maps, C order of (n_filters, map_height, map_width).
    filters_shape : tuple of int
        (n_filters, n_channels, h, w).
    images_shape : tuple of int
        (n_channels, height, width).
    """

    # Arrays with one entry per coefficient.
    PARTS = ("sample", "kernel", "y", "x", "values")

    def __init__(self, maps, filters_shape, images_shape):
        self.n_filters, self.n_channels, self.h, self.w = filters_shape
        self.height, self.width = images_shape[1:]
        rows, columns = self.height + self.h - 1, self.width + self.w - 1
        sample = np.repeat(np.arange(maps.shape[0]), np.diff(maps.indptr))
        kernel, position = np.divmod(maps.indices.astype(np.int64), rows * columns)
        order = np.lexsort((position, sample))
        self.sample, self.kernel = sample[order], kernel[order]
        self.y, self.x = np.divmod(position[order], columns)
        self.values = maps.data[order].astype(np.float64)

    def correlation(self):
        """Correlation of maps: sum of z_k[u] z_k'[u + d] over u, (K, K, 2h - 1, 2w - 1)."""
        n_filters, h, w = self.n_filters, self.h, self.w
        # Padding between rows and images prevents windows from extending into the next one.
        stride = self.width + 3 * w
        key = (self.sample * (self.height + 2 * h) + self.y) * stride + self.x
        half = pair_sums(key, self.kernel, self.values, stride, n_filters, (h, w))
        full = np.zeros((n_filters, n_filters, 2 * h - 1, 2 * w - 1))
        full[:, :, h - 1 :] = half
        full[:, :, :h] += half.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
        energy = np.bincount(self.kernel, weights=self.values**2, minlength=n_filters)
        full[np.arange(n_filters), np.arange(n_filters), h - 1, w - 1] += energy
        return full

    def subtract_unseen(self, gram, known):
        """Subtract the products of rows of P for pixels outside of the images, or missing.

        ``known`` is boolean, of shape (n_samples, height, width).
        """
        some, (corner, line) = slice(None), self._corner()
        if known.all():
            inside_rows = (self.y >= self.h - 1) & (self.y < self.height)
            some = ~(inside_rows & (self.x >= self.w - 1) & (self.x < self.width))
        coefficients = corner[some], self.kernel[some], self.values[some]
        known = self._bordered(known).ravel()
        subtract_unseen(gram, *coefficients, known, line, (self.h, self.w))

    def keep_seen(self, known):
        """Drop coefficients whose filters cover no known pixel; ``known`` is as above."""
        lines = self._bordered(known)
        for axis, taps, size in ((1, self.h, self.height), (2, self.w, self.width)):
            ahead = (slice(None),) * axis
            shifted = [lines[*ahead, tap : tap + size + taps - 1] for tap in range(taps)]
            lines = np.logical_or.reduce(shifted)
        seen = lines[self.sample, self.y, self.x]
        self.sample, self.kernel = self.sample[seen], self.kernel[seen]
        self.y, self.x, self.values = self.y[seen], self.x[seen], self.values[seen]

    def _bordered(self, known):
        return np.pad(known, ((0, 0), (self.h - 1, self.h - 1), (self.w - 1, self.w - 1)))

    def patch_sums(self, images, margin=(0, 0)):
        """P^T y: for each filter, the sum of its coefficients times patches, (K * h * w, C).

        ``margin`` enlarges the patches on every side, in rows and columns.
        """
        (h, w), (above, left) = (self.h, self.w), margin
        corner, line = self._corner(margin)
        padded, size = self._padded(images, margin), (h + 2 * above, w + 2 * left)
        sums = patch_sums(corner, self.kernel, self.values, padded, line, self.n_filters, size)
        return sums.reshape(-1, self.n_channels)

    def reconstruct(self, flat, n_samples):
        """P f: the images reconstructed with filters of shape (K * h * w, C); channels first."""
        (h, w), (corner, line) = (self.h, self.w), self._corner()
        rows = self.height + 2 * (h - 1)
        padded = draw_patches(
            corner, self.kernel, self.values, flat, line, n_samples * rows * line, (h, w)
        )
        padded = padded.reshape(n_samples, rows, line, -1).transpose(0, 3, 1, 2)
        return padded[:, :, h - 1 : rows - h + 1, w - 1 : line - w + 1]

    def _corner(self, margin=(0, 0)):
        """Pixel of the padded stack in the corner of each filter, and the length of its rows."""
        rows = self.height + 2 * (self.h - 1 + margin[0])
        line = self.width + 2 * (self.w - 1 + margin[1])
        return (self.sample * rows + self.y) * line + self.x, line

    def _padded(self, images, margin=(0, 0)):
        """Pixels of the padded stack as rows, with channels last."""
        above, left = self.h - 1 + margin[0], self.w - 1 + margin[1]
        last = np.pad(images, ((0, 0), (0, 0), (above, above), (left, left))).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(last).reshape(-1, self.n_channels)
