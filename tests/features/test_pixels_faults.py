"""What PixelFeatures says to bad parameters and bad input."""

import inspect
from copy import copy

import numpy as np
import pytest
from reference.faults import check_each, table
from reference.quick import QUICK_NET
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.features import PixelFeatures
from skdeconv.preprocessing import LocalContrastNormalizer

LAYER = DeconvNetLayer(3, (4, 5), lam=3.0, max_iter=1, random_state=0)


def images(shape=(10, 13), seed=0):
    return np.random.default_rng(seed).standard_normal((3, *shape))


FAULTS = {
    "encoder": [
        (None, TypeError, "encoder must be an estimator that gives maps"),
        ("layer", TypeError, "encoder must be"),
        (DeconvNetLayer, TypeError, "encoder must be"),
        (PCA(), TypeError, "encoder must be"),
        (LocalContrastNormalizer(), TypeError, "encoder must be"),
        (FrozenEstimator(PCA()), TypeError, "encoder must be"),
        (FrozenEstimator(DeconvNetLayer()), NotFittedError, "not fitted"),
        (DeconvNetLayer(0), ValueError, "n_filters"),
        (DeconvNetLayer(low_frequency=True), ValueError, "encoder .* low_frequency=False"),
    ],
    "radius": [
        (0, ValueError, "radius"),
        ((2, -1), ValueError, "radius"),
        ((), ValueError, "radius must not be empty"),
        (np.nan, ValueError, "radius"),
        (np.inf, ValueError, "radius"),
        (True, TypeError, "radius"),
        (None, TypeError, "radius"),
        (("2",), TypeError, "radius"),
    ],
    "layers": [
        (0, ValueError, "layers"),
        ((1, 2), ValueError, "layers"),
        ((), ValueError, "layers must not be empty"),
        (1.0, TypeError, "layers"),
        (True, TypeError, "layers"),
        ("top", TypeError, "layers"),
    ],
}


def test_bad_parameters():
    fitted = PixelFeatures(LAYER).fit(images())
    expected, encoder = fitted.transform(images()), fitted.encoder_

    def check(name, value, error, message):
        changed = copy(fitted).set_params(**{name: value})
        with pytest.raises(error, match=message):
            changed.fit(images(seed=1))
        assert changed.encoder_ is encoder
        if name != "encoder":
            with pytest.raises(error, match=message):
                changed.transform(images())
        changed.set_params(**{name: getattr(fitted, name)})
        np.testing.assert_array_equal(changed.transform(images()), expected)

    check_each(table(FAULTS), check)


def test_every_parameter_has_its_faults():
    assert set(FAULTS) == set(inspect.signature(PixelFeatures).parameters)


def test_a_layer_too_many():
    with pytest.raises(ValueError, match="layers == 3, must be <= 2"):
        PixelFeatures(HierarchicalDeconvNet(**QUICK_NET, lam=3.0), layers=3).fit(images())


def test_rows_are_refused():
    fitted = PixelFeatures(LAYER).fit(images())
    for X in (images()[0], csr_array(images()[0]), images()[0].tolist()):
        for method in (PixelFeatures(LAYER).fit, fitted.transform):
            with pytest.raises(ValueError, match=r"X must be a stack of images .* X\[None\]"):
                method(X)


def test_bad_images():
    transformer = PixelFeatures(LAYER).fit(images())
    encoder = transformer.encoder_
    with pytest.raises(ValueError, match=r"holds images of shape .* 2 channels"):
        transformer.transform(np.stack([images()] * 2, axis=-1))
    endless = images()
    endless[0, 0, 0] = np.inf
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(ValueError, match="infinity"):
            method(endless)
        assert transformer.encoder_ is encoder
    # Frozen encoders do not look at what they are not fitted to.
    with pytest.raises(ValueError, match=r"holds images of shape .* 2 channels"):
        transformer.set_params(encoder=FrozenEstimator(encoder)).fit(
            np.stack([images()] * 2, axis=-1)
        )
    assert transformer.encoder_ is encoder
    of_any_size = FrozenEstimator(clone(LAYER).fit(list(images())))
    with pytest.raises(ValueError, match="holds images of shape"):
        PixelFeatures(of_any_size).fit(images(shape=(10, 13, 3)))
