"""Inner loops of inference and learning, compiled by numba where it is installed.

There are two implementations. The portable one needs numpy, scipy and scikit-learn; it stands
here where a loop needs more than an expression of theirs, and in the operators otherwise. The
compiled one is used where numba can be imported, unless the environment variable
``SKDECONV_KERNELS`` is "portable". Both give the same results up to rounding, and ``lasso`` up to
its tolerance.

Arrays are contiguous, of float32 or float64 as the filters, with channels first. Each image of a
stack is computed as if alone. The compiled kernels run in the calling thread, without the lock of
the interpreter, and no call takes much longer than half a second.

``compiled()`` returns an object with these functions, or None.

``FilterBank(filters)``
    Filters (n_filters, n_channels, h, w) in the order in which the kernels read them.
``correlate(images, bank)``
    Inner products of images (n_samples, n_channels, height, width) with all atoms, (n_samples,
    n_filters, height + h - 1, width + w - 1).
``best(images, bank, positive)``
    Their largest modulus over the filters, or largest value if ``positive``, and the int32 index
    of its filter, both (n_samples, height + h - 1, width + w - 1).
``descend(images, known, bank, index, values, slopes, weight, positive, n_sweeps)``
    Values after sweeps of coordinate descent on
    ``weight / 2 * ||known * (F z) - y||^2 + sum slopes * |z|`` over coefficients given by their
    sorted int64 index in the stack of maps, and residuals. ``known`` (n_channels, height, width)
    may be None, as may ``slopes``, which are then ones.
``lasso(images, known, bank, index, values, weight, positive, tol, max_iter)``
    Rounds of coordinate descent on a working set, from given coefficients, until the relative
    duality gap of each image is at most ``tol``: ``index`` and ``values`` of the result, both times
    sorted by sample, column, row and filter, and the number of rounds, the cost and the gap of each
    image. None if a round takes too long for one call; the rounds are then those of the module
    ``inference``, as without compiled kernels.
``pool(maps, rows, columns, neighbours, shape, kind)``
    As ``operators.pool``, given the shape of the results, and the type of the switches.
``filter_rows(filters)``
    Filters in the order in which the methods of ``Atoms`` read them.
``Atoms(filters_shape, images_shape, index)``
    Few atoms of a convolution, given by flat indices into the maps of one image. ``inner(images,
    rows)`` has their inner products with images, (n_samples, n_atoms), and ``draw(values, rows)``
    the images that such values reconstruct. ``sums(image, values)`` has for each filter the sum of
    values times the windows of one image under its atoms, of the shape of the filters.

The following are compiled where possible, and portable otherwise. They take non-zero
coefficients as three arrays, sorted by image, row and column: a place, the index of the filter,
both int64, and the value, float64.

``pair_sums(key, kernel, values, stride, n_filters, size)``
    Sums of the products of two coefficients that are at most ``size - 1`` rows and columns apart,
    the second of which is in the same row, or a later one; (n_filters, n_filters, h, 2 * w - 1).
    Rows are ``stride`` places apart, and windows do not reach the next row or image.
``patch_sums(corner, kernel, values, padded, line, n_filters, size)``
    Sums of coefficients times the windows of ``padded`` (n_pixels, n_channels) that begin at
    their places; rows are ``line`` pixels long. (n_filters, h * w * n_channels).
``draw_patches(corner, kernel, values, filters, line, n_pixels, size)``
    Sum of the filters (n_filters * h * w, n_channels) times coefficients, at the windows of a
    padded stack that begin at their places; (n_pixels, n_channels), float64.
``subtract_unseen(gram, corner, kernel, values, known, line, size)``
    Subtract from the Gram matrix (n_filters * h * w, n_filters * h * w) of shifted maps the part of
    pixels of a padded stack for which the flat mask ``known`` is False; places are as before.
"""

from skdeconv.kernels._choice import (
    compiled,
    draw_patches,
    pair_sums,
    patch_sums,
    subtract_unseen,
)
from skdeconv.kernels._portable import quiet_sweeps, sweep_atoms, sweep_gram
from skdeconv.kernels._process import WhileAny
from skdeconv.kernels._schedule import FIRST_SWEEPS, MARGIN, MORE_SWEEPS, NEARLY, SCALINGS

__all__ = [
    "FIRST_SWEEPS",
    "MARGIN",
    "MORE_SWEEPS",
    "NEARLY",
    "SCALINGS",
    "WhileAny",
    "compiled",
    "draw_patches",
    "pair_sums",
    "patch_sums",
    "quiet_sweeps",
    "subtract_unseen",
    "sweep_atoms",
    "sweep_gram",
]
