"""Bags of features: windows of maps as visual words, counted over a spatial pyramid."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils.validation import check_is_fitted

from skdeconv._maps import SparseMaps
from skdeconv._validation import (
    check_in,
    check_integer,
    check_real,
    check_seed,
    restored_on_failure,
)
from skdeconv.features._check_maps import (
    TakesMaps,
    check_n_filters,
    each_of_maps,
    shape_of_maps,
    shapes_of_maps,
)
from skdeconv.features._descriptors import Descriptors
from skdeconv.features._pyramid import SpatialPyramid


class BagOfFeatures(TakesMaps, BaseEstimator):
    r"""Count visual words: which local patterns of maps an image has, and roughly where.

    Every window of ``patch_size`` x ``patch_size`` positions is described by the moduli of all
    maps, summed over blocks of ``pool`` x ``pool``; their square root, scaled to unit Euclidean
    norm, is its descriptor. ``fit`` clusters descriptors into ``n_words`` words by
    :class:`sklearn.cluster.MiniBatchKMeans`. ``transform`` assigns each window of an image to
    words and sums these over the cells of a spatial pyramid. This is how [1]_ and [2]_ get from
    maps to labels, with the histogram intersection as kernel.

    Parameters
    ----------
    n_words : int, default=1000
        Size of the vocabulary.
    patch_size : int, default=16
        Side of a window in positions of the maps, a multiple of ``pool``. Where maps have a height
        of 1, windows have it too.
    step : int, default=2
        Distance of neighbouring windows in positions.
    pool : int, default=4
        Side of the blocks over which moduli are summed.
    levels : tuple of int or of (int, int), default=(1, 2, 4)
        Cells of the pyramid, as in :class:`SpatialPyramid`.
    coding : {"hard", "soft"}, default="hard"
        "hard" gives each window to the nearest word. "soft" shares it among the ``n_nearest``
        words, by weights :math:`\propto \exp(-\beta d^2)` of their distances d [3]_. A window
        without any coefficient counts for none.
    n_nearest : int, default=5
        Words that share a window in soft coding.
    sharpness : float, default=10.0
        How fast, :math:`\beta`, weights fall off in soft coding, at least 0. Descriptors are of
        unit norm.
    pooling : {"sum", "max"}, default="sum"
        Whether the weights of a word in a cell are summed up, or the largest is taken, which soft
        coding often prefers.
    power : float, default=0.5
        Exponent of the sums over cells, above 0.
    normalize : {"cell", "global"} or None, default="cell"
        What is scaled to unit Euclidean norm: every cell, or every image.
    n_descriptors : int, default=50_000
        Largest number of descriptors that ``fit`` clusters, about as many from every image; at
        least ``n_words``. It bounds the memory of ``fit``.
    maps_shape : tuple of int, default=None
        (map_height, map_width, n_filters), where the input is rows.
    random_state : int, RandomState instance or None, default=None
        For the choice of descriptors and the first words.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, patch_size / pool, patch_size / pool, n_filters)
        The centres of the clusters.
    kmeans_ : MiniBatchKMeans
        The clustering.
    maps_shape_ : tuple of int
        (map_height, map_width, n_filters) of the first image seen in ``fit``.
    n_features_in_ : int
        Number of columns, where ``fit`` saw rows.
    feature_names_in_ : ndarray of str
        Their names, where there were any.

    See Also
    --------
    SpatialPyramid : Pools the maps themselves, without a vocabulary.
    histogram_intersection : The kernel of the papers.

    Notes
    -----
    Maps may be of several sizes. One image's descriptors are in memory at a time. The separate
    projections of an adaptive net, ``project(..., to="layer1")``, are images of their own here;
    ``features.reshape(n_images, k, -1).mean(axis=1)`` then averages the k pyramids of each image.

    References
    ----------
    .. [1] M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus, "Deconvolutional networks",
       CVPR 2010.
    .. [2] M. D. Zeiler, G. W. Taylor, R. Fergus, "Adaptive deconvolutional networks for mid and
       high level feature learning", ICCV 2011.
    .. [3] L. Liu, L. Wang, X. Liu, "In defense of soft-assignment coding", ICCV 2011.

    Examples
    --------
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.datasets import load_sample_photos
    >>> from skdeconv.features import BagOfFeatures
    >>> from skdeconv.preprocessing import LocalContrastNormalizer
    >>> photos = LocalContrastNormalizer().fit_transform(load_sample_photos(64)[::10])
    >>> layer = DeconvNetLayer(6, 5, output="maps", sparse_output=True, max_iter=1, random_state=0)
    >>> maps = layer.fit_transform(photos)
    >>> BagOfFeatures(n_words=20, random_state=0).fit_transform(maps).shape
    (12, 420)
    """

    def __init__(
        self,
        n_words: int = 1000,
        *,
        patch_size: int = 16,
        step: int = 2,
        pool: int = 4,
        levels: tuple = (1, 2, 4),
        coding: str = "hard",
        n_nearest: int = 5,
        sharpness: float = 10.0,
        pooling: str = "sum",
        power: float = 0.5,
        normalize: str | None = "cell",
        n_descriptors: int = 50_000,
        maps_shape: tuple[int, int, int] | None = None,
        random_state=None,
    ):
        self.n_words = n_words
        self.patch_size = patch_size
        self.step = step
        self.pool = pool
        self.levels = levels
        self.coding = coding
        self.n_nearest = n_nearest
        self.sharpness = sharpness
        self.pooling = pooling
        self.power = power
        self.normalize = normalize
        self.n_descriptors = n_descriptors
        self.maps_shape = maps_shape
        self.random_state = random_state

    def fit(self, X: ArrayLike, y=None) -> Self:
        """Learn the vocabulary from a sample of descriptors.

        Parameters
        ----------
        X : ndarray of shape (n_samples, map_height, map_width, n_filters), SparseMaps, list of \
                ndarray, or rows
            The maps: a stack, a sequence of maps of one or of several sizes, or, with
            ``maps_shape``, rows, dense or sparse.
        y : None
            Ignored.

        Returns
        -------
        self : BagOfFeatures
            The fitted transformer.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type, or X reads images on access, as ImageFolder.
        ValueError
            If a parameter is out of range, X does not hold maps, an image is smaller than a
            window, or there are fewer descriptors than words.
        """
        with restored_on_failure(self):
            n_words = self._check_parameters()
            maps = self._check_maps(X, reset=True)
            random_state = check_seed(self.random_state)
            height = _common_height(maps)
            self._pyramid(height, n_words)
            sample = self._sample(maps, random_state)
            if len(sample) < n_words:
                raise ValueError(
                    f"n_words={n_words} is more than the {len(sample)} descriptors of X that hold "
                    "any coefficient. Lower it, or step, or give more images."
                )
            seed = random_state.randint(np.iinfo(np.int32).max)
            kmeans = MiniBatchKMeans(n_words, batch_size=4096, n_init=1, random_state=seed)
            kmeans.fit(sample)
            blocks = self._describe().blocks(height)
            self.maps_shape_, self.kmeans_ = shape_of_maps(maps), kmeans
            self.words_ = kmeans.cluster_centers_.reshape(n_words, *blocks, -1)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Count the words of images.

        Parameters
        ----------
        X : ndarray, SparseMaps, list of ndarray, or rows
            Maps, as in ``fit``, with as many filters.

        Returns
        -------
        features : ndarray of shape (n_samples, n_cells * n_words), float64 or float32
            Non-negative; cell by cell, the levels in order and each row by row.

        Raises
        ------
        TypeError
            If X reads images on access, as ImageFolder.
        ValueError
            If X does not hold maps, or others than in ``fit``, or smaller than a window.
        """
        check_is_fitted(self)
        self._check_parameters()
        maps = self._check_maps(X, reset=False)
        check_n_filters(maps, self.maps_shape_[2])
        height = _common_height(maps)
        describe, words, grids = self._describe(), [], []
        for one in each_of_maps(maps):
            descriptors, grid = describe(*one)
            if descriptors.shape[1] != self.words_[0].size:
                raise ValueError(
                    f"Windows of X have {describe.blocks(height)} blocks, but fit has seen "
                    f"{self.words_.shape[1:3]}: patch_size, pool, and whether maps have a height "
                    "of 1, must not change after it."
                )
            words.append(self._words_of(descriptors))
            grids.append(grid)
        return self._pyramid(height, len(self.words_)).transform(SparseMaps(words, grids))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns: ``word3_l2_y0_x1`` is word 3 in row 0, column 1 of 2 x 2 cells.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored: names of the maps' pixels say nothing about words.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            One name per column.
        """
        check_is_fitted(self)
        pyramid = self._pyramid(self.maps_shape_[0], len(self.words_))
        names = pyramid.get_feature_names_out()
        return np.array([f"word{name[1:]}" for name in names], dtype=object)

    def _check_parameters(self):
        """The number of words, all parameters but those of the pyramid being checked."""
        n_words = check_integer("n_words", self.n_words, min_val=1)
        pool = check_integer("pool", self.pool, min_val=1)
        if check_integer("patch_size", self.patch_size, min_val=1) % pool:
            raise ValueError(
                f"patch_size must be a multiple of pool={pool}, got {self.patch_size}."
            )
        check_integer("step", self.step, min_val=1)
        check_in("coding", self.coding, ["hard", "soft"])
        check_integer("n_nearest", self.n_nearest, min_val=1)
        check_real("sharpness", self.sharpness, min_val=0)
        check_in("pooling", self.pooling, ["sum", "max"])
        if check_integer("n_descriptors", self.n_descriptors, min_val=1) < n_words:
            raise ValueError(
                f"n_descriptors must be at least n_words={n_words}, got {self.n_descriptors}."
            )
        return n_words

    def _describe(self):
        return Descriptors(self.patch_size, self.step, self.pool)

    def _pyramid(self, height, n_words):
        """What pools words over cells: of rows of windows, or of one row for signals."""
        pyramid = SpatialPyramid(
            self.levels, pooling=self.pooling, power=self.power, normalize=self.normalize
        )
        return pyramid.fit(np.zeros((1, min(height, 2), 1, n_words)))

    def _sample(self, maps, random_state):
        """At most ``n_descriptors`` descriptors, about as many of every image.

        Small images come first: what they have too few of, larger ones make up for.
        """
        describe, sample, left = self._describe(), [], self.n_descriptors
        images = list(each_of_maps(maps))
        order = random_state.permutation(len(images))
        order = sorted(order, key=lambda i: math.prod(images[i][1]))
        for n_done, i in enumerate(order):
            count = -(-left // (len(order) - n_done))
            if count == 0:
                break
            descriptors, _ = describe(*images[i])
            descriptors = descriptors[descriptors.any(axis=1)]
            sample.append(descriptors[random_state.permutation(len(descriptors))[:count]])
            left -= len(sample[-1])
        return np.concatenate(sample)

    def _words_of(self, descriptors):
        """Weights of the nearest words of every window, sparse; a blank one has none."""
        count = min(self.n_nearest, len(self.words_)) if self.coding == "soft" else 1
        known = descriptors.astype(self.words_.dtype, copy=False)
        distances = self.kmeans_.transform(known).astype(descriptors.dtype, copy=False) ** 2
        if count == 1:
            nearest = distances.argmin(axis=1)[:, None]
        else:
            nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        distances = np.take_along_axis(distances, nearest, axis=1)
        distances -= distances.min(axis=1, keepdims=True)
        weights = np.exp(-float(self.sharpness) * distances)
        weights /= weights.sum(axis=1, keepdims=True)
        weights *= descriptors.any(axis=1, keepdims=True)
        ends = np.arange(0, nearest.size + 1, count)
        parts = weights.ravel(), nearest.ravel(), ends
        return csr_array(parts, shape=(len(nearest), len(self.words_)))


def _common_height(maps):
    """Height of the first maps; all are signals, of height 1, or none is."""
    flat = {height == 1 for height, _ in shapes_of_maps(maps)}
    if len(flat) > 1:
        raise ValueError("X holds maps of height 1 beside taller ones, whose windows differ.")
    return shape_of_maps(maps)[0]
