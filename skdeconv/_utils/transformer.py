"""Base class of all transformers: the version that saved them, and data frames of rows alone."""

from __future__ import annotations

from functools import wraps
from typing import Self

from sklearn import get_config
from sklearn.base import TransformerMixin
from sklearn.utils.validation import _num_samples

from skdeconv._utils.persistence import loaded_state, saved_state


class Transformer(TransformerMixin):
    """Base class of the transformers of the package; it comes before ``BaseEstimator``.

    The version of the package is saved with a transformer, by pickle, joblib, skops and copies, and
    checked when it is loaded. The loaded transformer does not contain the version.

    ``transform`` returns a data frame if this is configured and its result is rows. Maps and images
    are never converted, so that a pipeline whose steps exchange maps works with any configuration.

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

    def set_output(self, *, transform: str | None = None) -> Self:
        """Set the container of rows that ``transform`` and ``fit_transform`` return.

        Maps and images, which are not rows, are returned unchanged.

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
        if kind == "default" or getattr(result, "ndim", None) != 2:
            return result
        # The index of X is that of the rows, unless these are pixels.
        index_of = X if _num_samples(X) == result.shape[0] else None
        # Old versions of scikit-learn keep the index of frames alone.
        index_of = index_of.to_frame() if hasattr(index_of, "to_frame") else index_of
        return _Rows(result, self).set_output(transform=kind).transform(index_of)

    return wrapped


class _Rows(TransformerMixin):
    """Rows that were computed before, for scikit-learn to put into a container."""

    def __init__(self, rows, estimator):
        self.rows, self.estimator = rows, estimator

    def transform(self, X):
        return self.rows

    def get_feature_names_out(self, input_features=None):
        return self.estimator.get_feature_names_out()
