"""
Learning filters from photos
============================

A layer learns, without labels, a few filters from which photos can be drawn. The pictures show
what it has learned, where it puts its filters in one photo, and how much of the photo they draw.

Run as a script, it writes the three pictures into the folder that its first argument names,
``skdeconv-pictures`` by default.
"""

# %%
# The photos
# ----------
# Squares of 100 x 100 pixels, cut from the photos that scikit-learn ships. Their local mean is
# removed and their local contrast made equal: on raw photos filters are spent on brightness.

import sys
from pathlib import Path

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay, MapsDisplay, ReconstructionDisplay
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=100)[::2]
images = LocalContrastNormalizer().fit_transform(photos)
images.shape

# %%
# The layer
# ---------
# ``lam`` weighs the error of the reconstruction against the sparsity of the maps. Two passes over
# the photos show the filters; more make them smoother.

layer = DeconvNetLayer(n_filters=16, filter_size=9, lam=2.0, max_iter=2, random_state=0)
layer.fit(images)

# %%
# The filters
# -----------
# Most are edges and bars of some direction, the rest textures and spots.

filters = FiltersDisplay.from_estimator(layer)

# %%
# The maps of one photo
# ---------------------
# Each filter has a map that says where, and how strongly, it is drawn. Nearly all of it is zero.

maps = MapsDisplay.from_estimator(layer, images, index=12)

# %%
# The photo, drawn from its maps
# ------------------------------
# What the difference keeps is what was too faint, at this ``lam``, to be worth a coefficient.

reconstruction = ReconstructionDisplay.from_estimator(layer, images, index=12)

# %%
# All photos together: the share of their variance that the maps explain, and the share of the
# coefficients that are not zero. Maps hold ``n_filters`` coefficients for each pixel, so that one
# in a hundred is one for every six pixels.

score = layer.score(images)
nonzero = (layer.transform(images) != 0).mean()
print(f"R² = {score:.3f} with {nonzero:.2%} of the coefficients non-zero")

# %%
# The gallery of the documentation, and notebooks, show the pictures by themselves; only a script
# has a ``__file__``, and it leaves them in a folder.

if "__file__" in globals():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "skdeconv-pictures")
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"filters": filters, "maps": maps, "reconstruction": reconstruction}
    for name, display in pictures.items():
        display.figure_.savefig(folder / f"{name}.png")
    print(f"Written to {folder.resolve()}: {', '.join(f'{name}.png' for name in pictures)}")
