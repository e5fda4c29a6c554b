"""Orthogonal matching pursuit of many vectors at once."""

from __future__ import annotations

import numpy as np


def matching_pursuit(
    gram: np.ndarray, inner: np.ndarray, n_atoms: int
) -> tuple[np.ndarray, np.ndarray]:
    """Represent vectors by a few atoms each, chosen one after the other.

    Each step chooses the atom of largest inner product with what is left of a vector, then fits
    all chosen atoms anew. ``sklearn.linear_model.orthogonal_mp_gram`` does the same for one vector
    after the other, in a Python loop that takes most of its time.

    Parameters
    ----------
    gram : ndarray of shape (n_words, n_words)
        Inner products of the atoms, of unit norm.
    inner : ndarray of shape (n_vectors, n_words)
        Inner products of vectors and atoms.
    n_atoms : int
        Number of atoms of each vector, at most ``n_words``.

    Returns
    -------
    chosen : ndarray of int of shape (n_vectors, n_atoms)
        The atoms of each vector, all different.
    values : ndarray of shape (n_vectors, n_atoms)
        Their coefficients.
    """
    chosen = np.empty((len(inner), n_atoms), dtype=np.intp)
    # Atoms that depend on those chosen before get a coefficient of about zero.
    ridge = 10 * np.finfo(gram.dtype).eps * np.eye(n_atoms, dtype=gram.dtype)
    left = inner
    for n in range(1, n_atoms + 1):
        size = np.abs(left)
        np.put_along_axis(size, chosen[:, : n - 1], -1, axis=1)
        chosen[:, n - 1] = size.argmax(axis=1)
        some = chosen[:, :n]
        system = gram[some[:, :, None], some[:, None, :]] + ridge[:n, :n]
        wanted = np.take_along_axis(inner, some, axis=1)
        values = np.linalg.solve(system, wanted[..., None])[..., 0]
        if n < n_atoms:
            left = inner - sum(values[:, i, None] * gram[some[:, i]] for i in range(n))
    return chosen, values
