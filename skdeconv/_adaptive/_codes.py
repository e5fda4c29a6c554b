"""Codes of all layers of an adaptive network, and what they look like in pixels."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skdeconv._adaptive._code import AdaptiveCode, code_of
from skdeconv._adaptive._encode import codes_of, encode_images, image_of, switches_of
from skdeconv._adaptive._plan import check_codings
from skdeconv._adaptive._separate import draw_separately, index_in_maps, strongest_parts
from skdeconv._adaptive._stack import AdaptiveLayers
from skdeconv._images import full_shape
from skdeconv._maps import SparseMaps
from skdeconv._projections import check_layer, strongest
from skdeconv._validation import check_in, check_integer
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.inference import workers
from skdeconv.operators import check_switches, zeros_for_nan


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
        layers, images, encoded = self._encode(X)
        for number, layer in enumerate(zip(*encoded, strict=True), 1):
            if number < len(self.filters_) and not any(len(one.index) for one in layer):
                self._warn_of_silence(number, layers, images, switches_of(encoded, number - 1))
        return code_of(encoded, layers, images)

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
        images, nets = [], {}
        for i in range(len(code)):
            stack, switches, maps = self._parts(code, i, number, nets)
            dense = maps.toarray().T.reshape(1, *stack.maps_shape(number))
            images.append(stack.operator(switches).forward(dense)[0])
        return self._in_layout(images if self._layout == "list" else np.stack(images))

    def project(
        self, code: AdaptiveCode, layer: int | None = None, k: int = 50, *, to: str = "pixels"
    ) -> np.ndarray | list[np.ndarray] | SparseMaps:
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
        projections : ndarray of shape (n_samples, k, height, width, n_channels), list or SparseMaps
            What each coefficient draws alone, zero where an image has fewer; where images differ in
            size a list of arrays (k, height, width, n_channels). For ``to="layer1"`` maps of the
            first layer, n_samples * k of them: the k of the first image, then those of the next.
            In [1]_ features for recognition are averages over the 50 strongest of the
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
        projections, map_shapes, nets = [], [], {}
        for i in range(len(code)):
            stack, switches, maps = self._parts(code, i, number, nets)
            index, values = _largest(maps, k)
            if to == "layer1":
                projections += _in_first_layer(stack, switches, number, index, values, k)
                map_shapes += [stack.maps_shape(1)[1:]] * k
                continue
            patches = draw_separately(stack, switches, number, index, values)
            pictures = patches.pictures(*code.image_shapes[i])
            projections.append(np.pad(pictures, [(0, k - len(index))] + [(0, 0)] * 3))
        if to == "layer1":
            return SparseMaps(projections, map_shapes)
        return np.stack(projections) if len(set(code.image_shapes)) == 1 else projections

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
            - ``crops``: ndarray of shape (n_filters, k, h, w, n_channels), the images there. Where
              images differ in size patches may, and zeros follow on the smaller ones.
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
        layers, images, encoded = self._encode(X, number)
        shapes = [layers.maps_shape(number, size) for size in images.sizes]
        codes = codes_of([one[-1] for one in encoded], shapes)
        sample, place, value = strongest(codes, shapes, k)
        # Of each size an image has a turn in any case, so that the size of the patches is known.
        firsts, drawn = [np.arange(len(images))[part][0] for part in images.groups()], []
        for i in np.union1d(sample[sample >= 0], firsts):
            chosen, (_, height, width) = np.nonzero(sample == i), shapes[i]
            y, x = place[chosen].T
            index = (chosen[0] * height + y) * width + x
            stack, switches = layers.at(images.size_of(i)), [m.switches for m in encoded[i][:-1]]
            patches = draw_separately(stack, switches, number, index, value[chosen])
            drawn.append((image_of(images, i)[0].transpose(1, 2, 0), chosen, patches))
        corners, crops, projections = _put_together(drawn, sample.shape)
        return Bunch(
            samples=sample,
            corners=corners,
            coefficients=value,
            crops=crops,
            projections=projections,
        )

    def _encode(self, X, number=None, task=encode_images, as_rows=False, stacklevel=4):
        """Layers, images, and what the task finds in as many layers as ``number``, or in all."""
        check_is_fitted(self)
        codings, _ = check_codings(self)
        if len(codings) != len(self.filters_):
            raise ValueError(
                f"n_filters={self.n_filters} has another number of layers than the fit, "
                f"{len(self.filters_)}; call fit again."
            )
        images = self._check_images(X, as_rows)
        layers = self._layers(images.dtype, number)
        with workers(self.n_jobs) as parallel:
            found = task(layers, codings[:number], images, parallel)
            in_first = task is not encode_images
            if not any(len((one if in_first else one[-1]).index) for one in found):
                # Rare, so that switches which were not kept are worth finding again.
                encoded = encode_images(layers, codings[:number], images, parallel)
                number = len(layers.filters)
                below = switches_of(encoded, number - 1)
                self._warn_of_silence(number, layers, images, below, stacklevel)
        return layers, images, found

    def _redrawn(self, X):
        """Stacks of images of one size, and what their codes draw of them."""
        layers, images, encoded = self._encode(X)
        for part in images.portions():
            which = np.arange(len(images))[part]
            stack = layers.at(images.size_of(which[0]))
            yield images.stack(part), np.concatenate([stack.drawn(encoded[i]) for i in which])

    def _layers(self, dtype, number=None):
        """The lowest layers, or all, for images of any size."""
        filters = [one.transpose(0, 3, 1, 2).astype(dtype) for one in self.filters_[:number]]
        return AdaptiveLayers(filters, self.pooling_[:number])

    def _check_code(self, code, layer):
        """Number of a layer that the code has, counted from 1."""
        if not isinstance(code, AdaptiveCode):
            kind = type(code).__name__
            raise TypeError(f"code must be an AdaptiveCode, such as encode(X) gives; got {kind}.")
        if not len(code):
            raise ValueError("code holds no images; at least one is required.")
        shapes, own = set(code.image_shapes), full_shape(self.image_shape_)[:2]
        if self._layout != "list" and shapes != {own}:
            raise ValueError(
                f"code must be of images of the shape {own} seen in fit, got {sorted(shapes)}."
            )
        if code.n_layers > len(self.filters_):
            raise ValueError(f"code has {code.n_layers} layers, the net {len(self.filters_)}.")
        return check_layer(layer, code.n_layers)

    def _parts(self, code, i, number, nets):
        """A stack for one image of a code, its switches below a layer, and its maps there.

        ``nets`` holds the layers that are there already, by the dtype.
        """
        maps = code.maps[number - 1][i]
        dtype = np.dtype(np.float32 if maps.dtype == np.float32 else np.float64)
        layers = nets[dtype] = nets.get(dtype) or self._layers(dtype, number)
        stack = layers.at(code.image_shapes[i])
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

    def _warn_of_silence(self, number, layers, images, switches, stacklevel=3):
        """Say that all maps of a layer are zero, and from which ``lam`` on they are not."""
        largest = 0.0
        for i, below in enumerate(switches):
            operator = layers.at(images.size_of(i)).operator(below)
            pull = operator.adjoint(zeros_for_nan(image_of(images, i)))
            largest = max(largest, float(np.abs(pull).max()))
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


def _put_together(drawn, shape):
    """Corners, crops and projections of activations, from what those of each image draw.

    Patches of images of different sizes may differ in size: zeros follow.
    """
    size = np.max([patches.values.shape[1:] for *_, patches in drawn], axis=0)
    crops = np.zeros((*shape, *size), dtype=drawn[0][0].dtype)
    corners, projections = np.zeros((*shape, 2), dtype=int), np.zeros_like(crops)
    for image, chosen, patches in drawn:
        _, h, w, _ = patches.values.shape
        corners[chosen] = patches.corners
        projections[*chosen, :h, :w] = patches.values
        crops[*chosen, :h, :w] = image[patches.places()]
    return corners, crops, projections


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
