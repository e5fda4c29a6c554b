"""Fitted estimators in files: by pickle, joblib and skops, and from one version to another."""

import copy
import functools
import importlib
import inspect
import pickle
from pathlib import Path, PurePath

import joblib
import numpy as np
import pandas as pd
import pytest
from reference.quick import QUICK, QUICK_NET
from reference.state import frozen
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import skdeconv
from skdeconv import (
    SKOPS_TRUSTED,
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
)
from skdeconv._utils.transformer import Transformer
from skdeconv.exceptions import VersionWarning
from skdeconv.features import (
    BagOfFeatures,
    BatchTransformer,
    Multiscale,
    PixelFeatures,
    SpatialPyramid,
    histogram_intersection,
)
from skdeconv.inference import SOLVERS, CoordinateDescent, Fista, HalfQuadratic
from skdeconv.model_selection import HeldOutPixels
from skdeconv.preprocessing import AsSignals, LocalContrastNormalizer, Resizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.random.default_rng(0).standard_normal((4, 8, 8))
FRAME = pd.DataFrame(X.reshape(4, -1), columns=[f"pixel{i}" for i in range(64)])
MAPS = np.maximum(X[..., None] - [0.0, 0.5], 0)
ONE, TWO = QUICK | {"lam": 5.0}, QUICK_NET | {"lam": 5.0}
SEEDED = DeconvNetLayer(**ONE)
BAG = BagOfFeatures(3, patch_size=4, pool=2, random_state=0)
KERNEL = make_pipeline(SpatialPyramid(), SVC(kernel=histogram_intersection))

CASES = {
    "layer": (SEEDED, X),
    "layer with a generator and names": (
        DeconvNetLayer(**ONE | {"image_shape": (8, 8), "random_state": np.random.RandomState(0)}),
        FRAME,
    ),
    "layer of maps": (
        clone(SEEDED).set_params(output="maps", connectivity=np.ones((2, 1), bool)),
        X,
    ),
    "layer with a solver of its own": (
        clone(SEEDED).set_params(solver=HalfQuadratic(beta_max=10.0)),
        X,
    ),
    "hierarchy": (HierarchicalDeconvNet(**TWO, inference="greedy"), X),
    "hierarchy with solvers of its own": (
        HierarchicalDeconvNet(**TWO, solver=(CoordinateDescent(), Fista())),
        X,
    ),
    "adaptive": (AdaptiveDeconvNet(**TWO, n_inference_steps=2), X),
    "one pass": (OnePassEncoder(SEEDED), X),
    "one pass, frozen": (OnePassEncoder(FrozenEstimator(clone(SEEDED).fit(X))), X),
    "one pass, filters": (OnePassEncoder(np.eye(3)[None, ..., None]), X),
    "normalizer": (LocalContrastNormalizer(), X),
    "resizer": (Resizer(5), X),
    "signals": (AsSignals("last"), X),
    "pyramid": (SpatialPyramid(), MAPS),
    "bag": (BAG, MAPS),
    "pixels": (PixelFeatures(SEEDED), X),
    "batches": (BatchTransformer(make_pipeline(OnePassEncoder(SEEDED), SpatialPyramid())), X),
    "scales": (
        Multiscale(make_pipeline(OnePassEncoder(SEEDED), SpatialPyramid()), (8, 5)),
        list(X),
    ),
    "kernel": (KERNEL, MAPS),
}
COUNTS = [2, np.int64(2), None, (2, 3), (np.int32(2), None), [2, 3], ((2, 3), (4, 5)), "auto"]
NUMBERS = [0.5, 1, np.float64(0.5), np.float32(0.5), (0.5, 1), (np.float64(0.5), None), [1, 2.0]]
FLAGS = [True, np.True_, (True, False), [True, np.False_], (0.3, 0.4, 0.3)]
NAMES = ["rows", np.str_("maps"), ("fista", "ista"), ["auto", None], None]
SHAPES = [(8,), (8, 9), [8, 9], (np.int64(8), 9, 3), None]
TABLE = np.eye(3, 2, dtype=bool)
ARRAYS = [
    TABLE,
    np.asfortranarray(TABLE),
    [[True], [False]],
    (None, np.ones((2, 2))),
    "pairs",
    None,
]
SOLVERS_OF_LAYERS = ["fista", HalfQuadratic(beta_max=9.0), (CoordinateDescent(), Fista(), "fista")]
NET = HierarchicalDeconvNet(**TWO, checkpoint=Path("net.npz"))
ENCODERS = [SEEDED, NET, *map(FrozenEstimator, (SEEDED, NET)), OnePassEncoder(SEEDED), *ARRAYS]
# Values of every type that the docstrings of the estimators name, and some more.
PARAMETERS = {
    "channels": [None, "first", "last"],
    "transformer": [SEEDED, FrozenEstimator(SEEDED)],
    "subsample": [None, 2],
    "lam_scale": ["absolute", "median"],
    **dict.fromkeys(
        "n_filters filter_size pooling inference_max_iter max_iter batch_size n_jobs verbose layer "
        "n_inference_steps cg_max_iter n_learning_steps n_words patch_size step pool n_nearest "
        "n_descriptors levels stride window layers size".split(),
        COUNTS,
    ),
    **dict.fromkeys(
        "lam p smoothness inference_tol tol forgetting beta competition sharpness power radius "
        "sigma overlap".split(),
        NUMBERS,
    ),
    **dict.fromkeys(
        "positive low_frequency sparse_output keep_maps warm_start split_sign divisive two_pass "
        "zero_mean grey".split(),
        FLAGS,
    ),
    **dict.fromkeys(
        "output inference lam_scale padding coding normalize kind boundary floor".split(), NAMES
    ),
    "pooling": [*NAMES, *COUNTS, ((3, 3, 3), (2, 2, 1)), (None, (2, 2, 1))],
    "window": [*NAMES, *COUNTS],
    "sizes": [(8, 5), [8, np.int64(5)]],
    "image_shape": SHAPES,
    "maps_shape": SHAPES,
    "connectivity": ARRAYS,
    "init": ARRAYS,
    "solver": SOLVERS_OF_LAYERS,
    "layer": [*COUNTS, *ENCODERS],
    "lower": ENCODERS,
    "encoder": ENCODERS,
    "checkpoint": ["fit.npz", Path("folder", "fit.npz"), Path.cwd(), PurePath("fit.npz"), None],
    "random_state": [0, np.int64(0), np.random.RandomState(0), None],
}
# Estimators alone, one of each class.
SINGLE = [
    "layer", "hierarchy", "adaptive", "one pass", "normalizer", "signals", "pyramid", "bag",
    "pixels", "batches", "resizer", "scales",
]  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    """Each case fitted, and a comparison with it, of which everything is computed once."""

    @functools.cache
    def fit(name):
        estimator, images = CASES[name]
        estimator = clone(estimator).fit(images, np.arange(4) % 2)
        wanted = codes(estimator, images)

        def assert_same(loaded):
            """The same attributes, and the same numbers bit for bit."""
            assert type(loaded) is type(estimator)
            assert list(vars(loaded)) == list(vars(estimator))
            found = codes(loaded, images)
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted, strict=True)

        return estimator, assert_same

    return fit


def public_estimators():
    modules = [importlib.import_module(f"skdeconv{name}") for name in ("", ".features")]
    modules.append(importlib.import_module("skdeconv.preprocessing"))
    values = [getattr(module, name) for module in modules for name in module.__all__]
    return {one for one in values if inspect.isclass(one) and issubclass(one, BaseEstimator)}


def with_parameters(kind):
    """Estimators that together have every documented type of each of their parameters."""
    values = {name: PARAMETERS[name] for name in inspect.signature(kind).parameters}
    for i in range(max(map(len, values.values()))):
        yield kind(**{name: of_name[i % len(of_name)] for name, of_name in values.items()})


def codes(estimator, images):
    method = getattr(estimator, "transform", None) or estimator.decision_function
    return method(images)


@pytest.mark.parametrize("name", CASES)
def test_pickle(fitted, name):
    estimator, assert_same = fitted(name)
    assert_same(pickle.loads(pickle.dumps(estimator)))


@pytest.mark.parametrize("name", CASES)
def test_joblib_with_arrays_on_disk(fitted, name, tmp_path):
    estimator, assert_same = fitted(name)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    loaded = joblib.load(tmp_path / "estimator.joblib", mmap_mode="r")
    filters = getattr(loaded, "filters_", None)
    if isinstance(filters, np.ndarray):
        assert isinstance(filters, np.memmap)
        assert not filters.flags.writeable
    assert_same(loaded)


@pytest.mark.parametrize("name", CASES)
def test_skops(fitted, name):
    io = pytest.importorskip("skops.io")
    estimator, assert_same = fitted(name)
    file = io.dumps(estimator)
    assert set(io.get_untrusted_types(data=file)) <= set(SKOPS_TRUSTED)
    assert_same(io.loads(file, trusted=SKOPS_TRUSTED))


@pytest.mark.parametrize("kind", sorted(public_estimators(), key=lambda one: one.__name__))
def test_skops_loads_every_type_of_parameter(kind):
    io = pytest.importorskip("skops.io")
    for estimator in with_parameters(kind):
        loaded = io.loads(io.dumps(estimator), trusted=SKOPS_TRUSTED)
        for name, value in estimator.get_params(deep=False).items():
            wanted = Path(value) if isinstance(value, PurePath) else value
            assert type(getattr(loaded, name)) is type(wanted), name
            assert frozen(getattr(loaded, name)) == frozen(wanted), name


def test_skops_loads_what_was_mapped_into_memory(fitted, tmp_path):
    io = pytest.importorskip("skops.io")
    estimator, assert_same = fitted("adaptive")
    joblib.dump(estimator, tmp_path / "net.joblib")
    mapped = joblib.load(tmp_path / "net.joblib", mmap_mode="r")
    assert_same(io.loads(io.dumps(mapped), trusted=SKOPS_TRUSTED))
    assert all(isinstance(one, np.memmap) for one in mapped.filters_)


def test_skops_loads_the_scorer():
    io = pytest.importorskip("skops.io")
    scorer = HeldOutPixels(0.2, random_state=3)
    assert io.loads(io.dumps(scorer), trusted=SKOPS_TRUSTED) == scorer


def test_files_of_paths_do_not_depend_on_the_system():
    path = Path("folder", "fit.npz")
    file = pickle.dumps(DeconvNetLayer(checkpoint=path))
    assert b"pathlib" not in file
    assert pickle.loads(file).checkpoint == path


@pytest.mark.parametrize("form", ["pickle", "joblib", "skops"])
@pytest.mark.parametrize("name", ["layer", "layer with a generator and names", "hierarchy"])
def test_streams_go_on_from_files(name, form, tmp_path):
    estimator, images = clone(CASES[name][0]), CASES[name][1]
    estimator.partial_fit(images).partial_fit(images)
    if form == "pickle":
        loaded = pickle.loads(pickle.dumps(estimator))
    elif form == "joblib":
        joblib.dump(estimator, tmp_path / "estimator.joblib")
        loaded = joblib.load(tmp_path / "estimator.joblib", mmap_mode="r")
    else:
        io = pytest.importorskip("skops.io")
        loaded = io.loads(io.dumps(estimator), trusted=SKOPS_TRUSTED)
    assert frozen(loaded) == frozen(estimator)
    for _ in range(2):
        found, expected = (one.partial_fit(images) for one in (loaded, estimator))
        assert frozen(found) == frozen(expected)
        np.testing.assert_array_equal(codes(found, images), codes(expected, images), strict=True)


def test_skops_needs_every_name_of_the_list(fitted):
    io = pytest.importorskip("skops.io")
    files = [io.dumps(one) for one in (HeldOutPixels(), *(fitted(name)[0] for name in CASES))]
    assert set().union(*(io.get_untrusted_types(data=one) for one in files)) == set(SKOPS_TRUSTED)


def test_the_list_names_all_estimators():
    classes = public_estimators() | set(SOLVERS.values())
    found = {f"{one.__module__}.{one.__qualname__}" for one in classes}
    others = {f"{one.__module__}.{one.__name__}" for one in (histogram_intersection, HeldOutPixels)}
    assert found | others == set(SKOPS_TRUSTED)
    assert sorted(SKOPS_TRUSTED) == SKOPS_TRUSTED
    assert {type(CASES[name][0]) for name in SINGLE} == public_estimators()


@pytest.mark.parametrize("kind", sorted(public_estimators(), key=lambda one: one.__name__))
def test_estimators_record_the_version(kind):
    assert issubclass(kind, Transformer)
    assert kind.__mro__.index(Transformer) < kind.__mro__.index(BaseEstimator)


@pytest.mark.parametrize("name", SINGLE)
def test_files_of_other_versions_warn(fitted, name, monkeypatch):
    estimator, assert_same = fitted(name)
    with monkeypatch.context() as patched:
        patched.setattr(skdeconv, "__version__", "0.0.1")
        file = pickle.dumps(estimator)
    message = rf"was saved by skdeconv 0\.0\.1 and is loaded by {skdeconv.__version__}: "
    with pytest.warns(VersionWarning, match=message) as caught:
        loaded = pickle.loads(file)
    assert f"{type(estimator).__name__} was saved by" in {
        str(one.message)[: str(one.message).index(" skdeconv")] for one in caught
    }
    assert {one.filename for one in caught} == {__file__}
    assert_same(loaded)


@pytest.mark.parametrize("name", SINGLE)
def test_files_without_a_version_warn(fitted, name, monkeypatch):
    estimator, assert_same = fitted(name)
    with monkeypatch.context() as patched:
        patched.delattr(Transformer, "__getstate__")
        file = pickle.dumps(estimator)
    message = f"saved by skdeconv of unknown version and is loaded by {skdeconv.__version__}"
    with pytest.warns(VersionWarning, match=message):
        loaded = pickle.loads(file)
    assert_same(loaded)


def test_skops_files_of_other_versions_warn(fitted, monkeypatch):
    io = pytest.importorskip("skops.io")
    estimator, assert_same = fitted("one pass, filters")
    with monkeypatch.context() as patched:
        patched.setattr(skdeconv, "__version__", "0.0.1")
        file = io.dumps(estimator)
    with pytest.warns(VersionWarning, match=r"was saved by skdeconv 0\.0\.1 and is loaded by"):
        loaded = io.loads(file, trusted=SKOPS_TRUSTED)
    assert_same(loaded)


@pytest.mark.parametrize("name", SINGLE)
def test_copies_and_the_estimator_itself_stay_as_they_are(fitted, name):
    estimator, assert_same = fitted(name)
    before = dict(vars(estimator))
    for duplicate in (copy.deepcopy(estimator), copy.copy(estimator)):
        assert_same(duplicate)
    assert vars(clone(estimator)).keys() == estimator.get_params(deep=False).keys()
    assert "_skdeconv_version" not in vars(estimator)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[key] is value for key, value in before.items())


def test_a_state_that_is_loaded_twice_stays_as_it_is():
    state = SpatialPyramid().__getstate__()
    assert state["_skdeconv_version"] == skdeconv.__version__
    for _ in range(2):
        pyramid = SpatialPyramid.__new__(SpatialPyramid)
        pyramid.__setstate__(state)
        assert vars(pyramid) == vars(SpatialPyramid())
