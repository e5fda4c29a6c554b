"""What DeconvNetLayer and lam_min say to bad parameters and bad input, row by row."""

import inspect
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from reference.faults import INF, INHERITED, NAN, OF_SOLVER, check_each, refuse_each, table
from reference.quick import QUICK
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from skdeconv import DeconvNetLayer, SparseMaps, lam_min
from skdeconv.inference import HalfQuadratic
from skdeconv.learning import LayerLearner

# Parameter: [(value, error, what the message says besides the parameter's name), ...]
PARAMETERS = {
    "n_filters": [("9", TypeError, "integer"), (2.0, TypeError, "integer"), (NAN, TypeError, "nan"),
                  (0, ValueError, "0"), (True, TypeError, "True")],
    "filter_size": [("7", TypeError, "'7'"), (NAN, TypeError, "nan"), (0, ValueError, "0"),
                    ((3,), ValueError, "pair"), ((3, 0), ValueError, "0"),
                    ((3, 2.5), TypeError, "2.5"), (None, TypeError, "None")],
    "lam": [("1", TypeError, "'1'"), (NAN, ValueError, "nan"), (INF, ValueError, "inf"),
            (0.0, ValueError, "0"), (-1, ValueError, "-1"), ([1.0], TypeError, "number"),
            (1j, TypeError, "1j"), (True, TypeError, "True"), (10**400, ValueError, "finite")],
    "lam_scale": [("mean", ValueError, "'absolute'"), (2.0, TypeError, "'absolute'"),
                  (None, TypeError, "'absolute'")],
    "p": [("1", TypeError, "'1'"), (NAN, ValueError, "nan"), (0, ValueError, "0"),
          (1.5, ValueError, "1.5"), ((0.5, 1), TypeError, "number")],
    "positive": [("yes", TypeError, "True or False"), (1, TypeError, "True or False"),
                 (NAN, TypeError, "True or False")],
    "connectivity": [("full", TypeError, "boolean"), ([[1], [1]], TypeError, "boolean"),
                     (np.ones((2, 2), bool), ValueError, r"\(2, 1\)"),
                     (np.array([[True], [False]]), ValueError, r"rows \[1\]"),
                     (np.array([[NAN], [1.0]]), TypeError, "boolean"),
                     ([[True], [True, True]], ValueError, "ragged"),
                     (np.ones(2, bool), ValueError, r"\(2,\)")],
    "low_frequency": [("yes", TypeError, "True or False"), (1, TypeError, "True or False"),
                      (NAN, TypeError, "True or False"), (None, TypeError, "True or False")],
    "smoothness": [("1", TypeError, "'1'"), (NAN, ValueError, "nan"), (INF, ValueError, "inf"),
                   (0.0, ValueError, "0"), (-1, ValueError, "-1"), (True, TypeError, "True"),
                   ([1.0], TypeError, "number")],
    "image_shape": [("8x8", TypeError, "8x8"), (64, TypeError, "64"), ((8, NAN), ValueError, "nan"),
                    ((8, 0), ValueError, "0"), ((8, 9), ValueError, r"\(8, 9\)"),
                    ((2, 2, 2, 2), ValueError, "n_channels"), ((8.0, 8.0), ValueError, "integers")],
    "output": [(1, TypeError, "'rows', 'maps'"), ("map", ValueError, "'rows', 'maps'"),
               (NAN, TypeError, "'rows', 'maps'"), (None, TypeError, "None")],
    "sparse_output": [("no", TypeError, "True or False"), (0, TypeError, "True or False"),
                      (NAN, TypeError, "True or False")],
    "solver": [(1, TypeError, "coordinate_descent"),
               ("lars", ValueError, "coordinate_descent"),
               (NAN, TypeError, "coordinate_descent")],
    "inference_tol": [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), (-1.0, ValueError, "-1")],
    "inference_max_iter": [(1.5, TypeError, "1.5"), (NAN, TypeError, "nan"), (0, ValueError, "0")],
    "max_iter": [(1.5, TypeError, "1.5"), (NAN, TypeError, "nan"), (0, ValueError, "0")],
    "tol": [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), (-1, ValueError, "-1")],
    "batch_size": [("all", ValueError, "'all'"), (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"),
                   (0, ValueError, "0"), (True, TypeError, "True"),
                   (np.array([1, 2]), TypeError, "integer")],
    "keep_maps": [("no", TypeError, "True or False"), (1, TypeError, "True or False")],
    "forgetting": [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), (-1, ValueError, "-1")],
    "init": [("noise", TypeError, "'noise'"), (1.0, TypeError, "1.0"),
             (np.full((2, 3, 3, 1), NAN), ValueError, "NaN"),
             (np.ones((3, 3, 3, 1)), ValueError, r"\(2, 3, 3, 1\)"),
             (np.ones((2, 3, 3, 3)), ValueError, r"\(2, 3, 3, 1\)"),
             (np.ones(()), ValueError, r"\(2, 3, 3, 1\)"), ([[1], [1, 2]], ValueError, "inhomog"),
             ([], ValueError, r"\(2, 3, 3, 1\)"), (np.full((2, 3, 3), "a"), ValueError, "convert"),
             (np.full((2, 3, 3), 1j), ValueError, "Complex"),
             (np.full((2, 3, 3), INF), ValueError, "infinity"),
             (np.zeros((2, 3, 3, 1)), ValueError, "zero")],
    "checkpoint": [(3, TypeError, "path of a file"), (True, TypeError, "path of a file"),
                   (".", ValueError, "folder"), ("no/such/fit.npz", ValueError, "does not exist")],
    "warm_start": [("no", TypeError, "True or False"), (NAN, TypeError, "True or False")],
    "n_jobs": [("2", TypeError, "'2'"), (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"),
               (0, ValueError, "0")],
    "random_state": [("x", ValueError, "'x'"), (NAN, ValueError, "nan"), (-1, ValueError, "-1"),
                     (1.5, ValueError, "1.5"), (2**32, ValueError, "4294967296")],
    "verbose": [("x", TypeError, "'x'"), (-1, ValueError, "-1"), (NAN, TypeError, "nan")],
}  # fmt: skip
# Parameters that transform reads as well.
OF_INFERENCE = [
    "lam", "p", "positive", "low_frequency", "smoothness", "output", "sparse_output", "solver",
    "inference_tol", "inference_max_iter", "n_jobs",
]  # fmt: skip

CODES_SIZE = 10 * 10 * 2
# Public method: [(input, error, message), ...], for a layer fitted on images of 8 x 8.
IMAGE_FAULTS = {
    "empty": (np.empty((0, 8, 8)), ValueError, "0 sample"),
    "no pixels": (np.empty((3, 0, 8)), ValueError, r"0 feature|\(0, 8\)"),
    "five dimensions": (np.ones((2, 8, 8, 1, 1)), ValueError, "5 dimensions"),
    "one dimension": (np.ones(64), ValueError, "Reshape your data"),
    "a number": (3.0, ValueError, "scalar"),
    "None": (None, ValueError, "scalar array"),
    "complex": (np.ones((2, 8, 8)) * 1j, ValueError, "Complex data not supported"),
    "text": (np.full((2, 64), "a", dtype=object), ValueError, "could not convert string"),
    "sparse": (csr_array(np.eye(64)), TypeError, "[Ss]parse"),
    "NaN": (np.full((2, 8, 8), NAN), ValueError, "NaN"),
    "infinity": (np.full((2, 8, 8), INF), ValueError, "infinity"),
    "minus infinity": (np.full((2, 64), -INF), ValueError, "infinity"),
    "NaN in a list": ([np.full((8, 8), NAN)], ValueError, "NaN"),
    "a list of grey and colour": ([np.ones((8, 8)), np.ones((8, 8, 3))], ValueError, r"X\[1\]"),
    "a list of infinities": ([np.full((8, 8), -INF)], ValueError, "infinity"),
    "a list of complex": ([np.ones((8, 8)) * 1j], ValueError, "Complex data not supported"),
    "a list of text": ([np.full((8, 8), "a")], ValueError, "not compatible with .*strings"),
    "a list of sparse": ([csr_array(np.eye(8))], TypeError, r"[Ss]parse.*X\[0\]"),
    "a list without channels": ([np.ones((8, 8, 0))], ValueError, "without channels"),
    "a list of images and rows": ([np.ones((8, 8)), np.ones(8)], ValueError, r"X\[1\] is array"),
    "an empty list": ([], ValueError, "Reshape your data"),
    "ragged rows": ([[1.0, 2.0], [3.0], 4.0], ValueError, "inhomogeneous"),
    "a frame of text": (pd.DataFrame([["a"] * 64]), ValueError, "could not convert string"),
    "a list of cubes": ([np.ones((8, 8, 1, 1))], ValueError, "4 dimensions"),
}
CHANNEL_FAULTS = {
    "another width": (np.ones((2, 63)), ValueError, "63 features"),
    "no channels": (np.ones((2, 8, 8, 0)), ValueError, r"\(8, 8, 0\)"),
    "a list of more channels": ([np.ones((8, 8, 3))], ValueError, r"\(8, 8, 3\)"),
    "more channels": (np.ones((2, 8, 8, 3)), ValueError, r"\(8, 8, 3\)"),
}
# Rows of codes have one width, unlike maps.
SHAPE_FAULTS = CHANNEL_FAULTS | {
    "a ragged list": ([np.ones((8, 8)), np.ones((7, 8))], ValueError, "different shapes"),
    "another shape": (np.ones((2, 4, 16)), ValueError, r"\(4, 16\)"),
    "a list of another shape": ([np.ones((4, 16))], ValueError, r"\(4, 16\)"),
}
CODE_FAULTS = {
    "another width": (np.ones((2, CODES_SIZE - 1)), ValueError, "199 features.*200"),
    "maps smaller than a filter": (np.ones((2, 2, 10, 2)), ValueError, r"\(2, 2, 10, 2\)"),
    "three dimensions": (np.ones((10, 10, 2)), ValueError, r"\(10, 10, 2\)"),
    "sparse maps of other filters": (
        SparseMaps([csr_array((81, 3))], [(9, 9)]), ValueError, r"\(9, 9, 3\)"
    ),
    "no sparse maps": (SparseMaps([], []), ValueError, "0 sample|[Ee]mpty|no images"),
    "sparse, another width": (csr_array((2, 7)), ValueError, "7 features"),
    "empty": (np.empty((0, CODES_SIZE)), ValueError, "0 sample"),
    "NaN": (np.full((1, CODES_SIZE), NAN), ValueError, "NaN"),
    "infinity": (np.full((1, CODES_SIZE), INF), ValueError, "infinity"),
    "minus infinity": (csr_array(np.full((1, CODES_SIZE), -INF)), ValueError, "infinity"),
    "five dimensions": (np.ones((1, 10, 10, 2, 1)), ValueError, r"\(1, 10, 10, 2, 1\)"),
    "one dimension": (np.ones(CODES_SIZE), ValueError, "Reshape your data"),
    "ragged rows": ([[1.0, 2.0], [3.0], 4.0], ValueError, "inhomogeneous"),
    "other filters": (np.ones((1, 10, 10, 3)), ValueError, r"\(1, 10, 10, 3\)"),
    "complex": (np.ones((1, CODES_SIZE)) * 1j, ValueError, "Complex data not supported"),
    "text": (np.full((1, CODES_SIZE), "a", dtype=object), ValueError, "could not convert string"),
    "None": (None, ValueError, "scalar array"),
}  # fmt: skip
# Rows of a layer with low-frequency maps end with 100 numbers of them.
LOW_FAULTS = CODE_FAULTS | {
    "another width": (np.ones((2, CODES_SIZE)), ValueError, "200 features.*300"),
    "NaN": (np.full((1, CODES_SIZE + 100), NAN), ValueError, "NaN"),
    "sparse maps alone": (np.ones((2, 10, 10, 2)), ValueError, "only sparse maps; pass codes"),
    "no low-frequency maps": (
        SparseMaps([csr_array((100, 2))], [(10, 10)]), ValueError, "only sparse maps; pass codes"
    ),
}  # fmt: skip
METHODS = {
    "fit": IMAGE_FAULTS,
    "fit_transform": IMAGE_FAULTS,
    "partial_fit": IMAGE_FAULTS | CHANNEL_FAULTS,
    "transform": IMAGE_FAULTS | SHAPE_FAULTS,
    "score": IMAGE_FAULTS | CHANNEL_FAULTS,
    "inverse_transform": CODE_FAULTS,
    "to_maps": CODE_FAULTS,
    "to_low_frequency": LOW_FAULTS,
    "get_feature_names_out": {
        "another number": (["a", "b"], ValueError, "input_features should have length"),
    },
}

LAM_MIN = {
    "neither": ({}, ValueError, "filters or filter_size"),
    "filter_size": ({"filter_size": 0}, ValueError, "filter_size"),
    "filter_size type": ({"filter_size": "5"}, TypeError, "filter_size"),
    "filters type": ({"filters": "f"}, TypeError, "filters"),
    "filters shape": ({"filters": np.ones((2, 3))}, ValueError, "filters"),
    "filters of other channels": ({"filters": np.ones((2, 3, 3, 3))}, ValueError, "filters"),
    "no filters": ({"filters": []}, ValueError, "filters"),
    "filters of numbers": ({"filters": np.float64(2)}, ValueError, "filters"),
    "ragged filters": ({"filters": [[1], [1, 2]]}, ValueError, "filters"),
    "filters of text": ({"filters": np.full((2, 3, 3), "a")}, ValueError, "filters"),
    "complex filters": ({"filters": np.full((2, 3, 3), 1j)}, ValueError, "filters"),
    "filters NaN": ({"filters": np.full((2, 3, 3, 1), NAN)}, ValueError, "filters contains NaN"),
    "positive": ({"filter_size": 3, "positive": 1}, TypeError, "positive"),
    "filter_size NaN": ({"filter_size": NAN}, TypeError, "filter_size"),
    "image_shape": ({"filter_size": 3, "image_shape": (8, 9)}, ValueError, "image_shape"),
    "image_shape type": ({"filter_size": 3, "image_shape": "8x8"}, TypeError, "image_shape"),
}


@pytest.fixture
def images():
    return np.random.default_rng(0).random((6, 8, 8))


@pytest.fixture
def layer(images):
    return DeconvNetLayer(**QUICK, lam=10.0).fit(images)


def test_bad_parameters(images, monkeypatch):
    def work(self, after_update):
        pytest.fail("learning has begun")

    def check(name, value, error, message):
        layer = DeconvNetLayer(2, 3).set_params(**{name: value})
        with pytest.raises(error, match=message) as caught:
            layer.fit(images)
        assert name in str(caught.value)
        assert not hasattr(layer, "filters_")

    monkeypatch.setattr(LayerLearner, "run_pass", work)
    check_each(table(PARAMETERS), check)


def test_every_parameter_is_in_the_table():
    assert set(PARAMETERS) == set(DeconvNetLayer().get_params())
    assert set(OF_SOLVER) == set(HalfQuadratic().get_params())


def test_bad_parameters_of_the_solver(layer, images, monkeypatch):
    def work(self, after_update):
        pytest.fail("learning has begun")

    def check(name, value, error, message):
        solver = HalfQuadratic(**{name: value})
        new, fitted = DeconvNetLayer(2, 3, solver=solver), deepcopy(layer).set_params(solver=solver)
        for call in (new.fit, fitted.transform):
            with pytest.raises(error, match=message) as caught:
                call(images)
            assert name in str(caught.value)
        assert not hasattr(new, "filters_")

    monkeypatch.setattr(LayerLearner, "run_pass", work)
    check_each(table(OF_SOLVER), check)


def test_bad_parameters_of_a_fitted_layer(layer, images):
    def check(name, value, error, message):
        with pytest.raises(error, match=message):
            deepcopy(layer).set_params(**{name: value}).transform(images)

    check_each(table({name: PARAMETERS[name] for name in OF_INFERENCE}), check)


@pytest.mark.parametrize("method", METHODS)
def test_bad_input(method, layer, images):
    layer.set_params(low_frequency=method == "to_low_frequency")
    refuse_each(layer, method, METHODS[method])
    layer.transform(images)


def test_every_public_method_is_in_the_table():
    public = {name for name, _ in inspect.getmembers(DeconvNetLayer, inspect.isfunction)}
    assert {name for name in public if not name.startswith("_")} - INHERITED == set(METHODS)


def test_methods_of_an_unfitted_layer(images):
    for method in set(METHODS) - {"fit", "fit_transform", "partial_fit"}:
        layer = DeconvNetLayer(low_frequency=method == "to_low_frequency")
        with pytest.raises(NotFittedError, match="DeconvNetLayer instance is not fitted yet"):
            getattr(layer, method)(images)


def test_images_must_be_of_the_image_shape(images):
    for X in (images.reshape(6, 64), images, list(images)):
        with pytest.raises(ValueError, match=r"\(8, 8\)|64 features") as caught:
            DeconvNetLayer(image_shape=(16, 8)).fit(X)
        assert "image_shape" in str(caught.value)
        assert "(16, 8)" in str(caught.value)


def test_frames_must_have_the_columns_of_fit(images):
    frame = pd.DataFrame(images.reshape(6, 64)).add_prefix("pixel")
    layer = DeconvNetLayer(**QUICK, lam=10.0, image_shape=(8, 8)).fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        layer.transform(frame.rename(columns={"pixel0": "other"}))
    with pytest.raises(ValueError, match="feature names"):
        layer.score(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        layer.get_feature_names_out(frame.columns[::-1])


def test_filters_of_a_fit_before_must_fit(layer, images):
    layer.set_params(warm_start=True, n_filters=3)
    with pytest.raises(ValueError, match=r"filters_ of the previous fit.*\(3, 3, 3, 1\)"):
        layer.fit(images)


def test_rows_of_another_size_name_the_other_output(images):
    layer = DeconvNetLayer(**QUICK, lam=10.0).fit(list(images))
    for other in ([np.ones((9, 9))], np.ones((2, 9, 9))):
        with pytest.raises(ValueError, match='output="maps"'):
            layer.transform(other)


def test_lam_min_of_bad_parameters(images):
    def check(options, error, message):
        with pytest.raises(error, match=message):
            lam_min(images, **options)

    check_each(LAM_MIN.items(), check)


def test_lam_min_of_bad_images():
    def check(value, error, message):
        with pytest.raises(error, match=message):
            lam_min(value, filter_size=3)

    check_each(IMAGE_FAULTS.items(), check)
