"""
Learn filters from photos
=========================

A :class:`skdeconv.DeconvNetLayer` learns a small dictionary of filters from photos, without labels:
edges, lines and dots. Each photo is represented by sparse maps, which place these filters.
"""

# %%
# The two sample photos of scikit-learn, a pavilion and a flower, are cut into squares of 100 x 100
# pixels. Squares of empty sky are mostly noise and are left out. Every fourth of the others is held
# out.

import sys
from pathlib import Path

import numpy as np

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay, MapsDisplay, ReconstructionDisplay
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=100).astype(np.float32)
photos = photos[photos.std(axis=(1, 2)) > 0.1]

# %%
# Brightness varies slowly and strongly across a photo. Local contrast normalisation removes it, so
# that the filters represent structure.

images = LocalContrastNormalizer().fit_transform(photos)
held_out = np.arange(len(images)) % 4 == 2
print(f"{np.sum(~held_out)} squares to learn from, {np.sum(held_out)} held out")

# %%
# The filters start as noise. Each pass over the squares alternates between inferring maps and
# updating the filters. ``lam`` is the weight of the squared error, against the sparsity of the
# maps.

layer = DeconvNetLayer(n_filters=16, filter_size=9, lam=1.5, max_iter=8, random_state=0)
layer.fit(images[~held_out])
filters = FiltersDisplay.from_estimator(layer)

# %%
# There is one map for each filter, whose coefficients give the positions and weights of the filter.
# Red is positive and blue is negative. Nearly all coefficients are zero. This is one of the squares
# that were held out.

maps = MapsDisplay.from_estimator(layer, images[held_out], index=2)

# %%
# The reconstruction is the sum of the maps, each convolved with its filter.

reconstruction = ReconstructionDisplay.from_estimator(layer, images[held_out], index=2)

nonzero = np.mean(layer.transform(images[held_out]) != 0)
print(f"score on the held-out squares: {layer.score(images[held_out]):.3f}")
print(f"non-zero coefficients: {100 * nonzero:.1f} %")

# %%
# When this file is run as a script, it saves the figures in the folder that is given as its first
# argument.

if "__file__" in globals() and "sphinx_gallery" not in sys.modules:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "skdeconv-pictures").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    filters.figure_.savefig(folder / "filters.png", dpi=150)
    maps.figure_.savefig(folder / "maps.png", dpi=150)
    reconstruction.figure_.savefig(folder / "reconstruction.png", dpi=150)
    print(f"figures: {folder}")
