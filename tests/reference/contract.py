"""scikit-learn's estimator checks, yielded and not, for any transformer of the package."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.fixes import parse_version
from sklearn.utils.validation import check_is_fitted

NOT_YIELDED = [
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
    "check_get_feature_names_out_error",
]


def checks_of(estimator):
    """The checks that scikit-learn yields, as a list: their own decorator hands on a generator."""
    return list(estimator_checks.estimator_checks_generator(estimator))


def configurations(estimators):
    """Further configurations of classes whose default one is checked, as pytest's parameters."""
    return [pytest.param(one, marks=pytest.mark.configurations) for one in estimators]


def parameters_of(estimators):
    """One pytest parameter for every check of every estimator, with the marks of the estimator."""
    return [
        pytest.param(*pair, id=f"{i}-{getattr(pair[1], 'func', pair[1]).__name__}", marks=marks)
        for i, (estimator, marks) in enumerate(map(_with_marks, estimators))
        for pair in checks_of(estimator)
    ]


def _with_marks(one):
    return (one, ()) if isinstance(one, BaseEstimator) else (one.values[0], one.marks)


def assert_number_of_checks(estimator):
    """All checks that scikit-learn has for a transformer apply.

    But that of NaN and infinity to estimators that take NaN.
    """
    version = parse_version(sklearn.__version__)
    n_checks = len(checks_of(estimator)) + estimator.__sklearn_tags__().input_tags.allow_nan
    if version >= parse_version("1.9"):
        assert n_checks == 47
    elif version < parse_version("1.7"):
        assert n_checks == 46


def run_with_the_array_api(estimator, only=""):
    """The checks, the one included that skips without SCIPY_ARRAY_API, in a process of its own.

    ``only`` is in the names of those that run; none may skip.
    """
    kind = type(estimator)
    if not any(only in check.func.__name__ for _, check in checks_of(estimator)):
        pytest.skip(f"scikit-learn {sklearn.__version__} has no such check")
    code = (
        "from sklearn.utils.estimator_checks import estimator_checks_generator\n"
        f"from {kind.__module__} import {kind.__name__} as Estimator\n"
        f"checks = estimator_checks_generator(Estimator(**{estimator.get_params()!r}))\n"
        f"checks = [(one, check) for one, check in checks if {only!r} in check.func.__name__]\n"
        "for one, check in checks:\n"
        "    check(one)\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"SCIPY_ARRAY_API": "1", "PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def run_not_yielded(estimator, name):
    """One of the checks that scikit-learn keeps for its own estimators."""
    if name.endswith(("pandas", "polars")):
        pytest.importorskip(name.rsplit("_", 1)[1])
    getattr(estimator_checks, name)(type(estimator).__name__, clone(estimator))


def check_copies(net, images):
    """Clones are unfitted and learn the same; pickles infer the same."""
    copy = clone(net)
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    assert copy.get_params() == net.get_params()
    codes = net.transform(images)
    np.testing.assert_array_equal(copy.fit(images).transform(images), codes)
    np.testing.assert_array_equal(clone(net).fit_transform(images), codes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(net)).transform(images), codes)
