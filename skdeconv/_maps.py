"""Layouts of maps: the codes that solvers return, and the rows, stacks and sequences of users.

Inside, codes are a csr_array with one row per image, in C order of (n_filters, map_height,
map_width). In public the filters come last: (n_samples, map_height, map_width, n_filters).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array, hstack, issparse, vstack
from sklearn.utils.validation import check_array

from skdeconv._images import check_range, in_native_order, largest_modulus
from skdeconv.inference import rows_of


class SparseMaps:
    """Sparse feature maps of several images, as a light sequence.

    Parameters
    ----------
    maps : list of csr_array of shape (map_height * map_width, n_filters)
        The maps of each image; a row is a position, in C order.
    map_shapes : list of tuple of two ints
        (map_height, map_width) of each image.

    Attributes
    ----------
    shape : tuple of one int
        The number of images.

    See Also
    --------
    skdeconv.DeconvNetLayer : Returns it for ``output="maps", sparse_output=True``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skdeconv import SparseMaps
    >>> maps = SparseMaps([csr_array(np.eye(6)), csr_array(np.ones((6, 6)))], [(2, 3), (2, 3)])
    >>> len(maps), maps.to_dense().shape
    (2, (2, 2, 3, 6))
    >>> maps[0].shape
    (6, 6)
    """

    def __init__(self, maps: list, map_shapes: list):
        if len(maps) != len(map_shapes):
            raise ValueError(
                f"maps and map_shapes must be of one length, got {len(maps)} and {len(map_shapes)}."
            )
        for one, (height, width) in zip(maps, map_shapes, strict=True):
            if one.shape[0] != height * width:
                raise ValueError(
                    f"Maps of {one.shape[0]} positions do not fit map_shapes {(height, width)}."
                )
        self.maps = list(maps)
        self.map_shapes = [tuple(shape) for shape in map_shapes]

    @property
    def shape(self) -> tuple[int]:
        """The number of images, as a tuple."""
        return (len(self.maps),)

    def __len__(self) -> int:
        return len(self.maps)

    def __repr__(self) -> str:
        shapes = sorted(set(self.map_shapes))
        return f"<SparseMaps of {len(self)} images, map shapes {shapes}>"

    def __getitem__(self, key):
        """One image's CSR matrix for an integer; ``SparseMaps`` for a slice, array or mask."""
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]
        chosen = np.arange(len(self))[key]
        if np.ndim(chosen) == 0:
            return self.maps[chosen]
        return SparseMaps([self.maps[i] for i in chosen], [self.map_shapes[i] for i in chosen])

    def to_dense(self):
        """Dense maps.

        Returns
        -------
        maps : ndarray of shape (n_samples, map_height, map_width, n_filters) or list
            One array where all maps have one shape, otherwise a list of arrays.
        """
        dense = [
            one.toarray().reshape(*shape, -1)
            for one, shape in zip(self.maps, self.map_shapes, strict=True)
        ]
        return np.stack(dense) if len(set(self.map_shapes)) == 1 else dense


def rows_of_codes(codes: csr_array, maps_shape: tuple[int, int, int]) -> csr_array:
    """Inside to public order: the filters last, sorted 32-bit indices."""
    n_filters, height, width = maps_shape
    kernel, position = np.divmod(codes.indices, height * width)
    return _reordered(codes, position * n_filters + kernel)


def codes_of_rows(rows: csr_array, maps_shape: tuple[int, int, int]) -> csr_array:
    """Public to inside order: the filters first."""
    n_filters, height, width = maps_shape
    position, kernel = np.divmod(rows.indices, n_filters)
    return _reordered(rows, kernel * (height * width) + position)


def _reordered(matrix, indices):
    # 64-bit indices are refused by liblinear, libsvm and the forests.
    if max(matrix.shape[1], matrix.nnz) <= np.iinfo(np.int32).max:
        index_dtype = np.int32
    else:
        index_dtype = np.int64
    indices = indices.astype(index_dtype)
    indptr = matrix.indptr.astype(index_dtype)
    # A copy: sorting reorders the values in place, and these are the caller's.
    result = csr_array((matrix.data.copy(), indices, indptr), shape=matrix.shape)
    result.sort_indices()
    return result


def present_codes(codes, maps_shape, output, sparse_output, low=None):
    """Codes in the form asked for by ``output`` and ``sparse_output``.

    Parameters
    ----------
    codes : csr_array of shape (n_samples, n_filters * map_height * map_width)
        The sparse maps.
    maps_shape : tuple of int
        (n_filters, map_height, map_width).
    output : {"rows", "maps"}
        Rows (n_samples, map_height * map_width * n_filters), dense or CSR, or maps (n_samples,
        map_height, map_width, n_filters), dense or ``SparseMaps``.
    sparse_output : bool
        Whether they are sparse.
    low : list of ndarray of shape (n_channels, low_height, low_width), default=None
        Smooth maps of each image, which are appended to rows, the channels last.

    Returns
    -------
    result : ndarray, csr_array or SparseMaps
        The codes.
    """
    rows = rows_of_codes(codes, maps_shape)
    if output == "rows":
        if low is not None:
            rows = _with_low(rows, np.stack(low))
        return rows if sparse_output else rows.toarray()
    n_filters, height, width = maps_shape
    if not sparse_output:
        return rows.toarray().reshape(len(codes.indptr) - 1, height, width, n_filters)
    return maps_of_rows(rows, (height, width, n_filters))


def present_mixed(codes, maps_shapes) -> SparseMaps:
    """Codes of images of different sizes, whose maps have the given shapes.

    Parameters
    ----------
    codes : csr_array of shape (n_samples, n_coefficients of the largest)
        A row in C order of the image's own (n_filters, map_height, map_width).
    maps_shapes : list of tuple of int
        (n_filters, map_height, map_width) of each image.
    """
    maps = []
    for i, shape in enumerate(maps_shapes):
        row = rows_of_codes(rows_of(codes, [i], math.prod(shape)), shape)
        maps += maps_of_rows(row, (*shape[1:], shape[0])).maps
    return SparseMaps(maps, [shape[1:] for shape in maps_shapes])


def maps_of_rows(rows: csr_array, maps_shape: tuple[int, int, int]) -> SparseMaps:
    """Rows in public order as maps; ``maps_shape`` is (map_height, map_width, n_filters)."""
    height, width, n_filters = maps_shape
    rows, size = csr_array(rows), (height * width, n_filters)
    maps = [csr_array(rows[[i]].reshape(size)) for i in range(rows.shape[0])]
    for one in maps:
        one.indices, one.indptr = one.indices.astype(np.int32), one.indptr.astype(np.int32)
    return SparseMaps(maps, [(height, width)] * len(maps))


def _with_low(rows, low):
    """Rows with the smooth maps appended, again with 32-bit indices where they suffice."""
    dense = csr_array(low.transpose(0, 2, 3, 1).reshape(len(low), -1))
    joined = hstack([rows, dense], format="csr")
    return _reordered(joined, joined.indices)


def map_shape_of(codes):
    """(map_height, map_width) of maps, None for rows."""
    if isinstance(codes, SparseMaps):
        return codes.map_shapes[0] if len(codes) else None
    return codes.shape[1:3] if getattr(codes, "ndim", 2) == 4 else None


def check_codes(estimator, X, maps_shape, low_shape=None):
    """Codes from any form that ``present_codes`` gives, checked against ``maps_shape``.

    Returns
    -------
    codes : csr_array of shape (n_samples, n_filters * map_height * map_width)
        The sparse maps.
    low : ndarray of shape (n_samples, *low_shape) or None
        The smooth maps of rows; None without ``low_shape``, and for maps, which hold none.

    Raises
    ------
    ValueError
        If the width of rows, or the shape of maps, does not fit.
    """
    n_filters, height, width = maps_shape
    size = n_filters * height * width
    n_low = 0 if low_shape is None else math.prod(low_shape)
    if isinstance(X, SparseMaps):
        n_low = 0
        for one, shape in zip(X.maps, X.map_shapes, strict=True):
            if shape != (height, width) or one.shape[1] != n_filters:
                raise ValueError(
                    f"X holds maps of shape {(*shape, one.shape[1])}; expected "
                    f"{(height, width, n_filters)}."
                )
        if not len(X):
            raise ValueError("X holds maps of 0 samples; at least one is required.")
        X = vstack([one.reshape((1, size)) for one in X.maps], format="csr")
    elif not issparse(X) and getattr(X, "ndim", 2) > 2:
        if X.ndim != 4 or X.shape[1:] != (height, width, n_filters):
            raise ValueError(
                f"X has shape {X.shape}; expected maps of shape (n_samples, {height}, {width}, "
                f"{n_filters}), or rows of {size + n_low} features."
            )
        X, n_low = X.reshape(len(X), -1), 0
    X = check_array(
        in_native_order(X),
        accept_sparse="csr",
        dtype=[np.float64, np.float32],
        estimator=estimator,
        input_name="X",
    )
    check_range(largest_modulus(X.data if issparse(X) else X), X.dtype, power=1)
    if X.shape[1] != size + n_low:
        smooth = f" + {n_low} of the smooth maps" if n_low else ""
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{size + n_low} = {height} x {width} positions x {n_filters} filters{smooth}."
        )
    low = None
    if n_low:
        n_channels, low_height, low_width = low_shape
        low = X[:, size:].toarray() if issparse(X) else X[:, size:]
        low = low.reshape(-1, low_height, low_width, n_channels).transpose(0, 3, 1, 2)
    return codes_of_rows(csr_array(X[:, :size]), maps_shape), low
