"""
Raw photos, and their low frequencies
=====================================

Without contrast normalisation the largest thing in a photo is its brightness, which varies
slowly. Sparse filters are made for other things. ``low_frequency=True`` gives each channel a smooth
map that draws the brightness, and is inferred together with the sparse maps.
"""

# %%

import matplotlib.pyplot as plt
import numpy as np

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay, ReconstructionDisplay

photos = load_sample_photos(size=100).astype(np.float32)
photos = photos[photos.std(axis=(1, 2)) > 0.1]
learned, kept_back = photos[::4], photos[6:15:8]

# %%
# Two layers, with and without. Both are as good at drawing the photos, but the plain layer needs
# many more coefficients for it, and spends filters on the mean brightness.

common = {"lam": 10.0, "max_iter": 5, "inference_max_iter": 100, "random_state": 0}
layers = {
    "sparse maps alone": DeconvNetLayer(**common),
    "with low frequencies": DeconvNetLayer(**common, low_frequency=True),
}
for name, layer in layers.items():
    layer.fit(learned)
    maps = layer.to_maps(layer.transform(kept_back))
    per_pixel = np.count_nonzero(maps) / kept_back.size
    print(f"{name}: R² {layer.score(kept_back):.4f}, {per_pixel:.3f} non-zeros per pixel")
    FiltersDisplay.from_estimator(layer).axes_.set_title(name)

# %%
# The rows that ``transform`` gives end with the smooth map, the columns ``low0_y0_x0`` and on.
# ``to_maps`` returns the sparse part, ``to_low_frequency`` the smooth one, and
# ``inverse_transform`` draws both. The two parts of one photo:

codes = layer.transform(kept_back)
sparse = layer.inverse_transform(layer.to_maps(codes))
parts = {
    "photo": kept_back[0],
    "low frequencies": (layer.inverse_transform(codes) - sparse)[0],
    "sparse maps": sparse[0],
    "both": layer.inverse_transform(codes)[0],
}
figure, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
for ax, (name, image) in zip(axes, parts.items(), strict=True):
    low = -0.5 if name == "sparse maps" else 0.0
    ax.imshow(image, cmap="gray", vmin=low, vmax=low + 1)
    ax.set_title(name)
    ax.set_axis_off()

# %%
# The reconstruction of that photo by both layers: without the smooth map, and with it.

for layer in layers.values():
    ReconstructionDisplay.from_estimator(layer, kept_back, index=0)
