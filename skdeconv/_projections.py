"""What codes, filters and single activations of any layer look like in pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skdeconv._maps import check_codes
from skdeconv._transformer import one_by_one
from skdeconv._validation import check_integer


class Projections:
    """Pictures of codes, filters and single coefficients, for estimators of several layers."""

    def decode(self, codes: ArrayLike, layer: int | None = None) -> np.ndarray:
        """Draw images from the codes of any layer.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes of that layer, in any form that ``transform`` and ``encode`` give.
        layer : int, default=None
            Which layer, 1 for the lowest; None for the top, as in ``inverse_transform``.

        Returns
        -------
        images : ndarray or list of ndarray
            The reconstructions, in the layout seen in ``fit``.

        Raises
        ------
        ValueError
            If there is no such layer, or the codes are not of its size.
        """
        check_is_fitted(self)
        return self._draw(codes, self._drawing_filters(check_layer(layer, len(self.layers_))))

    def project_filters(self, layer: int | None = None) -> np.ndarray:
        r"""Draw every filter of a layer in pixels, through the layers below.

        Parameters
        ----------
        layer : int, default=None
            Which layer, 1 for the lowest; None for the top.

        Returns
        -------
        filters : ndarray of shape (n_filters, h, w, n_channels)
            What a coefficient of 1 draws: :math:`F_1 \cdots F_l` applied to it, with the factors
            between the layers. The sizes of filters add up, less one at each layer.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        check_is_fitted(self)
        filters = self._drawing_filters(check_layer(layer, len(self.layers_)))
        return np.ascontiguousarray(filters.transpose(0, 2, 3, 1))

    def project_maps(
        self, codes: ArrayLike, layer: int | None = None, *, n_activations: int = 9
    ) -> np.ndarray:
        """Draw the strongest activations of each image one at a time.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes of a layer, in any form that ``transform`` and ``encode`` give.
        layer : int, default=None
            Which layer, 1 for the lowest; None for the top.
        n_activations : int, default=9
            How many coefficients of each image, those of largest modulus first.

        Returns
        -------
        images : ndarray of shape (n_samples, n_activations, height, width, n_channels)
            What each coefficient draws alone; zeros where an image has fewer. All of an image's
            activations, and its low frequencies, add up to what ``decode`` draws. A list, one for
            each image, where these are of different sizes.

        Raises
        ------
        ValueError
            If there is no such layer, or the codes are not of its size.
        """
        check_is_fitted(self)
        n_activations = check_integer("n_activations", n_activations, min_val=1)
        if (each := one_by_one(codes)) is not None:
            options = {"layer": layer, "n_activations": n_activations}
            return [self.project_maps(code, **options)[0] for code in each]
        filters = self._drawing_filters(check_layer(layer, len(self.layers_)))
        maps_shape = self._maps_shape(codes, filters)
        maps, _ = check_codes(self, codes, maps_shape, self._low_shape())
        image_shape = tuple(int(n) for n in np.subtract(maps_shape[1:], filters.shape[2:]) + 1)
        operator, _ = self._drawing(filters, maps.dtype).at(image_shape)
        shape = maps.shape[0], n_activations, *operator.images_shape
        images = np.zeros(shape, dtype=maps.dtype)
        for i, image in enumerate(images):
            indices, values = _row(maps, i)
            strongest = np.argsort(-np.abs(values), kind="stable")[:n_activations]
            drawn = operator.atoms(indices[strongest].astype(np.int64)).toarray().T
            drawn = drawn * values[strongest, None]
            image[: len(strongest)] = drawn.reshape(-1, *operator.images_shape)
        return np.ascontiguousarray(images.transpose(0, 1, 3, 4, 2))

    def top_activations(self, X: ArrayLike, layer: int | None = None, k: int = 9) -> Bunch:
        """The strongest activations of every filter of a layer over a set of images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.
        layer : int, default=None
            Which layer, 1 for the lowest; None for the top.
        k : int, default=9
            How many activations of each filter, those of largest modulus first.

        Returns
        -------
        activations : Bunch
            - ``samples``: ndarray of int of shape (n_filters, k), which image; -1 where a filter
              has fewer activations.
            - ``corners``: ndarray of int of shape (n_filters, k, 2), row and column of the top left
              pixel that the projected filter covers; it may lie outside of the image.
            - ``coefficients``: ndarray of shape (n_filters, k), their values.
            - ``crops``: ndarray of shape (n_filters, k, h, w, n_channels), the images there, zero
              outside.
            - ``projections``: ndarray of the same shape, what each coefficient draws, also where
              that is outside of the image.

        Raises
        ------
        ValueError
            If there is no such layer, or X does not fit what ``fit`` has seen.
        """
        k = check_integer("k", k, min_val=1)
        check_is_fitted(self)
        number = check_layer(layer, len(self.layers_))
        codings, images = self._check_coding(), self._check_images(X)
        filters = self._drawing_filters(number)
        n_filters, n_channels, h, w = filters.shape
        drawing = self._drawing(filters, images.dtype)
        maps = self._results(codings, images, {number: drawing})[number].maps
        shapes = [drawing.maps_shape(size) for size in images.sizes]
        sample, corner, value = strongest(maps, shapes, k)
        corner -= np.array([h - 1, w - 1])
        crops = np.zeros((n_filters, k, n_channels, h, w), dtype=images.dtype)
        for i in np.unique(sample[sample >= 0]):
            margins = ((0, 0), (h - 1, h - 1), (w - 1, w - 1))
            padded = np.pad(images.stack(np.array([i]))[0], margins)
            for place in zip(*np.nonzero(sample == i), strict=True):
                top, left = corner[place] + np.array([h - 1, w - 1])
                crops[place] = padded[:, top : top + h, left : left + w]
        projections = value[:, :, None, None, None] * filters[:, None]
        return Bunch(
            samples=sample,
            corners=np.where(sample[..., None] >= 0, corner, 0),
            coefficients=value,
            crops=np.ascontiguousarray(crops.transpose(0, 1, 3, 4, 2)),
            projections=np.ascontiguousarray(projections.transpose(0, 1, 3, 4, 2)),
        )


def check_layer(layer, depth) -> int:
    """Number of a layer, counted from 1; that of the top for None."""
    if layer is None:
        return depth
    number = check_integer("layer", layer)
    if not 1 <= number <= depth:
        raise ValueError(
            f"layer must be from 1, the lowest, to {depth}, the top, or None for the top; got "
            f"{layer}."
        )
    return number


def _row(maps, i):
    span = slice(maps.indptr[i], maps.indptr[i + 1])
    return maps.indices[span], maps.data[span]


def strongest(maps, maps_shapes, k):
    """Image, position and value of the k largest moduli of every filter; -1 where there are fewer.

    Equal ones come in the order of the images and their pixels.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_coefficients of the largest)
        Codes of a layer.
    maps_shapes : list of tuple of int
        (n_filters, map_height, map_width) of each image.
    k : int
        How many.

    Returns
    -------
    samples : ndarray of int of shape (n_filters, k)
        The image.
    positions : ndarray of int of shape (n_filters, k, 2)
        Row and column in the map.
    values : ndarray of shape (n_filters, k)
        The coefficient.
    """
    (n_filters, *_), shapes = maps_shapes[0], np.array(maps_shapes)
    sample = np.repeat(np.arange(maps.shape[0]), np.diff(maps.indptr))
    height, width = shapes[sample, 1], shapes[sample, 2]
    kernel, position = np.divmod(maps.indices.astype(np.int64), height * width)
    order = np.lexsort((position, sample, -np.abs(maps.data), kernel))
    counts = np.bincount(kernel, minlength=n_filters)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    order, rank = order[rank < k], rank[rank < k]
    place = kernel[order], rank
    samples = np.full((n_filters, k), -1)
    corners = np.zeros((n_filters, k, 2), dtype=int)
    values = np.zeros((n_filters, k), dtype=maps.dtype)
    samples[place], values[place] = sample[order], maps.data[order]
    corners[place] = np.stack(np.divmod(position[order], width[order]), axis=1)
    return samples, corners, values
