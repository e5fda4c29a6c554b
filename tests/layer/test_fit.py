"""Learning: planted filters, costs, determinism, starts, interruptions, warnings."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from joblib import parallel_config
from reference.interruptions import is_gone
from scipy.signal import correlate2d
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.validation import check_is_fitted

from skdeconv import DeconvNetLayer, lam_min
from skdeconv.datasets import make_sparse_images
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.learning import LayerLearner


@pytest.fixture
def data():
    return make_sparse_images(12, (20, 18), n_filters=3, filter_size=5, random_state=42)


def test_filters_cut_off_are_moved(monkeypatch):
    data = make_sparse_images(
        10, (40, 40), n_filters=4, filter_size=5, density=0.003, random_state=0
    )
    layer = DeconvNetLayer(4, 5, lam=4.0, max_iter=10, random_state=100)
    found = matches(data.filters, clone(layer).fit(data.images).filters_).max(axis=1)
    monkeypatch.setattr(LayerLearner, "_recenter", lambda self, batch: None)
    without = matches(data.filters, layer.fit(data.images).filters_).max(axis=1)
    assert found.min() > 0.99 > without.min()


def matches(planted, learned):
    """For each planted filter the largest correlation, over shifts, signs and learned filters."""
    scores = [[np.abs(correlate2d(f, g)).max() for g in learned[..., 0]] for f in planted[..., 0]]
    return np.array(scores)


@pytest.mark.parametrize("seed", range(2))
def test_planted_filters_are_recovered(seed):
    data = make_sparse_images(
        15, (40, 40), n_filters=4, filter_size=5, density=0.003, random_state=seed
    )
    # Of the same seed the first filters would be the planted ones.
    layer = DeconvNetLayer(4, 5, lam=4.0, random_state=seed + 100).fit(data.images)
    scores = matches(data.filters, layer.filters_)
    assert scores.max(axis=1).min() >= 0.99
    assert sorted(scores.argmax(axis=1)) == [0, 1, 2, 3]


def test_planted_colour_filters_are_recovered():
    data = make_sparse_images(
        15, (40, 40, 3), n_filters=3, filter_size=5, density=0.003, random_state=0
    )
    layer = DeconvNetLayer(3, 5, lam=2.0, random_state=100).fit(data.images)
    scores = np.abs(np.einsum("kabc,labc->kl", data.filters, layer.filters_))
    assert scores.max(axis=1).min() >= 0.99


@pytest.mark.parametrize(
    "options",
    [{}, {"p": 0.5}, {"positive": True}, {"p": 0.7, "positive": True}],
    ids=["p=1", "p=0.5", "positive", "both"],
)
def test_whole_passes_never_raise_the_cost(data, options):
    layer = DeconvNetLayer(
        4, 5, lam=4.0, batch_size=None, max_iter=8, tol=0, random_state=0, **options
    ).fit(data.images)
    assert len(layer.cost_) == layer.n_iter_ == 8
    assert np.all(np.diff(layer.cost_) <= 1e-9 * layer.cost_[:-1])
    assert layer.cost_[-1] < layer.cost_[0]


def test_kept_maps_learn_as_the_statistics_do(data, monkeypatch):
    layer, images = DeconvNetLayer(3, 5, lam=4.0, max_iter=3, random_state=0), data.images[:6]
    by_statistics = clone(layer).fit(images).score(images)
    monkeypatch.setattr("skdeconv.learning._layer_learner.LARGEST_GRAM", 0)
    by_maps = clone(layer).fit(images).score(images)
    assert by_maps > 0.9 * by_statistics
    whole = clone(layer).set_params(batch_size=None, tol=0).fit(images)
    assert np.all(np.diff(whole.cost_) <= 1e-9 * whole.cost_[:-1])


def test_online_learning_beats_whole_passes():
    images = load_digits().images[:100] / 16
    layer = DeconvNetLayer(6, 5, lam=5.0, positive=True, max_iter=3, tol=0, random_state=0)
    online = clone(layer).fit(images)
    whole = clone(layer).set_params(batch_size=None).fit(images)
    assert online.cost_[-1] < 0.95 * whole.cost_[-1]


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_change_no_bit(data, backend, monkeypatch):
    monkeypatch.setattr("skdeconv.inference._coding._CHUNK", 5000)
    layer = DeconvNetLayer(3, 5, lam=4.0, batch_size=None, max_iter=2, tol=0, random_state=0)
    alone = clone(layer).fit(data.images)
    with parallel_config(backend):
        together = clone(layer).set_params(n_jobs=2).fit(data.images)
        codes = together.transform(data.images)
    np.testing.assert_array_equal(together.filters_, alone.filters_)
    np.testing.assert_array_equal(together.cost_, alone.cost_)
    np.testing.assert_array_equal(codes, alone.transform(data.images))


def test_fits_repeat(data):
    layer = DeconvNetLayer(3, 5, lam=4.0, max_iter=2, random_state=7)
    np.testing.assert_array_equal(
        clone(layer).fit(data.images).filters_, layer.fit(data.images).filters_
    )


def largest(filters):
    """Of each filter the entry of largest modulus."""
    flat = filters.reshape(len(filters), -1)
    return flat[np.arange(len(flat)), np.abs(flat).argmax(axis=1)]


def test_canonical_signs_leave_the_learner_alone(data, monkeypatch):
    # Filters that change their sign between passes no longer fit the maps that are kept.
    layer = DeconvNetLayer(6, 5, lam=4.0, max_iter=3, tol=0, random_state=0)
    public = clone(layer).fit(data.images)
    monkeypatch.setattr(
        "skdeconv._layer._public_filters", lambda learner: learner.filters.transpose(0, 2, 3, 1)
    )
    own = clone(layer).fit(data.images)
    signs = np.sign(largest(own.filters_))
    assert set(signs) == {-1, 1}
    assert np.all(largest(public.filters_) > 0)
    np.testing.assert_array_equal(public.filters_, own.filters_ * signs[:, None, None, None])
    np.testing.assert_array_equal(public.cost_, own.cost_)


def test_signs_that_were_given_are_kept(data):
    layer = DeconvNetLayer(3, 5, lam=4.0, max_iter=2, tol=0, random_state=0)
    first = np.random.RandomState(0).standard_normal((3, 5, 5, 1))
    plain = clone(layer).set_params(init=first).fit(data.images)
    flipped = clone(layer).set_params(init=-first).fit(data.images)
    np.testing.assert_allclose(flipped.filters_, -plain.filters_, atol=1e-10)
    np.testing.assert_allclose(flipped.cost_, plain.cost_)
    warm = clone(layer).set_params(warm_start=True)
    warm.filters_ = -data.filters
    np.testing.assert_array_equal(
        np.sign(largest(warm.fit(data.images).filters_)), np.sign(largest(-data.filters))
    )


def test_positive_maps_need_negative_filters():
    spots = np.random.default_rng(0).random((12, 20, 18)) < 0.02
    layer = DeconvNetLayer(1, 3, lam=9.0, positive=True, random_state=0).fit(-1.0 * spots)
    assert largest(layer.filters_) < 0
    assert layer.score(-1.0 * spots) > 0.8


def test_init_and_warm_start(data):
    layer = DeconvNetLayer(3, 5, lam=4.0, init=3 * data.filters, max_iter=1, random_state=0)
    layer.fit(data.images)
    np.testing.assert_allclose(np.linalg.norm(layer.filters_.reshape(3, -1), axis=1), 1)
    assert matches(data.filters, layer.filters_).max(axis=1).min() > 0.99
    warm = DeconvNetLayer(
        3, 5, lam=4.0, batch_size=None, max_iter=3, tol=0, random_state=0, warm_start=True
    )
    before = warm.fit(data.images).cost_[-1]
    assert warm.fit(data.images).cost_[0] <= before * (1 + 1e-3)


def test_an_unused_filter_is_replaced(data):
    useless = np.zeros((4, 5, 5, 1))
    useless[:3], useless[3, 2, 2] = data.filters, -1
    layer = DeconvNetLayer(
        4, 5, lam=1.0, positive=True, init=useless, max_iter=3, tol=0, random_state=0
    )
    images = make_sparse_images(
        12, (20, 18), n_filters=3, filter_size=5, positive=True, random_state=0
    ).images
    images = np.maximum(images, 0)
    filters = layer.fit(images).filters_
    assert not np.allclose(filters[3], useless[3])
    assert np.any(layer.to_maps(layer.transform(images))[..., 3])


def test_connectivity_is_respected():
    images = make_sparse_images(6, (12, 12, 2), n_filters=2, random_state=0).images
    connectivity = np.array([[True, False], [False, True], [True, True]])
    layer = DeconvNetLayer(3, 3, lam=4.0, connectivity=connectivity, max_iter=5, random_state=0)
    layer.fit(images)
    assert not layer.filters_.transpose(0, 3, 1, 2)[~connectivity].any()
    np.testing.assert_allclose(np.linalg.norm(layer.filters_.reshape(3, -1), axis=1), 1)


@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "new"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_fit_leaves_no_trace(data, monkeypatch, fitted, error):
    layer = DeconvNetLayer(3, 5, lam=4.0, max_iter=2, random_state=0)
    if fitted:
        layer.fit(data.images)
        codes = layer.transform(data.images)
    before = vars(layer).copy()

    def interrupted(self, *args):
        raise error

    monkeypatch.setattr(LayerLearner, "run_pass", interrupted)
    with pytest.raises(error):
        layer.fit(data.images[:, :8, :8])
    assert vars(layer).keys() == before.keys()
    assert all(vars(layer)[name] is before[name] for name in before)
    if fitted:
        np.testing.assert_array_equal(layer.transform(data.images), codes)
    else:
        with pytest.raises(NotFittedError):
            check_is_fitted(layer)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals and process groups")
def test_ctrl_c_leaves_no_process_behind():
    code = """if True:
        import signal
        import numpy as np
        from skdeconv import DeconvNetLayer
        images = np.random.default_rng(0).standard_normal((30, 64, 64))
        layer = DeconvNetLayer(
            8, 7, lam=0.3, batch_size=None, max_iter=10**6, tol=0, n_jobs=2, verbose=1
        )
        before = vars(layer).copy()
        # Shells tell the jobs that they run in the background to ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            layer.fit(images)
        except KeyboardInterrupt:
            same = vars(layer).keys() == before.keys()
            print("interrupted", same, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-u", "-W", "ignore", "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert "pass 1/" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            rest = process.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert rest.splitlines()[-1] == "interrupted True"
    assert process.returncode == 0
    assert is_gone(process.pid)


def test_verbose_prints_a_line_for_each_pass(data, capsys):
    DeconvNetLayer(3, 5, lam=4.0, max_iter=3, tol=0, random_state=0, verbose=1).fit(data.images)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert all(f"pass {i + 1}/3" in line for i, line in enumerate(lines))
    assert all(line.endswith(" s") and " non-zeros, " in line for line in lines)


def test_a_callback_may_stop_the_fit(data):
    pytest.importorskip("sklearn.callback")

    class StopAfterTwo:
        def __init__(self):
            self.seen = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **kwargs):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None, **kwargs):
            if context.task_name == "pass":
                self.seen.append(context.task_id)
            return len(self.seen) >= 2

    layer = DeconvNetLayer(3, 5, lam=4.0, max_iter=9, tol=0, random_state=0)
    layer.set_callbacks(StopAfterTwo())
    assert layer.fit(data.images).n_iter_ == 2


def test_zero_images_have_zero_maps():
    layer = DeconvNetLayer(2, 3, random_state=0).fit(np.zeros((3, 8, 8)))
    assert not layer.transform(np.zeros((2, 8, 8))).any()
    assert layer.score(np.zeros((2, 8, 8))) == 1


@pytest.mark.parametrize("positive", [False, True], ids=["any sign", "positive"])
def test_too_small_a_lam_is_told(data, positive):
    images = -np.abs(data.images) if positive else data.images
    layer = DeconvNetLayer(3, 5, lam=4.0, positive=positive, max_iter=1, random_state=0).fit(images)
    least = lam_min(images, layer.filters_, positive=positive).min()
    with pytest.warns(ZeroMapsWarning, match=f"become non-zero above lam={least:.3g};"):
        codes = layer.set_params(lam=0.99 * least).transform(images)
    assert not codes.any()
    # Zero maps are worth the square of what lam is above the least one: here 1e-4.
    layer.set_params(lam=1.01 * least, inference_tol=1e-3)
    with pytest.warns(ZeroMapsWarning, match=r"above .* or decrease inference_tol=0\.001"):
        assert not layer.transform(images).any()
    assert layer.set_params(inference_tol=1e-5).transform(images).any()
    assert layer.set_params(inference_tol=1e-3, lam=1.05 * least).transform(images).any()
    # lam_min knows the filters of the last pass alone, which are random ones here.
    with pytest.warns(ZeroMapsWarning, match="lam=1e-06 is too small for these images") as caught:
        layer.set_params(lam=1e-6).fit(images)
    least = lam_min(images, layer.filters_, positive=positive).min()
    assert f"become non-zero above lam={least:.3g};" in str(caught[0].message)


def test_unfinished_inference_is_told(data):
    layer = DeconvNetLayer(3, 5, lam=4.0, max_iter=1, random_state=0).fit(data.images)
    layer.set_params(inference_max_iter=1, inference_tol=1e-6)
    with pytest.warns(ConvergenceWarning, match="1[0-2] of 12 images"):
        layer.transform(data.images)
