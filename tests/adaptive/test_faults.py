"""What AdaptiveDeconvNet says to bad parameters and bad input, row by row."""

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
    SHAPE_FAULTS,
    check_each,
    refuse_each,
    table,
)
from reference.quick import QUICK_NET
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from skdeconv import AdaptiveCode, AdaptiveDeconvNet, HierarchicalDeconvNet, SparseMaps
from skdeconv.learning import AdaptiveLearner

PER_LAYER = [
    "filter_size", "pooling", "lam", "inference", "n_inference_steps", "beta", "max_iter", "tol",
    "batch_size", "cg_max_iter", "n_learning_steps", "init",
]  # fmt: skip


def net_of(*n_filters, **options):
    options = {"lam": 5.0, "n_inference_steps": 3, "pooling": (2, 2, 2)} | options
    return AdaptiveDeconvNet(**QUICK_NET | {"n_filters": n_filters} | options)


def wrong_reals(*more):
    """Values that no real parameter takes, alone and as that of the second layer."""
    rows = [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), ((1.0, "x"), TypeError, "2.*'x'"),
            ((1.0, NAN), ValueError, "2.*nan"), ((1.0, True), TypeError, "2.*True")]  # fmt: skip
    return [*rows, *more]


def wrong_counts(*more):
    """The same for integers above 0."""
    return [("x", TypeError, "'x'"), (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"),
            (0, ValueError, "0"), ((2, 0), ValueError, "of layer 2.*0"),
            ((2, True), TypeError, "of layer 2.*True"), ((2, 1.5), TypeError, "of layer 2.*1.5"),
            *more]  # fmt: skip


NO_NONE = (None, TypeError, "None")
ONE, TWO = np.ones((2, 3, 3, 1)), np.ones((3, 3, 3, 1))
# Of a net of 2 and 3 filters. Parameter: [(value, error, what the message says besides), ...]
PARAMETERS = {
    "n_filters": [(9, TypeError, "tuple.*got 9"), ("9", TypeError, "tuple"),
                  (None, TypeError, "tuple"), (np.array([2, 3]), TypeError, "tuple"),
                  ((), ValueError, "none"), ((2, 0), ValueError, "of layer 2.*0"),
                  ((2, 2.5), TypeError, "of layer 2.*2.5"), ((2, "3"), TypeError, "'3'"),
                  ((2, True), TypeError, "of layer 2.*True"), ((2, (3,)), TypeError, "integer")],
    "filter_size": [("7", TypeError, "'7'"), (None, TypeError, "None"), (0, ValueError, "0"),
                    ((3, 0), ValueError, "0"), ((3, (3,)), ValueError, "pair"),
                    ((3, (3, 2.5)), TypeError, "2.5"), ((3, NAN), TypeError, "nan"),
                    (((3, 3), "3"), TypeError, "'3'")],
    "pooling": [(3, ValueError, "triple.*got 3"), ("333", ValueError, "triple.*'333'"),
                ((2, 2), ValueError, "triple"), ((2, 2, 2, 2), ValueError, "triple"),
                ((0, 2, 2), ValueError, "0"), ((2, 2, 1.5), TypeError, "1.5"),
                ((2, 2, "2"), TypeError, "'2'"), ((True, 2, 2), TypeError, "True"),
                ((None, (2, 2)), ValueError, r"of layer 2 must be a triple.*\(2, 2\)"),
                (((2, 2, 2), (2, 2, 0)), ValueError, "of layer 2.*0"),
                (((2, 2, 2), (2, NAN, 1)), TypeError, "of layer 2.*nan"),
                (((2, 2, 2), 2), ValueError, "of layer 2.*got 2"),
                (np.array([2, 2, 2]), ValueError, "triple"),
                ((None, None, 2), ValueError, "2 layers")],
    "lam_scale": [("mean", ValueError, "'absolute'"), (2.0, TypeError, "'absolute'"),
                  (None, TypeError, "'absolute'")],
    "lam": wrong_reals(NO_NONE, (0.0, ValueError, "0"), ((1.0, 0.0), ValueError, "of layer 2.*0"),
                       ((1, INF), ValueError, "of layer 2.*inf"), ((1, None), TypeError, "2.*None"),
                       ((-1.0, 1.0), ValueError, "of layer 1.*-1")),
    "inference": [(1, TypeError, "'fista', 'ista', 'coordinate_descent'"), NO_NONE,
                  ("lars", ValueError, "'lars'"), (("fista", "x"), ValueError, "of layer 2.*'x'"),
                  (("fista", None), TypeError, "of layer 2.*None")],
    "n_inference_steps": wrong_counts(NO_NONE),
    "beta": wrong_reals((0, ValueError, "0"), ((None, 0.0), ValueError, "of layer 2.*0"),
                        ((None, -INF), ValueError, "of layer 2.*inf")),
    "image_shape": [("8x8", TypeError, "8x8"), ((8, 9), ValueError, r"\(8, 9\)")],
    "layer": [(0, ValueError, "from 1, the lowest, to 2"), (3, ValueError, "to 2, the top"),
              (-2, ValueError, "-2"), ("top", TypeError, "'top'"), (1.5, TypeError, "1.5"),
              (True, TypeError, "True"), (NAN, TypeError, "nan"), ((1,), TypeError, "integer")],
    "output": [(1, TypeError, "'rows', 'maps'"), ("top", ValueError, "'rows', 'maps'"), NO_NONE],
    "sparse_output": [("no", TypeError, "True or False"), (0, TypeError, "True or False")],
    "max_iter": wrong_counts(NO_NONE),
    "tol": wrong_reals(NO_NONE, (-1, ValueError, "-1"), ((0, -1), ValueError, "of layer 2.*-1")),
    "batch_size": [("all", ValueError, "'all'"), *wrong_counts()[1:4], ((2, 0), ValueError, "0"),
                   ((2, "all"), ValueError, "'all'"), ((None, NAN), TypeError, "nan")],
    "cg_max_iter": wrong_counts(NO_NONE),
    "n_learning_steps": wrong_counts(),
    "keep_maps": [("no", TypeError, "True or False"), ((True, False), TypeError, "True or False")],
    "init": [("noise", TypeError, "'noise'"), (TWO, ValueError, r"of layer 1.*\(3, 3, 3, 1\)"),
             ((ONE, ONE), ValueError, r"of layer 2.*\(3, 3, 3, 1\)"),
             ((ONE, 1.0), TypeError, "of layer 2.*1.0"),
             ((None, TWO * NAN), ValueError, "of layer 2.*NaN"),
             ((ONE, TWO * 0), ValueError, "of layer 2.*zero"),
             ((ONE, np.ones((3, 3, 3, 2))), ValueError, r"of layer 2.*\(3, 3, 3, 2\)")],
    "checkpoint": [(3, TypeError, "path of a file"), (True, TypeError, "path of a file"),
                   (".", ValueError, "folder"), ("no/such/fit.npz", ValueError, "does not exist")],
    "warm_start": [("no", TypeError, "True or False"), (1, TypeError, "True or False")],
    "n_jobs": [("2", TypeError, "'2'"), (0, ValueError, "0"), ((1, 1), TypeError, "integer")],
    "random_state": [("x", ValueError, "'x'"), (-1, ValueError, "-1"), (1.5, ValueError, "1.5")],
    "verbose": [("x", TypeError, "'x'"), (-1, ValueError, "-1"), ((0, 1), TypeError, "integer")],
}  # fmt: skip
# Parameters that transform reads as well.
OF_INFERENCE = [
    "pooling", "lam", "inference", "n_inference_steps", "beta", "output", "sparse_output",
    "n_jobs",
]  # fmt: skip


@pytest.fixture
def no_learning(monkeypatch):
    def work(self, after_update):
        pytest.fail("learning has begun")

    monkeypatch.setattr(AdaptiveLearner, "run_pass", work)


@pytest.fixture(scope="module")
def net():
    return net_of(2, 3).fit(NOISE)


def test_bad_parameters_are_told_before_the_first_layer(no_learning):
    def check(name, value, error, message):
        net = net_of(2, 3).set_params(**{name: value})
        with pytest.raises(error, match=message) as caught:
            net.fit(NOISE)
        assert name in str(caught.value)
        assert not any(attribute.endswith("_") for attribute in vars(net))

    check_each(table(PARAMETERS), check)


def test_every_parameter_is_in_the_table():
    assert set(PARAMETERS) == set(AdaptiveDeconvNet().get_params())
    assert set(PARAMETERS) == set(inspect.signature(AdaptiveDeconvNet).parameters)


def test_tuples_have_a_value_for_each_layer(no_learning):
    def check(name, n):
        value = (2, 2, 1) if name == "pooling" else getattr(net_of(2, 3), name)
        for form in ((value,) * n, [value] * n):
            with pytest.raises(ValueError, match=rf"^{name} must be .* 2 layers.*got {n} in"):
                net_of(2, 3).set_params(**{name: form}).fit(NOISE)

    check_each(((f"{name}, {n}", (name, n)) for name in PER_LAYER for n in (1, 3)), check)


def test_messages_name_the_layer(no_learning):
    def check(name, layer):
        values = [None if name in ("pooling", "beta", "n_learning_steps", "init") else 1] * 2
        if name == "inference":
            values = ["ista"] * 2
        values[layer - 1] = "x"
        with pytest.raises((TypeError, ValueError), match=f"^{name} of layer {layer} must"):
            net_of(2, 3).set_params(**{name: tuple(values)}).fit(NOISE)
        with pytest.raises((TypeError, ValueError), match=f"^{name} must"):
            net_of(2).set_params(**{name: ("x",)}).fit(NOISE)

    check_each(((f"{name}, {one}", (name, one)) for name in PER_LAYER for one in (1, 2)), check)


def test_bad_parameters_of_a_fitted_net(net):
    def check(name, value, error, message):
        changed = deepcopy(net).set_params(**{name: value})
        for method in ("transform", "encode", "top_activations"):
            with pytest.raises(error, match=message) as caught:
                getattr(changed, method)(NOISE)
            assert name in str(caught.value)

    check_each(table({name: PARAMETERS[name] for name in OF_INFERENCE}), check)


OTHER_FITS = {
    "fewer layers": ({"n_filters": (2,)}, "fewer layers than the previous fit"),
    "another second layer": (
        {"n_filters": (2, 4)}, r"filters_ of layer 2 of the previous fit .*\(4, 3, 3, 1\)"
    ),
    "another first layer": (
        {"n_filters": (3, 3, 2)}, r"filters_ of layer 1 of the previous fit .*\(3, 3, 3, 1\)"
    ),
    "smaller filters": ({"filter_size": (3, 2)}, r"of layer 2 .*\(3, 3, 3, 1\)"),
    "other blocks": ({"pooling": ((2, 2, 1), None)}, r"^pooling of layer 1 .*\(2, 2, 1\)"),
}  # fmt: skip


def test_a_warm_start_must_fit(net, no_learning):
    def check(options, message):
        again = deepcopy(net).set_params(warm_start=True, **options)
        before = again.filters_
        with pytest.raises(ValueError, match=message):
            again.fit(NOISE)
        assert again.filters_ is before
        again.set_params(n_filters=(2, 3), filter_size=3, pooling=(2, 2, 2), max_iter=1)
        with pytest.raises(ValueError, match=r"of layer 1 of the previous fit.*\(2, 3, 3, 2\)"):
            again.fit(COLOUR)
        assert again.filters_ is before
        assert again.n_features_in_ == 64

    check_each(OTHER_FITS.items(), check)


CODES = np.ones((2, 10 * 10 * 2))
ROW_FAULTS = {
    "codes of the second layer": (np.ones((2, 7 * 7 * 3)), ValueError, "147 features.*200"),
    "maps of the second layer": (np.ones((2, 7, 7, 3)), ValueError, r"\(2, 7, 7, 3\).*7, 7, 2"),
    "sparse maps of the second layer": (
        SparseMaps([csr_array((49, 3))], [(7, 7)]), ValueError, r"\(7, 7, 3\).*\(7, 7, 2\)"
    ),
    "sparse rows of the second layer": (csr_array((2, 147)), ValueError, "147 features.*200"),
    "no maps": (SparseMaps([], []), ValueError, "0 samples"),
    "NaN": (CODES * NAN, ValueError, "NaN"),
    "empty": (CODES[:0], ValueError, "0 sample"),
    "one dimension": (CODES[0], ValueError, "Reshape your data"),
}  # fmt: skip
CODE_FAULTS = {
    "rows": (CODES, TypeError, "code must be an AdaptiveCode, as returned by encode"),
    "maps": (SparseMaps([csr_array((100, 2))], [(10, 10)]), TypeError, "AdaptiveCode"),
    "None": (None, TypeError, "AdaptiveCode.*None"),
    "images": (NOISE, TypeError, "AdaptiveCode"),
}
METHODS = {
    "fit": IMAGE_FAULTS,
    "fit_transform": IMAGE_FAULTS,
    "transform": IMAGE_FAULTS | SHAPE_FAULTS,
    "score": IMAGE_FAULTS | CHANNEL_FAULTS,
    "encode": IMAGE_FAULTS | CHANNEL_FAULTS,
    "top_activations": IMAGE_FAULTS | CHANNEL_FAULTS,
    "inverse_transform": ROW_FAULTS,
    "to_maps": ROW_FAULTS,
    "decode": CODE_FAULTS,
    "project": CODE_FAULTS,
    "cascade": CODE_FAULTS,
    "get_feature_names_out": {"two names": (["a", "b"], ValueError, "input_features should")},
}


@pytest.mark.parametrize("method", METHODS)
def test_bad_input(method, net):
    refuse_each(net, method, METHODS[method])


def test_every_public_method_is_in_the_table():
    # Of the base class, and not of a net without low-frequency maps.
    assert not hasattr(AdaptiveDeconvNet(), "to_low_frequency")
    names = {name for name in dir(AdaptiveDeconvNet) if not name.startswith("_")}
    assert names - INHERITED - {"to_low_frequency"} == set(METHODS)


def test_methods_of_an_unfitted_net():
    for method in set(METHODS) - {"fit", "fit_transform"}:
        values = [] if method == "get_feature_names_out" else [NOISE]
        with pytest.raises(NotFittedError, match="AdaptiveDeconvNet instance is not fitted yet"):
            getattr(AdaptiveDeconvNet(), method)(*values)


LAYERS = [
    (0, ValueError, "from 1, the lowest, to 2"), (3, ValueError, "from 1, the lowest, to 2"),
    (-2, ValueError, "got -2"), ("top", TypeError, "'top'"), (True, TypeError, "True"),
    (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"), ((1,), TypeError, "integer"),
]  # fmt: skip


@pytest.mark.parametrize("method", ["decode", "project", "cascade", "top_activations"])
def test_layers_count_from_one(method, net):
    X = NOISE if method == "top_activations" else net.encode(NOISE[:1])

    def check(layer, error, message):
        with pytest.raises(error, match=message) as caught:
            getattr(net, method)(X, layer)
        assert "layer must be" in str(caught.value)

    check_each(((repr(row[0]), row) for row in LAYERS), check)
    if method != "top_activations":
        with pytest.raises(ValueError, match="to 1, the top"):
            getattr(net, method)(X[:, :1], 2)


def test_numbers_of_activations_are_positive_integers(net):
    code = net.encode(NOISE[:1])
    for value in (0, -1, "a", 1.5, True, None):
        error = ValueError if type(value) is int else TypeError
        for method, X in (("project", code), ("cascade", code), ("top_activations", NOISE)):
            with pytest.raises(error, match=f"^k .*{value}"):
                getattr(net, method)(X, k=value)


def test_projections_go_to_pixels_or_the_first_layer(net):
    code = net.encode(NOISE)
    for to, error in (("layer2", ValueError), (1, TypeError), (None, TypeError)):
        with pytest.raises(error, match=r"^to must be one of 'pixels', 'layer1'"):
            net.project(code, to=to)


@pytest.fixture(scope="module")
def others():
    """Codes of nets that differ from ``net`` in one thing."""
    large = np.ones((1, 9, 9))
    return {
        "deeper": net_of(2, 3, 2).fit(NOISE).encode(NOISE[:1]),
        "more at the top": net_of(2, 4).fit(NOISE).encode(NOISE[:1]),
        "more below": net_of(4, 3).fit(NOISE).encode(NOISE[:1]),
        "larger": net_of(2, 3).fit(large + NOISE[:, :1, :1]).encode(large),
    }


@pytest.mark.parametrize("method", ["decode", "project", "cascade"])
def test_codes_must_be_those_of_the_net(method, net, others):
    draw, code = getattr(net, method), net.encode(NOISE[:1])
    with pytest.raises(ValueError, match="code has 3 layers, but the net has 2"):
        draw(others["deeper"])
    with pytest.raises(ValueError, match=r"maps of shape \(7, 7, 4\) in layer 2.*\(7, 7, 3\)"):
        draw(others["more at the top"])
    with pytest.raises(ValueError, match=r"switches must be integers of shape \(1, 5, 5\)"):
        draw(others["more below"])
    larger = others["larger"]
    small = AdaptiveCode(larger.maps, larger.switches, [(8, 8)])
    with pytest.raises(ValueError, match=r"code holds maps of shape|switches must be"):
        draw(small)
    first = code.switches[0][0]
    for wrong, message in (
        (np.full_like(first, 8), "switches point out of blocks"),
        (first.astype(int) - 9, "switches point out"),
        (first.astype(float), r"integers of shape \(1, 5, 5\).*float64"),
        (first[:4], r"got uint8 of shape \(1, 4, 5\)"),
        (first[..., 0], "integers|axis|axes|dimension"),
    ):
        changed = AdaptiveCode(code.maps, [[wrong], code.switches[1]], code.image_shapes)
        with pytest.raises(ValueError, match=message):
            draw(changed)


@pytest.mark.parametrize("n_filters", [(2,), (2, 3, 4)])
def test_another_number_of_layers_needs_another_fit(n_filters, net):
    net = deepcopy(net).set_params(n_filters=n_filters)
    message = f"{len(n_filters)} layers, but 2 were fitted; call fit"
    for method in ("transform", "encode", "score", "top_activations"):
        with pytest.raises(ValueError, match=message):
            getattr(net, method)(NOISE)
    assert net.set_params(n_filters=(2, 3)).transform(NOISE).any()


def test_no_code_of_another_kind_of_net(net):
    hierarchy = HierarchicalDeconvNet((2, 3), 3, max_iter=1, lam=10.0).fit(NOISE)
    with pytest.raises(TypeError, match="AdaptiveCode"):
        net.decode(hierarchy.encode(NOISE))
