"""
Classifying the photos of a folder
==================================

This example needs a folder of photos with one sub-folder for each class. To use your own, run
``python plot_own_photos.py FOLDER``, or set ``FOLDER`` in a notebook.
"""

# %%
# The folder
# ----------
# By default, the folder is made from the two sample photos of scikit-learn: squares of the pavilion
# in ``china``, and squares of the dahlia in ``flower``. Squares of empty sky and of the dark
# background of the flower are left out.

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
    """Write squares of two classes."""
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
# Every photo is scaled and cropped to ``SIZE`` when it is read. Sides of 80 to 200 pixels are a
# good start. Larger photos take longer.

SIZE = (80, 80)
SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def read(path):
    """Read one photo: upright, in colour, scaled to ``SIZE``."""
    with Image.open(path) as file:
        photo = ImageOps.exif_transpose(file).convert("RGB")
    return np.asarray(ImageOps.fit(photo, SIZE), dtype=np.float32) / 255


def read_folder(folder):
    """Read all photos, and the names of their sub-folders."""
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
# Photos are converted to grey and contrast-normalised. Filters are learned, and correlated with the
# photos. A spatial pyramid pools the responses into one row for each photo. No step uses labels.

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
# The rows are non-negative, like histograms, so the kernel is the histogram intersection. Each
# photo is classified by an ``SVC`` that was fitted without it. Wrong labels are red.

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
# Adjacent squares of one photo are similar, and those of two photos are not. This task is therefore
# easy, and its accuracy says little about others. The filters were learned from all photos,
# including those of the test folds. ``cross_val_predict(make_pipeline(features, classifier),
# photos, labels)`` learns them again in every fold, which multiplies the time by the number of
# folds.

# %%
# The final model
# ---------------
# ``FrozenEstimator`` keeps the filters, so only the classifier is fitted. The model takes photos as
# ``read`` returns them.

model = make_pipeline(FrozenEstimator(features), classifier).fit(photos, labels)
print(f"the first photo: {model.predict(photos[:1])[0]}")
