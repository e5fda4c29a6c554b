"""Projections of single activations of an adaptive network, by the switches of their images."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse import csr_array

from skdeconv.layouts import AdaptiveCode, SparseMaps
from skdeconv.networks._activations import strongest
from skdeconv.networks._adaptive_network import AdaptiveNetwork
from skdeconv.networks._encoding import codes_of, image_of
from skdeconv.networks._patches import index_in_maps, project_separately, strongest_parts
from skdeconv.operators import check_switches


def reconstructed_images(code, number, network_of) -> Iterator[np.ndarray]:
    """Images (n_channels, height, width) that the maps of one layer of a code reconstruct.

    Parameters
    ----------
    code : AdaptiveCode
        Maps and switches of images.
    number : int
        The layer, counted from 1.
    network_of : callable
        Gives the lowest layers of a network for a dtype and a number of layers.
    """
    for sized, switches, maps in _each_image(code, number, network_of):
        dense = maps.toarray().T.reshape(1, *sized.maps_shape(number))
        yield sized.operator(switches).forward(dense)[0]


def projected_to_pixels(code, number, network_of, k) -> Iterator[np.ndarray]:
    """Projections (k, height, width, n_channels) of the k largest coefficients of every image.

    Zero where an image has fewer; the other parameters are those of ``reconstructed_images``.
    """
    parts = _each_image(code, number, network_of)
    for (sized, switches, maps), size in zip(parts, code.image_shapes, strict=True):
        index, values = _largest_coefficients(maps, k)
        pictures = project_separately(sized, switches, number, index, values).pictures(*size)
        yield np.pad(pictures, [(0, k - len(index))] + [(0, 0)] * 3)


def projected_to_first_layer(code, number, network_of, k) -> SparseMaps:
    """Maps of the first layer that the k largest coefficients of every image reconstruct.

    The parameters are those of ``projected_to_pixels``.
    """
    projections, map_shapes = [], []
    for sized, switches, maps in _each_image(code, number, network_of):
        projections += _in_first_layer(sized, switches, number, *_largest_coefficients(maps, k), k)
        map_shapes += [sized.maps_shape(1)[1:]] * k
    return SparseMaps(projections, map_shapes)


def cascaded(code, number, network_of, k) -> list[np.ndarray]:
    """Projection of the largest coefficient of one image, of its k parts below, and so on.

    The parameters are those of ``projected_to_pixels``.

    Returns
    -------
    patches : list of ndarray of shape (k ** j, h, w, n_channels)
        For each layer, from the given one down; zeros where there are fewer.
    """
    sized, switches, maps = next(_each_image(code, number, network_of))
    index, values = _largest_coefficients(maps, 1)
    patches = []
    for j in range(number):
        parts = project_separately(sized, switches, number - j, index, values).values
        patches.append(np.pad(parts, [(0, k**j - len(parts)), (0, 0), (0, 0), (0, 0)]))
        if j + 1 < number:
            index, values = strongest_parts(sized, switches, number - j, index, values, k)
    return patches


def strongest_fields(encoded, images, network, number, k) -> dict[str, np.ndarray]:
    """The k strongest activations of every filter, with their receptive fields.

    Parameters
    ----------
    encoded : list of list of AdaptedMaps
        For every image the maps of its layers up to the given one.
    images : Collection
        The images.
    network : AdaptiveNetwork
        The layers.
    number : int
        The layer, counted from 1.
    k : int
        How many.

    Returns
    -------
    activations : dict of str to ndarray
        ``samples``, ``corners``, ``coefficients``, ``crops`` and ``projections``, as
        ``AdaptiveDeconvNet.top_activations`` returns them.
    """
    shapes = [network.maps_shape(number, size) for size in images.sizes]
    codes = codes_of([one[-1] for one in encoded], shapes)
    samples, places, values = strongest(codes, shapes, k)
    # One image of each size is always included, so that the size of the patches is known.
    firsts, projected = [np.arange(len(images))[part][0] for part in images.groups()], []
    for i in np.union1d(samples[samples >= 0], firsts):
        chosen, (_, height, width) = np.nonzero(samples == i), shapes[i]
        y, x = places[chosen].T
        index = (chosen[0] * height + y) * width + x
        sized, switches = network.at(images.size_of(i)), [m.switches for m in encoded[i][:-1]]
        patches = project_separately(sized, switches, number, index, values[chosen])
        projected.append((image_of(images, i)[0].transpose(1, 2, 0), chosen, patches))
    corners, crops, projections = _assemble_activations(projected, samples.shape)
    return {
        "samples": samples,
        "corners": corners,
        "coefficients": values,
        "crops": crops,
        "projections": projections,
    }


def _each_image(code: AdaptiveCode, number: int, network_of: Callable[..., AdaptiveNetwork]):
    """For each image of a code its layers, its switches below a layer, and its maps there."""
    networks = {}
    for i, size in enumerate(code.image_shapes):
        maps = code.maps[number - 1][i]
        dtype = np.dtype(np.float32 if maps.dtype == np.float32 else np.float64)
        networks[dtype] = networks.get(dtype) or network_of(dtype, number)
        sized = networks[dtype].at(size)
        n_filters, *map_size = sized.maps_shape(number)
        got = (*code.maps[number - 1].map_shapes[i], maps.shape[1])
        if got != (*map_size, n_filters):
            raise ValueError(
                f"code holds maps of shape {got} in layer {number}; expected "
                f"{(*map_size, n_filters)}."
            )
        switches = [
            check_switches(np.moveaxis(layer[i], 2, 0), block, sized.maps_shape(below))
            for below, (layer, block) in enumerate(
                zip(code.switches[: number - 1], sized.blocks, strict=False), 1
            )
        ]
        yield sized, switches, maps


def _largest_coefficients(maps, k):
    """Flat positions, filters first, and values of the k coefficients of largest magnitude."""
    maps = maps.tocoo()
    order = np.argsort(-np.abs(maps.data), kind="stable")[:k]
    position, kernel = (axis[order].astype(np.int64) for axis in maps.coords)
    return kernel * maps.shape[0] + position, maps.data[order]


def _assemble_activations(projected, shape):
    """Assemble corners, crops and projections of activations from the patches of each image.

    ``projected`` holds triples of an image, the indices of its activations, and their patches.
    If images differ in size so may the patches; smaller ones are padded with zeros.
    """
    size = np.max([patches.values.shape[1:] for *_, patches in projected], axis=0)
    crops = np.zeros((*shape, *size), dtype=projected[0][0].dtype)
    corners, projections = np.zeros((*shape, 2), dtype=int), np.zeros_like(crops)
    for image, chosen, patches in projected:
        _, h, w, _ = patches.values.shape
        corners[chosen] = patches.corners
        projections[*chosen, :h, :w] = patches.values
        crops[*chosen, :h, :w] = image[patches.places()]
    return corners, crops, projections


def _in_first_layer(network, switches, number, index, values, k) -> list[csr_array]:
    """Project coefficients to maps of the first layer, one at a time; empty maps fill up to k."""
    n_maps, height, width = maps_shape = network.maps_shape(1)
    empty = csr_array((height * width, n_maps), dtype=values.dtype)
    if not len(index):
        return [empty] * k
    if number > 1:
        patches = project_separately(network, switches, number, index, values, last=1)
        index = index_in_maps(patches, switches[0], network.blocks[0], maps_shape)
        values = patches.values
    # In C order of the patches, the column indices of each row are sorted.
    kernel, position = np.divmod(index.reshape(len(index), -1), height * width)
    shape, values = (height * width, n_maps), values.reshape(len(index), -1)
    maps = [
        csr_array((one, (at.astype(np.int32), of.astype(np.int32))), shape=shape)
        for one, at, of in zip(values, position, kernel, strict=True)
    ]
    return maps + [empty] * (k - len(maps))
