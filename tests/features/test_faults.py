"""What SpatialPyramid and BagOfFeatures say to bad parameters and bad input, row by row."""

import inspect
from copy import deepcopy

import numpy as np
import pytest
from reference.faults import INF, INHERITED, NAN, check_each, refuse_each, table
from reference.features import draw_maps
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from skdeconv import SparseMaps
from skdeconv.features import BagOfFeatures, SpatialPyramid

MAPS = draw_maps(4, 8, 8, 2)
BAG = {"n_words": 3, "patch_size": 4, "pool": 2, "random_state": 0}

LEVELS = [
    (2, TypeError, "tuple of integers or of pairs.*got 2"), ("124", TypeError, "'124'"),
    (None, TypeError, "None"), ((), TypeError, r"\(\)"), (np.array([1, 2]), TypeError, "tuple"),
    ((1, 0), ValueError, "0"), ((1, 2.0), TypeError, "2.0"), ((1, "2"), TypeError, "'2'"),
    ((True,), TypeError, "True"), ((1, NAN), TypeError, "nan"), ((-1,), ValueError, "-1"),
    ((1, (2, 0)), ValueError, "0"), ((1, (2, 2, 2)), ValueError, r"pairs.*\(2, 2, 2\)"),
    ((1, ()), ValueError, "pairs"), (((2, "2"),), TypeError, "'2'"),
]  # fmt: skip
POWER = [
    ("x", TypeError, "'x'"), (None, TypeError, "None"), (True, TypeError, "True"),
    (0, ValueError, "0"), (-0.5, ValueError, "-0.5"), (NAN, ValueError, "nan"),
    (INF, ValueError, "inf"),
]  # fmt: skip
NORMALIZE = [
    ("l2", ValueError, "'cell', 'global', None"), (True, TypeError, "'cell', 'global', None"),
    (1, TypeError, "'cell', 'global', None"), (NAN, TypeError, "nan"),
]  # fmt: skip
MAPS_SHAPE = [
    (128, TypeError, "128"), ("882", TypeError, "'882'"), ((8, 8), ValueError, r"\(8, 8\)"),
    ((8, 8, 2, 1), ValueError, "n_filters"), ((8, 8, 0), ValueError, "positive"),
    ((8, 8.0, 2), ValueError, "integers"), ((8, True, 2), ValueError, "True"),
    ((8, NAN, 2), ValueError, "nan"), ((2, 8, 8), ValueError, r"\(2, 8, 8\)"),
    (np.array([8, 8, 2]), TypeError, "tuple"), ((), ValueError, r"\(\)"),
]  # fmt: skip
COUNT = [
    ("3", TypeError, "'3'"), (None, TypeError, "None"), (2.0, TypeError, "2.0"),
    (True, TypeError, "True"), (0, ValueError, "0"), (-2, ValueError, "-2"),
    (NAN, TypeError, "nan"), ((4, 4), TypeError, "integer"),
]  # fmt: skip
# Parameter: [(value, error, what the message says besides its name), ...]
OF_PYRAMID = {
    "levels": LEVELS,
    "window": [
        ("hann", ValueError, "'box', 'gaussian', 'triangular'"), (None, TypeError, "None"),
        (1, TypeError, "'box'"),
    ],
    "sigma": POWER,
    "stride": [*POWER[:3], (0.9, ValueError, "0.9"), (0, ValueError, "0"), *POWER[4:]],
    "overlap": [*POWER[:3], (-0.1, ValueError, "-0.1"), (1.1, ValueError, "1.1"), *POWER[5:]],
    "pooling": [
        ("median", ValueError, "'sum', 'mean', 'max', 'energy'"), (None, TypeError, "None"),
        (1, TypeError, "'sum'"),
    ],
    "power": POWER,
    "split_sign": [("no", TypeError, "True or False"), (1, TypeError, "True or False"),
                   (None, TypeError, "True or False")],
    "normalize": NORMALIZE,
    "maps_shape": MAPS_SHAPE,
}  # fmt: skip
OF_BAG = {
    "n_words": [*COUNT, (5000, ValueError, "descriptors of X"), (60_000, ValueError, "60000")],
    "patch_size": [*COUNT, (5, ValueError, "multiple of pool=2, got 5"),
                   (10, ValueError, "patch_size=10 is larger.*8")],
    "step": COUNT,
    "pool": [*COUNT, (3, ValueError, "patch_size must be a multiple of pool=3, got 4")],
    "levels": LEVELS,
    "coding": [("firm", ValueError, "'hard', 'soft', 'sparse'"), (None, TypeError, "None"),
               (1, TypeError, "'hard'")],
    "n_nearest": COUNT,
    "sharpness": [*POWER[:3], (-0.5, ValueError, "-0.5"), *POWER[5:]],
    "pooling": [("energy", ValueError, "'sum', 'max', got 'energy'"), (None, TypeError, "None"),
                (1, TypeError, "'sum'")],
    "power": POWER,
    "normalize": NORMALIZE,
    "n_descriptors": [*COUNT, (2, ValueError, "at least n_words=3, got 2")],
    "maps_shape": MAPS_SHAPE,
    "random_state": [("x", ValueError, "'x'"), (-1, ValueError, "-1"), (1.5, ValueError, "1.5")],
}  # fmt: skip
FITTED = {
    SpatialPyramid: SpatialPyramid().fit(MAPS),
    BagOfFeatures: BagOfFeatures(**BAG).fit(MAPS),
}
PARAMETERS = {SpatialPyramid: OF_PYRAMID, BagOfFeatures: OF_BAG}
# What BagOfFeatures has used up in fit.
NOT_IN_TRANSFORM = {"random_state"}

ONE = csr_array(np.eye(64)[:, :2])
MAPS_FAULTS = {
    "rows": (np.ones((4, 128)), ValueError, '2 dimensions.*output="maps".*maps_shape'),
    "sparse rows": (csr_array(np.ones((4, 128))), ValueError, '2 dimensions.*output="maps"'),
    "images": (np.ones((4, 8, 8)), ValueError, r"\(4, 8, 8\).*map_height"),
    "the maps of one image": (MAPS[0], ValueError, r"\(8, 8, 2\).*X\[None\]"),
    "five dimensions": (MAPS[None], ValueError, r"\(1, 4, 8, 8, 2\)"),
    "one dimension": (np.ones(8), ValueError, "Reshape your data"),
    "a number": (3.0, ValueError, "dimensions|scalar"),
    "None": (None, ValueError, "dimensions|scalar"),
    "empty": (MAPS[:0], ValueError, "0 sample"),
    "no filters": (MAPS[..., :0], ValueError, r"\(4, 8, 8, 0\)"),
    "no positions": (MAPS[:, :0], ValueError, r"\(4, 0, 8, 2\)"),
    "NaN": (MAPS * NAN, ValueError, "NaN"),
    "infinity": (np.full_like(MAPS, -INF), ValueError, "infinity"),
    "complex": (MAPS * 1j, ValueError, "Complex data not supported"),
    "text": (np.full((1, 8, 8, 2), "a"), ValueError, "could not convert string"),
    "an empty list": ([], ValueError, "2 dimensions|0 sample"),
    "a list of images": ([np.ones((8, 8))], ValueError, r"list.*\(8, 8\).*map_height"),
    "a list of stacks": ([MAPS], ValueError, r"list.*\(4, 8, 8, 2\)"),
    "a list of NaN": ([MAPS[0], MAPS[1] * NAN], ValueError, r"X\[1\].*NaN|NaN.*X\[1\]"),
    "a list without filters": ([MAPS[0, ..., :0]], ValueError, r"\(8, 8, 0\)"),
    "a list of two numbers": ([MAPS[0], MAPS[1, ..., :1]], ValueError, r"\[1, 2\] filters"),
    "no sparse maps": (SparseMaps([], []), ValueError, "0 samples"),
    "sparse NaN": (SparseMaps([ONE, ONE * NAN], [(8, 8)] * 2), ValueError, r"X\[1\].*NaN"),
    "sparse infinity": (SparseMaps([ONE * INF], [(8, 8)]), ValueError, r"X\[0\].*infinity"),
    "a list without positions": ([MAPS[0, :, :0]], ValueError, r"\(8, 0, 2\)"),
    "sparse maps without filters": (SparseMaps([ONE[:, :0]], [(8, 8)]), ValueError, "without"),
    "sparse maps without positions": (SparseMaps([ONE[:0]], [(0, 8)]), ValueError, "without"),
    "sparse maps of two numbers": (
        SparseMaps([ONE, ONE[:, :1]], [(8, 8)] * 2), ValueError, r"\[1, 2\] filters"
    ),
}  # fmt: skip
OTHER_MAPS = {
    "another number": (np.ones((2, 8, 8, 3)), ValueError, "3 filters, but fit has seen 2"),
    "a list of another number": ([np.ones((8, 8, 1))], ValueError, "1 filters, but fit has seen 2"),
    "sparse maps of another number": (
        SparseMaps([ONE[:, :1]], [(8, 8)]), ValueError, "1 filters, but fit has seen 2"
    ),
}  # fmt: skip
METHODS = {
    "fit": MAPS_FAULTS,
    "fit_transform": MAPS_FAULTS,
    "transform": MAPS_FAULTS | OTHER_MAPS,
    # Whatever comes in has no names that say anything about windows.
    "get_feature_names_out": {},
}
each_class = pytest.mark.parametrize("kind", PARAMETERS)


@each_class
def test_bad_parameters(kind):
    def check(name, value, error, message):
        estimator = kind(**BAG if kind is BagOfFeatures else {}).set_params(**{name: value})
        with pytest.raises(error, match=message) as caught:
            estimator.fit(MAPS)
        assert name in str(caught.value)
        assert not any(attribute.endswith("_") for attribute in vars(estimator))

    check_each(table(PARAMETERS[kind]), check)


OF_TRANSFORM = {
    SpatialPyramid: OF_PYRAMID,
    # That many words would be legal for more maps.
    BagOfFeatures: {name: OF_BAG[name] for name in OF_BAG if name not in NOT_IN_TRANSFORM}
    | {"n_words": COUNT},
}


@each_class
def test_bad_parameters_of_a_fitted_estimator(kind):
    def check(name, value, error, message):
        with pytest.raises(error, match=message) as caught:
            deepcopy(FITTED[kind]).set_params(**{name: value}).transform(MAPS)
        assert name in str(caught.value)

    check_each(table(OF_TRANSFORM[kind]), check)


@each_class
def test_every_parameter_is_in_the_table(kind):
    assert set(PARAMETERS[kind]) == set(kind().get_params())
    assert set(PARAMETERS[kind]) == set(inspect.signature(kind).parameters)


@each_class
@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name]])
def test_bad_input(kind, method):
    refuse_each(FITTED[kind], method, METHODS[method])


@each_class
def test_every_public_method_is_in_the_table(kind):
    names = {name for name in dir(kind) if not name.startswith("_")}
    assert names - INHERITED == set(METHODS)


@each_class
def test_methods_of_an_unfitted_estimator(kind):
    for method, values in (("transform", [MAPS]), ("get_feature_names_out", [])):
        with pytest.raises(NotFittedError, match=f"{kind.__name__} instance is not fitted yet"):
            getattr(kind(), method)(*values)


@each_class
def test_input_must_be_of_the_shape_of_maps(kind):
    estimator = deepcopy(FITTED[kind]).set_params(maps_shape=(4, 16, 2))
    for method in ("fit", "transform"):
        for X in (np.ones((2, 127)), csr_array(np.ones((2, 127)))):
            with pytest.raises(ValueError, match=r"127 features.*maps_shape=\(4, 16, 2\).*128"):
                getattr(estimator, method)(X)
        with pytest.raises(ValueError, match=r"\(8, 8, 2\), but maps_shape=\(4, 16, 2\)"):
            getattr(estimator, method)(MAPS)
        with pytest.raises(ValueError, match="NaN"):
            getattr(estimator, method)(np.full((2, 128), NAN))


@pytest.mark.parametrize("window", ["gaussian", "triangular"])
def test_maxima_are_of_boxes_alone(window):
    pyramid = SpatialPyramid(window=window, pooling="max")
    with pytest.raises(ValueError, match=f'pooling="max" needs window="box", got .*{window}'):
        pyramid.fit(MAPS)
