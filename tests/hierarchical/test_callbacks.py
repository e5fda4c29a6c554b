"""What callbacks see of a hierarchy that is being fitted."""

import numpy as np
import pytest
from reference.callbacks import DeepRecorder, Recorder
from reference.images import images_of

from skdeconv import HierarchicalDeconvNet


@pytest.fixture
def images():
    return images_of(12, 11, n_samples=6)


def net_of(*n_filters):
    options = {"filter_size": 3, "lam": 4.0, "max_iter": 2, "tol": 0, "random_state": 0}
    return HierarchicalDeconvNet(n_filters, **options)


def test_callbacks_see_a_level_for_the_layers(images):
    pytest.importorskip("sklearn.callback")
    own, deep = Recorder(), DeepRecorder()
    net = net_of(2, 3).set_callbacks(own, deep).fit(images)
    assert [end[:3] for end in own.ends] == [
        ("layer", 0, "fit"), ("layer", 1, "fit"), ("fit", 0, None)
    ]  # fmt: skip
    passes = [("pass", 0, "fit"), ("pass", 1, "fit")]
    assert [end[:3] for end in deep.ends] == [
        *passes, ("fit", 0, "fit"), *passes, ("fit", 1, "fit"), ("fit", 0, None)
    ]  # fmt: skip
    assert not any("callback" in name for layer in net.layers_ for name in vars(layer))


def test_fitted_estimators_of_callbacks_are_fitted(images):
    pytest.importorskip("sklearn.callback")
    recorder = Recorder()
    net = net_of(2, 3).set_callbacks(recorder).fit(images)
    for *_, fitted_estimator in recorder.ends:
        if fitted_estimator is not None:
            assert np.isfinite(fitted_estimator.score(images))
    np.testing.assert_array_equal(fitted_estimator.transform(images), net.transform(images))


def test_verbose_prints_layers_and_passes(images, capsys):
    net_of(2, 3).set_params(verbose=1).fit(images)
    lines = capsys.readouterr().out.splitlines()
    wanted = ["layer 1/2", "pass 1/2", "pass 2/2", "layer 2/2", "pass 1/2", "pass 2/2"]
    assert len(lines) == len(wanted)
    assert all(word in line for word, line in zip(wanted, lines, strict=True))
    net_of(2, 3).fit(images)
    assert not capsys.readouterr().out
