"""What an estimator holds, as bytes that can be compared after whatever was done to it."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator


def parts(value):
    """What a value consists of, down to arrays and plain values, each with its place."""
    if isinstance(value, BaseEstimator):
        value = vars(value)
    elif issparse(value):
        value = [value.data, value.indices, value.indptr, value.shape]
    elif isinstance(value, np.random.RandomState):
        value = value.get_state()
    if isinstance(value, dict):
        return [(key, *rest) for key in sorted(value) for rest in parts(value[key])]
    if isinstance(value, list | tuple):
        return [(i, *rest) for i, one in enumerate(value) for rest in parts(one)]
    return [(value,)]


def frozen(value):
    """The same, with bytes in place of arrays of numbers, and text in place of all else."""
    return [(*place, *_fixed(one)) for *place, one in parts(value)]


def _fixed(value):
    if not isinstance(value, np.ndarray):
        return (repr(value),)
    content = repr(value.tolist()) if value.dtype == object else value.tobytes()
    return content, value.shape, value.dtype.str
