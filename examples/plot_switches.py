"""
The role of the switches
========================

The code of an image in :class:`skdeconv.AdaptiveDeconvNet` has two parts: the maps, and the
switches, which give the position of each coefficient within its pooling block. This example
exchanges the switches between images, or fixes them, to show what each part contributes to the
reconstruction.
"""

# %%
# The images are the two sample photos of scikit-learn at half their size, contrast-normalised and
# cut into squares. One square of each photo is held out.

import matplotlib.pyplot as plt
import numpy as np
from scipy.sparse import csr_array

from skdeconv import AdaptiveCode, AdaptiveDeconvNet, SparseMaps
from skdeconv.datasets import load_sample_photos
from skdeconv.inference import Fista, PowerPenalty, Problem
from skdeconv.operators import Composition, Convolution, Unpooling
from skdeconv.preprocessing import LocalContrastNormalizer

photos = load_sample_photos(size=None)[:, :426].reshape(2, 213, 2, 320, 2).mean(axis=(2, 4))
photos = LocalContrastNormalizer().fit_transform(photos.astype(np.float32))[:, :210, :315]
squares = photos.reshape(2, 2, 105, 3, 105).swapaxes(2, 3).reshape(2, 6, 105, 105)
held_out, learned = squares[:, 1], np.delete(squares, 1, axis=1).reshape(-1, 105, 105)

net = AdaptiveDeconvNet(n_filters=(15, 30), max_iter=(8, 6), random_state=0).fit(learned)
code = net.encode(held_out)

# %%
# The maps of the second layer reconstruct an image through the switches of the first. Here each
# photo is reconstructed with its own switches, with those of the other photo, and with fixed
# switches at the centre of every block. The last reconstruction uses its own switches, but permutes
# the values of the non-zero coefficients.

fixed = np.full_like(code.switches[0][0], 13)
rng = np.random.default_rng(0)
permuted = [
    csr_array((rng.permutation(maps.data), maps.indices, maps.indptr), shape=maps.shape)
    for maps in code.maps[1].maps
]


def decoded(maps, switches):
    """Photos reconstructed from other maps of layer 2 or other switches of layer 1."""
    changed = AdaptiveCode([code.maps[0], maps], [switches, code.switches[1]], code.image_shapes)
    return net.decode(changed)


pictures = {
    "photo": held_out,
    "own switches": net.decode(code),
    "switches of the other": decoded(code.maps[1], code.switches[0][::-1]),
    "fixed switches": decoded(code.maps[1], [fixed, fixed]),
    "permuted values": decoded(SparseMaps(permuted, code.maps[1].map_shapes), code.switches[0]),
}
figure, axes = plt.subplots(2, 5, figsize=(11, 4.8), layout="constrained")
for column, (title, images) in zip(axes.T, pictures.items(), strict=True):
    column[0].set_title(title)
    for ax, image in zip(column, images, strict=True):
        limit = np.abs(image).max()
        ax.imshow(image, cmap="gray", vmin=-limit, vmax=limit)
        ax.set_axis_off()

# %%
# This comparison is unfair to the fixed switches, because the maps were inferred with others. So
# maps are inferred for fixed switches too, by the same solver, for several values of ``lam``.
# ``operator`` reconstructs an image from maps of the second layer: two convolutions, with an
# unpooling in between.


def operator(switches):
    """Operator from maps of the second layer to one image."""
    first, second = (filters.transpose(0, 3, 1, 2) for filters in net.filters_)
    lower = Convolution(first, (105, 105))
    unpooling = Unpooling(switches.transpose(2, 0, 1), net.pooling_[0], lower.maps_shape)
    return Composition(lower, unpooling, Convolution(second, unpooling.maps_shape[1:]))


figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
variance = np.sum((held_out - held_out.mean(axis=(1, 2), keepdims=True)) ** 2)
for name, switches in {"own": code.switches[0], "fixed": [fixed, fixed]}.items():
    found = []
    for lam in (0.15, 0.3, 0.6, 1.2, 2.4):
        error = n_nonzero = 0
        for image, one in zip(held_out, switches, strict=True):
            problem = Problem(operator(one), image[None, None], PowerPenalty(), lam)
            maps = Fista().solve(problem, max_iter=60).maps
            error += np.sum(problem.residual(problem.dense_maps(maps)) ** 2)
            n_nonzero += maps.nnz
        found.append((n_nonzero / held_out.size, 1 - error / variance))
    ax.plot(*np.transpose(found), "o-", label=f"{name} switches")
ax.set(xlabel="non-zero coefficients of layer 2 per pixel", ylabel="R² in pixels")
ax.legend()

# %%
# The switches carry the positions of the structures, which is most of an image. The maps carry
# which structures there are, and their strength. Neither is sufficient alone. Therefore
# ``transform`` returns, by default, the maps of the first layer that the top layer reconstructs,
# and not the maps of the top layer.
