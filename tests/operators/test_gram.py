"""Gram matrices of atoms against the products of the atoms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skdeconv.operators import Composition, Convolution, Masked
from skdeconv.operators._gram import is_worth_a_table


def draw(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def by_column_and_row(maps_shape, index):
    """Indices sorted by column and row."""
    _, y, x = np.unravel_index(index, maps_shape)
    return index[np.lexsort((y, x))]


def assert_are_products(operator, index):
    atoms = operator.atoms(index).toarray()
    gram = operator.gram(index)
    assert gram.dtype == operator.dtype
    assert gram.has_sorted_indices
    assert gram.indices.dtype == gram.indptr.dtype == np.int32
    tol = 2e-5 if operator.dtype == np.float32 else 1e-12
    part = slice(len(index) // 3, len(index) // 2)
    assert_array_equal(operator.gram(index, part).toarray(), gram.toarray()[part])
    assert_allclose(gram.toarray(), atoms.T @ atoms, atol=tol * np.abs(atoms).max(initial=1) ** 2)


@settings(max_examples=60, deadline=None, database=None)
@given(
    filters_shape=st.tuples(*(st.integers(1, n) for n in (3, 3, 5, 5))),
    image_shape=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    pairs=st.integers(1, 500),
    seed=st.integers(0, 100),
)
def test_any_atoms_of_any_shape(filters_shape, image_shape, pairs, seed):
    operator = Convolution(draw(filters_shape, seed), image_shape)
    rng = np.random.default_rng(seed)
    everything = np.arange(np.prod(operator.maps_shape))
    some = everything[rng.random(len(everything)) < rng.random()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skdeconv.operators._gram._PAIRS", pairs)
        assert_are_products(operator, by_column_and_row(operator.maps_shape, some))


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
def test_filters_that_see_few_of_many_channels(dtype):
    filters = draw((3, 30, 4, 5), 0, dtype)
    filters[0, ::2] = 0
    filters[1] = 0
    operator = Convolution(filters, (9, 7))
    everything = np.arange(np.prod(operator.maps_shape))
    assert_are_products(operator, by_column_and_row(operator.maps_shape, everything))


def test_large_atoms_of_few_filters_have_a_table():
    assert is_worth_a_table((9, 200, 7, 7))
    assert is_worth_a_table((9, 30, 7, 7))
    assert not is_worth_a_table((9, 3, 7, 7))
    assert not is_worth_a_table((100, 200, 7, 7))
    operator = Convolution(draw((2, 200, 3, 3)), (5, 5))
    assert operator.has_gram
    # Masks and lower layers are beyond the table.
    assert not Masked(operator, np.ones(operator.images_shape, dtype=bool)).has_gram
    assert not Composition(operator, Convolution(draw((3, 2, 2, 2)), (7, 7))).has_gram
