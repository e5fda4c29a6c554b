"""The layer, nets and encoder under scikit-learn's own checks: none fails, none is expected to."""

import pytest
from reference.contract import (
    NOT_YIELDED,
    assert_number_of_checks,
    parameters_of,
    run_not_yielded,
    run_with_the_array_api,
)

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder

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
QUICK = {"filter_size": 3, "lam": 5.0, "max_iter": 1, "n_inference_steps": 2, "random_state": 0}
PAPER = {"inference": "ista", "n_learning_steps": 1, "keep_maps": True, "batch_size": 10}
TRIPLES = ((2, 2, 2), None, (3, 1, 1))
ADAPTIVE = [
    AdaptiveDeconvNet((3, 4), **QUICK, batch_size=20, cg_max_iter=1),
    AdaptiveDeconvNet(
        (2, 2),
        pooling=(1, 2, 2),
        inference="coordinate_descent",
        sparse_output=True,
        batch_size=None,
        **QUICK | {"n_inference_steps": 1},
    ),
    AdaptiveDeconvNet((3, 2, 2), pooling=TRIPLES, output="top", **PAPER, **QUICK),
]
LEARNED = DeconvNetLayer(2, 3, batch_size=None, max_iter=1, random_state=0)
ENCODERS = [OnePassEncoder(LEARNED, output="rows"), OnePassEncoder(LEARNED)]
# Frames and names are of rows.
OF_ROWS = [*LAYERS[::5], *NETS[::3], *ADAPTIVE[::2], *ENCODERS[:1]]
# The checks' data may be too small for lam, or too large for the solver's default iterations.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]


@pytest.mark.parametrize(("estimator", "check"), parameters_of(LAYERS + NETS + ADAPTIVE + ENCODERS))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", LAYERS + NETS + ADAPTIVE + ENCODERS)
def test_number_of_scikit_learn_checks(estimator):
    assert_number_of_checks(estimator)


@pytest.mark.parametrize("estimator", [LAYERS[0], NETS[0], ADAPTIVE[0]])
def test_scikit_learn_checks_with_the_array_api(estimator):
    run_with_the_array_api(estimator)


# They fit on a frame and transform an array, and the other way round. What they look at, frames
# and names, is common to all solvers.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("name", NOT_YIELDED)
@pytest.mark.parametrize("estimator", OF_ROWS)
def test_checks_that_scikit_learn_does_not_yield(estimator, name):
    run_not_yielded(estimator, name)
