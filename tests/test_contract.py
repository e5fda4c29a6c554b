"""The layer and the net under scikit-learn's own checks: none fails, none is expected to."""

import pytest
from reference.contract import (
    NOT_YIELDED,
    assert_number_of_checks,
    parameters_of,
    run_not_yielded,
    run_with_the_array_api,
)

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet

SMALL = {"n_filters": 2, "filter_size": 3, "max_iter": 3}
LAYERS = [
    DeconvNetLayer(**SMALL),
    DeconvNetLayer(**SMALL, p=0.5),
    DeconvNetLayer(**SMALL, positive=True),
    DeconvNetLayer(**SMALL, batch_size=None),
    DeconvNetLayer(**SMALL, solver="fista"),
    DeconvNetLayer(**SMALL, solver="half_quadratic"),
]
TWO = {"n_filters": (2, 3), "filter_size": 3, "max_iter": 3, "lam": (3.0, 5.0)}
NETS = [
    HierarchicalDeconvNet(**TWO),
    HierarchicalDeconvNet(**TWO, inference="greedy", p=0.5, positive=(True, False)),
    HierarchicalDeconvNet(**TWO, inference="alternating", solver=("fista", "half_quadratic")),
    HierarchicalDeconvNet(**TWO, low_frequency=True, batch_size=None, connectivity="full"),
]
# The checks' data may be too small for lam, or too large for the solver's default iterations.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]


@pytest.mark.parametrize(("estimator", "check"), parameters_of(LAYERS + NETS))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", LAYERS + NETS)
def test_number_of_scikit_learn_checks(estimator):
    assert_number_of_checks(estimator)


@pytest.mark.parametrize("estimator", [LAYERS[0], NETS[0]])
def test_scikit_learn_checks_with_the_array_api(estimator):
    run_with_the_array_api(estimator)


# They fit on a frame and transform an array, and the other way round. What they look at, frames
# and names, is common to all solvers.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("name", NOT_YIELDED)
@pytest.mark.parametrize("estimator", [LAYERS[0], LAYERS[-1], NETS[0], NETS[-1]])
def test_checks_that_scikit_learn_does_not_yield(estimator, name):
    run_not_yielded(estimator, name)
