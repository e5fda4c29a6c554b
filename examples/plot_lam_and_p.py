"""
The effect of ``lam`` and ``p`` on sparsity and reconstruction
==============================================================

``lam`` is the weight of the squared error, and ``p`` is the exponent of the sparsity term. Both can
be changed on a fitted layer: the filters are kept, and the next ``transform`` uses the new values.
"""

# %%
# Filters of photos
# -----------------

import matplotlib.pyplot as plt
import numpy as np

from skdeconv import DeconvNetLayer, lam_min
from skdeconv.datasets import load_sample_photos
from skdeconv.preprocessing import LocalContrastNormalizer

images = LocalContrastNormalizer().fit_transform(load_sample_photos(size=100))
train, held_out = images[::4], images[2::24]
layer = DeconvNetLayer(n_filters=9, filter_size=7, lam=2.0, max_iter=2, random_state=0)
layer.fit(train)

# %%
# The scale of ``lam`` depends on that of the images. ``lam_min`` gives the value up to which all
# maps are zero for ``p=1``.

scale = np.median(lam_min(held_out, layer.filters_))
print(f"lam_min of the held-out photos: {scale:.3f}")

# %%
# Non-zeros and R² on held-out photos
# -----------------------------------

fig, ax = plt.subplots(layout="constrained")
for p, marker in [(0.5, "o"), (0.8, "s"), (1.0, "^")]:
    shares, scores = [], []
    for factor in (3, 6, 12, 24):
        layer.set_params(lam=factor * scale, p=p)
        shares.append(100 * np.mean(layer.transform(held_out) != 0))
        scores.append(layer.score(held_out))
    ax.semilogx(shares, scores, marker=marker, label=f"p = {p}")
ax.set(
    xticks=[0.2, 0.5, 1, 2, 5],
    xticklabels=["0.2", "0.5", "1", "2", "5"],
    xlabel="non-zero coefficients (%)",
    ylabel="R²",
    title="Each marker doubles lam, from 3 to 24 times lam_min",
)
ax.minorticks_off()
ax.grid(color="0.9")
_ = ax.legend()

# %%
# Along each curve ``lam`` increases to the right. For the same number of non-zeros, R² is higher
# for smaller ``p``, which shrinks large coefficients less than ``p=1`` does. In return, the cost is
# not convex.
