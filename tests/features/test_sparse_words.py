"""Words by orthogonal matching pursuit, against scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import descriptors_by_loops, draw_maps, words_by_loops
from sklearn.linear_model import orthogonal_mp_gram

from skdeconv.features import BagOfFeatures
from skdeconv.features._pursuit import matching_pursuit


def draw(n_words, size, dtype=np.float64, n_vectors=30):
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((n_words, size)).astype(dtype)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return atoms, rng.standard_normal((n_vectors, size)).astype(dtype)


def dense(chosen, values, n_words):
    result = np.zeros((len(chosen), n_words), dtype=values.dtype)
    np.put_along_axis(result, chosen, values, axis=1)
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n_words", "size"), [(40, 12), (6, 9), (1, 3)])
@pytest.mark.parametrize("n_atoms", [1, 2, 5])
def test_it_is_that_of_scikit_learn(n_words, size, n_atoms, dtype):
    atoms, vectors = draw(n_words, size, dtype)
    n_atoms = min(n_atoms, n_words)
    gram, inner = atoms @ atoms.T, vectors @ atoms.T
    found = dense(*matching_pursuit(gram, inner, n_atoms), n_words)
    expected = orthogonal_mp_gram(gram, inner.T, n_nonzero_coefs=n_atoms)
    expected = expected.reshape(n_words, -1).T
    tol = 1e-4 if dtype == np.float32 else 1e-10
    assert_allclose(found, expected, rtol=tol, atol=tol)
    assert found.dtype == dtype


def test_atoms_that_are_the_same_or_cannot_help():
    atoms, _ = draw(4, 6)
    atoms[1] = atoms[0]
    vectors = np.stack([3 * atoms[0], np.zeros(6)])
    chosen, values = matching_pursuit(atoms @ atoms.T, vectors @ atoms.T, 3)
    assert all(len(set(row)) == 3 for row in chosen.tolist())
    assert_allclose(dense(chosen, values, 4) @ atoms, vectors, atol=1e-9)


def test_vectors_do_not_depend_on_each_other():
    atoms, vectors = draw(30, 12)
    gram, inner = atoms @ atoms.T, vectors @ atoms.T
    together = matching_pursuit(gram, inner, 4)
    alone = [matching_pursuit(gram, one[None], 4) for one in inner]
    for i, part in enumerate(together):
        assert_array_equal(part, np.concatenate([one[i] for one in alone]))


def test_names_of_sparse_words():
    maps = draw_maps(3, 9, 11, 2)
    bag = BagOfFeatures(
        4,
        coding="sparse",
        levels=(1,),
        power=1,
        normalize=None,
        patch_size=4,
        pool=2,
        random_state=0,
    ).fit(maps)
    names, rows = bag.get_feature_names_out(), bag.transform(maps)
    signs = [f"word{k}{sign}_l1_y0_x0" for sign in "+-" for k in range(4)]
    assert list(names) == signs
    descriptors, _ = descriptors_by_loops(maps[0], 4, 2, 2)
    words = words_by_loops(descriptors, bag.words_.reshape(4, -1), "sparse")
    halves = np.maximum(words, 0).sum(axis=0), np.maximum(-words, 0).sum(axis=0)
    assert_allclose(rows[0], np.concatenate(halves), atol=1e-9)
