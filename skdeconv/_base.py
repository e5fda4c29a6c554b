"""Base class of the estimators: inference of sparse maps, and reconstruction from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeconv._utils.callbacks import CallbackSupportMixin
from skdeconv._utils.parameters import check_jobs
from skdeconv._utils.scores import r_squared
from skdeconv._utils.transformer import Transformer
from skdeconv._utils.validation import check_flag, check_in, check_input_features
from skdeconv.inference import warn_of_unconverged
from skdeconv.layouts import (
    SparseMaps,
    check_codes,
    check_images,
    check_one_width,
    full_shape,
    images_in_layout,
    map_shape_of,
    one_by_one,
    present_codes,
    present_mixed,
    without_size,
)
from skdeconv.operators import LowFrequencySynthesis, Synthesis


def _needs_low_frequency(estimator):
    if estimator.low_frequency:
        return True
    raise AttributeError("to_low_frequency needs low_frequency=True.")


class BaseDeconvNet(CallbackSupportMixin, Transformer, BaseEstimator):
    """Base class of the estimators whose filters reconstruct images from sparse maps.

    A subclass sets ``image_shape_`` and ``_layout`` in ``fit``, and defines

    - ``_check_coding()``, which validates the parameters of inference;
    - ``_infer(coding, images, synthesis)``, which returns an ``InferenceResult`` for images;
    - ``_filters_in_pixels()``, the filters that reconstruct images from codes, of shape (n_filters,
      n_channels, h, w);
    - ``_filter_size()``, the height and width of the filters of the first layer, if it has the
      parameter ``low_frequency``.
    """

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Infer the sparse maps of images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images of any size in any layout that ``fit`` takes, with the number of channels seen
            there. Rows must have the width seen in ``fit``.

        Returns
        -------
        codes : ndarray, csr_array or SparseMaps
            For ``output="rows"`` of shape (n_samples, (height + h - 1) * (width + w - 1) *
            n_filters), C order of the maps; for ``output="maps"`` the maps themselves,
            (n_samples, height + h - 1, width + w - 1, n_filters). Sparse if ``sparse_output``;
            maps of images of different sizes are always a ``SparseMaps``. With ``low_frequency``
            rows end with the low-frequency maps, again with the channels last, and maps are always
            a ``SparseMaps``, which contains them.

        Raises
        ------
        ValueError
            If X has another number of channels than ``fit`` has seen, is infinite or has squares
            that overflow; or if ``output="rows"`` and X holds images of another size.

        Warns
        -----
        ConvergenceWarning
            If inference did not converge to ``inference_tol`` in ``inference_max_iter`` iterations.
        ZeroMapsWarning
            If ``lam`` is so small that the maps of all images are zero.
        """
        check_is_fitted(self)
        result, images, synthesis = self._encode(X, as_rows=True)
        return self._present(result, images, synthesis)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Reconstruct images from their maps.

        Parameters
        ----------
        X : array-like, csr_array or SparseMaps
            Codes in any form that ``transform`` returns.

        Returns
        -------
        images : ndarray or list of ndarray
            The reconstructions. Rows of codes, and a ``SparseMaps`` of maps of one size, return to
            the layout seen in ``fit``: rows, a stack or a list. Dense maps return to a stack, or
            to rows if ``fit`` saw rows of that size. A list of maps, and a ``SparseMaps`` of maps
            of different sizes, return to a list.

        Raises
        ------
        ValueError
            If the width of rows or the shape of maps does not match the filters.
        """
        check_is_fitted(self)
        return self._reconstruct(X, self._filters_in_pixels())

    def to_maps(self, codes: ArrayLike) -> np.ndarray:
        """Reshape rows of codes to maps.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes in any form that ``transform`` returns.

        Returns
        -------
        maps : ndarray of shape (n_samples, height + h - 1, width + w - 1, n_filters)
            The maps; a list of them for images of different sizes.

        Raises
        ------
        ValueError
            If the width of rows or the shape of maps does not match the filters.
        """
        check_is_fitted(self)
        if (each := one_by_one(codes)) is not None:
            return [self.to_maps(code)[0] for code in each]
        maps, _, maps_shape = self._check_codes(codes)
        return present_codes(maps, maps_shape, "maps", False)

    @available_if(_needs_low_frequency)
    def to_low_frequency(self, codes: ArrayLike) -> np.ndarray:
        """Extract the low-frequency maps from codes.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes that ``transform`` returns.

        Returns
        -------
        maps : ndarray of shape (n_samples, height + h - 1, width + w - 1, n_channels)
            One map per channel; h and w are the filter size of the first layer. A list of them for
            images of different sizes.

        Raises
        ------
        ValueError
            If the width of the rows does not match, or the maps do not include the low-frequency
            ones.
        """
        check_is_fitted(self)
        if (each := one_by_one(codes)) is not None:
            return [self.to_low_frequency(code)[0] for code in each]
        _, low_frequency, _ = self._check_codes(codes)
        if low_frequency is None:
            raise ValueError("X holds only sparse maps; pass codes as transform returns them.")
        return np.ascontiguousarray(low_frequency.transpose(0, 2, 3, 1))

    def score(self, X: ArrayLike, y=None) -> float:
        r"""Coefficient of determination of the reconstruction.

        :math:`1 - \sum \|y - \hat y\|^2 / \sum \|y - \bar y\|^2` with the mean taken per image
        and channel, and the sums over all known pixels. It increases with ``lam`` by construction:
        choose ``lam`` by the score of a classifier or by held-out pixels, never by this score
        alone.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.
        y : None
            Ignored.

        Returns
        -------
        score : float
            At most 1. For constant images 1 if the reconstruction is exact, otherwise 0.
        """
        check_is_fitted(self)
        return r_squared((*pair, ~np.isnan(pair[0])) for pair in self._reconstructions(X))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of ``transform``: ``f2_y3_x7`` is filter 2 at row 3, column 7.

        With ``low_frequency``, ``low0_y3_x7`` is the low-frequency map of channel 0. Maps of images
        of different sizes have no common columns: with ``output="maps"`` the names are those of the
        maps, ``f0``, ``f1``, ...

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only validated against the names seen in ``fit``.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            One name per column.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        if None in self.image_shape_ and self.output == "maps":
            return np.array([f"f{k}" for k in range(self._n_maps)], dtype=object)
        blocks = [("f", maps_shape := self._maps_shape())]
        if (shape := self._low_frequency_shape(maps_shape)) is not None:
            blocks.append(("low", shape))
        names = [
            f"{letter}{k}_y{y}_x{x}"
            for letter, (n, height, width) in blocks
            for y in range(height)
            for x in range(width)
            for k in range(n)
        ]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _lam_unit(self) -> float:
        """Value of the weight of the squared error that ``lam`` is a multiple of."""
        return self.lam_scale_ if self.lam_scale == "median" else 1.0

    @property
    def _n_maps(self) -> int:
        """Number of the maps that ``transform`` returns."""
        return len(self._filters_in_pixels())

    @property
    def _has_low_frequency(self) -> bool:
        """Whether codes include low-frequency maps; never for estimators without the parameter."""
        return getattr(self, "low_frequency", False)

    def _check_output(self):
        """Check the parameters of the output of ``transform``, and ``n_jobs``."""
        check_in("output", self.output, ["rows", "maps"])
        check_flag("sparse_output", self.sparse_output)
        check_jobs(self.n_jobs)

    def _encode(self, X, as_rows=False):
        """Infer the codes of images; returns the codes, the images and their synthesis."""
        self._check_output()
        coding, images = self._check_coding(), self._check_images(X, as_rows)
        synthesis = self._synthesis(self._filters_in_pixels(), images.dtype)
        result = self._infer(coding, images, synthesis)
        self._warn_of_unconverged(result, coding)
        return result, images, synthesis

    def _present(self, result, images, synthesis):
        """Convert codes to the form given by ``output`` and ``sparse_output``."""
        if images.size is None:
            shapes = [synthesis.maps_shape(size) for size in images.sizes]
            return present_mixed(result.maps, shapes, result.low_frequency)
        form = self.output, self.sparse_output
        shape = synthesis.maps_shape(images.size)
        return present_codes(result.maps, shape, *form, result.low_frequency)

    def _reconstructions(self, X):
        """Yield stacks of images of one size, and their reconstructions from inferred codes."""
        result, images, synthesis = self._encode(X)
        codes = result.maps, result.low_frequency
        for part in images.portions():
            size = images.sizes[part][0]
            yield images.stack(part), synthesis.reconstruct(*codes, part, size)

    def _check_images(self, X, as_rows=False):
        """Check the images to be encoded; if they become rows, their size must be that of fit."""
        images = check_images(self, X, reset=False)
        if as_rows and self.output == "rows":
            check_one_width(images.image_shape, self.image_shape_)
        return images

    def _shape_of_both(self, images):
        """``image_shape_`` including further images of a stream; None for sizes that differ."""
        seen = self.image_shape_
        differ = full_shape(images.image_shape)[:2] != full_shape(seen)[:2]
        return without_size(seen) if self._layout == "list" and differ else seen

    def _warn_of_unconverged(self, result, coding):
        warn_of_unconverged(result, coding)

    def _synthesis(self, filters, dtype):
        """Synthesis of images from codes with filters of shape (n_filters, n_channels, h, w)."""
        low_frequency = None
        if self._has_low_frequency:
            n_channels = full_shape(self.image_shape_)[2]
            low_frequency = LowFrequencySynthesis(
                self._filter_size(), float(self.smoothness), n_channels, dtype
            )
        return Synthesis(filters.astype(dtype), low_frequency)

    def _reconstruct(self, codes, filters):
        """Reconstruct images from codes with the given filters."""
        if (each := one_by_one(codes)) is not None:
            images = [self._images_of(code, filters)[0] for code in each]
            return images_in_layout(images, "list", self.image_shape_)
        is_dense = map_shape_of(codes) is not None and not isinstance(codes, SparseMaps)
        return self._in_layout(self._images_of(codes, filters), keep_list=not is_dense)

    def _images_of(self, codes, filters):
        """Channels-first images of one size, reconstructed from codes with the given filters."""
        maps, low_frequency, maps_shape = self._check_codes(codes, filters)
        synthesis, size = self._synthesis(filters, maps.dtype), image_size(maps_shape, filters)
        return synthesis.reconstruct(maps, low_frequency, slice(None), size)

    def _check_codes(self, codes, filters=None):
        """Sparse and low-frequency maps of codes, and the shape of the sparse ones."""
        maps_shape = self._maps_shape(codes, filters)
        low_frequency_shape = self._low_frequency_shape(maps_shape, filters)
        return *check_codes(self, codes, maps_shape, low_frequency_shape), maps_shape

    def _in_layout(self, images, *, keep_list):
        """Convert channels-first images of one size to rows, a stack or a list.

        They become rows if ``fit`` saw rows of that size, and a list if ``fit`` saw one and the
        codes may have been those of a list.
        """
        seen, size = self.image_shape_, images.shape[2:]
        if self._layout == "list" and keep_list:
            return images_in_layout(images, "list", seen)
        if self._layout == "rows" and size == full_shape(seen)[:2]:
            return images_in_layout(images, "rows", seen)
        shape = (*size, images.shape[1]) if len(seen) == 3 else size
        return images_in_layout(images, "stack", shape)

    def _maps_shape(self, codes=None, filters=None):
        """(n_filters, height, width) of the maps: those of the codes, or of the images of fit."""
        filters = self._filters_in_pixels() if filters is None else filters
        n_filters, _, h, w = filters.shape
        own = map_shape_of(codes)
        if own is not None and own[0] >= h and own[1] >= w:
            return n_filters, *own
        if None in self.image_shape_:
            raise ValueError(
                "fit has seen images of different sizes, or none, so that rows differ in width and "
                'have no common column names. Use output="maps".'
            )
        height, width, _ = full_shape(self.image_shape_)
        return n_filters, height + h - 1, width + w - 1

    def _low_frequency_shape(self, maps_shape, filters=None):
        """(n_channels, height, width) of low-frequency maps; None if there are none.

        ``maps_shape`` is that of the sparse maps, (n_filters, height, width).
        """
        if not self._has_low_frequency:
            return None
        filters = self._filters_in_pixels() if filters is None else filters
        height, width = image_size(maps_shape, filters) + self._filter_size() - 1
        return filters.shape[1], int(height), int(width)


def image_size(maps_shape, filters) -> np.ndarray:
    """Height and width of the images of maps (n_filters, height, width).

    Maps exceed the images by the size of the filters in pixels, less one.
    """
    return np.subtract(maps_shape[1:], filters.shape[2:]) + 1
