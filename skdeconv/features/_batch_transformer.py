"""Transformers of images applied in batches, for data sets whose maps do not fit into memory."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse, vstack
from sklearn.base import BaseEstimator
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples, check_is_fitted

from skdeconv._utils.parallel import map_tasks, workers
from skdeconv._utils.parameters import check_jobs
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.validation import check_integer, check_seed, check_verbose
from skdeconv._utils.warnings import one_trap
from skdeconv.features._batches import (
    check_batch_size,
    check_samples,
    chosen_samples,
    each_batch,
)
from skdeconv.features._meta_transformer import MetaTransformer, checked_rows, plain_output


class BatchTransformer(MetaTransformer):
    """Apply a transformer in batches, so that the maps of few images are in memory at once.

    A pipeline hands the maps of all images from step to step, which take far more memory than the
    images and the pooled rows. This meta-transformer applies a pipeline of an encoder and a pooling
    step to one batch after the other, in parallel, and keeps only the rows.

    Parameters
    ----------
    transformer : estimator
        A transformer that returns one row per image, such as
        ``make_pipeline(OnePassEncoder(), SpatialPyramid())``. ``fit`` fits a clone of it. Wrap a
        fitted one in ``sklearn.frozen.FrozenEstimator`` to use it without fitting it again.
    batch_size : int or "auto", default="auto"
        Number of images that are transformed together. "auto" stands for about 65,000 pixels, with
        at least one image. The rows do not depend on it, except for rounding.
    subsample : int or None, default=None
        Maximum number of images that ``transformer`` is fitted on, drawn at random without
        replacement. It bounds the memory of ``fit``: with None, ``transformer`` is fitted on all
        images, and if it is a pipeline, the maps of all of them are in memory then.
    n_jobs : int, default=None
        Number of joblib workers that transform batches. The rows do not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the sample for ``subsample``.
    verbose : int, default=0
        If above 0, prints a line for each batch.

    Attributes
    ----------
    transformer_ : estimator
        The fitted transformer.
    n_features_in_ : int
        Number of values of one image. Defined only if ``transformer_`` defines it, which it does
        unless it is fitted on a list of images.
    feature_names_in_ : ndarray of str
        Names of the columns. Defined only if ``transformer_`` defines them.

    See Also
    --------
    SpatialPyramid : Pools maps of any size into rows.
    skdeconv.datasets.ImageFolder : Images that are read on access.

    Notes
    -----
    Memory holds the rows and, for each worker, a batch and its maps. Images that are read on access
    are read in the workers, once in each ``transform``, if the sequence has a ``shape`` and
    supports slices, as :class:`skdeconv.datasets.ImageFolder` does. Images of other sequences are
    read in the calling process and sent to the workers.

    Every batch is transformed on one BLAS thread. ``n_jobs`` here uses the cores better than
    ``n_jobs`` of the steps.

    The row of an image must not depend on the other images, as is the case for all transformers of
    this package. Fitted on all images, the result is that of ``transformer`` alone.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skdeconv import DeconvNetLayer, OnePassEncoder
    >>> from skdeconv.features import BatchTransformer, SpatialPyramid
    >>> images, labels = load_digits(return_X_y=True)
    >>> images = images.reshape(-1, 8, 8) / 16
    >>> encoder = OnePassEncoder(DeconvNetLayer(16, 3, lam=5.0, max_iter=2, random_state=0))
    >>> features = BatchTransformer(
    ...     make_pipeline(encoder, SpatialPyramid()), subsample=200, random_state=0
    ... )
    >>> model = make_pipeline(features, LinearSVC()).fit(images[:1000], labels[:1000])
    >>> model.score(images[1000:], labels[1000:]) > 0.85
    True
    """

    def __init__(
        self,
        transformer: BaseEstimator,
        *,
        batch_size: int | str = "auto",
        subsample: int | None = None,
        n_jobs: int | None = None,
        random_state=None,
        verbose: int = 0,
    ):
        self.transformer = transformer
        self.batch_size = batch_size
        self.subsample = subsample
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:
        """Fit the transformer on all images or on a sample of them.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list of images
            Images in any layout that ``transformer`` accepts, including lists of images of
            different sizes and sequences that read them on access.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Labels. Those of the sample are passed to ``transformer``.

        Returns
        -------
        self : BatchTransformer
            The fitted transformer. If ``fit`` fails or is interrupted, it is left unchanged.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, X has no samples, X and y differ in length, or
            ``transformer`` rejects the images.
        """
        with restored_on_failure(self):
            self._check_parameters()
            self._fit_clone(X, y, *self._sample(*check_samples(X, y)))
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Transform images, batch by batch.

        Parameters
        ----------
        X : array-like, sparse matrix, DataFrame or list of images
            Images in any layout that ``transform`` of the fitted transformer accepts.

        Returns
        -------
        X_new : ndarray or sparse matrix of shape (n_samples, n_features_out)
            The rows; sparse in CSR format if ``transformer`` returns sparse rows.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, X has no samples, ``transformer`` rejects the images of
            a batch, or it does not return one row per image but, for example, maps.

        Warns
        -----
        ConvergenceWarning, ZeroMapsWarning
            The warnings of ``transformer``, for each batch. Worker processes print theirs.
        UserWarning
            If the layout of X was probably meant differently; once.
        """
        check_is_fitted(self)
        self._check_parameters()
        X, _ = check_samples(X)
        # One by one, so that at most two batches for each worker are in memory.
        with plain_output(), workers(self.n_jobs, tasks_at_once=1) as parallel:
            return _stacked(map_tasks(_rows_of_batch, self._tasks(X), parallel))

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Names of the columns: those of the fitted transformer.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Passed on to the fitted transformer.

        Returns
        -------
        names : ndarray of object of shape (n_features_out,)
            Names of the columns of ``transform``.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        """
        check_is_fitted(self)
        return self.transformer_.get_feature_names_out(input_features)

    @property
    def n_features_in_(self) -> int:
        """Number of values of one image; not defined if the transformer does not define it."""
        return self.transformer_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns seen in ``fit``; not defined if there were none."""
        return self.transformer_.feature_names_in_

    def _check_parameters(self):
        self._check_transformer()
        check_batch_size(self.batch_size)
        if self.subsample is not None:
            check_integer("subsample", self.subsample, min_val=1)
        check_jobs(self.n_jobs)
        check_verbose(self.verbose)

    def _sample(self, X, y):
        """The images that the transformer is fitted on, and their labels."""
        random_state, n_samples = check_seed(self.random_state), _num_samples(X)
        if self.subsample is None or self.subsample >= n_samples:
            return X, y
        # Sorted, since files and memory maps are read faster in order.
        positions = np.sort(random_state.choice(n_samples, self.subsample, replace=False))
        labels = None if y is None else _safe_indexing(y, positions)
        return chosen_samples(X, positions), labels

    def _tasks(self, X):
        """Arguments of ``_rows_of_batch`` for each batch."""
        n_samples = _num_samples(X)
        for positions, parts in each_batch(X, self.batch_size):
            if self.verbose:
                first, last = positions.start + 1, positions.stop
                print(f"[BatchTransformer] images {first} to {last} of {n_samples}")
            yield self.transformer_, parts, positions.start


def _rows_of_batch(transformer, parts, first):
    """Rows of a batch whose first image has the position ``first``."""
    rows = []
    for part in parts:
        try:
            with one_trap(issued=first > 0):
                rows.append(checked_rows(transformer.transform(part), _num_samples(part)))
        except Exception as error:
            error.add_note(f"Raised for a batch of images: X[0] in it is X[{first}].")
            raise
        first += _num_samples(part)
    return _stacked(rows)


def _stacked(rows):
    if len(rows) == 1:
        return rows[0]
    return vstack(rows, format="csr") if issparse(rows[0]) else np.concatenate(rows)
