"""What is remembered of earlier mini-batches."""

import numpy as np
import pytest
from reference.images import images_of

from skdeconv import DeconvNetLayer
from skdeconv.filters import Statistics

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def kept(monkeypatch):
    """The factors by which statistics fade, and the non-zeros of the maps that are then added."""
    factors, numbers, fade, add = [], [], Statistics.fade, Statistics.add

    def fade_and_tell(self, factor):
        factors.append(factor)
        fade(self, factor)

    def add_and_tell(self, maps, *others):
        numbers.append(maps.nnz)
        add(self, maps, *others)

    monkeypatch.setattr(Statistics, "fade", fade_and_tell)
    monkeypatch.setattr(Statistics, "add", add_and_tell)
    return factors, numbers


@pytest.mark.parametrize("lam", [0.5, 20.0])
def test_enough_non_zeros_are_remembered(lam, kept):
    images = images_of(110, 100, n_samples=3)
    DeconvNetLayer(8, 5, lam=lam, max_iter=1, batch_size=1, random_state=0).fit(images)
    factors, numbers = (np.array(one) for one in kept)
    # Each image has enough pixels, and earlier updates are forgotten at once where it also has two
    # non-zeros for each of the 200 entries of the filters.
    early = (1 - 1 / np.arange(1, 4)) ** 100
    np.testing.assert_allclose(factors, np.maximum(early, 1 - numbers / 400))
    assert (numbers < 400).all() if lam == 0.5 else (numbers > 400).all()


def test_enough_pixels_are_remembered(kept):
    images = images_of(20, 25, n_samples=3)
    DeconvNetLayer(2, 3, lam=50.0, max_iter=1, batch_size=1, random_state=0).fit(images)
    factors, numbers = (np.array(one) for one in kept)
    assert (numbers > 36).all()
    np.testing.assert_allclose(factors, 1 - 500 / 10_000)
