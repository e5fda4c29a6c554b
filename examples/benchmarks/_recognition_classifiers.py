"""Classifiers of the recognition benchmark, on precomputed kernel matrices.

One matrix product gives the inner products of all images, and a grid search over support vector
machines then takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import manhattan_distances
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

C = (0.1, 1.0, 10.0)
GRIDS = {
    "linear": {"svc__C": C},
    "intersection": {"svc__C": C},
    "rbf": {"kernel__gamma": (0.5, 1.0, 2.0, 4.0), "svc__C": (1.0, 10.0)},
}
N_CHOOSE_ON = 4000
FOLDS = StratifiedKFold(3, shuffle=True, random_state=0)


class Kernel(TransformerMixin, BaseEstimator):
    """Kernel values of a matrix of `table_of`, in units of the training part.

    Parameters
    ----------
    gamma : float or None, default=None
        With a number, the matrix holds squared distances, and the kernel is a Gaussian with the
        exponent ``-gamma`` at the mean squared distance. With None, it holds inner products, which
        are divided by the mean squared norm.
    """

    def __init__(self, gamma=None):
        self.gamma = gamma

    def fit(self, X, y=None):
        """Mean of the matrix, or of its diagonal."""
        self.unit_ = np.mean(X if self.gamma else np.diag(X))
        return self

    def transform(self, X):
        """Kernel values, float64."""
        values = np.divide(X, self.unit_, dtype=np.float64)
        if self.gamma:
            values *= -self.gamma
            np.exp(values, out=values)
        return values

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = True
        return tags


def by_feature(train, others):
    """Standardise each feature."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation < 1e-6 * deviation.max()] = 1
    return [(rows - mean) / deviation for rows in (train, others)]


def by_image(train, others):
    """Scale the features of every image to unit norm."""
    return [
        rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        for rows in (train, others)
    ]


SCALINGS = {"one": lambda train, others: (train, others), "feature": by_feature, "image": by_image}


def intersection(rows, others) -> np.ndarray:
    """Sums over features of the smaller of two absolute values, where the signs agree."""
    totals, other_totals = (np.abs(some).sum(axis=1, dtype=np.float64) for some in (rows, others))
    return (totals[:, None] + other_totals - manhattan_distances(rows, others)) / 2


def table_of(kernel: str, rows, others) -> np.ndarray:
    """Inner products or squared distances of rows and others."""
    if kernel == "intersection":
        return intersection(rows, others)
    table = rows @ others.T
    if kernel == "rbf":
        table *= -2
        table += np.sum(rows**2, axis=1)[:, None]
        table += np.sum(others**2, axis=1)
        np.maximum(table, 0, out=table)
    return table


@dataclass(frozen=True)
class Choice:
    """Choice of a grid search on the training part.

    Parameters
    ----------
    kernel : str
        Key of ``GRIDS``.
    scaling : str
        Key of ``SCALINGS``.
    params : dict
        Parameters of the support vector machine.
    score : float
        Mean accuracy over the folds.
    """

    kernel: str
    scaling: str
    params: dict
    score: float


def machine_of(params=None) -> Pipeline:
    """Support vector machine on a kernel matrix."""
    steps = [("kernel", Kernel()), ("svc", SVC(kernel="precomputed", cache_size=1000))]
    return Pipeline(steps).set_params(**(params or {}))


def choose(kernel: str, features, labels, n_jobs: int = 1) -> Choice:
    """Choose scaling and parameters by the mean accuracy over three folds of the training part.

    At most the first 4,000 images are used.
    """
    features, labels, choices = features[:N_CHOOSE_ON], labels[:N_CHOOSE_ON], []
    for scaling, scaled in SCALINGS.items():
        rows, _ = scaled(features, features[:0])
        grid = GridSearchCV(machine_of(), GRIDS[kernel], cv=FOLDS, refit=False, n_jobs=n_jobs)
        grid.fit(table_of(kernel, rows, rows), labels)
        choices.append(Choice(kernel, scaling, grid.best_params_, float(grid.best_score_)))
    return max(choices, key=lambda choice: choice.score)


def predicted(choice: Choice, train, labels, test) -> np.ndarray:
    """Predicted labels of other images, after a fit on the whole training part."""
    train, test = SCALINGS[choice.scaling](train, test)
    machine = machine_of(choice.params).fit(table_of(choice.kernel, train, train), labels)
    return machine.predict(table_of(choice.kernel, test, train))


def predicted_by_components(choice: Choice, train, labels, test, n_components=300) -> np.ndarray:
    """The same with the Gaussian kernel, for more images than a kernel matrix holds.

    Principal components approximate the distances closely.
    """
    train, test = SCALINGS[choice.scaling](train, test)
    n_components = min(n_components, train.shape[1])
    components = PCA(n_components, svd_solver="covariance_eigh").fit(train)
    train, test = (components.transform(rows).astype(np.float64) for rows in (train, test))
    # The unit of gamma is the mean squared distance.
    gamma = choice.params["kernel__gamma"] / (2 * np.sum(np.var(train, axis=0)))
    machine = SVC(C=choice.params["svc__C"], gamma=gamma, cache_size=4000)
    return machine.fit(train, labels).predict(test)
