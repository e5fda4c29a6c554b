"""The snapshot that a failed fit is undone with."""

from types import SimpleNamespace

import numpy as np
import pytest

from skdeconv._utils.rollback import restored_on_failure


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_restores_attributes(error):
    filters = np.ones(3)
    estimator = SimpleNamespace(filters_=filters, n_features_in_=3)
    with pytest.raises(error), restored_on_failure(estimator):  # noqa: PT012
        estimator.n_features_in_ = 5
        estimator.cost_ = 1.0
        del estimator.filters_
        raise error
    assert vars(estimator) == {"filters_": filters, "n_features_in_": 3}
    assert estimator.filters_ is filters


def test_success_keeps_attributes():
    estimator = SimpleNamespace(old=1)
    with restored_on_failure(estimator):
        estimator.new = 2
    assert vars(estimator) == {"old": 1, "new": 2}
