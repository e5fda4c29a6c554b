"""Maps and switches of many images of any sizes, each coded on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from skdeconv._maps import present_codes, present_mixed
from skdeconv.inference import AdaptedMaps, map_tasks

# Images of one task.
_CHUNK = 4


def encode_images(layers, codings, images, parallel=None) -> list[list[AdaptedMaps]]:
    """Maps of many images: for each, those of its layers. No image depends on its neighbours."""
    return _over_images(partial(_encode, codings), layers, images, parallel)


def explained_by_top(layers, codings, images, parallel=None) -> list[AdaptedMaps]:
    """The maps that the top layer draws in the first one, for each of many images."""
    return _over_images(partial(_encode_and_draw, codings), layers, images, parallel)


def next_switches(layers, coding, images, switches, parallel=None) -> list[np.ndarray]:
    """Switches of many images in the top layer, from those of the layers below."""
    return _over_images(partial(_choose, coding), layers, images, parallel, switches)


def switches_of(encoded, number) -> list[list[np.ndarray]]:
    """For each image the switches of its lowest layers."""
    return [[one.switches for one in layers[:number]] for layers in encoded]


def image_of(images, i) -> np.ndarray:
    """One image of a collection, (1, n_channels, height, width)."""
    return images.stack(slice(i, i + 1))


def codes_of(maps: Sequence[AdaptedMaps], maps_shapes) -> csr_array:
    """One row for each image, in C order of its own (n_filters, map_height, map_width).

    The width is that of the largest.
    """
    indptr = np.zeros(len(maps) + 1, dtype=np.int32)
    np.cumsum([len(one.index) for one in maps], out=indptr[1:])
    values, index = (np.concatenate([getattr(m, x) for m in maps]) for x in ("values", "index"))
    width = max(map(math.prod, maps_shapes))
    return csr_array((values, index, indptr), shape=(len(maps), width))


def present_layer(maps: Sequence[AdaptedMaps], layers, number, images, *form):
    """Maps of one layer of many images, in the form asked for; those of several sizes are sparse.

    ``form`` is "rows" or "maps", and whether they are sparse.
    """
    shapes = [layers.maps_shape(number, size) for size in images.sizes]
    codes = codes_of(maps, shapes)
    if images.size is None:
        return present_mixed(codes, shapes)
    return present_codes(codes, shapes[0], *form)


def _over_images(function, layers, images, parallel, *of_images):
    """What ``function`` finds in images, a few of one size at a time; in the order of the images.

    ``of_images`` hold more of each image.
    """
    chunks = [np.arange(len(images))[chunk] for chunk in images.groups(_CHUNK)]

    def tasks():
        for chunk in chunks:
            more = ([one[i] for i in chunk] for one in of_images)
            yield layers.at(images.size_of(chunk[0])), images.part(chunk), *more

    found = [None] * len(images)
    for chunk, part in zip(chunks, map_tasks(function, tasks(), parallel), strict=True):
        for i, one in zip(chunk, part, strict=True):
            found[i] = one
    return found


def _choose(coding, stack, images, switches):
    return [
        stack.infer(coding, image_of(images, i), below).switches for i, below in enumerate(switches)
    ]


def _encode(codings, stack, images):
    return [stack.encode(codings, image_of(images, i)) for i in range(len(images))]


def _encode_and_draw(codings, stack, images):
    return [stack.drawn_in_first(layers) for layers in _encode(codings, stack, images)]
