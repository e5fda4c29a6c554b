"""What follows from fitted filters: sparse maps of images, and images of sparse maps."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skdeconv._drawing import Drawing
from skdeconv._images import (
    check_images,
    check_one_width,
    full_shape,
    images_in_layout,
    is_image_list,
)
from skdeconv._lam_min import largest_pulls
from skdeconv._maps import SparseMaps, check_codes, map_shape_of, present_codes, present_mixed
from skdeconv._persistence import Versioned
from skdeconv._validation import check_input_features
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.operators import zeros_for_nan


class MapsTransformer(Versioned, TransformerMixin):
    """``transform``, ``inverse_transform`` and their kin, for filters that draw images.

    An estimator has ``image_shape_`` and ``_layout`` from its fit, and tells

    - ``_drawing_filters()``: the filters that draw images from its codes, (n_filters, n_channels,
      h, w);
    - ``_check_coding()``: its parameters of inference, checked;
    - ``_infer(coding, images, drawing)``: the codes, as an ``InferenceResult``.
    """

    # The parameter that says whether codes are rows or maps.
    _form = "output"

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
            (n_samples, height + h - 1, width + w - 1, n_filters). Sparse by ``sparse_output``;
            maps of images of different sizes are always a ``SparseMaps``. With ``low_frequency``
            the smooth maps follow, again with the channels last.

        Raises
        ------
        ValueError
            If X does not fit what ``fit`` has seen, or is infinite, or its squares are; or holds
            images of other sizes than ``fit`` has seen, for rows.

        Warns
        -----
        ConvergenceWarning
            If images did not reach ``inference_tol`` in ``inference_max_iter`` iterations.
        ZeroMapsWarning
            If ``lam`` is so small that all maps of images that are not zero are zero.
        """
        return self._present(*self._code(X, as_rows=True))

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
        check_is_fitted(self)
        return self._draw(X, self._drawing_filters())

    def to_maps(self, codes: ArrayLike) -> np.ndarray:
        """Turn rows of codes into maps.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes in any form that ``transform`` gives.

        Returns
        -------
        maps : ndarray of shape (n_samples, height + h - 1, width + w - 1, n_filters)
            The maps; a list of them where they are of images of different sizes.

        Raises
        ------
        ValueError
            If the width of rows or the shape of maps does not fit the filters.
        """
        check_is_fitted(self)
        if (each := one_by_one(codes)) is not None:
            return [self.to_maps(code)[0] for code in each]
        maps_shape = self._maps_shape(codes)
        maps, _ = check_codes(self, codes, maps_shape, self._low_shape())
        return present_codes(maps, maps_shape, "maps", False)

    def score(self, X: ArrayLike, y=None) -> float:
        r"""Share of the images' variance that the maps explain.

        :math:`1 - \sum \|y - \hat y\|^2 / \sum \|y - \bar y\|^2` with the mean taken per image
        and channel, and the sums over all known pixels. It rises with ``lam`` by construction:
        choose ``lam`` by a classifier behind the layer or by held-out pixels, never by the score
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
            At most 1. For constant images 1 if they are drawn exactly, otherwise 0.
        """
        error = variance = 0.0
        for images, drawn in self._redrawn(X):
            rest = zeros_for_nan(np.subtract(images, drawn, dtype=np.float64))
            error += float(np.sum(rest**2))
            variance += float(np.sum(_centred(images) ** 2))
        if variance == 0:
            return float(error == 0)
        return 1 - error / variance

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the columns of ``transform``: ``f2_y3_x7`` is filter 2 at row 3, column 7.

        Where there are smooth maps, ``low0_y3_x7`` is that of channel 0.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Only checked against what ``fit`` has seen.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            One name per column.
        """
        check_is_fitted(self)
        check_input_features(self, input_features)
        blocks = [("f", self._maps_shape())]
        if (low_shape := self._low_shape()) is not None:
            blocks.append(("low", low_shape))
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

    def _code(self, X, as_rows=False):
        """Codes of images, the images, and what draws these from the codes."""
        check_is_fitted(self)
        coding, images = self._check_coding(), self._check_images(X, as_rows)
        drawing = self._drawing(self._drawing_filters(), images.dtype)
        result = self._infer(coding, images, drawing)
        self._warn_of_unfinished(result, stacklevel=4)
        return result, images, drawing

    def _present(self, result, images, drawing):
        """Codes in the form that the parameters ask for."""
        if images.size is None:
            return present_mixed(result.maps, [drawing.maps_shape(size) for size in images.sizes])
        form = getattr(self, self._form), self.sparse_output
        return present_codes(result.maps, drawing.maps_shape(images.size), *form, result.low)

    def _redrawn(self, X):
        """Stacks of images of one size, and what their codes draw of them."""
        result, images, drawing = self._code(X)
        for part in images.portions():
            size = images.sizes[part][0]
            yield images.stack(part), drawing.draw(result.maps, result.low, part, size)

    def _check_images(self, X, as_rows=False):
        """Images to be coded; of the size seen in fit if they become rows."""
        images, _, shape = check_images(self, X, reset=False)
        if as_rows and getattr(self, self._form) == "rows":
            advice = f' Use {self._form}="maps".' if not getattr(self, "low_frequency", 0) else ""
            check_one_width(shape, self.image_shape_, advice)
        return images

    def _warn_of_unfinished(self, result, stacklevel=3):
        if result.converged.all():
            return
        warnings.warn(
            f"The maps of {np.sum(~result.converged)} of {len(result.converged)} images did not "
            f"reach inference_tol={self.inference_tol} in inference_max_iter="
            f"{self.inference_max_iter} iterations: they are worth "
            f"{result.optimality.max():.2g}. Raise either of the two.",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )

    def _drawing(self, filters, dtype):
        return Drawing(filters.astype(dtype), self._smooth(dtype))

    def _draw(self, codes, filters):
        """Images that codes draw by the given filters, in the layout of ``fit``."""
        if (each := one_by_one(codes)) is not None:
            return [self._draw(code, filters)[0] for code in each]
        maps_shape = self._maps_shape(codes, filters)
        maps, low = check_codes(self, codes, maps_shape, self._low_shape())
        size = np.subtract(maps_shape[1:], filters.shape[2:]) + 1
        drawing = self._drawing(filters, maps.dtype)
        return self._in_layout(drawing.draw(maps, low, slice(None), size))

    def _in_layout(self, images):
        """Channels-first images in the layout of ``fit``."""
        return images_in_layout(images, self._layout, self.image_shape_)

    def _maps_shape(self, codes=None, filters=None):
        """(n_filters, height, width) of the maps; of the codes' own where any size is legal."""
        filters = self._drawing_filters() if filters is None else filters
        n_filters, _, h, w = filters.shape
        own = map_shape_of(codes) if self._layout == "list" else None
        if own is not None and own[0] >= h and own[1] >= w:
            return n_filters, *own
        height, width, _ = full_shape(self.image_shape_)
        if height is None:
            raise ValueError(
                "fit has seen images of different sizes: there are no rows of one width, and no "
                f'names for their columns. Use {self._form}="maps".'
            )
        return n_filters, height + h - 1, width + w - 1

    def _low_shape(self):
        """(n_channels, height, width) of smooth maps; None where there are none."""
        return None

    def _smooth(self, dtype):
        """What draws smooth maps; None where there are none."""
        return None


def one_by_one(codes):
    """Codes of one image each, where those of different sizes are together; None elsewhere."""
    if isinstance(codes, SparseMaps):
        mixed = len(set(codes.map_shapes)) > 1
        return (codes[[i]] for i in range(len(codes))) if mixed else None
    return (np.asarray(one)[None] for one in codes) if is_image_list(codes) else None


def _centred(images):
    """Images less their mean over known pixels, per image and channel; 0 where it is unknown."""
    missing = np.isnan(images)
    known = np.maximum((~missing).sum(axis=(2, 3), keepdims=True), 1)
    mean = zeros_for_nan(images).sum(axis=(2, 3), keepdims=True, dtype=np.float64) / known
    centred = np.where(missing, 0, images - mean)
    # The mean of equal numbers may differ from them by rounding.
    highest = np.where(missing, -np.inf, images).max(axis=(2, 3))
    centred[highest <= np.where(missing, np.inf, images).min(axis=(2, 3))] = 0
    return centred


def stacks_to_explain(images, drawing, low=None):
    """Stacks of images of one size, less what their smooth maps draw."""
    for part in images.portions():
        size = images.sizes[part][0]
        yield images.stack(part) - drawing.smooth_part(low, part, size)


def warn_of_zero_maps(stacks, filters, lam, positive, inference_tol, *, name="lam", stacklevel=3):
    """Say what ``lam`` would do, where all maps of images that are not zero are zero.

    Filters are (n_filters, n_channels, h, w).
    """
    known = (stack for stack in map(zeros_for_nan, stacks) if stack.any())
    largest = [float(largest_pulls(stack, filters, positive).max()) for stack in known]
    if not largest:
        return
    needed = 1 / max(largest) if max(largest) > 0 else np.inf
    if lam <= needed:
        reason = (
            f"All maps are zero: {name}={lam} is too small for these images. With these filters "
            f"maps become non-zero above lam={needed:.3g}; see skdeconv.lam_min."
        )
    else:
        reason = (
            f"All maps are zero, although {name}={lam} is above lam={needed:.3g}, where maps "
            "become non-zero with these filters. Raise lam further, or lower inference_tol="
            f"{inference_tol}."
        )
    warnings.warn(reason, ZeroMapsWarning, stacklevel=stacklevel)
