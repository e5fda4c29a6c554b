"""Dense SIFT bags of visual words with a spatial pyramid, tuned on validation data."""

from __future__ import annotations

import cv2
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import MiniBatchKMeans

cv2.setNumThreads(1)


class DenseSift(TransformerMixin, BaseEstimator):
    """Spatial pyramid of visual words of upright SIFT descriptors on a grid.

    Parameters
    ----------
    n_words : int
        Size of the vocabulary.
    patches : tuple of int
        Sides of the patches in pixels, each with its own grid.
    step : int
        Pixels between patches.
    blur : float
        Standard deviation of the Gaussian before gradients are taken.
    zoom : float, default=1
        Factor by which images are magnified first; patches and step are in magnified pixels.
    n_nearest : int, default=1
        Number of words that a descriptor is assigned to; one is hard assignment.
    sharpness : float, default=10
        Weights of the nearest words are proportional to exp(-sharpness * squared distance).
    pooling : {"sum", "max"}, default="sum"
        Pooling of the weights in a cell.
    power : float, default=1
        Exponent of pooled values.
    levels : tuple of int, default=(1, 2, 4)
        Number of cells along each side, for each level of the pyramid.
    random_state : int, default=0
        Seed of the vocabulary.
    """

    def __init__(
        self, n_words, patches, step, blur, *, zoom=1, n_nearest=1, sharpness=10.0, pooling="sum",
        power=1.0, levels=(1, 2, 4), random_state=0,
    ):  # fmt: skip
        self.n_words, self.patches, self.step, self.blur = n_words, patches, step, blur
        self.zoom, self.n_nearest, self.sharpness = zoom, n_nearest, sharpness
        self.pooling, self.power, self.levels = pooling, power, levels
        self.random_state = random_state

    def fit(self, X, y=None):
        """Vocabulary of at most 100,000 descriptors of the images."""
        random = np.random.default_rng(self.random_state)
        share = max(1, 100_000 // len(X))
        found = []
        for image in X:
            descriptors, _ = self.descriptors(image)
            descriptors = descriptors[np.any(descriptors, axis=1)]
            found.append(random.permutation(descriptors)[:share])
        means = MiniBatchKMeans(
            self.n_words, batch_size=4096, n_init=1, random_state=self.random_state
        )
        self.words_ = means.fit(np.concatenate(found)).cluster_centers_
        self._norms = np.sum(self.words_**2, axis=1)
        return self

    def transform(self, X):
        """One row per image."""
        return np.stack([self.pyramid(*self.descriptors(image)) for image in X])

    def descriptors(self, image):
        """Square roots of SIFT (Hellinger's metric), and positions from 0 to 1."""
        pixels = np.rint(255 * image).astype(np.uint8)
        if self.zoom != 1:
            pixels = cv2.resize(
                pixels, None, fx=self.zoom, fy=self.zoom, interpolation=cv2.INTER_CUBIC
            )
        points = []
        for patch in self.patches:
            # Patches may exceed the border by a quarter of their side.
            rows, columns = (
                np.arange((n - patch // 2) % self.step / 2 + patch / 4, n - patch / 4, self.step)
                for n in pixels.shape
            )
            # The descriptor covers six times the size of a key point.
            points += [cv2.KeyPoint(x, y, patch / 6, 0) for y in rows for x in columns]
        _, found = cv2.SIFT_create(sigma=self.blur).compute(pixels, points)
        found /= np.maximum(found.sum(axis=1, keepdims=True), 1e-6)
        where = np.array([point.pt[::-1] for point in points]) / pixels.shape
        return np.sqrt(found), where

    def codes(self, descriptors):
        """Weights of words, one row per descriptor; zero for constant patches."""
        nearness = 2 * descriptors @ self.words_.T
        nearness -= self._norms
        k = self.n_nearest
        words = np.argpartition(nearness, -k, axis=1)[:, -k:]
        weights = self.sharpness * np.take_along_axis(nearness, words, axis=1)
        weights = np.exp(weights - weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        weights *= np.any(descriptors, axis=1, keepdims=True)
        codes = np.zeros_like(nearness)
        np.put_along_axis(codes, words, weights, axis=1)
        return codes

    def pyramid(self, descriptors, where):
        """Pooled weights of all cells."""
        codes, pooled = self.codes(descriptors), []
        for n_cells in self.levels:
            cell = np.minimum((where * n_cells).astype(int), n_cells - 1) @ (n_cells, 1)
            inside = cell == np.arange(n_cells**2)[:, None]
            if self.pooling == "sum":
                pooled.append(inside.astype(np.float32) @ codes)
            else:
                pooled.append(np.stack([codes[some].max(axis=0, initial=0) for some in inside]))
        return np.concatenate(pooled, axis=None).astype(np.float32) ** self.power
