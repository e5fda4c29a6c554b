"""Inference of maps and switches for many images of any sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.sparse import csr_array

from skdeconv._utils.parallel import map_tasks
from skdeconv.inference import AdaptedMaps
from skdeconv.layouts import AdaptiveCode, present_codes, present_mixed

# Number of images per task.
_CHUNK = 4


def encode_images(network, codings, images, parallel=None) -> list[list[AdaptedMaps]]:
    """Infer the maps of all layers for each image, independently of the other images."""
    return _over_images(partial(_encode, codings), network, images, parallel)


def maps_from_top(network, codings, images, parallel=None, *, number) -> list[list[AdaptedMaps]]:
    """Infer the top maps of each image, and reconstruct the maps of layer ``number`` from them."""
    return _over_images(partial(_encode_and_project, codings, number), network, images, parallel)


def next_switches(network, coding, images, switches, parallel=None) -> list[np.ndarray]:
    """Infer the switches of each image in the top layer, given those of the layers below."""
    return _over_images(partial(_choose, coding), network, images, parallel, switches)


def switches_of(encoded, number) -> list[list[np.ndarray]]:
    """Switches of the ``number`` lowest layers, for each image."""
    return [[one.switches for one in layers[:number]] for layers in encoded]


def image_of(images, i) -> np.ndarray:
    """One image of a collection, (1, n_channels, height, width)."""
    return images.stack(slice(i, i + 1))


def codes_of(maps: Sequence[AdaptedMaps], maps_shapes) -> csr_array:
    """Sparse matrix with the maps of one image per row, in C order of its ``maps_shapes`` entry.

    If images differ in size, the width is that of the largest.
    """
    indptr = np.zeros(len(maps) + 1, dtype=np.int32)
    np.cumsum([len(one.index) for one in maps], out=indptr[1:])
    values, index = (np.concatenate([getattr(m, x) for m in maps]) for x in ("values", "index"))
    width = max(map(math.prod, maps_shapes))
    return csr_array((values, index, indptr), shape=(len(maps), width))


def present_layer(maps: Sequence[AdaptedMaps], network, number, images, *form):
    """Convert the maps of one layer to the public form given by ``form``.

    ``form`` consists of ``output`` and ``sparse_output``. Maps of images of different sizes are
    always sparse.
    """
    shapes = [network.maps_shape(number, size) for size in images.sizes]
    codes = codes_of(maps, shapes)
    if images.size is None:
        return present_mixed(codes, shapes)
    return present_codes(codes, shapes[0], *form)


def code_of(encoded, network, images) -> AdaptiveCode:
    """``AdaptiveCode`` of the images, from the result of ``encode_images``."""
    maps, switches = [], []
    for number, layer in enumerate(zip(*encoded, strict=True), 1):
        maps.append(present_layer(layer, network, number, images, "maps", True))
        switches.append([np.ascontiguousarray(np.moveaxis(one.switches, 0, 2)) for one in layer])
    return AdaptiveCode(maps, switches, [images.size_of(i) for i in range(len(images))])


def _over_images(function, network, images, parallel, *of_images):
    """Apply ``function`` to chunks of images of one size; results are in the order of the images.

    ``of_images`` are further arguments, with one entry per image.
    """
    chunks = [np.arange(len(images))[chunk] for chunk in images.groups(_CHUNK)]

    def tasks():
        for chunk in chunks:
            more = ([one[i] for i in chunk] for one in of_images)
            yield network.at(images.size_of(chunk[0])), images.part(chunk), *more

    found = [None] * len(images)
    for chunk, part in zip(chunks, map_tasks(function, tasks(), parallel), strict=True):
        for i, one in zip(chunk, part, strict=True):
            found[i] = one
    return found


def _choose(coding, network, images, switches):
    return [
        network.infer(coding, image_of(images, i), below).switches
        for i, below in enumerate(switches)
    ]


def _encode(codings, network, images):
    return [network.encode(codings, image_of(images, i)) for i in range(len(images))]


def _encode_and_project(codings, number, network, images):
    encoded = _encode(codings, network, images)
    return [[network.maps_from_top(number, layers)] for layers in encoded]
