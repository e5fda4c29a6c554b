"""Codes of all layers of an adaptive network, and what they look like in pixels."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.utils import Bunch
from sklearn.utils.parallel import Parallel
from sklearn.utils.validation import check_is_fitted

from skdeconv._adaptive._code import AdaptiveCode, code_of
from skdeconv._adaptive._plan import check_codings
from skdeconv._adaptive._separate import draw_separately, index_in_maps, strongest_parts
from skdeconv._adaptive._stack import AdaptiveStack, codes_of, encode_images, switches_of
from skdeconv._images import full_shape
from skdeconv._maps import SparseMaps
from skdeconv._projections import check_layer, strongest
from skdeconv._validation import check_in, check_integer
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.operators import check_switches


class SwitchedCodes:
    """``encode``, ``decode`` and projections, for layers whose switches depend on the image."""

    def encode(self, X: ArrayLike) -> AdaptiveCode:
        """Infer the maps and switches of every layer.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.

        Returns
        -------
        code : AdaptiveCode
            Maps and switches of all layers, for ``decode`` and ``project``.

        Raises
        ------
        ValueError
            As in ``transform``.

        Warns
        -----
        ZeroMapsWarning
            As in ``transform``, for any layer.
        """
        stack, images, encoded = self._encode(X)
        for number, layer in enumerate(zip(*encoded, strict=True), 1):
            if number < len(self.filters_) and not any(len(one.index) for one in layer):
                self._warn_of_silence(number, stack, images, switches_of(encoded, number - 1))
        return code_of(encoded, stack, images.shape[2:])

    def decode(self, code: AdaptiveCode, layer: int | None = None) -> np.ndarray:
        r"""Draw images from the maps of one layer.

        Parameters
        ----------
        code : AdaptiveCode
            Code of images, as ``encode`` gives it.
        layer : int, default=None
            Which layer, 1 for the lowest; None for the highest of the code. The maps of the
            others are not used.

        Returns
        -------
        images : ndarray or list of ndarray
            :math:`R_l z_l` with the switches of each image, in the layout seen in ``fit``.

        Raises
        ------
        TypeError
            If ``code`` is no AdaptiveCode.
        ValueError
            If it has no such layer, or does not fit the filters.
        """
        check_is_fitted(self)
        number = self._check_code(code, layer)
        images, stacks = [], {}
        for i in range(len(code)):
            stack, switches, maps = self._parts(code, i, number, stacks)
            dense = maps.toarray().T.reshape(1, *stack.maps_shape(number))
            images.append(stack.operator(switches).forward(dense))
        return self._in_layout(np.concatenate(images))

    def project(
        self, code: AdaptiveCode, layer: int | None = None, k: int = 50, *, to: str = "pixels"
    ) -> np.ndarray | SparseMaps:
        """Draw the strongest activations of each image one at a time, by its own switches.

        Parameters
        ----------
        code : AdaptiveCode
            Code of images, as ``encode`` gives it.
        layer : int, default=None
            Which layer, 1 for the lowest; None for the highest of the code.
        k : int, default=50
            How many coefficients of each image, those of largest modulus first.
        to : {"pixels", "layer1"}, default="pixels"
            Where to.

        Returns
        -------
        projections : ndarray of shape (n_samples, k, height, width, n_channels) or SparseMaps
            What each coefficient draws alone, zero where an image has fewer. For ``to="layer1"``
            maps of the first layer, n_samples * k of them: the k of the first image, then those of
            the next. In [1]_ features for recognition are averages over the 50 strongest of the
            top layer.

        Raises
        ------
        TypeError, ValueError
            As in ``decode``; or if ``k`` is below 1.

        References
        ----------
        .. [1] M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High
           Level Feature Learning", ICCV 2011.
        """
        check_is_fitted(self)
        number = self._check_code(code, layer)
        k = check_integer("k", k, min_val=1)
        check_in("to", to, ["pixels", "layer1"])
        projections, map_shapes, stacks = [], [], {}
        for i in range(len(code)):
            stack, switches, maps = self._parts(code, i, number, stacks)
            index, values = _largest(maps, k)
            if to == "layer1":
                projections += _in_first_layer(stack, switches, number, index, values, k)
                map_shapes += [stack.maps_shape(1)[1:]] * k
                continue
            patches = draw_separately(stack, switches, number, index, values)
            pictures = patches.pictures(*code.image_shapes[i])
            projections.append(np.pad(pictures, [(0, k - len(index))] + [(0, 0)] * 3))
        if to == "pixels":
            return np.stack(projections)
        return SparseMaps(projections, map_shapes)

    def cascade(self, code: AdaptiveCode, layer: int | None = None, k: int = 5) -> list[np.ndarray]:
        """The strongest activation of a layer, and those that it drives in the layers below.

        Drawn down by the switches of its image, a coefficient gives values to the maps of the layer
        below; the k of largest modulus are its parts there. Each of these, with its value, is drawn
        further down alone, and so on: 1, 5, 25, 125 features from the fourth layer to the first.

        Parameters
        ----------
        code : AdaptiveCode
            Code of one image.
        layer : int, default=None
            Layer of the activation, 1 for the lowest; None for the highest of the code.
        k : int, default=5
            Parts of each feature.

        Returns
        -------
        patches : list of ndarray of shape (k ** j, h, w, n_channels)
            For each layer, from the given one down, what its features draw in pixels, each alone,
            on the patch that it may reach: the k parts of the first feature above, then those of
            the next. Zeros where a feature has fewer.

        Raises
        ------
        TypeError, ValueError
            As in ``decode``; or if the code is not of one image, or ``k`` is below 1.

        See Also
        --------
        skdeconv.display.CascadeDisplay : Draws them.
        """
        check_is_fitted(self)
        number = self._check_code(code, layer)
        k = check_integer("k", k, min_val=1)
        if len(code) != 1:
            raise ValueError(f"code must be that of one image, such as code[0]; got {len(code)}.")
        stack, switches, maps = self._parts(code, 0, number, {})
        index, values = _largest(maps, 1)
        drawn = []
        for j in range(number):
            patches = draw_separately(stack, switches, number - j, index, values).values
            drawn.append(np.pad(patches, [(0, k**j - len(patches)), (0, 0), (0, 0), (0, 0)]))
            if j + 1 < number:
                index, values = strongest_parts(stack, switches, number - j, index, values, k)
        return drawn

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
              pixel of the patch that the activation may reach, which lies in the image.
            - ``coefficients``: ndarray of shape (n_filters, k), their values.
            - ``crops``: ndarray of shape (n_filters, k, h, w, n_channels), the images there.
            - ``projections``: ndarray of the same shape, what each coefficient draws with the
              switches of its image.

        Raises
        ------
        ValueError
            If there is no such layer, or X does not fit what ``fit`` has seen.
        """
        k = check_integer("k", k, min_val=1)
        check_is_fitted(self)
        number = check_layer(layer, len(self.filters_))
        stack, images, encoded = self._encode(X, number)
        maps_shape = stack.maps_shape(number)
        codes = codes_of([layers[-1] for layers in encoded], maps_shape)
        sample, place, value = strongest(codes, maps_shape, k)
        crops = projections = None
        corners = np.zeros_like(place)
        # The first image has a turn in any case, so that the size of the patches is known.
        for i in np.union1d(sample[sample >= 0], [0]):
            chosen = np.nonzero(sample == i)
            y, x = place[chosen].T
            index = (chosen[0] * maps_shape[1] + y) * maps_shape[2] + x
            switches = [one.switches for one in encoded[i][:-1]]
            patches = draw_separately(stack, switches, number, index, value[chosen])
            if crops is None:
                _, *size = patches.values.shape
                crops = np.zeros((*sample.shape, *size), dtype=images.dtype)
                projections = np.zeros_like(crops)
            corners[chosen] = patches.corners
            projections[chosen] = patches.values
            crops[chosen] = images[i].transpose(1, 2, 0)[patches.places()]
        return Bunch(
            samples=sample,
            corners=corners,
            coefficients=value,
            crops=crops,
            projections=projections,
        )

    def _encode(self, X, number=None, task=encode_images, as_rows=False, stacklevel=4):
        """A stack, images, and what the task finds in as many layers as ``number``, or in all."""
        check_is_fitted(self)
        codings, _ = check_codings(self)
        if len(codings) != len(self.filters_):
            raise ValueError(
                f"n_filters={self.n_filters} has another number of layers than the fit, "
                f"{len(self.filters_)}; call fit again."
            )
        images = self._check_images(X, as_rows)
        stack = self._stack(images.shape[2:], images.dtype, number)
        with Parallel(n_jobs=self.n_jobs) as parallel:
            found = task(stack, codings[:number], images, parallel)
            in_first = task is not encode_images
            if not any(len((one if in_first else one[-1]).index) for one in found):
                # Rare, so that switches which were not kept are worth finding again.
                encoded = encode_images(stack, codings[:number], images, parallel)
                number = len(stack.convolutions)
                below = switches_of(encoded, number - 1)
                self._warn_of_silence(number, stack, images, below, stacklevel)
        return stack, images, found

    def _redrawn(self, X):
        stack, images, encoded = self._encode(X)
        return images, np.concatenate([stack.drawn(layers) for layers in encoded])

    def _stack(self, image_shape, dtype, number=None):
        """The lowest layers, or all, for images of one size."""
        filters = [one.transpose(0, 3, 1, 2).astype(dtype) for one in self.filters_[:number]]
        return AdaptiveStack(filters, self.pooling_[:number], image_shape)

    def _check_code(self, code, layer):
        """Number of a layer that the code has, counted from 1."""
        if not isinstance(code, AdaptiveCode):
            kind = type(code).__name__
            raise TypeError(f"code must be an AdaptiveCode, such as encode(X) gives; got {kind}.")
        if not len(code):
            raise ValueError("code holds no images; at least one is required.")
        shapes, own = set(code.image_shapes), full_shape(self.image_shape_)[:2]
        if len(shapes) > 1 or (self._layout != "list" and shapes != {own}):
            wanted = "one shape" if self._layout == "list" else f"the shape {own} seen in fit"
            raise ValueError(f"code must be of images of {wanted}, got {sorted(shapes)}.")
        if code.n_layers > len(self.filters_):
            raise ValueError(f"code has {code.n_layers} layers, the net {len(self.filters_)}.")
        return check_layer(layer, code.n_layers)

    def _parts(self, code, i, number, stacks):
        """A stack for one image of a code, its switches below a layer, and its maps there.

        ``stacks`` holds those that are there already.
        """
        maps, image_shape = code.maps[number - 1][i], code.image_shapes[i]
        key = image_shape, np.dtype(np.float32 if maps.dtype == np.float32 else np.float64)
        stack = stacks[key] = stacks.get(key) or self._stack(*key, number)
        n_filters, *size = stack.maps_shape(number)
        got = (*code.maps[number - 1].map_shapes[i], maps.shape[1])
        if got != (*size, n_filters):
            raise ValueError(
                f"code holds maps of shape {got} in layer {number}; expected {(*size, n_filters)}."
            )
        switches = [
            check_switches(np.moveaxis(layer[i], 2, 0), block, stack.maps_shape(below))
            for below, (layer, block) in enumerate(
                zip(code.switches[: number - 1], stack.blocks, strict=False), 1
            )
        ]
        return stack, switches, maps

    def _warn_of_silence(self, number, stack, images, switches, stacklevel=3):
        """Say that all maps of a layer are zero, and from which ``lam`` on they are not."""
        pulls = (
            np.abs(stack.operator(below).adjoint(image[None])).max()
            for image, below in zip(images, switches, strict=True)
        )
        largest = float(max(pulls))
        if not largest:
            return
        lam, needed = check_codings(self)[0][number - 1].weight, 1 / largest
        reason = "is too small for these images" if lam <= needed else "is hardly large enough"
        warnings.warn(
            f"All maps are zero: lam={lam} of layer {number} {reason}. With these filters maps "
            f"become non-zero above lam={needed:.3g}.",
            ZeroMapsWarning,
            stacklevel=stacklevel,
        )


def _largest(maps, k):
    """Flat positions, the filters first, and values of the coefficients of largest modulus."""
    maps = maps.tocoo()
    order = np.argsort(-np.abs(maps.data), kind="stable")[:k]
    position, kernel = (axis[order].astype(np.int64) for axis in maps.coords)
    return kernel * maps.shape[0] + position, maps.data[order]


def _in_first_layer(stack, switches, number, index, values, k) -> list[csr_array]:
    """What coefficients of a layer draw in the first one, each alone; empty maps up to ``k``."""
    n_maps, height, width = maps_shape = stack.maps_shape(1)
    empty = csr_array((height * width, n_maps), dtype=values.dtype)
    if not len(index):
        return [empty] * k
    if number > 1:
        patches = draw_separately(stack, switches, number, index, values, last=1)
        index = index_in_maps(patches, switches[0], stack.blocks[0], maps_shape)
        values = patches.values
    # In C order of the patches the maps of one position are in order.
    kernel, position = np.divmod(index.reshape(len(index), -1), height * width)
    shape, values = (height * width, n_maps), values.reshape(len(index), -1)
    maps = [
        csr_array((one, (at.astype(np.int32), of.astype(np.int32))), shape=shape)
        for one, at, of in zip(values, position, kernel, strict=True)
    ]
    return maps + [empty] * (k - len(maps))
