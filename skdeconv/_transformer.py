"""What follows from fitted filters: sparse maps of images, and images of sparse maps."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel
from sklearn.utils.validation import check_is_fitted

from skdeconv._images import check_images, full_shape, images_in_layout
from skdeconv._lam_min import lam_min
from skdeconv._maps import check_codes, map_shape_of, present_codes
from skdeconv._parameters import check_coding
from skdeconv._validation import check_input_features
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.operators import Convolution


class MapsTransformer(TransformerMixin):
    """``transform``, ``inverse_transform`` and their kin, for estimators with ``filters_``."""

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Infer the sparse maps of images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images in any layout that ``fit`` takes, of the shape seen there. Where ``fit`` saw a
            list, the number of channels is enough.

        Returns
        -------
        codes : ndarray, csr_array or SparseMaps
            For ``output="rows"`` of shape (n_samples, (height + h - 1) * (width + w - 1) *
            n_filters), C order of the maps; for ``output="maps"`` the maps themselves,
            (n_samples, height + h - 1, width + w - 1, n_filters). Sparse by ``sparse_output``.

        Raises
        ------
        ValueError
            If X does not fit what ``fit`` has seen, or is not finite.

        Warns
        -----
        ConvergenceWarning
            If images did not reach ``inference_tol`` in ``inference_max_iter`` iterations.
        ZeroMapsWarning
            If ``lam`` is so small that all maps of images that are not zero are zero.
        """
        _, maps, operator = self._code(X)
        return present_codes(maps, operator.maps_shape, self.output, self.sparse_output)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Draw images from maps.

        Parameters
        ----------
        X : array-like, csr_array or SparseMaps
            Codes in any form that ``transform`` gives.

        Returns
        -------
        images : ndarray or list of ndarray
            The reconstructions, in the layout seen in ``fit``: rows, a stack or a list.

        Raises
        ------
        ValueError
            If the width of rows or the shape of maps does not fit the filters.
        """
        check_is_fitted(self, "filters_")
        maps_shape = self._maps_shape(X)
        maps = check_codes(self, X, maps_shape)
        h, w = self.filters_.shape[1:3]
        operator = self._operator((maps_shape[1] - h + 1, maps_shape[2] - w + 1), maps.dtype)
        images = _drawn(operator, maps)
        shape = self.image_shape_
        if self._layout == "list":
            shape = (*images.shape[2:], *shape[2:])
        return images_in_layout(images, self._layout, shape)

    def to_maps(self, codes: ArrayLike) -> np.ndarray:
        """Turn rows of codes into maps.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes in any form that ``transform`` gives.

        Returns
        -------
        maps : ndarray of shape (n_samples, height + h - 1, width + w - 1, n_filters)
            The maps.

        Raises
        ------
        ValueError
            If the width of rows or the shape of maps does not fit the filters.
        """
        check_is_fitted(self, "filters_")
        maps_shape = self._maps_shape(codes)
        return present_codes(check_codes(self, codes, maps_shape), maps_shape, "maps", False)

    def score(self, X: ArrayLike, y=None) -> float:
        r"""Share of the images' variance that the maps explain.

        :math:`1 - \sum \|y - \hat y\|^2 / \sum \|y - \bar y\|^2` with the mean taken per image
        and channel, and the sums over all images. It rises with ``lam`` by construction: choose
        ``lam`` by a classifier behind the layer or by held-out pixels, never by the score alone.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.
        y : None
            Ignored.

        Returns
        -------
        score : float
            At most 1. For constant images 1 if they are drawn exactly, otherwise 0.
        """
        images, maps, operator = self._code(X)
        drawn = _drawn(operator, maps)
        error = float(np.sum(np.subtract(images, drawn, dtype=np.float64) ** 2))
        centred = images - images.mean(axis=(2, 3), keepdims=True, dtype=np.float64)
        # The mean of equal numbers may differ from them by rounding.
        centred[np.ptp(images, axis=(2, 3)) == 0] = 0
        variance = float(np.sum(centred**2))
        if variance == 0:
            return float(error == 0)
        return 1 - error / variance

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of ``transform``: ``f2_y3_x7`` is filter 2 at row 3, column 7.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against what ``fit`` has seen.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            One name per column.
        """
        check_is_fitted(self, "filters_")
        check_input_features(self, input_features)
        _, height, width = self._maps_shape()
        n_filters = range(len(self.filters_))
        names = (f"f{k}_y{y}_x{x}" for y in range(height) for x in range(width) for k in n_filters)
        return np.array(list(names), dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "filters_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _code(self, X):
        """Images, their codes and the operator that draws them."""
        check_is_fitted(self, "filters_")
        coding = check_coding(self)
        images, _, shape = check_images(self, X, reset=False)
        if self.output == "rows" and full_shape(shape) != full_shape(self.image_shape_):
            raise ValueError(
                f"X holds images of shape {shape}, fit has seen {self.image_shape_}; rows of one "
                'width do not exist for both. Use output="maps".'
            )
        operator = self._operator(images.shape[2:], images.dtype)
        with Parallel(n_jobs=self.n_jobs) as coding.parallel:
            result = coding(operator, images)
        warn_of_zero_maps(self, not result.maps.nnz, images, self.filters_)
        if not result.converged.all():
            warnings.warn(
                f"The maps of {np.sum(~result.converged)} of {len(images)} images did not reach "
                f"inference_tol={self.inference_tol} in inference_max_iter="
                f"{self.inference_max_iter} iterations: they are worth "
                f"{result.optimality.max():.2g}. Raise either of the two.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return images, result.maps, operator

    def _operator(self, image_shape, dtype):
        return Convolution(self.filters_.transpose(0, 3, 1, 2).astype(dtype), image_shape)

    def _maps_shape(self, codes=None):
        """(n_filters, height, width) of the maps; of the codes' own where any size is legal."""
        n_filters, h, w, _ = self.filters_.shape
        own = map_shape_of(codes) if self._layout == "list" else None
        if own is not None and own[0] >= h and own[1] >= w:
            return n_filters, *own
        height, width, _ = full_shape(self.image_shape_)
        return n_filters, height + h - 1, width + w - 1


def _drawn(operator, maps):
    """Images of sparse maps, one at a time, so that only one is dense."""
    images = np.empty((maps.shape[0], *operator.images_shape), dtype=operator.dtype)
    for i, image in enumerate(images):
        image[:] = operator.forward(maps[[i]].toarray().reshape(1, *operator.maps_shape))[0]
    return images


def warn_of_zero_maps(estimator, silent, images, filters):
    """Say what ``lam`` would do where all maps of images that are not zero are zero."""
    if not silent or not images.any():
        return
    lam, last = estimator.lam, list(images.transpose(0, 2, 3, 1))
    needed = lam_min(last, filters, positive=estimator.positive).min()
    if lam <= needed:
        reason = (
            f"All maps are zero: lam={lam} is too small for these images. With these filters maps "
            f"become non-zero above lam={needed:.3g}; see skdeconv.lam_min."
        )
    else:
        reason = (
            f"All maps are zero, although lam={lam} is above lam={needed:.3g}, where maps become "
            "non-zero with these filters. Raise lam further, or lower inference_tol="
            f"{estimator.inference_tol}."
        )
    warnings.warn(reason, ZeroMapsWarning, stacklevel=3)
