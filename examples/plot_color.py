"""
Filters of colour photos
========================

Images with channels need nothing special: a filter has as many channels as the images, and one map
draws all of them, so that filters learn which colours go together.
"""

# %%
# The photos
# ----------
# Local contrast normalisation treats every channel alone, and would make a grey wall and a red
# flower equally colourful. Here the local mean is removed and nothing divided: colours keep their
# strength, and ``lam`` its scale, up to the one number that all photos are divided by.

import numpy as np

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay, MapsDisplay, ReconstructionDisplay
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=100, color=True)[::3]
images = LocalContrastNormalizer(sigma=4.0, divisive=False).fit_transform(photos)
images /= images.std()
images.shape

# %%
# The filters
# -----------
# Neutral edges come first, since brightness varies most; some filters are of one colour or of a
# pair of opposite ones.

layer = DeconvNetLayer(n_filters=25, filter_size=7, lam=2.0, max_iter=3, random_state=0)
layer.fit(images)
FiltersDisplay.from_estimator(layer)

# %%
# The photo, drawn from its maps
# ------------------------------

ReconstructionDisplay.from_estimator(layer, images, index=12)

# %%
# Each map serves the three channels at once: a coefficient is a filter with its colours.

MapsDisplay.from_estimator(layer, images, index=12)
share = np.mean(layer.transform(images) != 0)
print(f"R² = {layer.score(images):.3f} with {share:.2%} of the coefficients non-zero")
