"""
Four layers that all explain the pixels
=======================================

:class:`skdeconv.AdaptiveDeconvNet` pools the maps of every layer, remembers where each maximum
stood, and lets every layer explain the image itself. Few coefficients of its top layer draw most of
a photo, because the switches of that photo say where all the strokes belong.
"""

# %%
# The two photos that come with scikit-learn at half their size, after local contrast
# normalisation, cut into squares. One square of each photo is kept back; of the others we learn
# from the mirror images too.

import matplotlib.pyplot as plt
import numpy as np

from skdeconv import AdaptiveDeconvNet
from skdeconv.datasets import load_sample_photos
from skdeconv.display import ActivationsDisplay, CascadeDisplay, FiltersDisplay
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=None)[:, :424].reshape(2, 212, 2, 320, 2).mean(axis=(2, 4))
photos = LocalContrastNormalizer().fit_transform(photos.astype(np.float32))[:, :, 1:319]
squares = photos.reshape(2, 2, 106, 3, 106).swapaxes(2, 3).reshape(2, 6, 106, 106)
kept_back, learned = squares[:, 1], np.delete(squares, 1, axis=1).reshape(-1, 106, 106)
learned = np.concatenate([learned, learned[:, ::-1], learned[:, :, ::-1], learned[:, ::-1, ::-1]])

# %%
# Layers of the paper, but half of their filters: a few photos are enough for those. Training takes
# the layers from the lowest up.

net = AdaptiveDeconvNet(n_filters=(15, 30, 50, 80), max_iter=(6, 4, 2, 2), random_state=0)
net.fit(learned)
filters = FiltersDisplay.from_estimator(net, n_columns=5)

# %%
# ``encode`` infers the maps and switches of all layers at once, ``decode`` draws images from one of
# them. The higher the layer, the fewer coefficients it needs for a pixel.

code = net.encode(kept_back)
shown = 1
figure, axes = plt.subplots(1, 5, figsize=(12, 2.8), layout="constrained")
variance = np.sum((kept_back - kept_back.mean(axis=(1, 2), keepdims=True)) ** 2)
limit = np.abs(kept_back[shown]).max()
axes[0].imshow(kept_back[shown], cmap="gray", vmin=-limit, vmax=limit)
axes[0].set_title("photo")
for layer, ax in enumerate(axes[1:], 1):
    drawn = net.decode(code, layer)
    score = 1 - np.sum((drawn - kept_back) ** 2) / variance
    per_pixel = sum(maps.nnz for maps in code.maps[layer - 1].maps) / kept_back.size
    ax.imshow(drawn[shown], cmap="gray", vmin=-limit, vmax=limit)
    ax.set_title(f"layer {layer}: R² {score:.2f},\n{per_pixel:.3f} non-zeros per pixel", fontsize=9)
for ax in axes:
    ax.set_axis_off()

# %%
# A filter above the first layer has no picture of its own: what it draws depends on the switches of
# the image. Here are the strongest activations of the second layer, beside the image.

activations = ActivationsDisplay.from_estimator(net, learned, layer=2, n_columns=6)

# %%
# One activation of the top layer, and what it is made of: the five strongest features that it
# drives in the third layer, five of each of those, and so on.

cascade = CascadeDisplay.from_estimator(net, kept_back, index=shown)
