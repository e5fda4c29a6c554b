"""
Filters of colour photos
========================

Images with channels need nothing special: a filter has as many channels as the images, and one map
draws all of them, so that filters learn which colours go together.
"""

# %%
# The photos
# ----------
# JPEG files store colours at half the resolution of brightness, so that photos are halved first;
# otherwise filters learn blocks of two by two pixels. Dividing by the local contrast would treat
# every channel alone, and make grey walls and red flowers equally colourful. So the local mean is
# removed, and each photo divided by one number, which leaves its colours as they are.

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
# Some filters are neutral edges, others patches of one colour or borders between two, such as blue
# against orange.

layer = DeconvNetLayer(n_filters=16, filter_size=7, lam=0.5, max_iter=8, random_state=0)
layer.fit(images)
FiltersDisplay.from_estimator(layer)

# %%
# The photo, drawn from its maps
# ------------------------------

ReconstructionDisplay.from_estimator(layer, images, index=1)

# %%
# Each map serves the three channels at once: a coefficient is a filter with its colours.

MapsDisplay.from_estimator(layer, images, index=1)
share = np.mean(layer.transform(images) != 0)
print(f"R² = {layer.score(images):.3f} with {share:.2%} of the coefficients non-zero")
