"""Images of one pixel or one value, of hundreds of channels, and in any layout in memory."""

import functools

import numpy as np
import pytest
from reference.convolution import explicit_matrix
from reference.images import images_of
from reference.quick import QUICK, QUICK_NET
from sklearn.base import clone
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from skdeconv import (
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
    lam_min,
)
from skdeconv.features import BagOfFeatures, Multiscale, PixelFeatures, SpatialPyramid
from skdeconv.preprocessing import LocalContrastNormalizer, Resizer

# The data of many a test here is too small for lam, or too large for the default iterations.
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]

ONE = QUICK | {"lam": 20.0, "inference_max_iter": 5}
TWO = ONE | {"n_filters": (2, 3)}
STEPS = QUICK_NET | {"lam": 20.0, "n_inference_steps": 3}
OF_IMAGES = {
    "layer": DeconvNetLayer(**ONE),
    "p < 1": DeconvNetLayer(**ONE | {"p": 0.5, "batch_size": None}),
    "low-frequency maps": DeconvNetLayer(**ONE, low_frequency=True, inference_tol=0.1),
    "fista": DeconvNetLayer(**ONE, solver="fista"),
    "half quadratic": DeconvNetLayer(**ONE, solver="half_quadratic", positive=True),
    "hierarchy": HierarchicalDeconvNet(**TWO),
    "alternating": HierarchicalDeconvNet(
        **TWO | {"inference": "alternating", "inference_max_iter": 2}, inference_tol=0.3
    ),
    "adaptive": AdaptiveDeconvNet(**STEPS, pooling=(2, 2, 1)),
    "descent": AdaptiveDeconvNet(**STEPS, inference="coordinate_descent"),
    "one pass": OnePassEncoder(DeconvNetLayer(**ONE), output="rows"),
    "normalizer": LocalContrastNormalizer(),
    "resizer": Resizer(7),
    "scales": Multiscale(
        make_pipeline(OnePassEncoder(DeconvNetLayer(**ONE)), SpatialPyramid()), (7, 4)
    ),
    "pixels": PixelFeatures(DeconvNetLayer(**ONE)),
}
OF_MAPS = {
    "pyramid": SpatialPyramid((1, 2)),
    "bag": BagOfFeatures(2, patch_size=2, pool=1, random_state=0),
}
each_of_images = pytest.mark.parametrize("name", OF_IMAGES)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])


def outcome(estimator, X):
    """All that a fit and further methods make of images, by name."""
    estimator = clone(estimator).fit(X)
    found = {"codes": estimator.transform(X)}
    if hasattr(estimator, "score"):
        found["score"] = estimator.score(X)
    if hasattr(estimator, "inverse_transform"):
        found["images"] = estimator.inverse_transform(found["codes"])
    if hasattr(estimator, "partial_fit"):
        found["later codes"] = estimator.partial_fit(X).transform(X)
    return found


def noise(*shape, dtype=np.float64):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


# Shapes

SHAPES = {
    "one pixel": (3, 1, 1),
    "one sample": (1, 6, 5),
    "one pixel of one sample": (1, 1, 1),
    "one row": (3, 1, 9),
    "one column": (3, 9, 1),
    "smaller than filters": (3, 2, 2),
    "300 channels": (1, 1, 2, 300),
}


@each_of_images
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_any_shape_is_coded(shape, name):
    found = outcome(OF_IMAGES[name], noise(*shape, dtype=np.float32))
    for key, values in found.items():
        assert np.isfinite(values).all(), key
        assert key == "score" or values.dtype == np.float32
    if "images" in found:
        assert found["images"].shape == shape
    assert found.get("score", 0) <= 1


@each_dtype
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_maps_of_any_shape_are_optimal(shape, positive, dtype):
    X = noise(*shape, dtype=dtype)
    options = {"positive": positive, "inference_max_iter": 1000, "inference_tol": 1e-3}
    layer = DeconvNetLayer(**ONE | options).fit(X)
    filters, images = layer.filters_.astype(float), X.reshape(*(*shape, 1)[:4]).astype(float)
    matrix = explicit_matrix(filters.transpose(0, 3, 1, 2), shape[1:3])
    maps = layer.to_maps(layer.transform(X)).transpose(0, 3, 1, 2).reshape(len(X), -1)
    for z, image in zip(maps.astype(float), images, strict=True):
        y = image.transpose(2, 0, 1).ravel()
        rest = y - matrix @ z
        cost = layer.lam / 2 * rest @ rest + np.abs(z).sum()
        lasso = Lasso(1 / (layer.lam * len(y)), tol=1e-10, max_iter=10**5, positive=positive)
        best = lasso.set_params(fit_intercept=False).fit(matrix, y).coef_
        least = layer.lam / 2 * np.sum((y - matrix @ best) ** 2) + np.abs(best).sum()
        assert cost - least <= 1.1e-3 * cost
        assert not positive or z.min() >= 0


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_drawings_of_any_shape_are_the_valid_convolution(shape):
    X = noise(*shape)
    layer = DeconvNetLayer(**ONE).fit(X)
    matrix = explicit_matrix(layer.filters_.transpose(0, 3, 1, 2), shape[1:3])
    codes = layer.transform(X)
    maps = layer.to_maps(codes).transpose(0, 3, 1, 2).reshape(len(X), -1)
    drawn = (maps @ matrix.T).reshape(len(X), -1, *shape[1:3]).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(layer.inverse_transform(codes), drawn.reshape(shape), atol=1e-12)


@each_dtype
@pytest.mark.parametrize("shape", [(2, 1, 1, 1), (1, 5, 4, 1), (3, 1, 7, 2), (2, 3, 2, 300)])
@pytest.mark.parametrize("name", OF_MAPS)
def test_maps_of_any_shape_are_pooled(name, shape, dtype):
    estimator = clone(OF_MAPS[name])
    if name == "bag":
        estimator.set_params(n_words=1, patch_size=1)
    # Threads of k-means wait for each other where others compute as well.
    with threadpool_limits(1, user_api="openmp"):
        found = estimator.fit_transform(noise(*shape, dtype=dtype))
    assert found.dtype == dtype
    assert len(found) == shape[0]
    assert np.isfinite(found).all()


# Values


@each_dtype
@each_of_images
@pytest.mark.parametrize("value", [0.0, -0.3, 1e4])
def test_constant_images_score_at_most_one(value, name, dtype):
    X = np.full((3, 5, 4), value, dtype)
    found = outcome(OF_IMAGES[name], X)
    for key, values in found.items():
        assert np.isfinite(values).all(), key
    if "score" in found:
        exact = np.array_equal(found["images"], X) if "images" in found else found["score"]
        assert found["score"] == float(exact)
    if value == 0:
        assert not found["codes"].any()
        assert found.get("score", 1) == 1


@each_dtype
def test_lam_min_of_one_pixel_and_of_nothing(dtype):
    X = np.array([0, 4, -0.5, np.finfo(dtype).smallest_subnormal], dtype).reshape(4, 1, 1)
    expected = [np.inf, 0.25, 2, np.inf if dtype == np.float64 else 1 / float(X[3, 0, 0])]
    np.testing.assert_allclose(lam_min(X, filter_size=5), expected)
    np.testing.assert_allclose(lam_min(X, np.ones((1, 1, 1))), expected)


@each_dtype
@each_of_images
def test_denormal_pixels_are_next_to_nothing(name, dtype):
    X = np.abs(images_of(6, 5, n_samples=2)).astype(dtype)
    dark = np.where(X, X, np.finfo(dtype).smallest_subnormal)
    found, expected = outcome(OF_IMAGES[name], dark), outcome(OF_IMAGES[name], X)
    for key, values in found.items():
        np.testing.assert_allclose(values, expected[key], rtol=1e-5, atol=1e-5, err_msg=key)


# Memory


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def unaligned(X):
    buffer = np.empty(X.nbytes + 1, np.uint8)[1:]
    other = buffer.view(X.dtype).reshape(X.shape) if X.size else X
    other[:] = X
    return other


def spread(X):
    wide = np.zeros((*X.shape[:-1], 2 * X.shape[-1]), X.dtype)
    wide[..., ::2] = X
    return wide[..., ::2]


MEMORY = {
    "plain": np.array,
    "read-only": read_only,
    "Fortran order": np.asfortranarray,
    "big endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "reversed": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "not aligned": unaligned,
    "with gaps": spread,
    "read-only Fortran order": lambda X: read_only(np.asfortranarray(X)),
    "list": lambda X: [np.asfortranarray(image) for image in X],
}


@functools.cache
def expected_outcome(name, dtype, colour):
    shape = (6, 5, 2) if colour else (6, 5, 1) if name in OF_MAPS else (6, 5)
    X = images_of(*shape, n_samples=3).astype(dtype)
    return X, outcome({**OF_IMAGES, **OF_MAPS}[name], X)


# float64 is what others become, so that less can go wrong.
CASES = [(memory, np.float32) for memory in MEMORY] + [("big endian", np.float64)]
# All others read images as these do, and maps as the pyramid does.
READERS = ["layer", "adaptive", "one pass", "normalizer", "pyramid"]


@pytest.mark.parametrize(("memory", "dtype"), CASES)
@pytest.mark.parametrize("name", READERS)
def test_memory_changes_no_bit(name, memory, dtype):
    # Inside channels come first, so that of one channel alone the caller's array may be used.
    X, expected = expected_outcome(name, dtype, memory not in {"plain", "read-only", "big endian"})
    given = MEMORY[memory](X)
    before = [one.tobytes() for one in given]
    found = outcome({**OF_IMAGES, **OF_MAPS}[name], given)
    assert [one.tobytes() for one in given] == before
    for key, values in found.items():
        np.testing.assert_array_equal(values, expected[key], strict=key == "codes", err_msg=key)
