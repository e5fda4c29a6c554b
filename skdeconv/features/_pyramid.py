"""Spatial pyramids: maps of any size summed up over windows, as one row for each image."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, hstack
from sklearn.base import BaseEstimator
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from skdeconv._maps import SparseMaps
from skdeconv._validation import (
    check_flag,
    check_in,
    check_integer,
    check_real,
    restored_on_failure,
)
from skdeconv.features._check_maps import (
    TakesMaps,
    check_n_filters,
    shape_of_maps,
    shapes_of_maps,
)
from skdeconv.features._pooling import Pooling, unit_rows
from skdeconv.features._windows import cell_weights, grid_weights

# Temporaries are a few times this many numbers, however many images there are.
_NUMBERS_AT_ONCE = 2**21


class SpatialPyramid(TakesMaps, BaseEstimator):
    r"""Pool maps over windows: one row of fixed length for each image, of any size.

    Sparse maps say where each filter is, to the pixel. A classifier wants to know roughly where,
    and how much of it: for window :math:`w` and map :math:`z_k`

    .. math:: g_{w,k} = \Big( \sum_{y,x} w(y, x)\, |z_k(y, x)| \Big)^{q}

    with the exponent :math:`q` = ``power``. The windows are the cells of a spatial pyramid [1]_,
    1 x 1, 2 x 2 and 4 x 4 of them by default, or overlapping Gaussians or triangles on a regular
    grid.

    Parameters
    ----------
    levels : tuple of int or of (int, int), default=(1, 2, 4)
        Cells of ``window="box"`` along each side: one pyramid level of n x n cells, or of (rows,
        columns), for each entry. An integer means (1, n) where maps have a height of 1.
    window : {"box", "gaussian", "triangular"}, default="box"
        "box" pools over the cells of ``levels``, which grow with the maps. The others pool over
        windows of fixed size, ``stride`` apart: their number grows with the maps, so all images
        must be of one size.
    sigma : float, default=2.5
        Standard deviation of Gaussian and triangular windows in positions of the maps, above 0.
    stride : float, default=3
        Distance of their centres in positions, at least 1.
    overlap : float, default=0.0
        What a box shares with each of its neighbours, as a part of its side, from 0 to 1.
    pooling : {"sum", "max", "energy"}, default="sum"
        Sum of moduli; their maximum, over boxes only; or sum of squares.
    power : float, default=0.5
        Exponent q of what was pooled, above 0. The square root keeps the largest responses from
        drowning the others; with "energy" it gives the Euclidean norm.
    split_sign : bool, default=False
        Whether positive and negative values are pooled apart, as two maps each. Of non-negative
        maps the second would be empty.
    normalize : {"cell", "global"} or None, default=None
        "cell" scales the features of every window to unit Euclidean norm, "global" those of every
        image, which images of several sizes or contrasts need. What is all zero stays zero.
    maps_shape : tuple of int, default=None
        (map_height, map_width, n_filters), where the input is rows.

    Attributes
    ----------
    maps_shape_ : tuple of int
        (map_height, map_width, n_filters) of the first image seen in ``fit``.
    n_features_in_ : int
        Number of columns, where ``fit`` saw rows.
    feature_names_in_ : ndarray of str
        Their names, where there were any.

    See Also
    --------
    skdeconv.OnePassEncoder : Maps that are made for this.
    BagOfFeatures : Pools visual words in place of maps.

    Notes
    -----
    Nothing is learned: ``fit`` records the shape of the maps. :class:`skdeconv.SparseMaps` are
    pooled as they are, one image at a time, and never become dense.

    A position on the boundary of two cells counts in both by its share, so cells add up to the
    whole however the sizes divide.

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
            The maps: a stack, a sequence of maps of one or of several sizes, or, with
            ``maps_shape``, rows, dense or sparse.
        y : None
            Ignored.

        Returns
        -------
        self : SpatialPyramid
            The fitted transformer.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type, or X reads images on access, as ImageFolder.
        ValueError
            If a parameter is out of range, or X does not hold maps, or maps of different sizes
            where windows are Gaussian or triangular.
        """
        with restored_on_failure(self):
            self._check_parameters()
            maps = self._check_maps(X, reset=True)
            shape = shape_of_maps(maps)
            self._check_sizes(maps, shape)
            self.maps_shape_ = shape
            self._grids(shape[:2])
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Pool maps.

        Parameters
        ----------
        X : ndarray, SparseMaps, list of ndarray, or rows
            Maps, as in ``fit``, with as many filters. Only Gaussian and triangular windows need
            maps of the size seen there.

        Returns
        -------
        features : ndarray of shape (n_samples, n_windows * n_maps), float64 or float32
            Non-negative; window by window, the levels in order and each row by row.

        Raises
        ------
        TypeError
            If X reads images on access, as ImageFolder.
        ValueError
            If X does not hold maps, or others than in ``fit``.
        """
        check_is_fitted(self)
        self._check_parameters()
        maps = self._check_maps(X, reset=False)
        self._check_sizes(maps, self.maps_shape_)
        pooled = self._pooled(maps)
        return self._normalized(pooled if self.power == 1 else pooled**self.power)

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns: ``f3_l2_y0_x1`` is map 3 in row 0, column 1 of the 2 x 2 cells.

        Windows on a grid have no level: ``f3_y0_x1``. With ``split_sign`` the maps are ``f3+``
        and ``f3-``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored: names of the maps' pixels say nothing about windows.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            One name per column.
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
        pooling = check_in("pooling", self.pooling, ["sum", "max", "energy"])
        if pooling == "max" and window != "box":
            raise ValueError(
                f'pooling="max" needs window="box", got window={window!r}: the largest of weighted '
                'values is no measure of either. Use pooling="sum" or "energy".'
            )
        check_real("power", self.power, **above_zero)
        check_flag("split_sign", self.split_sign)
        check_in("normalize", self.normalize, ["cell", "global", None])

    def _check_sizes(self, maps, expected):
        """Require as many filters as expected, and the size where windows depend on it."""
        check_n_filters(maps, expected[2])
        others = {shape for shape in shapes_of_maps(maps) if shape != expected[:2]}
        if self.window != "box" and others:
            raise ValueError(
                f"X holds maps of size {sorted(others)[0]}, and fit has seen {expected[:2]}; "
                f'window={self.window!r} needs one size. window="box" takes all.'
            )

    def _grids(self, shape):
        """Name, weights of rows and weights of columns of every grid of windows."""
        if self.window != "box":
            weights = [grid_weights(n, self.window, self.sigma, self.stride) for n in shape]
            return [("", *weights)]
        grids = []
        for level in self.levels:
            cells = level if isinstance(level, tuple | list) else (level, level)
            cells = (1, cells[-1]) if self.maps_shape_[0] == 1 else (cells[0], cells[-1])
            name = "_l" + "x".join(map(str, level if isinstance(level, tuple | list) else [level]))
            pairs = zip(shape, cells, strict=True)
            grids.append((name, *(cell_weights(n, count, self.overlap) for n, count in pairs)))
        return grids

    def _pooled(self, maps):
        """The windows' sums or maxima, one row for each image."""
        poolings = {
            shape: Pooling([grid[1:] for grid in self._grids(shape)], self.pooling)
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
        """Rows scaled to unit norm, by window or whole, in place."""
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
    """Moduli of dense maps, or their positive and negative parts side by side."""
    if not split:
        return np.abs(maps)
    return np.concatenate([np.maximum(maps, 0), np.maximum(-maps, 0)], axis=-1)


def _sparse_signs(maps, split):
    """The same for the maps of one image, (map_height * map_width, n_filters)."""
    if not split:
        return abs(maps)
    # Of float32 maxima older versions of scipy make float64.
    return csr_array(hstack([maps.maximum(0), (-maps).maximum(0)]), dtype=maps.dtype)
