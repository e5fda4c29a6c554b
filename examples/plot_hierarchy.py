"""
A hierarchy of two layers
=========================

The second layer of :class:`skdeconv.HierarchicalDeconvNet` learns from the maps of the first layer
which edges and lines occur together. Projected to pixels, its filters are longer lines, parallel
lines, corners and curves.
"""

# %%
# The images are squares of the two sample photos of scikit-learn, contrast-normalised. Every fourth
# is held out.

import matplotlib.pyplot as plt
import numpy as np

from skdeconv import HierarchicalDeconvNet
from skdeconv.datasets import load_sample_photos
from skdeconv.display import HierarchyDisplay, ReconstructionDisplay
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=100).astype(np.float32)
images = LocalContrastNormalizer().fit_transform(photos[photos.std(axis=(1, 2)) > 0.1])
learned, held_out = images[np.arange(len(images)) % 4 != 2], images[2::4]

# %%
# The first layer has nine filters. The second has 45: one for each map of the first layer, and one
# for each pair of maps. Tuples have one value for each layer, the lowest first.

net = HierarchicalDeconvNet(
    n_filters=(9, 45), filter_size=7, lam=(2.0, 1.0), max_iter=(5, 4), random_state=0
)
net.fit(learned)
display = HierarchyDisplay.from_estimator(net)

# %%
# ``transform`` infers the maps of the top layer from the pixels, through both layers.

reconstruction = ReconstructionDisplay.from_estimator(net, held_out[:3], index=2)

# %%
# The alternative is ``inference="greedy"``, which infers the maps of the first layer, and then maps
# that reconstruct those. For the same number of non-zeros its reconstruction is worse, as several
# values of ``lam`` of the top layer show.

figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
one = held_out[2:3]
variance = np.sum((one - one.mean()) ** 2)
for inference, weights in {"joint": (0.35, 0.5, 0.8), "greedy": (1.0, 2.0, 4.0)}.items():
    found = []
    for weight in weights:
        codes = net.set_params(inference=inference, lam=(2.0, weight)).transform(one)
        error = np.sum((net.inverse_transform(codes) - one) ** 2)
        found.append((np.count_nonzero(codes) / one.size, 1 - error / variance))
    ax.plot(*np.transpose(found), "o-", label=inference)
ax.set(xlabel="non-zero top coefficients per pixel", ylabel="R² in pixels")
ax.legend()

# %%
# The strongest activations of six filters of the top layer: pairs of the image at that position,
# and the projection of the coefficient.

net.set_params(inference="joint", lam=(2.0, 0.5))
top = net.top_activations(held_out[:3], k=4)
strongest = np.argsort(-np.abs(top.coefficients[:, 0]))[:6]
figure, axes = plt.subplots(6, 8, figsize=(8, 6), layout="constrained")
for row, k in zip(axes, strongest, strict=True):
    for column in range(4):
        row[2 * column].imshow(top.crops[k, column, :, :, 0], cmap="gray")
        row[2 * column + 1].imshow(top.projections[k, column, :, :, 0], cmap="gray")
for ax in axes.flat:
    ax.set_axis_off()
figure.suptitle("Strongest activations of six filters, and their projections")
