"""The strongest activations of a layer, and the reconstruction of each alone."""

from __future__ import annotations

import numpy as np

from skdeconv._utils.validation import check_integer


def check_layer(layer, depth) -> int:
    """Check the number of a layer, counted from 1; None and -1 stand for the top layer."""
    if layer is None:
        return depth
    number = check_integer("layer", layer)
    if number == -1:
        return depth
    if not 1 <= number <= depth:
        raise ValueError(
            f"layer must be from 1, the lowest, to {depth}, the top, or -1 or None for the top; "
            f"got {layer}."
        )
    return number


def strongest(maps, maps_shapes, k):
    """Find the k coefficients of largest magnitude of every filter.

    Ties are ordered by image, then by position.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_coefficients)
        Codes of a layer. If images differ in size, the width is that of the largest.
    maps_shapes : list of tuple of int
        (n_filters, map_height, map_width) of each image.
    k : int
        Number of coefficients of each filter.

    Returns
    -------
    samples : ndarray of int of shape (n_filters, k)
        Index of the image; -1 if a filter has fewer than k non-zero coefficients.
    positions : ndarray of int of shape (n_filters, k, 2)
        Row and column in the map; zeros if there are fewer.
    values : ndarray of shape (n_filters, k)
        The coefficients; zeros if there are fewer.
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


def reconstructed_separately(operator, maps, n_activations) -> np.ndarray:
    """Reconstruct the strongest coefficients of each image one at a time.

    Parameters
    ----------
    operator : Operator
        Linear map from the maps of one image to the image.
    maps : csr_array of shape (n_samples, n_coefficients)
        Codes of images of one size.
    n_activations : int
        Number of coefficients of each image, those of largest magnitude first.

    Returns
    -------
    images : ndarray of shape (n_samples, n_activations, n_channels, height, width)
        Reconstruction of each coefficient alone; zeros if an image has fewer.
    """
    shape = maps.shape[0], n_activations, *operator.images_shape
    images = np.zeros(shape, dtype=maps.dtype)
    for i, image in enumerate(images):
        span = slice(maps.indptr[i], maps.indptr[i + 1])
        indices, values = maps.indices[span], maps.data[span]
        order = np.argsort(-np.abs(values), kind="stable")[:n_activations]
        atoms = operator.atoms(indices[order].astype(np.int64)).toarray().T
        image[: len(order)] = (atoms * values[order, None]).reshape(-1, *operator.images_shape)
    return images


def strongest_activations(maps, images, synthesis, k) -> dict[str, np.ndarray]:
    """The k strongest activations of every filter, with the images there and reconstructions.

    Parameters
    ----------
    maps : csr_array of shape (n_samples, n_coefficients of the largest)
        Codes of a layer.
    images : Collection
        The images.
    synthesis : Synthesis
        What reconstructs the images from the codes.
    k : int
        How many.

    Returns
    -------
    activations : dict of str to ndarray
        ``samples``, ``corners``, ``coefficients``, ``crops`` and ``projections``, as
        ``HierarchicalDeconvNet.top_activations`` returns them.
    """
    shapes = [synthesis.maps_shape(size) for size in images.sizes]
    samples, corners, values = strongest(maps, shapes, k)
    margin = np.array(synthesis.filters.shape[2:]) - 1
    corners = np.where(samples[..., None] >= 0, corners - margin, 0)
    crops = _crops_at(images, samples, corners, margin + 1)
    projections = values[:, :, None, None, None] * synthesis.filters[:, None]
    return {
        "samples": samples,
        "corners": corners,
        "coefficients": values,
        "crops": np.ascontiguousarray(crops.transpose(0, 1, 3, 4, 2)),
        "projections": np.ascontiguousarray(projections.transpose(0, 1, 3, 4, 2)),
    }


def _crops_at(images, samples, corners, size):
    """Crops (n_filters, k, n_channels, h, w) at the places of activations, zero outside."""
    h, w = size
    crops = np.zeros((*samples.shape, images.n_channels, h, w), dtype=images.dtype)
    for i in np.unique(samples[samples >= 0]):
        margins = ((0, 0), (h - 1, h - 1), (w - 1, w - 1))
        padded = np.pad(images.stack(np.array([i]))[0], margins)
        for place in zip(*np.nonzero(samples == i), strict=True):
            top, left = corners[place] + np.array([h - 1, w - 1])
            crops[place] = padded[:, top : top + h, left : left + w]
    return crops
