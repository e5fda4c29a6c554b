"""Solvers as objects: their parameters in grids, clones, nets, files and checkpoints."""

import pickle

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdeconv import SKOPS_TRUSTED, DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.inference import (
    SOLVERS,
    CoordinateDescent,
    Fista,
    HalfQuadratic,
    PowerPenalty,
    Problem,
)
from skdeconv.operators import Convolution

SHORT = HalfQuadratic(beta_max=1e3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((12, 8, 8))


def layer_of(solver, **options):
    options = {"lam": 2.0, "max_iter": 1, "random_state": 0} | options
    return DeconvNetLayer(2, 3, solver=solver, **options)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_string_is_the_solver_with_its_defaults(images, name):
    by_name, by_object = layer_of(name), layer_of(SOLVERS[name]())
    np.testing.assert_array_equal(by_name.fit_transform(images), by_object.fit_transform(images))


def test_fit_never_changes_the_solver(images):
    solver = HalfQuadratic(beta_max=1e3)
    before = pickle.dumps(solver)
    layer = layer_of(solver).fit(images)
    layer.transform(images)
    layer.partial_fit(images)
    assert layer.solver is solver
    assert pickle.dumps(solver) == before


def test_parameters_of_the_solver_matter_and_may_be_set_after_fit(images):
    layer = layer_of(clone(SHORT)).fit(images)
    codes = layer.transform(images)
    longer = layer.set_params(solver__beta_max=1e6).transform(images)
    assert layer.solver.beta_max == 1e6
    assert not np.array_equal(longer, codes)
    assert SHORT.beta_max == 1e3


def test_a_grid_over_parameters_of_the_solver(images):
    labels = np.arange(12) % 2
    pipe = make_pipeline(layer_of(clone(SHORT)), LogisticRegression())
    grid = {"deconvnetlayer__solver__beta_max": [10.0, 1e4]}
    search = GridSearchCV(pipe, grid, cv=2).fit(images, labels)
    assert {one["deconvnetlayer__solver__beta_max"] for one in search.cv_results_["params"]} == {
        10.0,
        1e4,
    }
    assert search.best_estimator_[0].solver.beta_max in (10.0, 1e4)


def test_a_grid_over_solvers_as_a_whole(images):
    labels = np.arange(12) % 2
    net = HierarchicalDeconvNet((2, 3), 3, lam=2.0, max_iter=1, inference_tol=0.1, random_state=0)
    solvers = [("fista", clone(SHORT)), CoordinateDescent()]
    pipe = make_pipeline(net, LogisticRegression())
    grid = {"hierarchicaldeconvnet__solver": solvers}
    search = GridSearchCV(pipe, grid, cv=2).fit(images, labels)
    assert len(search.cv_results_["params"]) == 2


def test_a_tuple_of_solvers_is_cloned_with_the_net():
    net = HierarchicalDeconvNet((2, 3), 3, solver=("fista", clone(SHORT)))
    copied = clone(net).solver
    assert copied[0] == "fista"
    assert copied[1] is not net.solver[1]
    assert copied[1].get_params() == net.solver[1].get_params()


@pytest.mark.parametrize(
    ("solver", "error", "message"),
    [
        ("newton", ValueError, "solver.* must be one of 'coordinate_descent'.*'newton'"),
        (None, TypeError, "solver.* must be one of.*None"),
        (HalfQuadratic, TypeError, "solver.* must be one of.*HalfQuadratic"),
        (LogisticRegression(), TypeError, "solver.* must be one of.*LogisticRegression"),
        (HalfQuadratic(beta_min=0.0), ValueError, "beta_min"),
        (HalfQuadratic(beta_factor=1.0), ValueError, "beta_factor"),
        (HalfQuadratic(beta_max="5"), TypeError, "beta_max"),
        (HalfQuadratic(beta_max=1.0), ValueError, "beta_max must be above beta_min=1.0"),
        (HalfQuadratic(beta_repeats=0), ValueError, "beta_repeats"),
        (HalfQuadratic(cg_max_iter=1.5), TypeError, "cg_max_iter"),
    ],
)
@pytest.mark.parametrize("in_net", [False, True])
def test_bad_solvers(images, solver, error, message, in_net):
    estimator = layer_of(solver)
    if in_net:
        estimator = HierarchicalDeconvNet((2, 3), 3, solver=("fista", solver))
    with pytest.raises(error, match=message):
        estimator.fit(images)


@pytest.mark.parametrize("scale", [255.0, 1e-3])
@pytest.mark.parametrize("solver", [CoordinateDescent(), Fista(), HalfQuadratic()])
def test_solvers_follow_the_scale_of_the_images(images, solver, scale):
    # At p = 1 the maps of c X at lam / c are c times those of X at lam.
    layer = layer_of("coordinate_descent").fit(images).set_params(solver=solver)
    layer.set_params(inference_tol=1e-6, inference_max_iter=2000, output="maps")
    codes = layer.transform(images)
    scaled = layer.set_params(lam=2.0 / scale).transform(scale * images)
    np.testing.assert_allclose(scaled / scale, codes, atol=5e-4 * np.abs(codes).max())


def test_alternating_inference_takes_the_layers_half_quadratic(images):
    options = {"filter_size": 3, "lam": 2.0, "max_iter": 1, "random_state": 0}
    net = HierarchicalDeconvNet((2, 3), **options).fit(images)
    net.set_params(inference="alternating", inference_tol=0.1)

    def codes(solver):
        return net.set_params(solver=solver).transform(images)

    by_default = codes("coordinate_descent")
    np.testing.assert_array_equal(codes(("coordinate_descent", HalfQuadratic())), by_default)
    assert not np.array_equal(
        codes(("coordinate_descent", HalfQuadratic(beta_max=10.0))), by_default
    )


def test_solvers_in_files_need_no_more_trust():
    for solver in SOLVERS.values():
        assert f"{solver.__module__}.{solver.__name__}" in SKOPS_TRUSTED


def test_a_checkpoint_belongs_to_the_parameters_of_the_solver(images, tmp_path, monkeypatch):
    path = tmp_path / "fit.npz"

    def fit(solver):
        layer_of(solver, max_iter=3, checkpoint=path).fit(images)

    with monkeypatch.context() as patch:
        patch.setattr("skdeconv.learning._layer_learner.LayerLearner._recenter", interrupted_at(2))
        with pytest.raises(KeyboardInterrupt):
            fit(HalfQuadratic(beta_max=1e3))
    assert path.exists()
    with pytest.raises(ValueError, match="belongs to another fit: parameter solver"):
        fit(HalfQuadratic(beta_max=1e4))
    with pytest.raises(ValueError, match="belongs to another fit: parameter solver"):
        fit("half_quadratic")
    fit(HalfQuadratic(beta_max=1e3))
    assert not path.exists()


def interrupted_at(call):
    """A method that does nothing until it is called so many times."""
    calls = []

    def method(*args):
        calls.append(args)
        if len(calls) == call:
            raise KeyboardInterrupt

    return method


def test_layers_do_not_share_the_solver_of_the_net(images):
    solver = HalfQuadratic(beta_max=1e3)
    net = HierarchicalDeconvNet((2, 3), 3, solver=solver, lam=2.0, max_iter=1).fit(images)
    net.layers_[0].set_params(solver__beta_max=7.0)
    assert solver.beta_max == net.solver.beta_max == net.layers_[1].solver.beta_max == 1e3


def test_large_factors_do_not_move_beta_out_of_range(images):
    solver = HalfQuadratic(beta_max=1e300)
    net = HierarchicalDeconvNet((2, 3), 3, solver=solver, lam=(2e-3, 2.0), max_iter=1)
    net.fit(1e3 * images).set_params(inference_max_iter=3)
    with pytest.warns(ConvergenceWarning, match="Inference of layer 2 did not converge for 12 of"):
        net.transform(1e3 * images)


@pytest.mark.parametrize("p", [(1.0, 0.5), (0.5, 1.0)])
def test_nets_name_the_layer_and_its_own_measure(images, p):
    net = HierarchicalDeconvNet((2, 3), 3, lam=2.0, p=p, max_iter=1, random_state=0).fit(images)
    net.set_params(inference_max_iter=1, inference_tol=(1e-9, 1e-8))
    with pytest.warns(ConvergenceWarning) as caught:
        net.encode(images)
    messages = [str(one.message) for one in caught]
    for number, (exponent, tol, message) in enumerate(
        zip(p, ("1e-09", "1e-08"), messages, strict=True), 1
    ):
        measure = "gap" if exponent == 1 else "violation of stationarity"
        assert message.startswith(f"Inference of layer {number} did not converge")
        assert f"largest {measure} " in message
        assert f"inference_tol={tol}." in message


@pytest.mark.parametrize("solver", SOLVERS.values())
def test_negative_starts_are_projected(solver):
    operator = Convolution(np.ones((1, 1, 2, 2)) / 2, (3, 3))
    problem = Problem(operator, np.ones((1, 1, 3, 3)), PowerPenalty(1.0, positive=True), 0.1)
    init = csr_array(-np.ones((1, 16)))
    result = solver().solve(problem, init=init, max_iter=1)
    assert result.maps.min() >= 0
    assert np.isfinite(result.cost).all()
