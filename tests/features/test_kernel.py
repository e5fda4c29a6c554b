"""The histogram intersection against its definition, and inside scikit-learn."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_array, csr_matrix
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from skdeconv.features import histogram_intersection


def naive(X, Y):
    K = np.zeros((len(X), len(Y)))
    for i, x in enumerate(X):
        for j, y in enumerate(Y):
            K[i, j] = sum(min(float(a), float(b)) for a, b in zip(x, y, strict=True))
    return K


def histograms(n_samples, n_features=30, seed=0):
    """Half of the values are zero."""
    values = np.random.default_rng(seed).standard_normal((n_samples, n_features))
    return np.maximum(values, 0)


@given(
    X=arrays(float, (3, 4), elements=st.floats(0, 1e6)),
    Y=arrays(float, (2, 4), elements=st.floats(0, 1e6)),
)
@settings(max_examples=50, deadline=None)
def test_definition(X, Y):
    scale = X.sum() + Y.sum()
    np.testing.assert_allclose(histogram_intersection(X, Y), naive(X, Y), atol=1e-14 * scale)


def test_without_a_second_argument():
    X = histograms(6)
    K = histogram_intersection(X)
    np.testing.assert_allclose(K, naive(X, X), rtol=1e-13)
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_allclose(np.diag(K), X.sum(axis=1))
    assert np.linalg.eigvalsh(K).min() > 0


def test_integers():
    X, Y = [[3, 0, 1], [1, 1, 1]], [[2, 5, 0]]
    np.testing.assert_array_equal(histogram_intersection(X, Y), [[2], [2]])


def test_single_precision_is_summed_in_double():
    X, Y = (histograms(4, 2000, seed).astype(np.float32) for seed in (0, 1))
    K = histogram_intersection(X, Y)
    assert K.dtype == np.float64
    np.testing.assert_allclose(K, naive(X, Y), rtol=1e-13)


def test_disjoint_histograms_are_not_negative():
    X, Y = histograms(40), histograms(40, seed=1)
    X[:, ::2], Y[:, 1::2] = 0, 0
    K = histogram_intersection(X, Y)
    assert K.min() == 0
    assert K.max() < 1e-13


@pytest.mark.parametrize("sparse", [csr_array, csr_matrix])
def test_sparse_features(sparse):
    X, Y = histograms(5), histograms(7, seed=1)
    expected = naive(X, Y)
    for pair in [(sparse(X), sparse(Y)), (sparse(X), Y), (X, sparse(Y))]:
        K = histogram_intersection(*pair)
        assert type(K) is np.ndarray
        np.testing.assert_allclose(K, expected, rtol=1e-13)
    single = histogram_intersection(sparse(X.astype(np.float32)))
    np.testing.assert_allclose(single, naive(*[X.astype(np.float32)] * 2), rtol=1e-13)


def test_arguments_are_left_as_they_are():
    X, Y = histograms(3), histograms(4, seed=1)
    X.flags.writeable = Y.flags.writeable = False
    histogram_intersection(X, Y)


def test_memory_does_not_hold_all_differences():
    X = histograms(200, 2000)
    tracemalloc.start()
    histogram_intersection(X)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * X.nbytes


@pytest.mark.parametrize("kind", [np.array, csr_array])
def test_negative_features_are_refused(kind):
    good, bad = kind(histograms(3)), histograms(3)
    bad[1, 2] = -0.5
    with pytest.raises(ValueError, match=r"X must not be negative, got -0\.5: .* magnitudes"):
        histogram_intersection(kind(bad), good)
    with pytest.raises(ValueError, match="Y must not be negative"):
        histogram_intersection(good, kind(bad))


@pytest.mark.parametrize(
    ("X", "Y", "message"),
    [
        (np.ones((2, 3)), np.ones((2, 4)), "Incompatible dimension"),
        (np.full((2, 3), np.nan), None, "NaN"),
        (np.full((2, 3), np.inf), None, "infinity"),
        (np.ones(3), None, "Expected 2D array"),
        (np.ones((0, 3)), None, "minimum of 1 is required"),
    ],
)
def test_other_faults(X, Y, message):
    with pytest.raises(ValueError, match=message):
        histogram_intersection(X, Y)


@pytest.mark.parametrize("kind", [np.array, csr_array])
def test_as_a_kernel_of_a_classifier(kind):
    X, X_test = histograms(30), histograms(20, seed=1)
    y = X[:, :15].sum(axis=1) > X[:, 15:].sum(axis=1)
    model = SVC(kernel=histogram_intersection).fit(kind(X), y)
    expected = SVC(kernel="precomputed").fit(naive(X, X), y)
    np.testing.assert_allclose(
        model.decision_function(kind(X_test)), expected.decision_function(naive(X_test, X))
    )


def test_in_a_search():
    X = histograms(30)
    y = np.arange(30) % 2
    X[y == 1, :5] += 1
    grid = {"kernel": [histogram_intersection, "linear"], "C": [0.1, 1.0]}
    search = GridSearchCV(SVC(), grid, cv=3).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.9
