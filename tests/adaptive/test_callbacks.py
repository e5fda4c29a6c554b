"""What callbacks see of an adaptive network that is being fitted."""

import numpy as np
import pytest
from reference.callbacks import DeepRecorder
from reference.images import images_of

from skdeconv import AdaptiveDeconvNet


def net_of(*n_filters):
    options = {"filter_size": 3, "pooling": (2, 2, 2), "lam": 4.0, "n_inference_steps": 5}
    options |= {"max_iter": 2, "tol": 0, "batch_size": 2, "random_state": 0}
    return AdaptiveDeconvNet(n_filters, **options)


def test_callbacks_see_a_level_for_the_layers_and_may_stop_them():
    pytest.importorskip("sklearn.callback")
    images, recorder = images_of(12, 11, n_samples=6), DeepRecorder()
    net = net_of(2, 3).set_callbacks(recorder).fit(images)
    layer = [("pass", 0), ("pass", 1)]
    wanted = [*layer, ("layer", 0), *layer, ("layer", 1), ("fit", 0)]
    assert [end[:2] for end in recorder.ends] == wanted
    fitted = recorder.ends[-1][3]
    np.testing.assert_array_equal(fitted.transform(images), net.transform(images))
    stopped = net_of(2, 3).set_callbacks(DeepRecorder(stop=True)).fit(images)
    assert [len(costs) for costs in stopped.cost_] == [1, 1]
