"""Threads that share one fitted estimator, and what a pass over images leaves of the process."""

import functools
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sklearn.linear_model
from reference.images import images_of
from scipy.sparse import csc_array, issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_info, threadpool_limits

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv._utils.parallel import one_blas_thread
from skdeconv.features import (
    BagOfFeatures,
    BatchTransformer,
    Multiscale,
    PixelFeatures,
    SpatialPyramid,
)
from skdeconv.kernels import _portable
from skdeconv.preprocessing import LocalContrastNormalizer

# Between threads scikit-learn's check of an array may restore filters that another has left.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

IMAGES = images_of(12, 11, n_samples=6)
MAPS = np.stack([IMAGES, -IMAGES], axis=3)
ONE = {"n_filters": 2, "filter_size": 3, "lam": 20.0, "max_iter": 1, "random_state": 0}
TWO = ONE | {"n_filters": (2, 3)}
ESTIMATORS = {
    "layer": DeconvNetLayer(**ONE),
    "layer with smooth maps": DeconvNetLayer(**ONE, low_frequency=True),
    "layer, p < 1": DeconvNetLayer(**ONE, p=0.5),
    "hierarchy": HierarchicalDeconvNet(**TWO),
    "adaptive": AdaptiveDeconvNet(**TWO, pooling=(2, 2, 1)),
    "adaptive by descent": AdaptiveDeconvNet(**TWO, inference="coordinate_descent"),
    "one pass": OnePassEncoder(DeconvNetLayer(**ONE)),
    "normalizer": LocalContrastNormalizer(),
    "pyramid": SpatialPyramid(),
    "bag": BagOfFeatures(3, patch_size=4, pool=2, random_state=0),
    "pixels": PixelFeatures(DeconvNetLayer(**ONE)),
    "batches": BatchTransformer(DeconvNetLayer(**ONE), batch_size=2),
    "scales": Multiscale(make_pipeline(OnePassEncoder(np.eye(3)[None]), SpatialPyramid()), (9, 5)),
    "layer of any size": DeconvNetLayer(**ONE, output="maps"),
    "hierarchy of any size": HierarchicalDeconvNet(**TWO, output="maps"),
    "adaptive of any size": AdaptiveDeconvNet(**TWO, output="maps", pooling=(2, 2, 1)),
}


@functools.cache
def fitted(name):
    """An estimator, four inputs for it, and what it makes of one after the other."""
    X = MAPS if name in ("pyramid", "bag") else IMAGES
    inputs = [X, X[::-1], 2 * X[:3], X[2:]]
    if name.endswith("of any size"):
        X = list(X)
        inputs = [[image[i:, : 11 - i] for image in X] for i in range(4)]
    estimator = ESTIMATORS[name].fit(X)
    return estimator, inputs, [estimator.transform(one) for one in inputs]


def at_once(function, inputs):
    """What a function makes of inputs, each in a thread of its own, all started together."""
    barrier = threading.Barrier(len(inputs))

    def run(one):
        barrier.wait(timeout=60)
        return function(one)

    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(run, inputs))


def blas_threads():
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def filters_of_sweeps():
    """Filters of what a solver's fixed numbers of sweeps say."""
    words = [getattr(one[1], "pattern", one[1]) for one in warnings.filters]
    return [one for one in words if one and "Objective" in one]


def state_of_process():
    return list(warnings.filters), blas_threads()


@pytest.fixture
def two_blas_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.fixture(autouse=True)
def quick_switches():
    """Threads that take turns far more often than every five milliseconds."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_threads_get_what_one_after_the_other_gets(name, two_blas_threads):
    estimator, inputs, expected = fitted(name)
    fit = vars(estimator).copy()
    # Of images of several sizes each thread needs an operator of its own.
    for n_threads in (2, 4, *[4] * (4 if "any size" in name else 1)):
        found = at_once(estimator.transform, inputs[:n_threads])
        for one, wanted in zip(found, expected, strict=False):
            np.testing.assert_array_equal(one, wanted, strict=True)
        assert set(blas_threads()) == {2}
        assert not filters_of_sweeps()
    assert vars(estimator).keys() == fit.keys()
    assert all(vars(estimator)[key] is value for key, value in fit.items())


@pytest.mark.parametrize("name", ["layer", "hierarchy", "adaptive"])
def test_scores_of_threads(name, two_blas_threads):
    estimator, inputs, _ = fitted(name)
    expected = [estimator.score(one) for one in inputs]
    assert at_once(estimator.score, inputs) == expected
    assert set(blas_threads()) == {2}


def test_fits_of_threads(two_blas_threads):
    def fit(seed):
        return DeconvNetLayer(**ONE | {"random_state": seed}).fit(IMAGES)

    for seed, layer in enumerate(at_once(fit, [0, 1])):
        np.testing.assert_array_equal(layer.filters_, fit(seed).filters_)
    assert set(blas_threads()) == {2}


def test_sparse_codes_of_threads():
    estimator = DeconvNetLayer(**ONE, sparse_output=True).fit(IMAGES)
    for found in at_once(estimator.transform, [IMAGES] * 4):
        assert issparse(found)
        assert (found != estimator.transform(IMAGES)).nnz == 0


# What a pass leaves of the process


def overlap(first_out):
    """Two passes in threads of their own, of which the first or the second ends first."""
    inside, done = [threading.Event() for _ in range(2)], [threading.Event() for _ in range(2)]
    limits = {}

    def work(number):
        if number:
            inside[0].wait(60)
        with one_blas_thread():
            inside[number].set()
            done[number].wait(60)
            limits[number] = blas_threads()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    inside[1].wait(60)
    for number in (first_out, 1 - first_out):
        done[number].set()
        threads[number].join(60)
    return limits


@pytest.mark.parametrize("first_out", [0, 1])
def test_passes_that_overlap_leave_the_process_as_it_was(first_out, two_blas_threads):
    before = state_of_process()
    limits = overlap(first_out)
    assert state_of_process() == before
    # The second to end runs on one thread to its end.
    assert all(set(found) == {1} for found in limits.values())


@pytest.mark.parametrize("depth", [1, 3])
def test_a_pass_that_fails_leaves_the_process_as_it_was(depth, two_blas_threads):
    before = state_of_process()

    def fail(depth):
        with one_blas_thread():
            assert set(blas_threads()) == {1}
            if depth == 1:
                raise KeyboardInterrupt
            fail(depth - 1)

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fail(depth)
        assert state_of_process() == before


def test_portable_sweeps_hide_what_scikit_learn_says_and_nothing_else(monkeypatch):
    monkeypatch.setenv("SKDECONV_KERNELS", "portable")
    atoms, pixels = csc_array(IMAGES[0]), IMAGES[1, :, 0]
    start = np.zeros(11)

    def lasso_path(*arguments, **options):
        # What another thread says at the same time.
        with pytest.raises(ConvergenceWarning, match="unfinished"):
            warnings.warn("unfinished", ConvergenceWarning, stacklevel=1)
        return sklearn.linear_model.lasso_path(*arguments, **options)

    monkeypatch.setattr(_portable, "lasso_path", lasso_path)
    before = list(warnings.filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _portable.sweep_atoms(atoms, pixels, start, None, 1e9, False, 1)
        with pytest.raises(ConvergenceWarning, match="Objective did not converge"):
            Lasso(alpha=1e-9, max_iter=1).fit(IMAGES[0], pixels)
    assert warnings.filters == before


def test_threads_are_told_of_unfinished_maps():
    layer = DeconvNetLayer(**ONE).fit(IMAGES).set_params(inference_max_iter=1)

    def told(images):
        for _ in range(20):
            layer.transform(images)

    with pytest.warns(ConvergenceWarning, match="did not converge") as caught:
        at_once(told, [IMAGES] * 4)
    assert len([one for one in caught if "did not converge" in str(one.message)]) == 80


def test_a_filter_of_the_user_with_the_same_words_stays():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Objective did not converge", ConvergenceWarning)
        own = warnings.filters[0]
        with _portable.quiet_sweeps():
            pass
        assert warnings.filters[0] == own
