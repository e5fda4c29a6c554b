"""The state of a learner holds all that passes change."""

from copy import deepcopy

import joblib
import pytest

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer
from skdeconv._adaptive import AdaptiveLearner
from skdeconv._layer import LayerLearner
from skdeconv.datasets import make_sparse_images

SMALL = {"filter_size": 3, "batch_size": 2, "keep_maps": True, "tol": 0}


def _layer(seed):
    return DeconvNetLayer(8, lam=1.5, max_iter=1 + seed, random_state=seed, **SMALL)


def _adaptive(seed):
    return AdaptiveDeconvNet((8,), lam=1.5, max_iter=1 + seed, random_state=seed, **SMALL)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("make", "kind"),
    [(_layer, LayerLearner), (_adaptive, AdaptiveLearner)],
    ids=["layer", "adaptive"],
)
def test_a_restored_learner_has_the_state_of_the_other(make, kind, monkeypatch):
    learners, init = [], kind.__init__

    def recording(self, *args):
        learners.append(self)
        init(self, *args)

    monkeypatch.setattr(kind, "__init__", recording)
    images = make_sparse_images(6, (12, 12), n_filters=3, filter_size=3, random_state=0).images
    for seed in (0, 1):
        make(seed).fit(images)
    first, second = learners
    state = deepcopy(first.state())
    same = {name for name, part in second.state().items() if _equal(part, state[name])}
    # Both are between passes.
    # The number of non-zero coefficients may agree by chance.
    assert same - {"n_nonzero"} == {"order", "n_done"}
    second.restore(deepcopy(state))
    assert _equal(second.state(), state)


def _equal(one, other):
    return joblib.hash(one) == joblib.hash(other)
