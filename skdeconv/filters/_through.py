"""Filter update of a layer that reconstructs pixels through the layers below."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import csr_array

from skdeconv.kernels import compiled
from skdeconv.operators import Convolution


def descend_through(filters, lowers, maps, n_steps):
    r"""Minimise the squared error in pixels over the filters, by conjugate gradients.

    For fixed maps :math:`z^i`, :math:`A^i f = R^i_{l-1} U_{s^i} (z^i * f)` is linear in the
    filters, and the normal equations are

    .. math:: \sum_i A^{iT} A^i f = \sum_i A^{iT} y^i.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        Filters used to infer the maps.
    lowers : list of operator or None
        For each image, the operator that reconstructs its pixels from the pooled maps of the layer
        below; None for the first layer, whose filters reconstruct the pixels directly. It is
        ``Masked`` if pixels are missing.
    maps : list of AdaptedMaps
        Maps of each image, with their residuals, which are zero at missing pixels. Images may
        differ in size.
    n_steps : int
        Number of conjugate gradient steps.

    Returns
    -------
    filters : ndarray of shape (n_filters, n_channels, h, w)
        The updated filters, not normalised.

    References
    ----------
    M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High Level
    Feature Learning", ICCV 2011, equation 11.
    """
    maps = _of_moderate_size(maps)
    dtype, residuals = filters.dtype, [one.residual for one in maps]
    descent = direction = _pulled(lowers, maps, residuals, filters.shape)
    energy, error = _energy([descent]), _energy(residuals)
    for step in range(1, n_steps + 1):
        images = _reconstructed(direction, lowers, maps)
        curvature = _energy(images)
        if curvature == 0:
            break
        length = dtype.type(energy / curvature)
        residuals = [old - length * new for old, new in zip(residuals, images, strict=True)]
        before, error = error, _energy(residuals)
        if not error < before:
            # At the solution, directions consist of rounding errors.
            break
        filters = filters + length * direction
        if step == n_steps:
            break
        descent = _pulled(lowers, maps, residuals, filters.shape)
        before, energy = energy, _energy([descent])
        direction = descent + dtype.type(energy / before) * direction
    return filters


def _of_moderate_size(maps):
    """Scale maps and residuals by a power of two, which does not change the filters.

    Products of three of these numbers are computed, which overflow in float32 for images above
    1e12.
    """
    arrays = [array for one in maps for array in (one.values, one.residual) if array.size]
    _, exponent = np.frexp(max(float(np.abs(array).max()) for array in arrays))
    return [
        replace(
            one,
            values=np.ldexp(one.values, -exponent),
            residual=np.ldexp(one.residual, -exponent),
        )
        for one in maps
    ]


def _reconstructed(filters, lowers, maps):
    """A f: the pixels reconstructed for each image."""
    images, convolution_of = [], cache(partial(Convolution, filters))
    for lower, one in zip(lowers, maps, strict=True):
        size = (one.residual.shape if lower is None else lower.maps_shape)[-2:]
        image = convolution_of(size).drawn(one.index, one.values)
        images.append(image if lower is None else lower.forward(image))
    return images


def _pulled(lowers, maps, images, filters_shape):
    """Sum of A^T applied to the images."""
    pulled = np.zeros(filters_shape, dtype=images[0].dtype)
    for lower, one, image in zip(lowers, maps, images, strict=True):
        pulled += patch_sums(one, image if lower is None else lower.adjoint(image), filters_shape)
    return pulled


def patch_sums(maps, image, filters_shape) -> np.ndarray:
    """For each filter, the sum of its coefficients times the patches of the image under them.

    Parameters
    ----------
    maps : AdaptedMaps
        Maps of one image.
    image : ndarray of shape (1, n_channels, height, width)
        Image in the output space of the filters, usually a residual.
    filters_shape : tuple of int
        (n_filters, n_channels, h, w).

    Returns
    -------
    sums : ndarray of shape (n_filters, n_channels, h, w)
        The adjoint of the convolution with the maps, as an operator on filters.
    """
    if (fast := compiled()) is not None:
        values = np.ascontiguousarray(maps.values, dtype=image.dtype)
        atoms = fast.Atoms(filters_shape, image.shape[1:], maps.index)
        return atoms.sums(np.ascontiguousarray(image), values)
    n_filters, n_channels, h, w = filters_shape
    taps = n_channels * h * w
    padded = np.pad(image[0], ((0, 0), (h - 1, h - 1), (w - 1, w - 1)))
    windows = sliding_window_view(padded, (h, w), axis=(1, 2)).transpose(1, 2, 0, 3, 4)
    kernel, position = np.divmod(maps.index, windows.shape[0] * windows.shape[1])
    patches = windows[np.divmod(position, windows.shape[1])].reshape(len(position), taps)
    chosen = (maps.values, (kernel, np.arange(len(kernel))))
    sums = csr_array(chosen, shape=(n_filters, len(kernel))) @ patches
    return np.asarray(sums).reshape(filters_shape)


def _energy(arrays):
    return sum(float(np.multiply(one, one, dtype=np.float64).sum()) for one in arrays)
