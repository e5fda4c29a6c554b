"""
Low-frequency maps of raw photos
================================

Without contrast normalisation, most of the variance of a photo is its brightness, which varies
slowly. Sparse maps represent it poorly. With ``low_frequency=True`` each channel gets a
low-frequency map for the brightness, which is inferred together with the sparse maps.
"""

# %%

import matplotlib.pyplot as plt
import numpy as np

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay, ReconstructionDisplay

photos = load_sample_photos(size=100).astype(np.float32)
photos = photos[photos.std(axis=(1, 2)) > 0.1]
learned, held_out = photos[::4], photos[6:15:8]

# %%
# Both layers reconstruct the photos equally well. Without low-frequency maps, the layer needs many
# more coefficients, and spends filters on the mean brightness.

common = {"lam": 10.0, "max_iter": 5, "inference_max_iter": 100, "random_state": 0}
layers = {
    "sparse maps only": DeconvNetLayer(**common),
    "with low-frequency maps": DeconvNetLayer(**common, low_frequency=True),
}
for name, layer in layers.items():
    layer.fit(learned)
    maps = layer.to_maps(layer.transform(held_out))
    per_pixel = np.count_nonzero(maps) / held_out.size
    print(f"{name}: R² {layer.score(held_out):.4f}, {per_pixel:.3f} non-zeros per pixel")
    FiltersDisplay.from_estimator(layer).axes_.set_title(name)

# %%
# The rows of ``transform`` end with the low-frequency map, in the columns from ``low0_y0_x0``.
# ``to_maps`` returns the sparse maps, and ``to_low_frequency`` the low-frequency maps.
# ``inverse_transform`` reconstructs from both. The two parts of one photo:

codes = layer.transform(held_out)
sparse = layer.inverse_transform(layer.to_maps(codes))
parts = {
    "photo": held_out[0],
    "low-frequency map": (layer.inverse_transform(codes) - sparse)[0],
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
# The reconstruction of this photo without the low-frequency map, and with it:

for layer in layers.values():
    ReconstructionDisplay.from_estimator(layer, held_out, index=0)
