"""Spatial pyramids: maps of any size, pooled over windows into one row per image."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, hstack
from sklearn.base import BaseEstimator
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.parameters import of_each_axis
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.validation import check_flag, check_in, check_integer, check_real
from skdeconv.features._cells import Pooling, unit_rows
from skdeconv.features._check_maps import TakesMaps, check_n_filters, shape_of_maps, shapes_of_maps
from skdeconv.features._windows import cell_weights, grid_weights
from skdeconv.layouts import SparseMaps

# Images are pooled in batches, so that temporaries hold a few times this many numbers.
_NUMBERS_AT_ONCE = 2**21


class SpatialPyramid(TakesMaps, BaseEstimator):
    r"""Pool maps over windows: one row of fixed length per image, whatever its size.

    Sparse maps locate each filter to the pixel. For classification the rough position of a filter
    and the strength of its response are enough. The feature of window :math:`w` and map
    :math:`z_k` is

    .. math:: g_{w,k} = \Big( \sum_{y,x} w(y, x)\, |z_k(y, x)| \Big)^{q}

    with the exponent :math:`q` = ``power``, or with another ``pooling`` than the sum. The windows
    are the cells of a spatial pyramid [1]_, 1 x 1, 2 x 2 and 4 x 4 of them by default, or
    overlapping Gaussians or triangles on a regular grid.

    Parameters
    ----------
    levels : tuple of int or of (int, int), default=(1, 2, 4)
        Cells of ``window="box"`` along each side. Each entry adds a pyramid level of n x n cells,
        or of (rows, columns). For maps of height 1 an integer n means (1, n), for maps of width 1
        (n, 1).
    window : {"box", "gaussian", "triangular"}, default="box"
        "box" pools over the cells of ``levels``, whose size is proportional to that of the maps.
        "gaussian" and "triangular" pool over windows of fixed size, ``stride`` apart. Their number
        depends on the size of the maps, so all images must have the same size.
    sigma : float, default=2.5
        Standard deviation of Gaussian and triangular windows in positions of the maps, above 0.
    stride : float, default=3
        Distance between the centres of neighbouring Gaussian or triangular windows in positions,
        at least 1.
    overlap : float, default=0.0
        Overlap of a box with each of its neighbours, as a fraction of its side, from 0 to 1.
    pooling : {"sum", "mean", "max", "energy"}, default="sum"
        Sum of absolute values, their mean, which does not grow with the size of the maps, their
        maximum (for "box" only), or sum of squares.
    power : float, default=0.5
        Exponent q of the pooled values, above 0. The square root reduces the dominance of the
        largest responses; with "energy" it gives the Euclidean norm.
    split_sign : bool, default=False
        Whether to pool positive and negative values separately, which doubles the number of maps.
        Of non-negative maps the negative half is zero.
    normalize : {"cell", "global"} or None, default=None
        "cell" scales the features of every window to unit Euclidean norm, "global" those of every
        image. Use it for images that differ in size or contrast. Zero vectors stay zero.
    maps_shape : tuple of int, default=None
        (map_height, map_width, n_filters). Required if the input is rows.

    Attributes
    ----------
    maps_shape_ : tuple of int
        (map_height, map_width, n_filters) of the first image seen in ``fit``.
    n_features_in_ : int
        Number of columns. Defined only if ``X`` in ``fit`` is rows.
    feature_names_in_ : ndarray of str
        Names of the columns. Defined only if ``X`` in ``fit`` has column names that are all
        strings.

    See Also
    --------
    skdeconv.OnePassEncoder : Non-negative maps that are meant to be pooled.
    BagOfFeatures : Pools visual words instead of maps.

    Notes
    -----
    Nothing is learned: ``fit`` records the shape of the maps. :class:`skdeconv.SparseMaps` are
    pooled one image at a time, without conversion to dense arrays.

    A position that is cut by the boundary of two cells is split between them in proportion. Without
    overlap the cells of a level thus sum to the whole map, even if its size is not divisible by
    their number.

    References
    ----------
    .. [1] S. Lazebnik, C. Schmid, J. Ponce, "Beyond bags of features: spatial pyramid matching for
       recognizing natural scene categories", CVPR 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.features import SpatialPyramid
    >>> images, labels = load_digits(return_X_y=True)
    >>> images = images.reshape(-1, 8, 8) / 16
    >>> layer = DeconvNetLayer(8, 3, lam=5.0, output="maps", max_iter=2, random_state=0)
    >>> model = make_pipeline(layer, SpatialPyramid(levels=(1, 2, 4)), LinearSVC())
    >>> model.fit(images[:300], labels[:300]).score(images[300:600], labels[300:600]) > 0.7
    True
    >>> model[:-1].get_feature_names_out()[[0, 8, 16]]
    array(['f0_l1_y0_x0', 'f0_l2_y0_x0', 'f0_l2_y0_x1'], dtype=object)
    """

    def __init__(
        self,
        levels: tuple = (1, 2, 4),
        *,
        window: str = "box",
        sigma: float = 2.5,
        stride: float = 3,
        overlap: float = 0.0,
        pooling: str = "sum",
        power: float = 0.5,
        split_sign: bool = False,
        normalize: str | None = None,
        maps_shape: tuple[int, int, int] | None = None,
    ):
        self.levels = levels
        self.window = window
        self.sigma = sigma
        self.stride = stride
        self.overlap = overlap
        self.pooling = pooling
        self.power = power
        self.split_sign = split_sign
        self.normalize = normalize
        self.maps_shape = maps_shape

    def fit(self, X: ArrayLike, y=None) -> Self:
        """Check the parameters and record the shape of the maps.

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
        self : SpatialPyramid
            The fitted transformer.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type, or X is a sequence that reads images on access,
            such as ImageFolder.
        ValueError
            If a parameter is out of range, X does not hold maps, or its maps differ in size and
            windows are Gaussian or triangular.
        """
        with restored_on_failure(self):
            self._check_parameters()
            maps = self._check_maps(X, reset=True)
            shape = shape_of_maps(maps)
            self._check_sizes(maps, shape)
            self.maps_shape_ = shape
            # Not the first map alone, which may be a single position in a list of signals.
            self._largest = tuple(np.max(shapes_of_maps(maps), axis=0).tolist())
            self._grids(shape[:2])
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Pool maps.

        Parameters
        ----------
        X : ndarray, SparseMaps, list of ndarray, or rows
            Maps, as in ``fit``, with the same number of filters. For Gaussian and triangular
            windows they must have the size seen in ``fit``.

        Returns
        -------
        features : ndarray of shape (n_samples, n_windows * n_maps), float64 or float32
            Non-negative features, ordered by level, then by row and column of the windows, then by
            map.

        Raises
        ------
        TypeError
            If X is a sequence that reads images on access, such as ImageFolder.
        ValueError
            If X does not hold maps, or their number of filters or, for Gaussian and triangular
            windows, their size differs from that in ``fit``.
        """
        check_is_fitted(self)
        self._check_parameters()
        maps = self._check_maps(X, reset=False)
        self._check_sizes(maps, self.maps_shape_)
        pooled = self._pooled(maps)
        return self._normalized(pooled if self.power == 1 else pooled**self.power)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns: ``f3_l2_y0_x1`` is map 3 in row 0, column 1 of the 2 x 2 cells.

        Names of Gaussian and triangular windows have no level: ``f3_y0_x1``. With ``split_sign``
        the maps are ``f3+`` and ``f3-``.

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
        height, width, n_filters = self.maps_shape_
        signs = "+-" if self.split_sign else [""]
        maps = [f"f{k}{sign}" for sign in signs for k in range(n_filters)]
        names = []
        for level, rows, columns in self._grids((height, width)):
            cells = [(y, x) for y in range(len(rows)) for x in range(len(columns))]
            names += [f"{one}{level}_y{y}_x{x}" for y, x in cells for one in maps]
        return np.array(names, dtype=object)

    def _check_parameters(self):
        above_zero = {"min_val": 0, "include_boundaries": "neither"}
        window = check_in("window", self.window, ["box", "gaussian", "triangular"])
        _check_levels(self.levels)
        check_real("sigma", self.sigma, **above_zero)
        check_real("stride", self.stride, min_val=1)
        check_real("overlap", self.overlap, min_val=0, max_val=1)
        pooling = check_in("pooling", self.pooling, ["sum", "mean", "max", "energy"])
        if pooling == "max" and window != "box":
            raise ValueError(
                f'pooling="max" needs window="box", got window={window!r}: the maximum is not '
                "defined for weighted windows. Use another pooling."
            )
        check_real("power", self.power, **above_zero)
        check_flag("split_sign", self.split_sign)
        check_in("normalize", self.normalize, ["cell", "global", None])

    def _check_sizes(self, maps, expected):
        """Raise if the number of filters or, unless windows are boxes, the size differs."""
        check_n_filters(maps, expected[2])
        others = {shape for shape in shapes_of_maps(maps) if shape != expected[:2]}
        if self.window != "box" and others:
            raise ValueError(
                f"X holds maps of size {sorted(others)[0]}, but fit has seen {expected[:2]}; "
                f'window={self.window!r} needs maps of one size. Use window="box" for maps of '
                "different sizes."
            )

    def _grids(self, shape):
        """Suffix of the names, row weights and column weights of every grid of windows."""
        if self.window != "box":
            weights = [grid_weights(n, self.window, self.sigma, self.stride) for n in shape]
            return [("", *weights)]
        grids = []
        for level in self.levels:
            cells = self._cells(level)
            name = "_l" + "x".join(map(str, level if isinstance(level, tuple | list) else [level]))
            pairs = zip(shape, cells, strict=True)
            grids.append((name, *(cell_weights(n, count, self.overlap) for n, count in pairs)))
        return grids

    def _weights(self, shape):
        """Weights of every grid of windows along both axes."""
        weights = [grid[1:] for grid in self._grids(shape)]
        if self.pooling != "mean":
            return weights
        return [tuple(one / one.sum(axis=1, keepdims=True) for one in pair) for pair in weights]

    def _cells(self, level):
        """Rows and columns of the cells of a level; maps of signals have one row or column."""
        cells = level if isinstance(level, tuple | list) else (level,)
        rows, columns = of_each_axis(max(cells), self._largest)
        return min(cells[0], rows), min(cells[-1], columns)

    def _pooled(self, maps):
        """Pooled maps, one row per image."""
        poolings = {
            shape: Pooling(self._weights(shape), self.pooling)
            for shape in set(shapes_of_maps(maps))
        }
        if isinstance(maps, SparseMaps):
            pairs = zip(maps.maps, maps.map_shapes, strict=True)
            parts = [
                poolings[shape].sparse(_sparse_signs(one, self.split_sign)) for one, shape in pairs
            ]
        elif isinstance(maps, list):
            parts = [
                poolings[one.shape[:2]].dense(_signs(one[None], self.split_sign)) for one in maps
            ]
        else:
            step = max(1, _NUMBERS_AT_ONCE // maps[0].size)
            parts = [
                poolings[maps.shape[1:3]].dense(_signs(maps[part], self.split_sign))
                for part in gen_batches(len(maps), step)
            ]
        return np.concatenate(parts)

    def _normalized(self, features):
        """Scale features to unit norm in place, per window or per image."""
        if self.normalize is None:
            return features
        n_maps = self.maps_shape_[2] * (2 if self.split_sign else 1)
        blocks = features.reshape(-1, n_maps) if self.normalize == "cell" else features
        unit_rows(blocks)
        return features


def _check_levels(levels):
    if not isinstance(levels, tuple | list) or not len(levels):
        raise TypeError(
            "levels must be a tuple of integers or of pairs (rows, columns), such as (1, 2, 4); "
            f"got {levels!r}."
        )
    for level in levels:
        cells = level if isinstance(level, tuple | list) else (level,)
        if len(cells) > 2 or not len(cells):
            raise ValueError(f"levels must hold integers or pairs (rows, columns), got {level!r}.")
        for count in cells:
            check_integer("levels", count, min_val=1)
    if len(set(map(str, levels))) < len(levels):
        raise ValueError(f"levels must differ from each other, got {levels!r}.")


def _signs(maps, split):
    """Absolute values of dense maps, or their positive and negative parts concatenated."""
    if not split:
        return np.abs(maps)
    return np.concatenate([np.maximum(maps, 0), np.maximum(-maps, 0)], axis=-1)


def _sparse_signs(maps, split):
    """The same for the maps of one image, (map_height * map_width, n_filters)."""
    if not split:
        return abs(maps)
    # Older versions of scipy return the maximum of float32 as float64.
    return csr_array(hstack([maps.maximum(0), (-maps).maximum(0)]), dtype=maps.dtype)
