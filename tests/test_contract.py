"""The layer, nets and encoder under scikit-learn's own checks: none fails, none is expected to."""

import pytest
from reference.contract import (
    NOT_YIELDED,
    assert_number_of_checks,
    configurations,
    parameters_of,
    run_not_yielded,
    run_with_the_array_api,
)
from reference.quick import QUICK, QUICK_NET

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder

# One of each class: its defaults, but for small filters and one pass.
SMALL = {"filter_size": 3, "max_iter": 1}
DEFAULTS = [
    DeconvNetLayer(2, **SMALL),
    HierarchicalDeconvNet((2, 3), **SMALL),
    AdaptiveDeconvNet((2,), **SMALL),
    OnePassEncoder(DeconvNetLayer(**QUICK)),
]
TWO = QUICK_NET | {"lam": (3.0, 5.0)}
STEPS = QUICK_NET | {"lam": 5.0, "n_inference_steps": 1}
TRIPLES = (None, (3, 1, 2))
PAPER = {"inference": "ista", "n_learning_steps": 1, "keep_maps": True, "layer": -1}
OTHERS = [
    DeconvNetLayer(**QUICK, p=0.5),
    DeconvNetLayer(**QUICK | {"batch_size": None}, positive=True),
    DeconvNetLayer(**QUICK, solver="fista"),
    DeconvNetLayer(**QUICK, solver="half_quadratic"),
    HierarchicalDeconvNet(**TWO, inference="greedy", p=0.5, positive=(True, False)),
    HierarchicalDeconvNet(
        **TWO, inference="alternating", solver=("fista", "half_quadratic"), inference_max_iter=2
    ),
    HierarchicalDeconvNet(
        **TWO | {"batch_size": None, "connectivity": "full"},
        low_frequency=True,
        inference_tol=0.1,
    ),
    AdaptiveDeconvNet(
        **STEPS | {"n_filters": (2,), "lam": 1.0, "batch_size": None},
        pooling=(1, 2, 2),
        inference="coordinate_descent",
        cg_max_iter=1,
        sparse_output=True,
    ),
    AdaptiveDeconvNet(**STEPS, pooling=TRIPLES, **PAPER),
    OnePassEncoder(DeconvNetLayer(**QUICK), output="rows"),
]
ESTIMATORS = [*DEFAULTS, *configurations(OTHERS)]
# Frames and names are of rows, and common to all solvers.
OF_ROWS = [
    DeconvNetLayer(**QUICK),
    HierarchicalDeconvNet(**TWO, inference="greedy"),
    AdaptiveDeconvNet(**STEPS, **PAPER),
    OTHERS[-1],
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


# The nets read arrays as the layer does.
@pytest.mark.parametrize(
    ("estimator", "only"),
    [(OF_ROWS[0], ""), (OF_ROWS[1], "array_api"), (OF_ROWS[2], "array_api")],
    ids=["layer", "hierarchical", "adaptive"],
)
def test_scikit_learn_checks_with_the_array_api(estimator, only):
    run_with_the_array_api(estimator, only)


# They fit on a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("name", NOT_YIELDED)
@pytest.mark.parametrize("estimator", OF_ROWS)
def test_checks_that_scikit_learn_does_not_yield(estimator, name):
    run_not_yielded(estimator, name)
