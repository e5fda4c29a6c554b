"""Validation of maps in all forms that the estimators return."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import issparse
from sklearn.utils.validation import check_array, validate_data

from skdeconv._utils.transformer import Transformer
from skdeconv._utils.validation import check_shape
from skdeconv.layouts import (
    SparseMaps,
    check_range,
    forget_features,
    is_image_list,
    largest_modulus,
    maps_of_rows,
    plain,
    unpacked,
)

_FLOATS = [np.float64, np.float32]


class TakesMaps(Transformer):
    """Mixin for transformers of maps, with the parameter ``maps_shape``."""

    def __sklearn_tags__(self):
        """Rows are accepted only with ``maps_shape``; the dtype is preserved."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = self.maps_shape is not None
        tags.input_tags.sparse = self.maps_shape is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_maps(self, X, *, reset):
        """Validate maps.

        Parameters
        ----------
        X : ndarray, SparseMaps, list of ndarray, or rows
            A stack (n_samples, map_height, map_width, n_filters), a sequence of maps that may
            differ in size, or dense or CSR rows that hold maps of ``maps_shape`` in C order.
        reset : bool
            True in fit: for rows ``n_features_in_`` and ``feature_names_in_`` are set.

        Returns
        -------
        maps : ndarray, SparseMaps or list of ndarray
            At least one image, float64 or float32, finite, with the filters last. All images have
            the same number of filters.

        Raises
        ------
        TypeError, ValueError
            If ``maps_shape`` is invalid, X has another form, or its values are not finite or so
            large that sums overflow. A sequence that reads on access, such as ImageFolder, holds
            images, not maps.
        """
        maps = self._read_maps(unpacked(X), reset)
        parts = [maps] if isinstance(maps, np.ndarray) else [one for one, _ in each_of_maps(maps)]
        parts = [one.data if issparse(one) else one for one in parts]
        check_range(
            max(map(largest_modulus, parts)),
            min((one.dtype for one in parts), key=lambda dtype: dtype.itemsize),
            power=2 if self.pooling == "energy" else 1,
            learning=reset,
        )
        return maps

    def _read_maps(self, X, reset):
        wanted = "a tuple (map_height, map_width, n_filters)"
        maps_shape = check_shape("maps_shape", self.maps_shape, wanted, (3,))
        is_sequence = isinstance(X, SparseMaps) or is_image_list(X)
        if is_sequence and not isinstance(X, SparseMaps | list | tuple | np.ndarray):
            raise TypeError(
                f"X is of type {type(X).__name__}, which reads images on access; "
                f"{type(self).__name__} needs maps. Put an estimator that returns maps before it, "
                'such as DeconvNetLayer(output="maps").'
            )
        if not is_sequence and getattr(X, "ndim", 2) == 2:
            return _maps_of_rows(self, X, maps_shape, reset)
        if reset:
            forget_features(self)
        name = type(self).__name__
        if is_sequence:
            check = _checked_sequence if isinstance(X, SparseMaps) else _checked_list
            return check(X, name)
        maps = check_array(X, dtype=_FLOATS, allow_nd=True, estimator=self, input_name="X")
        if maps.ndim != 4 or not maps.size:
            raise ValueError(
                f"X has shape {maps.shape}; {name} needs maps of shape (n_samples, map_height, "
                "map_width, n_filters). Pass the maps of a single image as X[None]."
            )
        if maps_shape is not None and maps.shape[1:] != maps_shape:
            raise ValueError(
                f"X holds maps of shape {maps.shape[1:]}, but maps_shape={maps_shape}."
            )
        return maps


def check_n_filters(maps, expected):
    """Raise if the number of filters differs from the one seen in fit."""
    n_filters = shape_of_maps(maps)[2]
    if n_filters != expected:
        raise ValueError(f"X holds maps of {n_filters} filters, but fit has seen {expected}.")


def shape_of_maps(maps) -> tuple[int, int, int]:
    """(map_height, map_width, n_filters) of the first image."""
    if isinstance(maps, SparseMaps):
        return *maps.map_shapes[0], maps.maps[0].shape[1]
    return tuple(maps[0].shape)


def shapes_of_maps(maps) -> list[tuple[int, int]]:
    """(map_height, map_width) of every image."""
    if isinstance(maps, SparseMaps):
        return maps.map_shapes
    return [one.shape[:2] for one in maps]


def each_of_maps(maps):
    """Iterate over images: maps (map_height * map_width, n_filters), and (height, width)."""
    if isinstance(maps, SparseMaps):
        yield from zip(maps.maps, maps.map_shapes, strict=True)
    else:
        for one in maps:
            yield one.reshape(-1, one.shape[2]), one.shape[:2]


def _maps_of_rows(estimator, X, maps_shape, reset):
    if maps_shape is None:
        name = type(estimator).__name__
        raise ValueError(
            f"X has 2 dimensions, but {name} needs the shape of the maps, which rows lack. Set "
            'output="maps" on the estimator before it, or pass maps_shape=(map_height, map_width, '
            "n_filters)."
        )
    rows = validate_data(estimator, X, reset=reset, accept_sparse="csr", dtype=_FLOATS)
    if rows.shape[1] != math.prod(maps_shape):
        raise ValueError(
            f"X has {rows.shape[1]} features, but maps_shape={maps_shape} requires "
            f"{math.prod(maps_shape)}."
        )
    if issparse(rows):
        return maps_of_rows(rows, maps_shape)
    return rows.reshape(len(rows), *maps_shape)


def _checked_sequence(X, name):
    if not len(X):
        raise ValueError("X holds maps of 0 samples; at least one is required.")
    if any(0 in one.shape for one in X.maps):
        raise ValueError("X holds maps without positions or filters.")
    _same_number(name, [one.shape[1] for one in X.maps])
    for i, one in enumerate(X.maps):
        if not issparse(one) or one.format != "csr":
            raise TypeError(f"X[{i}] must be a csr_array, got {type(one).__name__}.")
        if not np.isfinite(one.data).all():
            raise ValueError(f"X[{i}] contains NaN or infinity.")
    return SparseMaps([_canonical(one) for one in X.maps], X.map_shapes)


def _canonical(maps):
    """Maps of one image with a floating dtype and without duplicates; the input is not changed."""
    if maps.dtype not in _FLOATS:
        maps = maps.astype(np.float64)
    if not maps.has_canonical_format:
        maps = maps.copy()
        maps.sum_duplicates()
    return maps


def _checked_list(X, name):
    maps = [
        check_array(plain(one), dtype=_FLOATS, allow_nd=True, input_name=f"X[{i}]")
        for i, one in enumerate(X)
    ]
    if any(one.ndim != 3 or not one.size for one in maps):
        shapes = sorted({one.shape for one in maps})
        raise ValueError(
            f"X is a list of arrays of shape {shapes}; {name} needs maps of shape (map_height, "
            "map_width, n_filters)."
        )
    _same_number(name, [one.shape[2] for one in maps])
    return maps


def _same_number(name, found):
    if len(set(found)) > 1:
        raise ValueError(
            f"X holds maps of {sorted(set(found))} filters; {name} needs the same number of "
            "filters in all maps."
        )
