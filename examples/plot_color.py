"""
Filters of colour photos
========================

For images with several channels, a filter has one plane for each channel, and one map for all of
them. Filters therefore learn which colours occur together.
"""

# %%
# The photos
# ----------
# JPEG files store colours at half the resolution of brightness. The photos are reduced to half
# their size, otherwise filters learn blocks of two by two pixels. Division by the local contrast
# would treat every channel separately, and make grey walls as colourful as red flowers. Instead,
# the local mean is subtracted, and each photo is divided by its standard deviation, which keeps its
# colours.

import numpy as np

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay, MapsDisplay, ReconstructionDisplay
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=200, color=True)
photos = photos.reshape(-1, 100, 2, 100, 2, 3).mean(axis=(2, 4))
images = LocalContrastNormalizer(sigma=4.0, divisive=False).fit_transform(photos)
images /= images.std(axis=(1, 2, 3), keepdims=True)
images.shape

# %%
# The filters
# -----------
# Some filters are grey edges. Others are patches of one colour, or borders between two colours,
# such as blue and orange.

layer = DeconvNetLayer(n_filters=16, filter_size=7, lam=0.5, max_iter=8, random_state=0)
layer.fit(images)
FiltersDisplay.from_estimator(layer)

# %%
# The reconstruction
# ------------------

ReconstructionDisplay.from_estimator(layer, images, index=1)

# %%
# Each map belongs to all three channels: a coefficient places a filter with its colours.

MapsDisplay.from_estimator(layer, images, index=1)
share = np.mean(layer.transform(images) != 0)
print(f"R² = {layer.score(images):.3f} with {share:.2%} of the coefficients non-zero")
