"""
Learn filters from photos
=========================

A deconvolutional layer looks at photos, without any labels, and finds the few patterns from which
all of them can be drawn: edges, lines and dots.
"""

# %%
# Two photos come with scikit-learn, a pavilion and a flower. They are cut into squares of 100 x 100
# pixels; squares of empty sky hold little but noise and are left out. Every fourth of the others is
# kept back: the layer will not see it before the end.

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
# Brightness varies slowly and strongly across a photo. Local contrast normalisation takes it out,
# so that the filters are spent on structure.

images = LocalContrastNormalizer().fit_transform(photos)
kept_back = np.arange(len(images)) % 4 == 2
print(f"{np.sum(~kept_back)} squares to learn from, {np.sum(kept_back)} kept back")

# %%
# The filters start as noise. Each pass over the squares infers where they are needed, and moves
# them towards what is there. ``lam`` weighs the reconstruction against the sparsity of the maps.

layer = DeconvNetLayer(n_filters=16, filter_size=9, lam=1.5, max_iter=8, random_state=0)
layer.fit(images[~kept_back])
filters = FiltersDisplay.from_estimator(layer)

# %%
# A map for each filter says where the filter is placed, and how strongly: red is positive, blue
# negative. Nearly all of it is zero. This is one of the squares that were kept back.

maps = MapsDisplay.from_estimator(layer, images[kept_back], index=2)

# %%
# The maps, each convolved with its filter, add up to the reconstruction.

reconstruction = ReconstructionDisplay.from_estimator(layer, images[kept_back], index=2)

nonzero = np.mean(layer.transform(images[kept_back]) != 0)
print(f"score on the squares kept back: {layer.score(images[kept_back]):.3f}")
print(f"share of coefficients that are not zero: {100 * nonzero:.1f} %")

# %%
# Run as a script, and not as a page of the documentation or a notebook, this writes the pictures
# into the folder that its first argument names.

if "__file__" in globals() and "sphinx_gallery" not in sys.modules:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "skdeconv-pictures").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    filters.figure_.savefig(folder / "filters.png", dpi=150)
    maps.figure_.savefig(folder / "maps.png", dpi=150)
    reconstruction.figure_.savefig(folder / "reconstruction.png", dpi=150)
    print(f"pictures: {folder}")
