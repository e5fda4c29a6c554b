"""HierarchicalDeconvNet under scikit-learn's own checks: none fails, none is expected to."""

import pytest
from reference.contract import (
    NOT_YIELDED,
    assert_number_of_checks,
    parameters_of,
    run_not_yielded,
    run_with_the_array_api,
)

from skdeconv import HierarchicalDeconvNet

SMALL = {"n_filters": (2, 3), "filter_size": 3, "max_iter": 3, "lam": (3.0, 5.0)}
ESTIMATORS = [
    HierarchicalDeconvNet(**SMALL),
    HierarchicalDeconvNet(**SMALL, inference="greedy", p=0.5, positive=(True, False)),
    HierarchicalDeconvNet(**SMALL, inference="alternating", solver=("fista", "half_quadratic")),
    HierarchicalDeconvNet(**SMALL, low_frequency=True, batch_size=None, connectivity="full"),
]
# The checks' data may be too small for lam, or too large for the solver's default iterations.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]


@pytest.mark.parametrize(("estimator", "check"), parameters_of(ESTIMATORS))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_number_of_scikit_learn_checks(estimator):
    assert_number_of_checks(estimator)


def test_scikit_learn_checks_with_the_array_api():
    run_with_the_array_api(ESTIMATORS[0])


# They fit on a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("name", NOT_YIELDED)
@pytest.mark.parametrize("estimator", [ESTIMATORS[0], ESTIMATORS[-1]])
def test_checks_that_scikit_learn_does_not_yield(estimator, name):
    run_not_yielded(estimator, name)
