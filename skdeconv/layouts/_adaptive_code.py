"""Codes of adaptive networks: the maps and switches of all layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skdeconv.layouts._sparse_maps import SparseMaps


class AdaptiveCode:
    """Maps and switches of images in all layers of an adaptive network.

    Only the non-zero coefficients of the maps are stored, and a switch takes one byte.
    ``code[images]``, with an integer, slice, mask or array, is the code of some images, and
    ``code[images, :n]`` that of their n lowest layers.

    Parameters
    ----------
    maps : list of SparseMaps
        Maps of each layer, the lowest first.
    switches : list of list of ndarray of shape (pooled_height, pooled_width, n_pooled)
        For each layer the switches of every image: the position of the coefficient of largest
        magnitude in its block, in C order of (maps, rows, columns), also if it is zero.
    image_shapes : list of tuple of two ints
        (height, width) of each image.

    Attributes
    ----------
    shape : tuple of one int
        The number of images.

    See Also
    --------
    skdeconv.AdaptiveDeconvNet.encode : Infers it from images.
    skdeconv.AdaptiveDeconvNet.decode : Reconstructs images from it.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv import AdaptiveDeconvNet
    >>> images = np.random.default_rng(0).standard_normal((4, 12, 12))
    >>> net = AdaptiveDeconvNet((3, 6), 3, max_iter=1, random_state=0).fit(images)
    >>> code = net.encode(images)
    >>> code
    <AdaptiveCode of 4 images in 2 layers>
    >>> code[:2, :1]
    <AdaptiveCode of 2 images in 1 layer>
    >>> code.maps[0].map_shapes[0], code.switches[0][0].shape
    ((14, 14), (5, 5, 1))
    """

    def __init__(self, maps: Sequence, switches: Sequence, image_shapes: Sequence):
        if not len(maps) or len(maps) != len(switches):
            raise ValueError(
                "maps and switches must have one entry for each layer, and at least one; got "
                f"{len(maps)} and {len(switches)}."
            )
        lengths = {len(one) for one in (*maps, *switches, image_shapes)}
        if len(lengths) > 1:
            raise ValueError(
                "maps and switches of each layer, and image_shapes, must have the same length, got "
                f"{sorted(lengths)}."
            )
        for layer in maps:
            if not isinstance(layer, SparseMaps):
                raise TypeError(f"maps must be a list of SparseMaps, got {layer!r} in it.")
        self.maps, self.switches = list(maps), [list(layer) for layer in switches]
        self.image_shapes = [tuple(shape) for shape in image_shapes]

    @property
    def shape(self) -> tuple[int]:
        """The number of images, as a tuple."""
        return (len(self),)

    @property
    def n_layers(self) -> int:
        """Number of layers."""
        return len(self.maps)

    def __len__(self) -> int:
        return len(self.image_shapes)

    def __repr__(self) -> str:
        numbers = [
            f"{n} {word}{'s' * (n != 1)}"
            for n, word in ((len(self), "image"), (self.n_layers, "layer"))
        ]
        return f"<AdaptiveCode of {' in '.join(numbers)}>"

    def __getitem__(self, key) -> AdaptiveCode:
        """Code of some images, in all or some of the lowest layers."""
        images, layers = key if isinstance(key, tuple) and len(key) == 2 else (key, slice(None))
        if layers is Ellipsis:
            layers = slice(None)
        depth = range(self.n_layers)[layers] if isinstance(layers, slice) else ()
        if list(depth) != list(range(len(depth))) or not len(depth):
            raise IndexError(
                f"layers must be a slice of the lowest ones, such as :2, got {layers!r}: a code "
                "holds the switches of all layers below its maps."
            )
        chosen = np.atleast_1d(np.arange(len(self))[images])
        if chosen.ndim > 1:
            raise IndexError(f"images must be an integer, slice, mask or array, got {images!r}.")
        return AdaptiveCode(
            [self.maps[layer][chosen] for layer in depth],
            [[self.switches[layer][i] for i in chosen] for layer in depth],
            [self.image_shapes[i] for i in chosen],
        )
