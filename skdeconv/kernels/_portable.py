"""The portable kernels; see the package ``skdeconv.kernels``."""

from __future__ import annotations

import math
import re
import warnings
from itertools import pairwise

import numpy as np
import sklearn
from scipy.sparse import csc_array, csr_array
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path

from skdeconv.kernels._process import WhileAny

# Maximum size of the array of patches that are summed at once, and about the number of pairs of
# coefficients that are multiplied at once.
_PATCHES, _PAIRS = 2**22, 2**20
# A filter by message, since other threads must still receive the ConvergenceWarning of estimators.
# The comment in the regular expression distinguishes it from one that a user has set.
_WORDS = re.compile("Objective did not converge(?#skdeconv)", re.IGNORECASE)
_IGNORED = "ignore", _WORDS, ConvergenceWarning, None, 0
# A fixed number of sweeps over a block-diagonal stack gives each image the same bits as alone. With
# a common stopping criterion or screening, codes would depend on the other images of the stack.
_FIXED_SWEEPS = {"tol": 0.0, "check_input": False}
if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= (1, 8):
    _FIXED_SWEEPS["do_screening"] = False


def sweep_atoms(atoms, images, start, slopes, weight, positive, n_sweeps) -> np.ndarray:
    """Sweep over the atoms of a stack of images.

    Minimises ``weight / 2 * ||A z - y||^2 + sum slopes * |z|``.

    Parameters
    ----------
    atoms : csc_array of shape (n_pixels, n_atoms)
        A, with 32-bit indices.
    images : ndarray of n_pixels elements
        y.
    start : ndarray of shape (n_atoms,)
        Initial coefficients.
    slopes : ndarray of shape (n_atoms,) or None
        Weight of the absolute value of each coefficient; None for ones.
    weight : float
        Weight of the squared error.
    positive : bool
        Whether coefficients are non-negative.
    n_sweeps : int
        Number of sweeps.

    Returns
    -------
    values : ndarray of shape (n_atoms,)
        The coefficients z.
    """
    data = atoms.data
    if slopes is not None:
        data = data / np.repeat(slopes, np.diff(atoms.indptr))
    # lasso_path multiplies alpha by the number of rows. Empty rows make this number a power of
    # two; otherwise the last bit of the product would depend on the size of the stack.
    n_rows = 1 << (images.size - 1).bit_length()
    pixels = np.zeros(n_rows, dtype=images.dtype)
    pixels[: images.size] = images.ravel()
    scaled = csc_array((data, atoms.indices, atoms.indptr), shape=(n_rows, len(start)))
    given = {"max_iter": n_sweeps, "positive": positive, "precompute": False}
    return _swept(scaled, pixels, start, slopes, weight, **given)


def sweep_gram(gram, correlation, start, slopes, weight, positive, n_sweeps) -> np.ndarray:
    """Sweep over atoms that are given by their Gram matrix.

    Parameters
    ----------
    gram : ndarray of shape (n_atoms, n_atoms)
        Inner products of the atoms, in C order.
    correlation : ndarray of shape (n_atoms,)
        Inner products of the atoms with the images.
    start, slopes, weight, positive, n_sweeps :
        As for ``sweep_atoms``.

    Returns
    -------
    values : ndarray of shape (n_atoms,)
        The coefficients.
    """
    if slopes is not None:
        gram, correlation = gram / slopes[:, None] / slopes, correlation / slopes
    # Only the shape of the atoms is used beside the Gram matrix, and only the norm of the images,
    # for a duality gap on which nothing depends. It must not be zero by chance.
    atoms, images = np.empty((1, len(start)), gram.dtype, order="F"), np.ones(1, gram.dtype)
    given = {"max_iter": n_sweeps, "positive": positive, "precompute": gram, "Xy": correlation}
    return _swept(atoms, images, start, slopes, weight, **given)


def _swept(atoms, images, start, slopes, weight, **given):
    start = start.copy() if slopes is None else start * slopes
    alphas = [1.0 / (weight * len(images))]
    options = given | _FIXED_SWEEPS
    with quiet_sweeps():
        _ignore()
        _, path, _ = lasso_path(atoms, images, alphas=alphas, coef_init=start, **options)
    return path[:, 0] if slopes is None else path[:, 0] / slopes


def _ignore():
    # Another thread may have replaced the list of filters, as ``check_array`` does.
    if warnings.filters[:1] != [_IGNORED]:
        warnings.filterwarnings("ignore", _WORDS.pattern, ConvergenceWarning)


def _stop_ignoring():
    # No comprehension: Python 3.11 calls it, so that Ctrl-C at a call could prevent the change.
    warnings.filters[:] = filter(_IGNORED.__ne__, warnings.filters)


#: Context manager in which scikit-learn does not warn after each fixed number of sweeps. One block
#: around many calls leaves other threads less occasion to restore a filter that is gone.
quiet_sweeps = WhileAny(_ignore, _stop_ignoring)


def pair_sums(key, kernel, values, stride, n_filters, size) -> np.ndarray:
    """Sums of products of coefficients, by filters and offset."""
    h, w = size
    first, last = np.empty((2, h, len(key)), dtype=np.int64)
    first[0] = np.arange(1, len(key) + 1)
    for dy in range(h):
        last[dy] = np.searchsorted(key, key + dy * stride + w - 1, side="right")
        if dy:
            first[dy] = np.searchsorted(key, key + dy * stride - (w - 1))
    # Coefficient i, modulo their number, is paired with those from first[i] to last[i].
    first, count = first.ravel(), (last - first).ravel()
    shape = n_filters, n_filters, h, 2 * w - 1
    sums = np.zeros(math.prod(shape))
    begins = np.searchsorted(np.cumsum(count), np.arange(0, count.sum(), _PAIRS), "right")
    for begin, end in pairwise(np.append(np.unique(begins), len(count))):
        some = count[begin:end]
        one = np.repeat(np.arange(begin, end) % len(key), some)
        other = np.arange(len(one)) + np.repeat(first[begin:end] + some - np.cumsum(some), some)
        dy, dx = np.divmod(key[other] - key[one] + w - 1, stride)
        bins = np.ravel_multi_index((kernel[one], kernel[other], dy, dx), shape)
        sums += np.bincount(bins, weights=values[one] * values[other], minlength=len(sums))
    return sums.reshape(shape)


def patch_sums(corner, kernel, values, padded, line, n_filters, size) -> np.ndarray:
    """Sums of coefficients times windows, by filters."""
    sums = np.zeros((n_filters, math.prod(size) * padded.shape[1]))
    step = max(1, _PATCHES // sums.shape[1])
    for first in range(0, len(values), step):
        block = slice(first, first + step)
        patches = padded[windows(corner[block], line, size)].reshape(-1, sums.shape[1])
        chosen = (values[block], (kernel[block], np.arange(len(patches))))
        sums += csr_array(chosen, shape=(n_filters, len(patches))) @ patches
    return sums


def draw_patches(corner, kernel, values, filters, line, n_pixels, size) -> np.ndarray:
    """Sum of filters times coefficients at their windows."""
    taps = filters.reshape(-1, math.prod(size), filters.shape[1])[kernel]
    under = windows(corner, line, size).ravel()
    planes = [
        np.bincount(under, weights=(values[:, None] * plane).ravel(), minlength=n_pixels)
        for plane in np.moveaxis(taps, 2, 0)
    ]
    # bincount counts in integers where there are no weights.
    return np.stack(planes, axis=1).astype(np.float64, copy=False)


def subtract_unseen(gram, corner, kernel, values, known, line, size) -> None:
    """Subtract products at unseen pixels from a Gram matrix."""
    n_taps = math.prod(size)
    step, parts = max(1, _PATCHES // n_taps), []
    for first in range(0, len(values), step):
        under = windows(corner[first : first + step], line, size)
        spike, tap = np.nonzero(~known[under])
        parts.append((under[spike, tap], first + spike, tap))
    if not parts:
        return
    pixel, spike, tap = (np.concatenate(part) for part in zip(*parts, strict=True))
    _, row = np.unique(pixel, return_inverse=True)
    shape = int(row.max(initial=-1)) + 1, len(gram)
    unseen = csr_array((values[spike], (row, kernel[spike] * n_taps + tap)), shape=shape)
    lost = (unseen.T @ unseen).tocoo()
    gram[lost.row, lost.col] -= lost.data


def windows(corner, line, size) -> np.ndarray:
    """Pixels of windows, given by their first, in rows of ``line`` pixels; (n_windows, h * w)."""
    h, w = size
    return corner[:, None] + (np.arange(h)[:, None] * line + np.arange(w)).ravel()
