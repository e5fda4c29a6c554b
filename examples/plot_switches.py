"""
What the switches carry
=======================

An image's code in :class:`skdeconv.AdaptiveDeconvNet` has two parts: how strong its features are,
and the switches, which say where in each block a feature stands. Exchange the two between images,
or fix the switches, and see which part draws the picture.
"""

# %%
# The two photos that come with scikit-learn at half their size, after local contrast
# normalisation, cut into squares. One square of each photo is kept back.

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array

from skdeconv import AdaptiveCode, AdaptiveDeconvNet, SparseMaps
from skdeconv._penalty import PowerPenalty
from skdeconv.datasets import load_sample_photos
from skdeconv.inference import SOLVERS
from skdeconv.operators import Composition, Convolution, Unpooling
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=None)[:, :426].reshape(2, 213, 2, 320, 2).mean(axis=(2, 4))
photos = LocalContrastNormalizer().fit_transform(photos.astype(np.float32))[:, :210, :315]
squares = photos.reshape(2, 2, 105, 3, 105).swapaxes(2, 3).reshape(2, 6, 105, 105)
kept_back, learned = squares[:, 1], np.delete(squares, 1, axis=1).reshape(-1, 105, 105)

net = AdaptiveDeconvNet(n_filters=(15, 30), max_iter=(8, 6), random_state=0).fit(learned)
code = net.encode(kept_back)

# %%
# The maps of the second layer are drawn through the switches of the first. Here each photo is drawn
# with its own switches, with those of the other photo, and with fixed ones, which point at the
# middle of every block; and with its own switches again, but with the values of its maps dealt out
# anew among their places.

fixed = np.full_like(code.switches[0][0], 13)
rng = np.random.default_rng(0)
dealt = [
    csr_array((rng.permutation(maps.data), maps.indices, maps.indptr), shape=maps.shape)
    for maps in code.maps[1].maps
]


def decoded(maps, switches):
    """Photos of other maps of layer 2, or with other switches of layer 1."""
    changed = AdaptiveCode([code.maps[0], maps], [switches, code.switches[1]], code.image_shapes)
    return net.decode(changed)


pictures = {
    "photo": kept_back,
    "own switches": net.decode(code),
    "switches of the other": decoded(code.maps[1], code.switches[0][::-1]),
    "fixed switches": decoded(code.maps[1], [fixed, fixed]),
    "values dealt out anew": decoded(SparseMaps(dealt, code.maps[1].map_shapes), code.switches[0]),
}
figure, axes = plt.subplots(2, 5, figsize=(11, 4.8), layout="constrained")
for column, (title, images) in zip(axes.T, pictures.items(), strict=True):
    column[0].set_title(title)
    for ax, image in zip(column, images, strict=True):
        limit = np.abs(image).max()
        ax.imshow(image, cmap="gray", vmin=-limit, vmax=limit)
        ax.set_axis_off()

# %%
# That was unfair to the fixed switches: the maps were inferred for others. So maps are inferred for
# them too, by the same solver, with weights from sparse to dense. ``operator`` is what draws an
# image from maps of the second layer: two convolutions, and the switches between them.


def operator(switches):
    """What draws one image from maps of the second layer."""
    first, second = (filters.transpose(0, 3, 1, 2) for filters in net.filters_)
    lower = Convolution(first, (105, 105))
    unpooling = Unpooling(switches.transpose(2, 0, 1), net.pooling_[0], lower.maps_shape)
    return Composition(lower, unpooling, Convolution(second, unpooling.maps_shape[1:]))


figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
variance = np.sum((kept_back - kept_back.mean(axis=(1, 2), keepdims=True)) ** 2)
for name, switches in {"own": code.switches[0], "fixed": [fixed, fixed]}.items():
    found = []
    for lam in (0.15, 0.3, 0.6, 1.2, 2.4):
        error = n_nonzero = 0
        for image, one in zip(kept_back, switches, strict=True):
            drawing = operator(one)
            images = image[None, None]
            result = SOLVERS["fista"].solve(drawing, images, PowerPenalty(), lam, max_iter=60)
            drawn = drawing.forward(result.maps.toarray().reshape(1, *drawing.maps_shape))
            error += np.sum((drawn - images) ** 2)
            n_nonzero += result.maps.nnz
        found.append((n_nonzero / kept_back.size, 1 - error / variance))
    ax.plot(*np.transpose(found), "o-", label=f"{name} switches")
ax.set(xlabel="non-zero coefficients of layer 2 per pixel", ylabel="R² in pixels")
ax.legend()

# %%
# So the switches carry the places of all strokes, which is most of a picture, and the maps say
# which strokes there are and how strong. Neither is much without the other. So ``transform``
# returns what the top layer draws in the maps of the first layer, and not the maps of the top.
