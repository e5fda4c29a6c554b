"""What follows from fitted filters: sparse maps of images, and images of sparse maps."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skdeconv._images import check_images, check_one_width, full_shape, images_in_layout
from skdeconv._lam_min import lam_min
from skdeconv._maps import check_codes, map_shape_of, present_codes
from skdeconv._validation import check_input_features
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.operators import Convolution, UniformConvolution


class MapsTransformer(TransformerMixin):
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
            (n_samples, height + h - 1, width + w - 1, n_filters). Sparse by ``sparse_output``.
            With ``low_frequency`` the smooth maps follow, again with the channels last.

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
        _, result, drawing = self._code(X, as_rows=True)
        return present_codes(
            result.maps, drawing.operator.maps_shape, self.output, self.sparse_output, result.low
        )

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
            The maps.

        Raises
        ------
        ValueError
            If the width of rows or the shape of maps does not fit the filters.
        """
        check_is_fitted(self)
        maps_shape = self._maps_shape(codes)
        maps, _ = check_codes(self, codes, maps_shape, self._low_shape())
        return present_codes(maps, maps_shape, "maps", False)

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
        images, drawn = self._redrawn(X)
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
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _code(self, X, as_rows=False):
        """Images, their codes and the drawing that turns these into images again."""
        check_is_fitted(self)
        coding, images = self._check_coding(), self._check_images(X, as_rows)
        drawing = self._drawing(self._drawing_filters(), images.shape[2:], images.dtype)
        result = self._infer(coding, images, drawing)
        self._warn_of_unfinished(result, stacklevel=4)
        return images, result, drawing

    def _redrawn(self, X):
        """Images, and what their codes draw of them."""
        images, result, drawing = self._code(X)
        return images, drawing(result.maps, result.low)

    def _check_images(self, X, as_rows=False):
        """Images to be coded, channels first; of the size seen in fit if they become rows."""
        images, _, shape = check_images(self, X, reset=False)
        if as_rows and getattr(self, self._form) == "rows":
            advice = f' Use {self._form}="maps".' if self._low_shape() is None else ""
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

    def _drawing(self, filters, image_shape, dtype):
        operator = Convolution(filters.astype(dtype), image_shape)
        return Drawing(operator, self._uniform(operator.images_shape, dtype))

    def _draw(self, codes, filters):
        """Images that codes draw by the given filters, in the layout of ``fit``."""
        maps_shape = self._maps_shape(codes, filters)
        maps, low = check_codes(self, codes, maps_shape, self._low_shape())
        image_shape = np.subtract(maps_shape[1:], filters.shape[2:]) + 1
        images = self._drawing(filters, tuple(image_shape.tolist()), maps.dtype)(maps, low)
        return self._in_layout(images)

    def _in_layout(self, images):
        """Channels-first images in the layout of ``fit``."""
        shape = self.image_shape_
        if self._layout == "list":
            shape = (*images.shape[2:], *shape[2:])
        return images_in_layout(images, self._layout, shape)

    def _maps_shape(self, codes=None, filters=None):
        """(n_filters, height, width) of the maps; of the codes' own where any size is legal."""
        filters = self._drawing_filters() if filters is None else filters
        n_filters, _, h, w = filters.shape
        own = map_shape_of(codes) if self._layout == "list" else None
        if own is not None and own[0] >= h and own[1] >= w:
            return n_filters, *own
        height, width, _ = full_shape(self.image_shape_)
        return n_filters, height + h - 1, width + w - 1

    def _low_shape(self):
        """(n_channels, height, width) of smooth maps; None where there are none."""
        return None

    def _uniform(self, images_shape, dtype):
        """What draws smooth maps; None where there are none."""
        return None


class Drawing:
    """Images of sparse maps and, where there are any, of smooth ones."""

    def __init__(self, operator: Convolution, uniform: UniformConvolution | None):
        self.operator, self.uniform = operator, uniform

    def __call__(self, maps, low):
        """Draw one image at a time, so that the maps of only one are dense."""
        operator = self.operator
        images = np.empty((maps.shape[0], *operator.images_shape), dtype=operator.dtype)
        for i, image in enumerate(images):
            image[:] = operator.forward(maps[[i]].toarray().reshape(1, *operator.maps_shape))[0]
            if low is not None:
                image += self.uniform.forward(low[i])
        return images

    def smooth(self, low):
        """What the smooth maps draw; 0 where there are none."""
        return 0 if low is None else self.uniform.forward(low)


def warn_of_zero_maps(images, filters, lam, positive, inference_tol, *, name="lam", stacklevel=3):
    """Say what ``lam`` would do, where all maps of images that are not zero are zero."""
    images = np.asarray(images)
    if not images.any():
        return
    needed = lam_min(list(images.transpose(0, 2, 3, 1)), filters, positive=positive).min()
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
