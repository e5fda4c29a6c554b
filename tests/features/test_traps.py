"""Warnings of a layout that was probably meant differently: at most one in a call."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skdeconv import OnePassEncoder
from skdeconv.features import BatchTransformer, SpatialPyramid

CHANNELS_FIRST = np.random.default_rng(0).standard_normal((8, 3, 40, 40))
ENCODER = OnePassEncoder(np.random.default_rng(0).standard_normal((2, 3, 3, 40)))
BATCHES = BatchTransformer(make_pipeline(ENCODER, SpatialPyramid()), batch_size=2)


def warned(call):
    """Number of warnings of a call that must warn."""
    with pytest.warns(UserWarning, match="channels come first") as caught:
        call(CHANNELS_FIRST)
    return len(caught)


@pytest.mark.parametrize("estimator", [ENCODER, BATCHES], ids=["encoder", "batches"])
def test_one_for_each_call(estimator):
    estimator = clone(estimator)
    assert [warned(estimator.fit), warned(estimator.transform)] == [1, 1]
    assert warned(estimator.fit_transform) == 1
    # The next call warns again.
    assert warned(estimator.transform) == 1


def test_one_for_all_batches_of_threads():
    batches = clone(BATCHES).set_params(n_jobs=2)
    with parallel_config(backend="threading"):
        assert [warned(batches.fit), warned(batches.transform)] == [1, 1]
