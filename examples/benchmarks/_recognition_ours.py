"""Rows of the recognition benchmark with features of this package, and their controls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from _recognition_rows import Row
from _recognition_scales import Scales, normalized
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.decomposition import MiniBatchDictionaryLearning

from skdeconv import AdaptiveDeconvNet, DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder
from skdeconv.features import SpatialPyramid

SIDE, AT_ONCE = 150, 50
FILTER_SIZE, N_FILTERS = 5, 32
# Pooling of all rows with maps.
DIGIT_POOLING = SpatialPyramid(window="gaussian", sigma=2, stride=3, power=0.25)
PHOTO_POOLING = SpatialPyramid(levels=(1, 2, 4, 6), overlap=0.5)


class Pooled(TransformerMixin, BaseEstimator):
    """Pooled maps of an encoder, a few images at a time.

    Parameters
    ----------
    encoder : estimator
        Estimator whose ``transform``, or with ``layers`` whose ``encode``, returns maps.
    pooling : SpatialPyramid
        Pooling of the maps.
    layers : tuple of int, default=()
        Layers of the encoder whose features are concatenated.
    k : int, default=50
        Features of a layer of an adaptive net above the first are the average over the pooled
        projections of this many activations to the first layer.
    prepare : callable, default=np.asarray
        Function that converts images to a stack.
    every : int, default=1
        Filters are learned from one of this many images.
    """

    def __init__(self, encoder, pooling, layers=(), k=50, prepare=np.asarray, every=1):
        self.encoder, self.pooling, self.layers, self.k = encoder, pooling, layers, k
        self.prepare, self.every = prepare, every

    def fit(self, X, y=None):
        """Fit the encoder."""
        self.encoder_ = clone(self.encoder).fit(self.prepare(X[:: self.every]))
        self.widths_ = [block.shape[1] for block in self._features(self.prepare(X[:1]))]
        return self

    def transform(self, X):
        """One row per image."""
        parts = (self.prepare(X[i : i + AT_ONCE]) for i in range(0, len(X), AT_ONCE))
        return np.concatenate([np.hstack(self._features(part)) for part in parts])

    def _features(self, images):
        if not self.layers:
            return [self._pool(self.encoder_.transform(images))]
        code = self.encoder_.encode(images)
        if not isinstance(self.encoder, AdaptiveDeconvNet):
            return [self._pool(code[number - 1]) for number in self.layers]
        return [
            self._pool(code.maps[0]) if number == 1 else self._projected(code, number)
            for number in self.layers
        ]

    def _projected(self, code, number):
        maps = self.encoder_.project(code, number, self.k, to="layer1")
        return self._pool(maps).reshape(len(code), self.k, -1).mean(axis=1)

    def _pool(self, maps):
        return clone(self.pooling).fit_transform(maps)


class PatchCodes(TransformerMixin, BaseEstimator):
    """Codes of all patches by a dictionary, as signed maps.

    Parameters
    ----------
    n_atoms, size : int
        Number of atoms, side of the patches.
    alpha : float
        Threshold of the codes.
    random_state : int
        Seed of the dictionary.
    """

    def __init__(self, n_atoms, size, alpha, random_state):
        self.n_atoms, self.size, self.alpha = n_atoms, size, alpha
        self.random_state = random_state

    def fit(self, X, y=None):
        """Learn the dictionary from 100,000 patches that are not constant."""
        self.dictionary_ = MiniBatchDictionaryLearning(
            self.n_atoms,
            batch_size=256,
            transform_algorithm="threshold",
            transform_alpha=self.alpha,
            random_state=self.random_state,
        )
        patches = self._patches(X).reshape(-1, self.size**2)
        patches = patches[np.ptp(patches, axis=1) > 0]
        random = np.random.default_rng(self.random_state)
        self.dictionary_.fit(random.permutation(patches)[:100_000])
        return self

    def transform(self, X):
        """Maps, one for each atom."""
        patches = self._patches(X)
        codes = self.dictionary_.transform(patches.reshape(-1, self.size**2))
        return codes.reshape(*patches.shape[:3], -1)

    def _patches(self, X):
        """Patches minus their mean."""
        windows = sliding_window_view(X, (self.size, self.size), axis=(1, 2))
        return windows - windows.mean(axis=(3, 4), keepdims=True)


def noise(seed: int, size: int = FILTER_SIZE) -> np.ndarray:
    """Random filters."""
    return np.random.default_rng(seed).standard_normal((N_FILTERS, size, size))


def one_layer(seed: int, **settings) -> DeconvNetLayer:
    """Layer for digits."""
    settings = {"lam": 3.0, "positive": True, "max_iter": 5} | settings
    return DeconvNetLayer(
        N_FILTERS, FILTER_SIZE, output="maps", sparse_output=True, random_state=seed, **settings
    )


def two_layers(seed: int) -> HierarchicalDeconvNet:
    """Two layers for digits."""
    return HierarchicalDeconvNet(
        (N_FILTERS, 64), FILTER_SIZE, lam=(3.0, 3.0), positive=True,
        max_iter=5, output="maps", sparse_output=True, random_state=seed,
    )  # fmt: skip


def digits(name: str, encoder, layers=(), **settings) -> Row:
    """Row of an encoder of digits."""

    def make(seed):
        return Pooled(encoder(seed), DIGIT_POOLING, layers, **settings)

    return Row(name, make, seeded=True)


def photos(name: str, encoder, layers=(), **settings) -> Row:
    """Row of an encoder of photos."""

    def make(seed):
        return Pooled(encoder(seed), PHOTO_POOLING, layers, prepare=squares, **settings)

    return Row(name, make, seeded=True)


def squares(images) -> np.ndarray:
    """Contrast-normalised photos."""
    return normalized(images, SIDE)[..., 0]


def scales(name: str, filters, *, colour=False) -> Row:
    """Row of one pass over photos at several sizes, with filters learned at 75 pixels."""

    def make(seed):
        return Scales(filters(seed), PHOTO_POOLING, (150, 75, 40, 20), learned_at=75)

    return Row(name, make, seeded=True, colour=colour)


def parts_of(whole: Row, **names) -> tuple[Row, ...]:
    """Rows of single blocks of features, as in ``_1="name"``, and of all blocks."""
    parts = [replace(whole, name=name, block=int(key[1:])) for key, name in names.items()]
    return *parts, whole


def photo_layer(seed: int) -> DeconvNetLayer:
    """Layer for photos."""
    return DeconvNetLayer(
        N_FILTERS, 7, lam=2.0, max_iter=3, output="maps", sparse_output=True,
        random_state=seed,
    )  # fmt: skip


def small_photo_layer(seed: int) -> DeconvNetLayer:
    """Layer for photos of 75 pixels, before an encoder."""
    return DeconvNetLayer(N_FILTERS, 7, lam=0.5, max_iter=2, random_state=seed)


def photo_layers(seed: int) -> HierarchicalDeconvNet:
    """Two layers for photos."""
    return HierarchicalDeconvNet(
        (9, 45), 7, lam=2.0, inference="greedy", max_iter=3, output="maps",
        sparse_output=True, random_state=seed,
    )  # fmt: skip


def adaptive(seed: int) -> AdaptiveDeconvNet:
    """Adaptive net of four layers, for digits and photos."""
    return AdaptiveDeconvNet(random_state=seed)


DIGIT_ROWS = (
    digits("patch dictionary", lambda seed: PatchCodes(N_FILTERS, FILTER_SIZE, 0.3, seed)),
    digits("random filters, one pass", lambda seed: OnePassEncoder(noise(seed))),
    digits("one-pass", lambda seed: OnePassEncoder(one_layer(seed))),
    digits("one layer", one_layer),
    *parts_of(digits("layers 1+2", two_layers, (1, 2)), _1="two layers"),
    *parts_of(digits("adaptive 1+4", adaptive, (1, 4), every=5), _0="adaptive 1", _1="adaptive 4"),
)
PHOTO_ROWS = (
    photos("patch dictionary", lambda seed: PatchCodes(N_FILTERS, 7, 0.3, seed)),
    scales("random filters, one pass, four sizes", lambda seed: noise(seed, 7)),
    *parts_of(scales("one-pass, four sizes", small_photo_layer), _0="one-pass"),
    scales("one-pass, four sizes, colours", small_photo_layer, colour=True),
    photos("one layer", photo_layer),
    *parts_of(photos("layers 1+2", photo_layers, (1, 2)), _1="two layers"),
    *parts_of(photos("adaptive 1+4", adaptive, (1, 4), every=5), _0="adaptive 1", _1="adaptive 4"),
)
