"""Bags of features: visual words of windows of maps, pooled over a spatial pyramid."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.parameters import of_each_axis
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.validation import check_in, check_integer, check_real, check_seed
from skdeconv.features._check_maps import (
    TakesMaps,
    check_n_filters,
    each_of_maps,
    shape_of_maps,
    shapes_of_maps,
)
from skdeconv.features._descriptors import Descriptors
from skdeconv.features._pursuit import matching_pursuit
from skdeconv.features._pyramid import SpatialPyramid
from skdeconv.layouts import SparseMaps


class BagOfFeatures(TakesMaps, BaseEstimator):
    r"""Histograms of visual words over the cells of a spatial pyramid.

    The absolute values of all maps in a window of ``patch_size`` x ``patch_size`` positions are
    summed over blocks of ``pool`` x ``pool``. The square roots of the sums, scaled to unit
    Euclidean norm, are the descriptor of the window. ``fit`` clusters descriptors into a vocabulary
    of ``n_words`` words by :class:`sklearn.cluster.MiniBatchKMeans`. ``transform`` assigns each
    window of an image to words and pools the assignments over the cells of a spatial pyramid. [1]_
    and [2]_ classify images by such features, with the histogram intersection as kernel.

    Parameters
    ----------
    n_words : int, default=1000
        Size of the vocabulary.
    patch_size : int, default=16
        Side of a window in positions of the maps, a multiple of ``pool``. For maps of height 1 or
        width 1 the windows have height 1 or width 1 too.
    step : int, default=2
        Stride of the windows in positions.
    pool : int, default=4
        Side of the blocks over which absolute values are summed.
    levels : tuple of int or of (int, int), default=(1, 2, 4)
        Cells of the pyramid, as in :class:`SpatialPyramid`.
    coding : {"hard", "soft", "sparse"}, default="hard"
        "hard" assigns each window to its nearest word. "soft" assigns it to the ``n_nearest``
        words, with weights :math:`\propto \exp(-\beta d^2)` where d is the distance to the word
        [3]_. "sparse" represents its descriptor as a sum of ``n_nearest`` words of unit norm, found
        by orthogonal matching pursuit; positive and negative coefficients are pooled separately,
        best by ``pooling="max"`` [4]_. That the words are cluster centres costs little accuracy
        [5]_. A window without non-zero coefficients is assigned to no word.
    n_nearest : int, default=5
        Number of words that a window is assigned to in soft and sparse coding.
    sharpness : float, default=10.0
        Decay :math:`\beta` of the weights in soft coding, at least 0. Descriptors have unit norm.
    pooling : {"sum", "max"}, default="sum"
        Pool the weights of a word in a cell by their sum or by their maximum. The maximum often
        works better with soft and sparse coding.
    power : float, default=0.5
        Exponent applied to the pooled weights, above 0.
    normalize : {"cell", "global"} or None, default="cell"
        "cell" scales the features of every cell to unit Euclidean norm, "global" those of every
        image.
    n_descriptors : int, default=50_000
        Maximum number of descriptors that ``fit`` clusters, sampled about equally from all images;
        at least ``n_words``. It bounds the memory of ``fit``.
    maps_shape : tuple of int, default=None
        (map_height, map_width, n_filters). Required if the input is rows.
    random_state : int, RandomState instance or None, default=None
        Seed of the sample of descriptors and of the initial words.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, patch_size / pool, patch_size / pool, n_filters)
        The cluster centres.
    kmeans_ : MiniBatchKMeans
        The fitted clustering.
    maps_shape_ : tuple of int
        (map_height, map_width, n_filters) of the first image seen in ``fit``.
    n_features_in_ : int
        Number of columns. Defined only if ``X`` in ``fit`` is rows.
    feature_names_in_ : ndarray of str
        Names of the columns. Defined only if ``X`` in ``fit`` has column names that are all
        strings.

    See Also
    --------
    SpatialPyramid : Pools the maps themselves, without a vocabulary.
    histogram_intersection : The kernel that [1]_ and [2]_ use.

    Notes
    -----
    Maps may differ in size. The descriptors of one image are in memory at a time. Each of the k
    projections of an image by an adaptive net, ``project(..., to="layer1")``, counts as a sample;
    ``features.reshape(n_images, k, -1).mean(axis=1)`` averages the k pyramids of each image.

    References
    ----------
    .. [1] M. D. Zeiler, D. Krishnan, G. W. Taylor, R. Fergus, "Deconvolutional networks",
       CVPR 2010.
    .. [2] M. D. Zeiler, G. W. Taylor, R. Fergus, "Adaptive deconvolutional networks for mid and
       high level feature learning", ICCV 2011.
    .. [3] L. Liu, L. Wang, X. Liu, "In defense of soft-assignment coding", ICCV 2011.
    .. [4] J. Yang, K. Yu, Y. Gong, T. Huang, "Linear spatial pyramid matching using sparse coding
       for image classification", CVPR 2009.
    .. [5] A. Coates, A. Ng, "The importance of encoding versus training with sparse coding and
       vector quantization", ICML 2011.

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
            The maps: a stack, a sequence of maps of equal or different sizes, or, with
            ``maps_shape``, dense or sparse rows.
        y : None
            Ignored.

        Returns
        -------
        self : BagOfFeatures
            The fitted transformer.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type, or X is a sequence that reads images on access,
            such as ImageFolder.
        ValueError
            If a parameter is out of range, X does not hold maps, an image is smaller than a
            window, or there are fewer descriptors than words.
        """
        with restored_on_failure(self):
            n_words = self._check_parameters()
            maps = self._check_maps(X, reset=True)
            random_state = check_seed(self.random_state)
            size = _common_size(maps)
            self._pyramid(size, n_words)
            sample = self._sample(maps, random_state)
            if len(sample) < n_words:
                raise ValueError(
                    f"n_words={n_words} is more than the {len(sample)} descriptors of X with "
                    "non-zero coefficients. Decrease n_words or step, or pass more images."
                )
            seed = random_state.randint(np.iinfo(np.int32).max)
            kmeans = MiniBatchKMeans(n_words, batch_size=4096, n_init=1, random_state=seed)
            kmeans.fit(sample)
            blocks = self._describe().blocks(size)
            self.maps_shape_, self.kmeans_ = shape_of_maps(maps), kmeans
            self.words_ = kmeans.cluster_centers_.reshape(n_words, *blocks, -1)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute the histograms of visual words.

        Parameters
        ----------
        X : ndarray, SparseMaps, list of ndarray, or rows
            Maps, as in ``fit``, with the same number of filters.

        Returns
        -------
        features : ndarray of shape (n_samples, n_cells * n_words), float64 or float32
            Non-negative features, ordered by level, then by row and column of the cells, then by
            word. In sparse coding there are twice as many: in each cell those of negative
            coefficients follow those of positive ones.

        Raises
        ------
        TypeError
            If X is a sequence that reads images on access, such as ImageFolder.
        ValueError
            If X does not hold maps, its maps have another number of filters than in ``fit``, or
            an image is smaller than a window.
        """
        check_is_fitted(self)
        self._check_parameters()
        maps = self._check_maps(X, reset=False)
        check_n_filters(maps, self.maps_shape_[2])
        size = _common_size(maps)
        describe, find, words, grids = self._describe(), self._coder(), [], []
        for one in each_of_maps(maps):
            descriptors, grid = describe(*one)
            if descriptors.shape[1] != self.words_[0].size:
                raise ValueError(
                    f"Windows of X have {describe.blocks(size)} blocks, but fit has seen "
                    f"{self.words_.shape[1:3]}. After fit patch_size, pool, and whether maps have "
                    "height 1 or width 1, must not change."
                )
            words.append(self._coded(descriptors, *find(descriptors)))
            grids.append(grid)
        pyramid = self._pyramid(size, len(self.words_)).set_output(transform="default")
        return pyramid.transform(SparseMaps(words, grids))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns: ``word3_l2_y0_x1`` is word 3 in row 0, column 1 of 2 x 2 cells.

        In sparse coding words are ``word3+`` and ``word3-``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            Names of the columns of ``transform``.
        """
        check_is_fitted(self)
        pyramid = self._pyramid(self.maps_shape_[:2], len(self.words_))
        names = pyramid.get_feature_names_out()
        return np.array([f"word{name[1:]}" for name in names], dtype=object)

    def _check_parameters(self):
        """Check all parameters except those of the pyramid; return the number of words."""
        n_words = check_integer("n_words", self.n_words, min_val=1)
        pool = check_integer("pool", self.pool, min_val=1)
        if check_integer("patch_size", self.patch_size, min_val=1) % pool:
            raise ValueError(
                f"patch_size must be a multiple of pool={pool}, got {self.patch_size}."
            )
        check_integer("step", self.step, min_val=1)
        check_in("coding", self.coding, ["hard", "soft", "sparse"])
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

    def _pyramid(self, size, n_words):
        """The pyramid that pools words over cells; signals have one row or column of windows."""
        pyramid = SpatialPyramid(
            self.levels,
            pooling=self.pooling,
            power=self.power,
            split_sign=self.coding == "sparse",
            normalize=self.normalize,
        )
        return pyramid.fit(np.zeros((1, *of_each_axis(2, size), n_words)))

    def _sample(self, maps, random_state):
        """At most ``n_descriptors`` descriptors, about the same number from every image.

        Small images come first, so that larger ones can make up for their missing descriptors.
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

    def _coder(self):
        """Function from descriptors to the words of every window, and their weights."""
        if self.coding != "sparse":
            return self._nearest
        words = self.words_.reshape(len(self.words_), -1)
        words = words / np.linalg.norm(words, axis=1, keepdims=True)
        gram, count = words @ words.T, min(self.n_nearest, len(words))

        def pursue(descriptors):
            return matching_pursuit(gram, descriptors.astype(words.dtype) @ words.T, count)

        return pursue

    def _coded(self, descriptors, words, weights):
        """Sparse weights of the words of every window; zero for a blank window."""
        weights = weights.astype(descriptors.dtype) * descriptors.any(axis=1, keepdims=True)
        ends = np.arange(0, words.size + 1, words.shape[1])
        parts = weights.ravel(), words.ravel(), ends
        return csr_array(parts, shape=(len(words), len(self.words_)))

    def _nearest(self, descriptors):
        """The nearest words of every window, and weights that decay with the distance."""
        count = min(self.n_nearest, len(self.words_)) if self.coding == "soft" else 1
        known = descriptors.astype(self.words_.dtype, copy=False)
        with config_context(transform_output="default"):
            distances = self.kmeans_.transform(known).astype(descriptors.dtype, copy=False) ** 2
        if count == 1:
            nearest = distances.argmin(axis=1)[:, None]
        else:
            nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        distances = np.take_along_axis(distances, nearest, axis=1)
        distances -= distances.min(axis=1, keepdims=True)
        weights = np.exp(-float(self.sharpness) * distances)
        weights /= weights.sum(axis=1, keepdims=True)
        return nearest, weights


def _common_size(maps):
    """Size of the first maps; all maps are signals along the same axis, or none is a signal."""
    sizes = shapes_of_maps(maps)
    if len({of_each_axis(2, size) for size in sizes}) > 1:
        raise ValueError("X holds maps of height 1 or width 1 beside others; their windows differ.")
    return sizes[0]
