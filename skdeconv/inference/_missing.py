"""Division of images with missing pixels into one problem for each mask."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import gen_batches

from skdeconv.inference._problem import Problem
from skdeconv.operators import Masked, zeros_for_nan


def problems_by_mask(
    operator, images, penalty, weight, init=None, unit=None
) -> Iterator[tuple[Problem, csr_array | None, np.ndarray]]:
    r"""Split a stack of images into one problem for each mask of known pixels.

    The error of each problem, :math:`\lambda/2 \sum_i ((F z)_i - y_i)^2`, is over the known pixels
    i. The results of images without missing pixels do not depend on the others.

    Parameters
    ----------
    operator : Operator
        Linear map from one image's maps to the image.
    images : ndarray of shape (n_samples, n_channels, height, width)
        The images y, of the dtype of the operator; NaN marks missing pixels. Each channel may have
        its own mask.
    penalty : PowerPenalty
        The sparsity term.
    weight : float
        lambda.
    init : csr_array of shape (n_samples, n_coefficients), default=None
        Initial maps.
    unit : float, default=None
        What ``Problem`` calls its unit.

    Yields
    ------
    problem : Problem
        The images of one mask, zero where pixels are missing.
    init : csr_array or None
        Their initial maps, without the coefficients whose atoms cover no known pixel.
    samples : ndarray of int
        Their positions in the stack.
    """
    known = ~np.isnan(images)
    if known.all():
        yield Problem(operator, images, penalty, weight, unit=unit), init, np.arange(len(images))
        return
    for samples in _with_equal_masks(known):
        mask = known[samples[0]]
        stack, start = images[samples], None if init is None else init[samples]
        if mask.all():
            yield Problem(operator, stack, penalty, weight, unit=unit), start, samples
            continue
        masked = Masked(operator, mask)
        problem = Problem(masked, zeros_for_nan(stack), penalty, weight, mask, unit)
        yield problem, _reaching(masked, start), samples


def _with_equal_masks(known):
    """Positions of the images of each mask, in the order of the first image of a mask."""
    places = {}
    for i, packed in enumerate(np.packbits(known.reshape(len(known), -1), axis=1)):
        places.setdefault(packed.tobytes(), []).append(i)
    return [np.array(samples) for samples in places.values()]


def _reaching(operator, maps):
    """Remove the coefficients whose atoms cover no known pixel, which are zero at the optimum."""
    if maps is None or not maps.nnz:
        return maps
    used, place = np.unique(maps.indices, return_inverse=True)
    reaches = np.concatenate(
        [
            (operator.atoms(used[part]) != 0).sum(axis=0) > 0
            for part in gen_batches(len(used), operator.atoms_at_once)
        ]
    )
    data = np.where(reaches[place], maps.data, maps.dtype.type(0))
    maps = csr_array((data, maps.indices, maps.indptr), shape=maps.shape, copy=True)
    maps.eliminate_zeros()
    return maps
