"""
Segmentation by pixel features
==============================

The texture of a pixel depends on its surroundings. :class:`skdeconv.features.PixelFeatures`
computes one row of features for each pixel from the maps around it. A linear classifier is fitted
on a few labelled pixels and predicts the labels of the others.
"""

# %%
# Four textures
# -------------
# The textures are generated from parts of the sample photos of scikit-learn: the absolute value of
# the Fourier transform is kept, and the phases are random. All have mean 0 and standard deviation
# 1, so the brightness carries no information.

import matplotlib.pyplot as plt
import numpy as np
from scipy import ndimage
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.datasets import load_sample_photos
from skdeconv.features import PixelFeatures
from skdeconv.preprocessing import LocalContrastNormalizer

china, flower = load_sample_photos(None).astype(np.float32)
pieces = {
    "petals": flower[130:330, 200:400],
    "foliage": china[310:427, 390:540],
    "tiles": china[259:275, 190:280],
    "facade": china[288:335, 175:335],
}


def texture(piece, size, rng):
    """White noise with the spectrum of a part of a photo."""
    window = np.outer(np.hanning(len(piece)), np.hanning(piece.shape[1]))
    spectrum = np.fft.rfft2(window * (piece - piece.mean()), (size, size))
    noise = np.fft.rfft2(rng.standard_normal((size, size)))
    image = np.fft.irfft2(spectrum * noise, (size, size))
    return (image - image.mean()) / image.std()


def mosaic(seed, size=192):
    """Four new textures side by side, and the label of each pixel."""
    rng = np.random.default_rng(seed)
    textures = [texture(piece, size, rng) for piece in pieces.values()]
    y, x = np.mgrid[:size, :size] / size
    across, down = rng.uniform(0, 2 * np.pi, 2)
    labels = 2 * (y > 0.5 + 0.1 * np.sin(2 * np.pi * x + across))
    labels += x > 0.5 + 0.1 * np.sin(2 * np.pi * y + down)
    return np.choose(labels, textures).astype(np.float32), labels


image, labels = mosaic(seed=0)
test_image, test_labels = mosaic(seed=1)

# %%
# A layer learns filters from one mosaic, without labels. Then a classifier is fitted on 30 labelled
# pixels of each texture, and predicts the labels of another mosaic. The labelled pixels are chosen
# at random five times.

radius = (2, 4, 8)
layer = DeconvNetLayer(n_filters=32, filter_size=7, lam=1.0, max_iter=4, random_state=0)
layer.fit([image])

rng = np.random.default_rng(0)
draws = np.zeros((5, *labels.shape), dtype=bool)
for labelled in draws:
    for k in range(4):
        labelled.flat[rng.choice(np.flatnonzero(labels == k), 30, replace=False)] = True


def classify(features, labels, labelled):
    """A linear classifier, fitted to the labelled pixels of an image."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return classifier.fit(features[labelled.ravel()], labels[labelled])


def local_moments(image):
    """Brightness, local means and standard deviations, one row for every pixel."""
    columns = [image]
    for sigma in radius:
        mean = ndimage.gaussian_filter(image, sigma)
        variance = ndimage.gaussian_filter(image**2, sigma) - mean**2
        columns += [mean, np.sqrt(np.maximum(variance, 0))]
    return np.stack([column.ravel() for column in columns], axis=1)


# %%
# The same classifier is fitted on six sets of features:
#
# - the brightness of the pixel;
# - the brightness, and local means and standard deviations in Gaussian windows of the same radii;
# - local energies of correlations with the filters;
# - local energies of a :class:`skdeconv.OnePassEncoder`, whose filters compete at every pixel, with
#   random filters;
# - the same with learned filters;
# - local energies of sparse maps.
#
# The best features are those of filters that compete, at each pixel (one pass) or for the
# reconstruction of the whole image (sparse maps). One pass is nearly as accurate as sparse maps,
# and much faster. These textures have no edges, and random filters are as good as learned ones.

encoders = {
    "correlations": OnePassEncoder(layer.filters_, competition=0.0),
    "one pass, random filters": OnePassEncoder(rng.standard_normal((32, 7, 7))),
    "one pass": OnePassEncoder(layer.filters_),
    "sparse maps": FrozenEstimator(layer),
}
features = {
    "brightness": [one.reshape(-1, 1) for one in (image, test_image)],
    "local moments": [local_moments(one) for one in (image, test_image)],
}
for name, encoder in encoders.items():
    pixel_features = PixelFeatures(encoder, radius=radius).fit([image])
    features[name] = [pixel_features.transform([one]) for one in (image, test_image)]

found = {}
for name, (X, X_test) in features.items():
    maps = [classify(X, labels, labelled).predict(X_test) for labelled in draws]
    found[name] = maps[0].reshape(labels.shape)
    print(f"{name}: {np.mean(maps == test_labels.ravel()):.1%} of the pixels are correct")

# %%
# The other mosaic, its textures, and the predictions for the first choice of labelled pixels:

panels = {"the other mosaic": test_image, "textures": test_labels, **found}
del panels["brightness"], panels["one pass, random filters"]
figure, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
for ax, (name, panel) in zip(axes.flat, panels.items(), strict=True):
    kind = {"cmap": "gray"} if panel is test_image else {"cmap": "tab10", "vmin": 0, "vmax": 9}
    ax.imshow(panel, interpolation="nearest", **kind)
    ax.set_title(name)
    ax.set_axis_off()

# %%
# A photo with scribbles
# ----------------------
# Labels are often given as a few strokes. Here they are line segments from x, y to x, y. A second
# set of strokes is held out to evaluate the predictions.

strokes = {
    "sky and water": [(20, 30, 45, 55), (180, 20, 300, 60), (200, 125, 240, 152)],
    "trees": [(10, 190, 110, 205), (200, 195, 260, 180), (308, 110, 290, 205), (8, 120, 25, 140)],
    "pavilion": [
        (70, 60, 130, 75), (80, 105, 150, 115), (80, 140, 170, 130), (75, 170, 160, 165),
        (140, 185, 185, 180),
    ],
}  # fmt: skip
held_out = {
    "sky and water": [
        (60, 10, 95, 20), (180, 70, 270, 100), (180, 115, 260, 125), (8, 70, 40, 85),
        (40, 150, 35, 125),
    ],
    "trees": [
        (5, 110, 40, 118), (60, 185, 140, 200), (220, 205, 265, 190), (300, 90, 312, 190),
        (5, 160, 15, 185), (275, 165, 280, 145),
    ],
    "pavilion": [
        (103, 18, 103, 40), (90, 45, 140, 65), (60, 90, 160, 92), (70, 127, 160, 110),
        (65, 150, 160, 140), (60, 160, 110, 170), (130, 195, 170, 192), (175, 190, 180, 178),
    ],
}  # fmt: skip


def draw(strokes, shape):
    """The class of each pixel; -1 where there is no stroke."""
    labels = np.full(shape, -1)
    for k, segments in enumerate(strokes.values()):
        for x0, y0, x1, y1 in segments:
            x, y = np.rint(np.linspace((x0, y0), (x1, y1), 400)).astype(int).T
            labels[y, x] = k
    return labels


# %%
# The filters are learned from colours, as in :ref:`sphx_glr_gallery_plot_color.py`. Local means of
# the colours are added to the features of the sparse maps, which do not represent slow changes.

photo = load_sample_photos(None, color=True)[0, :426].astype(np.float32)
photo = photo.reshape(213, 2, 320, 2, 3).mean(axis=(1, 3))
scribbles, test_scribbles = (draw(one, photo.shape[:2]) for one in (strokes, held_out))

prepared = LocalContrastNormalizer(sigma=4.0, divisive=False).fit_transform(photo[None])
textures = PixelFeatures(layer, radius=radius).fit_transform(prepared / prepared.std())
colours = np.hstack([local_moments(channel) for channel in photo.transpose(2, 0, 1)])
means = [ndimage.gaussian_filter(photo, sigma, axes=(0, 1)).reshape(-1, 3) for sigma in radius]

found = {}
for name, X in {"colours": colours, "maps and colours": np.hstack([textures, *means])}.items():
    classifier = classify(X, scribbles, scribbles >= 0)
    found[name] = classifier.predict(X).reshape(scribbles.shape)
    shares = [np.mean(found[name][test_scribbles == k] == k) for k in range(3)]
    each = ", ".join(f"{one} {share:.0%}" for one, share in zip(strokes, shares, strict=True))
    print(f"{name}: {np.mean(shares):.1%} of the held-out strokes ({each})")

# %%
# The scribbles, and the predictions from local means and standard deviations of the colours,
# without and with maps:

panels = {"scribbles": np.ma.masked_less(ndimage.grey_dilation(scribbles, 3), 0), **found}
figure, axes = plt.subplots(3, 1, figsize=(6, 11.5), layout="constrained")
for ax, (name, panel) in zip(axes, panels.items(), strict=True):
    opacity = 1 if name == "scribbles" else 0.45
    ax.imshow(photo)
    ax.imshow(panel, cmap="tab10", vmin=0, vmax=9, alpha=opacity, interpolation="nearest")
    ax.set_title(name)
    ax.set_axis_off()
