"""Nets that go on from a checkpoint: what was drawn at random before stays as it was drawn."""

import numpy as np
import pytest
from reference.interruptions import GREY, assert_same_fit, interrupt, net_of

from skdeconv.learning import LayerLearner, _checkpoint

INIT = np.random.RandomState(5).normal(size=(4, 3, 3, 3))


@pytest.mark.parametrize("init", [None, (None, INIT)], ids=["noise", "given"])
@pytest.mark.parametrize("visit", [2, 6], ids=["first layer", "second layer"])
def test_connectivity_is_not_drawn_anew(init, visit, tmp_path, monkeypatch):
    def make(**options):
        kinds = ("auto", "random-pairs")
        return net_of(random_state=None, connectivity=kinds, init=init, **options)

    np.random.seed(0)  # noqa: NPY002 (what random_state=None draws from)
    wanted = make().fit(GREY)
    monkeypatch.setattr(_checkpoint, "_SECONDS", 0)
    np.random.seed(0)  # noqa: NPY002
    stopped = make(checkpoint=tmp_path / "fit.npz")
    interrupt(stopped, GREY, LayerLearner, "_visit", visit, after=True)
    assert (tmp_path / "fit.npz").exists()
    np.random.seed(1)  # noqa: NPY002
    assert_same_fit(stopped.fit(GREY), wanted, GREY)
    for layer in stopped.layers_:
        table = np.ones(1) if layer.connectivity is None else layer.connectivity
        assert not np.any(layer.filters_.any(axis=(1, 2)) & ~table.astype(bool))
