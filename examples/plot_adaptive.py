"""
An adaptive network with four layers
====================================

:class:`skdeconv.AdaptiveDeconvNet` pools the maps of every layer, stores the position of each
maximum as a switch, and lets every layer reconstruct the image itself. Few coefficients of the top
layer reconstruct most of a photo, because the switches store the positions of its structures.
"""

# %%
# The images are the two sample photos of scikit-learn at half their size, contrast-normalised and
# cut into squares. One square of each photo is held out. The others are augmented by their mirror
# images.

import matplotlib.pyplot as plt
import numpy as np

from skdeconv import AdaptiveDeconvNet
from skdeconv.datasets import load_sample_photos
from skdeconv.display import ActivationsDisplay, CascadeDisplay, FiltersDisplay
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=None)[:, :424].reshape(2, 212, 2, 320, 2).mean(axis=(2, 4))
photos = LocalContrastNormalizer().fit_transform(photos.astype(np.float32))[:, :, 1:319]
squares = photos.reshape(2, 2, 106, 3, 106).swapaxes(2, 3).reshape(2, 6, 106, 106)
held_out, learned = squares[:, 1], np.delete(squares, 1, axis=1).reshape(-1, 106, 106)
learned = np.concatenate([learned, learned[:, ::-1], learned[:, :, ::-1], learned[:, ::-1, ::-1]])

# %%
# The layers are those of the paper, except for smaller numbers of filters above the first layer,
# since there are few photos. Layers are learned from the lowest up.

net = AdaptiveDeconvNet(n_filters=(15, 30, 50, 80), max_iter=(6, 4, 2, 2), random_state=0)
net.fit(learned)
filters = FiltersDisplay.from_estimator(net, n_columns=5)

# %%
# ``encode`` infers the maps and switches of all layers, and ``decode`` reconstructs images from one
# layer. Higher layers need fewer coefficients per pixel.

code = net.encode(held_out)
shown = 1
figure, axes = plt.subplots(1, 5, figsize=(12, 2.8), layout="constrained")
variance = np.sum((held_out - held_out.mean(axis=(1, 2), keepdims=True)) ** 2)
limit = np.abs(held_out[shown]).max()
axes[0].imshow(held_out[shown], cmap="gray", vmin=-limit, vmax=limit)
axes[0].set_title("photo")
for layer, ax in enumerate(axes[1:], 1):
    decoded = net.decode(code, layer)
    score = 1 - np.sum((decoded - held_out) ** 2) / variance
    per_pixel = sum(maps.nnz for maps in code.maps[layer - 1].maps) / held_out.size
    ax.imshow(decoded[shown], cmap="gray", vmin=-limit, vmax=limit)
    ax.set_title(f"layer {layer}: R² {score:.2f},\n{per_pixel:.3f} non-zeros per pixel", fontsize=9)
for ax in axes:
    ax.set_axis_off()

# %%
# The projection of a filter above the first layer depends on the switches of the image. These are
# the strongest activations of the second layer, next to the image.

activations = ActivationsDisplay.from_estimator(net, learned, layer=2, n_columns=6)

# %%
# One activation of the top layer is decomposed into features of the layers below: its five
# strongest features in the third layer, five for each of those, and so on.

cascade = CascadeDisplay.from_estimator(net, held_out, index=shown)
