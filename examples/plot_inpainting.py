"""
Filling in missing pixels
=========================

NaN marks a missing pixel, which is left out of the squared error, in learning and in inference. The
maps that explain the known pixels reconstruct the missing ones too, so ``inverse_transform`` fills
them in.
"""

# %%
# The images are squares of the two sample photos of scikit-learn. Filters are learned from some of
# them, after subtraction of their Gaussian mean, so that no filter is spent on brightness.

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay

photos = load_sample_photos(size=100).astype(np.float32)
photos = photos[photos.std(axis=(1, 2)) > 0.1]
shown = [4, 21]
learned = np.delete(photos, shown, axis=0)
learned = learned - gaussian_filter(learned, (0, 3, 3))

layer = DeconvNetLayer(25, 9, lam=5.0, forgetting=5.0, max_iter=6, random_state=0).fit(learned)
FiltersDisplay.from_estimator(layer)

# %%
# There are three kinds of damage: half of the pixels missing, four fifths of them missing, and
# words written over the photo.

rng = np.random.default_rng(0)
page = Image.new("1", (100, 100))
for line in range(4):
    words = "so much was written here once"[5 * line :]
    font = ImageFont.load_default(size=15)
    ImageDraw.Draw(page).text((2, 25 * line + 3), words, fill=1, font=font)
damages = {
    "half": rng.random((100, 100)) < 0.5,
    "four fifths": rng.random((100, 100)) < 0.8,
    "words": np.asarray(page),
}
damaged = np.stack(
    [np.where(missing, np.nan, photos[i]) for i in shown for missing in damages.values()]
)
damaged = damaged.astype(np.float32)

# %%
# The photos are raw, so their brightness is represented by a low-frequency map: see
# :ref:`sphx_glr_gallery_plot_raw_photos.py`. Known pixels are kept.

layer.set_params(low_frequency=True, smoothness=0.1, lam=20.0, inference_max_iter=100)
reconstructed = layer.inverse_transform(layer.transform(damaged))
filled = np.where(np.isnan(damaged), reconstructed, damaged)


def decibels(photo, other):
    """Peak signal-to-noise ratio."""
    return -10 * np.log10(np.mean((np.clip(other, 0, 1) - photo) ** 2))


figure, axes = plt.subplots(4, 3, figsize=(6.4, 8.8), layout="constrained")
for k, (name, ax) in enumerate(zip(2 * list(damages), axes[::2].ravel(), strict=True)):
    ax.imshow(np.ma.masked_invalid(damaged[k]), cmap="gray", vmin=0, vmax=1)
    ax.set_facecolor("tab:red")
    ax.set_title(f"{name} missing" if name != "words" else name)
for k, ax in enumerate(axes[1::2].ravel()):
    ax.imshow(filled[k], cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"{decibels(photos[shown[k // 3]], filled[k]):.1f} dB")
for ax in axes.ravel():
    ax.set(xticks=[], yticks=[])

# %%
# ``score`` uses the known pixels only.

print(f"R² of the known pixels: {layer.score(damaged):.4f}")
