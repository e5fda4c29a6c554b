"""
From a folder of photos to labels
=================================

Photos in a folder, with one sub-folder for each class, are all that a classifier needs. As a
script this takes a folder of yours: ``python plot_own_photos.py FOLDER``. In a notebook, set
``FOLDER``.
"""

# %%
# The folder
# ----------
# Where none is given, one is made from the two photos that scikit-learn ships: squares of the
# pavilion in ``china``, squares of the dahlia in ``flower``. Squares of empty sky and of the dark
# behind the flower are left out.

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageOps
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.datasets import load_sample_photos
from skdeconv.display import FiltersDisplay
from skdeconv.features import SpatialPyramid, histogram_intersection
from skdeconv.preprocessing import LocalContrastNormalizer

FOLDER = None
if "__file__" in globals() and "sphinx_gallery" not in sys.modules and len(sys.argv) > 1:
    FOLDER = sys.argv[1]


def make_folder(folder):
    """Two classes of squares."""
    squares = load_sample_photos(size=80, color=True)
    for name, part in zip(("china", "flower"), np.split(squares, 2), strict=True):
        Path(folder, name).mkdir()
        for i, square in enumerate(part):
            if square.mean(axis=2).std() > 0.1:
                photo = Image.fromarray(np.round(255 * square).astype(np.uint8))
                photo.save(Path(folder, name, f"{i:02d}.png"))


# %%
# Reading
# -------
# Filters are learned from images of one size, so every photo is scaled and cropped to ``SIZE``
# when it is read. Sides of 80 to 200 pixels are a good start; larger photos take longer.

SIZE = (80, 80)
SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def read(path):
    """One photo: upright, in colour, of one size."""
    with Image.open(path) as file:
        photo = ImageOps.exif_transpose(file).convert("RGB")
    return np.asarray(ImageOps.fit(photo, SIZE), dtype=np.float32) / 255


def read_folder(folder):
    """All photos, and the names of the sub-folders that they are in."""
    paths = [path for path in sorted(Path(folder).glob("*/*")) if path.suffix.lower() in SUFFIXES]
    if not paths:
        raise ValueError(f"no photos in the sub-folders of {folder}")
    return np.stack([read(path) for path in paths]), np.array([path.parent.name for path in paths])


if FOLDER is None:
    with tempfile.TemporaryDirectory() as folder:
        make_folder(folder)
        photos, labels = read_folder(folder)
else:
    photos, labels = read_folder(FOLDER)

names, counts = np.unique(labels, return_counts=True)
for name, count in zip(names, counts, strict=True):
    print(f"{name}: {count} photos")

# %%
# Features
# --------
# Contrast is normalised, in grey; filters are learned and correlated with the photos; a pyramid
# pools the responses into one row for each photo. No step looks at labels.

encoder = OnePassEncoder(
    DeconvNetLayer(n_filters=16, filter_size=7, lam=1.5, max_iter=3, random_state=0)
)
features = make_pipeline(
    LocalContrastNormalizer(grey=True), encoder, SpatialPyramid(normalize="cell")
)
rows = features.fit_transform(photos)
print(f"rows: {rows.shape}, {rows.dtype}")
_ = FiltersDisplay.from_estimator(encoder.layer_)

# %%
# Accuracy
# --------
# The rows are not negative, like histograms, and are compared by what two of them have in common.
# Each photo is classified by an ``SVC`` that was fitted without it. Wrong labels are red.

classifier = SVC(kernel=histogram_intersection)
folds = StratifiedKFold(4, shuffle=True, random_state=0)
predicted = cross_val_predict(classifier, rows, labels, cv=folds)
print(f"accuracy: {np.mean(predicted == labels):.3f}; chance: {counts.max() / len(labels):.3f}")

shown = np.random.default_rng(0).permutation(len(photos))[:12]
figure, axes = plt.subplots(2, 6, figsize=(10, 3.9), layout="constrained")
for ax in axes.flat:
    ax.set_axis_off()
for ax, i in zip(axes.flat, shown, strict=False):
    ax.imshow(photos[i])
    ax.set_title(predicted[i], color="black" if predicted[i] == labels[i] else "tab:red")

# %%
# Squares that lie side by side in one photo are alike, and those of two photos are not: this task
# is an easy one, and its accuracy says little about others. The filters, though not the classifier,
# have seen all photos. ``cross_val_predict(make_pipeline(features, classifier), photos, labels)``
# learns them anew in every fold, which takes as many times longer.

# %%
# A model to keep
# ---------------
# ``FrozenEstimator`` takes the filters as they are; only the classifier is fitted. The model takes
# photos, as ``read`` gives them.

model = make_pipeline(FrozenEstimator(features), classifier).fit(photos, labels)
print(f"the first photo: {model.predict(photos[:1])[0]}")
