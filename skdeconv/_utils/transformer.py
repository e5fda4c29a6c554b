"""Base class of all transformers: the version that saved them, and data frames of rows alone."""

from __future__ import annotations

from functools import wraps
from importlib import import_module
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _num_samples

from skdeconv._utils.persistence import loaded_state, saved_state
from skdeconv._utils.warnings import one_trap


class Transformer(TransformerMixin):
    """Base class of the transformers of the package; it comes before ``BaseEstimator``.

    The version of the package is saved with a transformer, by pickle, joblib, skops and copies, and
    checked when it is loaded. The loaded transformer does not contain the version.

    ``transform`` returns a data frame if this is configured and its result is rows. Maps and images
    do not become data frames, so that a pipeline whose steps exchange maps works with any
    configuration. With pandas output, those of a Series or a data frame keep its index: dense ones
    are returned as a Series, and a ``SparseMaps`` has it as its attribute ``index``.

    Warns
    -----
    VersionWarning
        If the loaded transformer was saved by another version, or without one.

    Examples
    --------
    >>> import pickle
    >>> from skdeconv import OnePassEncoder
    >>> b"_skdeconv_version" in pickle.dumps(OnePassEncoder())
    True
    >>> vars(pickle.loads(pickle.dumps(OnePassEncoder()))) == vars(OnePassEncoder())
    True
    """

    def __init_subclass__(cls, **kwargs):
        # scikit-learn would also convert maps, and fail.
        super().__init_subclass__(auto_wrap_output_keys=None, **kwargs)
        if "transform" in vars(cls):
            cls.transform = _rows_in_container(cls.transform)

    def fit_transform(self, X: ArrayLike, y=None, **fit_params) -> np.ndarray:
        """Fit to X, then transform it.

        Parameters
        ----------
        X : array-like, DataFrame or list
            What ``fit`` and ``transform`` take.
        y : array-like of shape (n_samples,), default=None
            Labels, which are passed to ``fit``.
        **fit_params : dict
            Further parameters of ``fit``.

        Returns
        -------
        X_new : ndarray
            What ``transform`` returns.
        """
        with one_trap():
            return super().fit_transform(X, y, **fit_params)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the container of rows that ``transform`` and ``fit_transform`` return.

        Maps and images, which are not rows, do not become data frames. With "pandas" those of a
        Series or a data frame keep its index: dense ones are returned as a Series, and a
        ``SparseMaps`` has it as its attribute ``index``.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None, default=None
            "default" is an array, "pandas" and "polars" a data frame whose columns are named by
            ``get_feature_names_out``. None leaves the configuration unchanged.

        Returns
        -------
        self : estimator
            The estimator.
        """
        if transform is not None:
            # clone copies the attribute of this name.
            self._sklearn_output_config = {"transform": transform}
        return self

    def __getstate__(self):
        return saved_state(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(loaded_state(state, type(self).__name__))


def _rows_in_container(transform):
    """Wrap ``transform``, so that rows are returned in the container that is configured."""

    @wraps(transform)
    def wrapped(self, X, *args, **kwargs):
        result = transform(self, X, *args, **kwargs)
        default = get_config()["transform_output"]
        kind = getattr(self, "_sklearn_output_config", {}).get("transform", default)
        if kind == "default":
            return result
        # The index of X is that of the result, unless this is one row per pixel.
        index = _index_of(X) if _num_samples(X) == _num_samples(result) else None
        if getattr(result, "ndim", None) == 2:
            return _in_frame(result, self, kind, index)
        return result if index is None or kind != "pandas" else _in_series(result, index)

    return wrapped


def _index_of(X):
    """Index of a pandas container, or of maps that were computed from one; otherwise None."""
    return X.index if hasattr(X, "iloc") or hasattr(X, "map_shapes") else None


def _in_frame(rows, estimator, kind, index):
    """Convert rows to a data frame, as scikit-learn does."""
    if index is not None:
        index = import_module("pandas").DataFrame(index=index)
    return _Rows(rows, estimator).set_output(transform=kind).transform(index)


def _in_series(images, index):
    """Convert images or dense maps to a Series; sparse maps get the index as an attribute."""
    if hasattr(images, "map_shapes"):
        images.index = index
        return images
    return import_module("pandas").Series(list(images), index=index)


class _Rows(TransformerMixin):
    """Rows that were computed before, for scikit-learn to put into a container."""

    def __init__(self, rows, estimator):
        self.rows, self.estimator = rows, estimator

    def transform(self, X):
        return self.rows

    def get_feature_names_out(self, input_features=None):
        return self.estimator.get_feature_names_out()
