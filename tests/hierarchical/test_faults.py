"""What HierarchicalDeconvNet says to bad parameters and bad input, row by row."""

import inspect
from copy import deepcopy

import numpy as np
import pytest
from reference.faults import (
    CHANNEL_FAULTS,
    COLOUR,
    IMAGE_FAULTS,
    INF,
    INHERITED,
    NAN,
    NOISE,
    OF_SOLVER,
    SHAPE_FAULTS,
    check_each,
    refuse_each,
    table,
)
from reference.quick import QUICK_NET
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.svm import LinearSVC

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet, SparseMaps
from skdeconv.inference import HalfQuadratic
from skdeconv.learning import LayerLearner

PER_LAYER = [
    "filter_size", "lam", "p", "positive", "connectivity", "solver", "inference_tol",
    "inference_max_iter", "max_iter", "tol", "batch_size", "forgetting", "keep_maps", "init",
]  # fmt: skip


def net_of(*n_filters, **options):
    return HierarchicalDeconvNet(**QUICK_NET | {"n_filters": n_filters, "lam": 5.0} | options)


def wrong_reals(*more):
    """Values that no real parameter takes, alone and as that of the second layer."""
    rows = [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), ((1.0, "x"), TypeError, "'x'"),
            ((1.0, NAN), ValueError, "nan"), (None, TypeError, "None")]  # fmt: skip
    return [*rows, *more]


def wrong_counts(least=0):
    """The same for integers above ``least``."""
    return [("x", TypeError, "'x'"), (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"),
            (least, ValueError, str(least)), ((2, least), ValueError, str(least)),
            ((2, True), TypeError, "True"), ((2, 1.5), TypeError, "1.5")]  # fmt: skip


ONE, TWO = np.ones((2, 3, 3, 1)), np.ones((3, 3, 3, 2))
# Of a net of 2 and 3 filters. Parameter: [(value, error, what the message says besides), ...]
PARAMETERS = {
    "n_filters": [(9, TypeError, "tuple.*got 9"), ("9", TypeError, "tuple"),
                  (None, TypeError, "tuple"), (np.array([2, 3]), TypeError, "tuple"),
                  ((), ValueError, "none"), ((2, 0), ValueError, "0"),
                  ((2, 2.5), TypeError, "2.5"), ((2, "3"), TypeError, "'3'"),
                  ((2, True), TypeError, "True"), ((2, (3,)), TypeError, "integer")],
    "filter_size": [("7", TypeError, "'7'"), (None, TypeError, "None"), (0, ValueError, "0"),
                    ((3, 0), ValueError, "0"), ((3, (3,)), ValueError, "pair"),
                    ((3, (3, 2.5)), TypeError, "2.5"), ((3, NAN), TypeError, "nan"),
                    (((3, 3), "3"), TypeError, "'3'")],
    "lam_scale": [("mean", ValueError, "'absolute'"), (2.0, TypeError, "'absolute'"),
                  (None, TypeError, "'absolute'")],
    "lam": wrong_reals((0.0, ValueError, "0"), ((1.0, 0.0), ValueError, "0"),
                       ((1, INF), ValueError, "inf"), ((True, 1.0), TypeError, "True")),
    "p": wrong_reals((0, ValueError, "0"), ((1.0, 1.5), ValueError, "1.5")),
    "positive": [("yes", TypeError, "True or False"), ((False, 1), TypeError, "True or False")],
    "connectivity": [("some", ValueError, "layer 1: kind"), (3, TypeError, "boolean"),
                     (("full", "some"), ValueError, "layer 2: kind"),
                     (("full", np.ones((3, 2))), TypeError, "boolean"),
                     (("full", np.ones((2, 3), bool)), ValueError, r"\(3, 2\)"),
                     (np.ones((3, 2), bool), ValueError, r"\(2, 1\)"),
                     (("full", [[True, True], [True, False], [False, False]]), ValueError,
                      r"rows \[2\]"),
                     ("pairs", ValueError, "layer 1: kind='pairs' needs n_channels of at least 2"),
                     (("full", "pairs"), ValueError, "layer 2: n_filters must be 1 .*got 3"),
                     (("full", "singles"), ValueError, "layer 2: n_filters must be 2 .*got 3"),
                     (("singles", "full"), ValueError, "layer 1: n_filters must be 1 .*got 2"),
                     (("full", "random-triples"), ValueError, "layer 2: .*at least 3, got 2")],
    "inference": [("top", ValueError, "'joint', 'greedy', 'alternating'"),
                  (1, TypeError, "'joint'"), (None, TypeError, "None"),
                  (("joint", "joint"), TypeError, "'joint'")],
    "low_frequency": [(1, TypeError, "True or False"), ((True, False), TypeError, "True or False")],
    "smoothness": [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), (0, ValueError, "0"),
                   ((1.0, 1.0), TypeError, "number")],
    "lower": [("layer", TypeError, "'layer'"), (LinearSVC(), TypeError, "LinearSVC"),
              (DeconvNetLayer, TypeError, "DeconvNetLayer"), ([], TypeError, "None"),
              (HierarchicalDeconvNet, TypeError, "HierarchicalDeconvNet"),
              (FrozenEstimator(LinearSVC()), TypeError, "LinearSVC"),
              (DeconvNetLayer(2, 3), NotFittedError, "DeconvNetLayer is not"),
              (net_of(2), NotFittedError, "HierarchicalDeconvNet is not"),
              (FrozenEstimator(net_of(2)), NotFittedError, "is not")],
    "image_shape": [("8x8", TypeError, "8x8"), ((8, 9), ValueError, r"\(8, 9\)")],
    "output": [(1, TypeError, "'rows', 'maps'"), ("map", ValueError, "'rows', 'maps'"),
               (("rows", "rows"), TypeError, "'rows', 'maps'")],
    "sparse_output": [("no", TypeError, "True or False"), (0, TypeError, "True or False")],
    "solver": [(1, TypeError, "fista"), ("lars", ValueError, "fista"),
               (("fista", "lars"), ValueError, "'lars'")],
    "inference_tol": wrong_reals((-1.0, ValueError, "-1"), ((0.1, -2.0), ValueError, "-2")),
    "inference_max_iter": wrong_counts(),
    "max_iter": wrong_counts(),
    "tol": wrong_reals((-1, ValueError, "-1"), ((0, -1), ValueError, "-1")),
    "batch_size": [("all", ValueError, "'all'"), *wrong_counts()[1:], ((2, "all"), ValueError,
                   "'all'"), ((None, NAN), TypeError, "nan")],
    "keep_maps": [("no", TypeError, "True or False"), (1, TypeError, "True or False")],
    "forgetting": wrong_reals((-1, ValueError, "-1"), ((1, -1), ValueError, "-1")),
    "init": [("noise", TypeError, "'noise'"), (TWO, ValueError, r"\(2, 3, 3, 1\)"),
             ((ONE, ONE), ValueError, r"\(3, 3, 3, 2\)"), ((ONE, 1.0), TypeError, "1.0"),
             ((None, TWO * NAN), ValueError, "NaN"), ((ONE, TWO * 0), ValueError, "zero")],
    "checkpoint": [(3, TypeError, "path of a file"), (True, TypeError, "path of a file"),
                   (".", ValueError, "folder"), ("no/such/fit.npz", ValueError, "does not exist")],
    "warm_start": [("no", TypeError, "True or False"), (1, TypeError, "True or False")],
    "n_jobs": [("2", TypeError, "'2'"), (0, ValueError, "0"), ((1, 1), TypeError, "integer")],
    "random_state": [("x", ValueError, "'x'"), (-1, ValueError, "-1"), (1.5, ValueError, "1.5")],
    "verbose": [("x", TypeError, "'x'"), (-1, ValueError, "-1"), ((0, 1), TypeError, "integer")],
}  # fmt: skip
# Parameters that transform reads as well.
OF_INFERENCE = [
    "inference", "low_frequency", "smoothness", "output", "sparse_output", "n_jobs",
    *PER_LAYER[1:4], *PER_LAYER[5:8],
]  # fmt: skip


@pytest.fixture
def no_learning(monkeypatch):
    def work(self, after_update):
        pytest.fail("learning has begun")

    monkeypatch.setattr(LayerLearner, "run_pass", work)


@pytest.fixture(scope="module")
def net():
    return net_of(2, 3, lam=10.0).fit(NOISE)


def test_bad_parameters_are_told_before_the_first_layer(no_learning):
    def check(name, value, error, message):
        net = net_of(2, 3).set_params(**{name: value})
        with pytest.raises(error, match=message) as caught:
            net.fit(NOISE)
        assert name in str(caught.value)
        assert not hasattr(net, "layers_")
        assert not hasattr(net, "n_features_in_")

    check_each(table(PARAMETERS), check)


def test_every_parameter_is_in_the_table():
    assert set(PARAMETERS) == set(HierarchicalDeconvNet().get_params())


def test_tuples_have_a_value_for_each_layer(no_learning):
    def check(name, n_values):
        values = (getattr(net_of(2, 3), name),) * n_values
        for form in (values, list(values)):
            with pytest.raises(
                ValueError, match=rf"^{name} must be .* 2 layers.*got {n_values} in"
            ):
                net_of(2, 3, **{name: form}).fit(NOISE)

    check_each(((f"{name}, {n}", (name, n)) for name in PER_LAYER for n in (1, 3)), check)


def test_bad_parameters_of_a_fitted_net(net):
    def check(name, value, error, message):
        with pytest.raises(error, match=message) as caught:
            deepcopy(net).set_params(**{name: value}).transform(NOISE)
        assert name in str(caught.value)

    check_each(table({name: PARAMETERS[name] for name in OF_INFERENCE}), check)


def test_bad_parameters_of_a_solver(net, no_learning):
    def check(name, value, error, message):
        wrong = HalfQuadratic(**{name: value})
        for solver in (wrong, ("fista", wrong)):
            new, changed = net_of(2, 3, solver=solver), deepcopy(net).set_params(solver=solver)
            for call in (new.fit, changed.transform):
                with pytest.raises(error, match=message) as caught:
                    call(NOISE)
                assert name in str(caught.value)
            assert not hasattr(new, "layers_")

    check_each(table(OF_SOLVER), check)


LOWER = {
    "other number of filters": (DeconvNetLayer(4, 3), NOISE, (2, 3), "n_filters.*has 4 filters"),
    "other size of filters": (DeconvNetLayer(2, 5), NOISE, (2, 3), r"\(2, 5, 5, 1\).*filter_size"),
    "other channels": (DeconvNetLayer(2, 3), COLOUR, (2, 3), r"\(2, 3, 3, 2\).*\(2, 3, 3, 1\)"),
    "second layer of other number": (
        net_of(2, 4), NOISE, (2, 3, 2), "lower; its layer 2 has 4 filters"
    ),
    "as many layers": (net_of(2, 3), NOISE, (2, 3), "more layers than lower, which has 2"),
    "one layer for one": (DeconvNetLayer(2, 3), NOISE, (2,), "more layers than lower, which has 1"),
    "more layers": (net_of(2, 3, 2), NOISE, (2, 3), "more layers than lower, which has 3"),
}  # fmt: skip


def test_lower_layers_must_fit(request):
    for lower, X, _, _ in LOWER.values():
        lower.set_params(lam=10.0, max_iter=1).fit(X)
    request.getfixturevalue("no_learning")

    def check(lower, _, n_filters, message):
        for one in (lower, FrozenEstimator(lower)):
            with pytest.raises(ValueError, match=message):
                net_of(*n_filters, lower=one).fit(NOISE)

    check_each(LOWER.items(), check)


OTHER_FITS = {
    "fewer layers": ({"n_filters": (2,)}, "fewer layers than the previous fit"),
    "another second layer": (
        {"n_filters": (2, 4)}, "filters of the previous fit; its layer 2 has 3 filters"
    ),
    "another first layer": (
        {"n_filters": (3, 3, 2)}, "filters of the previous fit; its layer 1 has 2 filters"
    ),
    "smaller filters": ({"filter_size": (3, 2)}, r"Layer 2 .*\(3, 3, 3, 2\).* filter_size"),
}  # fmt: skip


def test_a_warm_start_must_fit(net, no_learning):
    def check(options, message):
        again = deepcopy(net).set_params(warm_start=True, **options)
        before = again.layers_
        with pytest.raises(ValueError, match=message):
            again.fit(NOISE)
        assert again.layers_ is before
        with pytest.raises(ValueError, match=r"\(2, 3, 3, 2\)"):
            again.set_params(n_filters=(2, 3), filter_size=3, max_iter=1).fit(COLOUR)
        assert again.layers_ is before
        assert again.n_features_in_ == 64

    check_each(OTHER_FITS.items(), check)


CODES_1, CODES_2 = np.ones((2, 10 * 10 * 2)), np.ones((2, 12 * 12 * 3))
CODE_FAULTS = {
    "codes of the first layer": (CODES_1, ValueError, "200 features.*432"),
    "maps of the first layer": (
        CODES_1.reshape(2, 10, 10, 2), ValueError, r"\(2, 10, 10, 2\).*10, 10, 3"
    ),
    "sparse maps of the first layer": (
        SparseMaps([csr_array((100, 2))], [(10, 10)]), ValueError, r"\(10, 10, 2\).*\(10, 10, 3\)"
    ),
    "sparse rows of the first layer": (csr_array(CODES_1), ValueError, "200 features.*432"),
    "NaN": (CODES_2 * NAN, ValueError, "NaN"),
    "empty": (CODES_2[:0], ValueError, "0 sample"),
    "one dimension": (CODES_2[0], ValueError, "Reshape your data"),
}  # fmt: skip
METHODS = {
    "fit": IMAGE_FAULTS,
    "fit_transform": IMAGE_FAULTS,
    "partial_fit": IMAGE_FAULTS | CHANNEL_FAULTS,
    "transform": IMAGE_FAULTS | SHAPE_FAULTS,
    "score": IMAGE_FAULTS | CHANNEL_FAULTS,
    "encode": IMAGE_FAULTS | SHAPE_FAULTS,
    "top_activations": IMAGE_FAULTS | CHANNEL_FAULTS,
    "inverse_transform": CODE_FAULTS,
    "decode": CODE_FAULTS,
    "project_maps": CODE_FAULTS,
    "to_maps": CODE_FAULTS,
    "project_filters": {"no layer": (3, ValueError, "layer must be from 1")},
    "get_feature_names_out": {"two names": (["a", "b"], ValueError, "input_features should")},
    # Of nets that have low-frequency maps; see below.
    "to_low_frequency": {},
}


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name]])
def test_bad_input(method, net):
    refuse_each(net, method, METHODS[method])


def test_every_public_method_is_in_the_table():
    public = {name for name, _ in inspect.getmembers(HierarchicalDeconvNet, inspect.isfunction)}
    public |= {"to_low_frequency"}  # a descriptor of scikit-learn, no function
    assert {name for name in public if not name.startswith("_")} - INHERITED == set(METHODS)


def test_methods_of_an_unfitted_net():
    for method in set(METHODS) - {"fit", "fit_transform", "partial_fit"}:
        net = HierarchicalDeconvNet(low_frequency=method == "to_low_frequency")
        values = [] if method in ("project_filters", "get_feature_names_out") else [NOISE]
        with pytest.raises(NotFittedError, match="HierarchicalDeconvNet instance is not fitted"):
            getattr(net, method)(*values)


def test_low_frequency_maps_are_in_rows_of_nets_that_have_them(net):
    with pytest.raises(AttributeError, match="to_low_frequency") as caught:
        _ = net.to_low_frequency
    assert "needs low_frequency=True" in str(caught.value.__cause__)
    other = net_of(2, 3, lam=10.0, low_frequency=True).fit(NOISE)
    with pytest.raises(ValueError, match="only sparse maps"):
        other.to_low_frequency(np.ones((1, 12, 12, 3)))
    with pytest.raises(ValueError, match=r"432 features.*532 .* 100 of the low-frequency maps"):
        other.to_low_frequency(CODES_2)


LAYERS = [
    (0, ValueError, "from 1, the lowest, to 2"), (3, ValueError, "from 1, the lowest, to 2"),
    (-2, ValueError, "got -2"), ("top", TypeError, "'top'"), (True, TypeError, "True"),
    (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"), ((1,), TypeError, "integer"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("decode", [CODES_2]), ("project_filters", []), ("project_maps", [CODES_2]),
        ("top_activations", [NOISE]),
    ],
)  # fmt: skip
def test_layers_count_from_one(method, values, net):
    def check(layer, error, message):
        with pytest.raises(error, match=message) as caught:
            getattr(net, method)(*values, layer)
        assert "layer must be" in str(caught.value)

    check_each(((repr(row[0]), row) for row in LAYERS), check)


@pytest.mark.parametrize("method", ["decode", "project_maps"])
def test_codes_of_the_top_do_not_fit_the_first_layer(method, net):
    with pytest.raises(ValueError, match=r"432 features.*200 = 10 x 10 positions x 2"):
        getattr(net, method)(CODES_2, 1)
    with pytest.raises(ValueError, match=r"\(2, 12, 12, 3\).*12, 12, 2"):
        getattr(net, method)(CODES_2.reshape(2, 12, 12, 3), 1)
    assert len(getattr(net, method)(CODES_1, 1)) == 2


def test_numbers_of_activations_are_positive_integers(net):
    for value in (0, -1, "a", 1.5, True, None):
        error = ValueError if type(value) is int else TypeError
        with pytest.raises(error, match=f"n_activations .*{value}"):
            net.project_maps(CODES_2, n_activations=value)
        with pytest.raises(error, match=f"^k .*{value}"):
            net.top_activations(NOISE, k=value)


@pytest.mark.parametrize("n_filters", [(2,), (2, 3, 4)])
def test_another_number_of_layers_needs_another_fit(n_filters, net):
    net = deepcopy(net).set_params(n_filters=n_filters)
    message = f"{len(n_filters)} layers, but 2 were fitted; call fit"
    for method in ("transform", "encode", "score", "top_activations"):
        with pytest.raises(ValueError, match=message):
            getattr(net, method)(NOISE)
    assert net.set_params(n_filters=(2, 3)).transform(NOISE).any()
