"""What OnePassEncoder says to bad parameters and bad input, row by row."""

import inspect
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from reference.faults import INF, INHERITED, NAN, check_each, refuse_each, table
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder

IMAGES = np.random.default_rng(0).random((6, 8, 8))
FILTERS = np.random.default_rng(1).standard_normal((2, 3, 3))
FITTED = OnePassEncoder(FILTERS).fit(IMAGES)
SCALER = FrozenEstimator(StandardScaler().fit(IMAGES.reshape(6, 64)))

OPTION = [(None, TypeError, "None"), (1, TypeError, "1"), ("x", ValueError, "'x'")]
SHAPE = r"\(n_filters, h, w, n_channels\)"
# Parameter: [(value, error, what the message says besides its name), ...]
PARAMETERS = {
    "layer": [
        ("x", TypeError, "DeconvNetLayer.*'x'"), (3, TypeError, "got 3"),
        (DeconvNetLayer, TypeError, "DeconvNetLayer"), ({}, TypeError, "array of filters"),
        (HierarchicalDeconvNet((2,), 3), TypeError, "Hierarchical"), (SCALER, TypeError, "Scaler"),
        (FILTERS[0], ValueError, SHAPE), (FILTERS[None, None], ValueError, SHAPE),
        (FILTERS[:, :0], ValueError, SHAPE), (FILTERS * NAN, ValueError, "NaN"),
        (np.full((2, 3, 3), INF), ValueError, "infinity"),
        (np.ones((2, 3, 3, 3)), ValueError, "3 channels"),
    ],
    "competition": [
        ("x", TypeError, "'x'"), (None, TypeError, "None"), (True, TypeError, "True"),
        (NAN, ValueError, "nan"), (1, ValueError, "1"), (-0.1, ValueError, "-0.1"),
    ],
    "padding": [*OPTION, ("full", ValueError, "'valid', 'same'")],
    "output": [*OPTION, ("stack", ValueError, "'maps', 'rows'")],
    "image_shape": [
        ("8x8", TypeError, "8x8"), (64, TypeError, "64"), ((8, 9), ValueError, r"\(8, 9\)"),
        ((8, 0), ValueError, "0"), ((8.0, 8.0), ValueError, "integers"),
        ((2, 2, 2, 2), ValueError, "n_channels"),
    ],
}  # fmt: skip
IMAGE_FAULTS = {
    "empty": (np.empty((0, 8, 8)), ValueError, "0 sample"),
    "no pixels": (np.empty((3, 0, 8)), ValueError, r"0 feature|\(0, 8\)"),
    "five dimensions": (np.ones((2, 8, 8, 1, 1)), ValueError, "5 dimensions"),
    "one dimension": (np.ones(64), ValueError, "Reshape your data"),
    "None": (None, ValueError, "scalar array"),
    "complex": (IMAGES * 1j, ValueError, "Complex data not supported"),
    "text": (np.full((2, 64), "a", dtype=object), ValueError, "could not convert string"),
    "sparse": (csr_array(np.eye(64)), TypeError, "[Ss]parse"),
    "NaN": (IMAGES * NAN, ValueError, "NaN"),
    "infinity": (np.full((2, 8, 8), -INF), ValueError, "infinity"),
    "NaN in a list": ([IMAGES[0] * NAN], ValueError, "NaN"),
    "NaN in a list of sizes": ([np.ones((8, 8)), np.full((7, 8), NAN)], ValueError, r"X\[1\].*NaN"),
    "a pixel is missing": (np.where(IMAGES == IMAGES.max(), NAN, IMAGES), ValueError, "NaN"),
    "other channels": ([np.ones((8, 8, 1)), np.ones((8, 8, 2))], ValueError, "of channels must"),
    "more channels": (np.ones((2, 8, 8, 3)), ValueError, r"1 channels,.* 3\.|\(8, 8, 3\)"),
    "a list of more channels": ([np.ones((8, 8, 3))], ValueError, r"1 channels,.* 3\.|\(8, 8, 3\)"),
}
SHAPE_FAULTS = {
    "another width": (np.ones((2, 63)), ValueError, "63 features"),
    "more channels": (np.ones((2, 8, 8, 3)), ValueError, "3 channels"),
}
METHODS = {
    "fit": IMAGE_FAULTS,
    "fit_transform": IMAGE_FAULTS,
    "transform": IMAGE_FAULTS | SHAPE_FAULTS,
    "get_feature_names_out": {"two names": (["a", "b"], ValueError, "input_features should")},
}


def test_bad_parameters():
    def check(name, value, error, message):
        encoder = OnePassEncoder(FILTERS).set_params(**{name: value})
        with pytest.raises(error, match=message) as caught:
            encoder.fit(IMAGES)
        assert name in str(caught.value)
        assert not any(attribute.endswith("_") for attribute in vars(encoder))

    check_each(table(PARAMETERS), check)


def test_bad_parameters_of_a_fitted_encoder():
    def check(name, value, error, message):
        with pytest.raises(error, match=message) as caught:
            deepcopy(FITTED).set_params(**{name: value}).transform(IMAGES)
        assert name in str(caught.value)

    of_transform = ("competition", "padding", "output")
    check_each(table({name: PARAMETERS[name] for name in of_transform}), check)


def test_every_parameter_is_in_the_table():
    assert set(PARAMETERS) == set(OnePassEncoder().get_params(deep=False))
    assert set(PARAMETERS) == set(inspect.signature(OnePassEncoder).parameters)


@pytest.mark.parametrize("method", METHODS)
def test_bad_input(method):
    refuse_each(FITTED, method, METHODS[method])


def test_every_public_method_is_in_the_table():
    names = {name for name in dir(OnePassEncoder) if not name.startswith("_")}
    assert names - INHERITED == set(METHODS)


def test_methods_of_an_unfitted_encoder():
    for method, values in (("transform", [IMAGES]), ("get_feature_names_out", [])):
        with pytest.raises(NotFittedError, match="OnePassEncoder instance is not fitted yet"):
            getattr(OnePassEncoder(FILTERS), method)(*values)


def test_a_frozen_layer_must_be_fitted():
    with pytest.raises(NotFittedError):
        OnePassEncoder(FrozenEstimator(DeconvNetLayer(2, 3))).fit(IMAGES)


def test_filters_that_are_no_numbers():
    for layer in ([[1.0], [1.0, 2.0]], np.full((2, 3, 3), "a"), FILTERS * 1j):
        with pytest.raises(ValueError, match=r"inhomogeneous|could not convert|Complex"):
            OnePassEncoder(layer).fit(IMAGES)


def test_frames_must_have_the_columns_of_fit():
    frame = pd.DataFrame(IMAGES.reshape(6, 64)).add_prefix("pixel")
    encoder = OnePassEncoder(FILTERS, image_shape=(8, 8)).fit(frame)
    with pytest.raises(ValueError, match="feature names"):
        encoder.transform(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        encoder.get_feature_names_out(frame.columns[::-1])


def test_rows_that_look_like_images_warn():
    with pytest.warns(UserWarning, match=r"image_shape=\(8, 8\)"):
        OnePassEncoder(FILTERS).fit(IMAGES.reshape(6, 64))
