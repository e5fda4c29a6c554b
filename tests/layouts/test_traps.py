"""Layouts that are read in another way than they were meant: what warns, and what must not."""

import warnings

import numpy as np
import pytest
from reference.quick import QUICK
from scipy.ndimage import gaussian_filter
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits, load_sample_image

from skdeconv import DeconvNetLayer
from skdeconv.layouts import check_images

NOISE = np.random.default_rng(0).standard_normal
PHOTO = load_sample_image("china.jpg")[::2, ::2]
LONG = gaussian_filter(NOISE(20_000), 20)


def read(X, **options):
    return check_images(BaseEstimator(), X, reset=True, **options)


WARN = {
    "a colour photo": (PHOTO, r"214 images of 320 x 3 pixels.*X\[None\]"),
    "a colour photo with transparency": (NOISE((40, 50, 4)), r"X\[None\]"),
    "a grey photo": (PHOTO[..., 0], r"those of a photo.*X\[None\]"),
    "a square grey photo": (PHOTO[:200, :200, 0] / 255, r"those of a photo.*X\[None\]"),
    "channels first": (NOISE((5, 3, 40, 50)), r"X.transpose\(0, 2, 3, 1\)"),
    "one channel first": (NOISE((5, 1, 40, 40)), r"X.transpose\(0, 2, 3, 1\)"),
    "a colour photo with channels first": (
        PHOTO.transpose(2, 0, 1),
        r"3 images of 214 x 320 pixels.*X.transpose\(1, 2, 0\)\[None\]",
    ),
    "signals with channels first": (NOISE((20, 3, 500)), r'as_signals\(X, channels="first"\)'),
    "one signal with channels first": (NOISE((1, 3, 500)), r"is read as 1 image of 3 x 500"),
    "signals with channels last": (NOISE((20, 500, 2)), r'as_signals\(X, channels="last"\)'),
    "ragged signals with channels first": (
        [NOISE((3, 500)), NOISE((3, 1000)), NOISE((3, 50))],
        r'list of 3 .* 3 x 500 pixels.*3 channels.*as_signals\(X, channels="first"\)',
    ),
    "a list of signals with channels last": (
        list(NOISE((4, 500, 2))),
        r'as_signals\(X, channels="last"\)',
    ),
    "one signal, as scikit-learn suggests": (LONG[:, None], r"as_signals\(X.ravel\(\)\)"),
}
SILENT = {
    "grey photos": NOISE((5, 40, 50)),
    "colour photos": PHOTO[None],
    "three grey photos": np.stack([PHOTO[:100, x : x + 100, 0] for x in (0, 100, 200)]),
    "three constant images": np.ones((3, 40, 40)),
    "a small photo with channels first": PHOTO[:20, :20].transpose(2, 0, 1),
    "a list of photos": [NOISE((40, 50)), NOISE((35, 300))],
    "a list of narrow images of several heights": [NOISE((3, 500)), NOISE((4, 500))],
    "a list of images, some of them narrow": [NOISE((3, 500)), NOISE((60, 500))],
    "a list of signals of height 1": [NOISE((1, 5000)), NOISE((1, 2000))],
    "a list of ragged signals": [NOISE(5000), NOISE(2000)],
    "grey photos with a channel": NOISE((5, 40, 50, 1)),
    "hyperspectral images": NOISE((2, 30, 40, 50)),
    "signals of height 1": NOISE((20, 1, 500)),
    "signals with many channels": NOISE((2, 1, 500, 64)),
    "independent signals": NOISE((100, 301)),
    "windows cut from a signal": LONG[np.arange(0, 8_000, 40)[:, None] + np.arange(301)],
    "repeated signals": np.tile(NOISE(301), (50, 1)) + 0.1 * NOISE((50, 301)),
    "digits": load_digits().images,
    "rows of tables": NOISE((1797, 63)),
    "small colour photo": PHOTO[:20, :20],
    "one feature of few samples": NOISE((300, 1)),
    "constant rows": np.ones((40, 50)),
}


@pytest.mark.parametrize("name", WARN)
def test_what_warns(name):
    X, message = WARN[name]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        images = read(X)
    assert len(caught) == 1
    assert images.trap == str(caught[0].message)
    with pytest.warns(UserWarning, match=message):
        read(X)


@pytest.mark.parametrize("name", SILENT)
def test_what_must_not_warn(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(SILENT[name]).trap is None


def test_rows_whose_shape_is_known_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(PHOTO[..., 0], image_shape=(4, 80)).trap is None


def test_transform_warns_too():
    layer = DeconvNetLayer(**QUICK | {"lam": 5.0, "output": "maps"}).fit(NOISE((4, 10, 10)))
    with pytest.warns(UserWarning, match=r"X\[None\]"):
        layer.transform(NOISE((40, 50, 3)) / 10)
