"""
Digits: a layer, a classifier and a grid search
===============================================

A layer is a step of a pipeline, and its ``lam`` and ``p`` are parameters that a grid search chooses
by what counts: how well the classifier behind it does. The same classifier on raw pixels shows
what the layer is worth.
"""

# %%
# The digits
# ----------
# 300 digits are for training, since features matter most where labels are few, and 600 for the
# comparison at the end.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skdeconv import DeconvNetLayer, lam_min
from skdeconv.display import FiltersDisplay

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images / 16,
    digits.target,
    train_size=300,
    test_size=600,
    stratify=digits.target,
    random_state=0,
)
X_train.shape, X_test.shape

# %%
# A grid without units
# --------------------
# ``lam_min`` is the value of ``lam`` up to which an image has no map that is not zero. Multiples of
# its median fit images of any scale.

scale = np.median(lam_min(X_train, filter_size=5))
grid = {
    "deconvnetlayer__lam": scale * np.array([3, 10]),
    "deconvnetlayer__p": [0.5, 1.0],
}
layer = DeconvNetLayer(n_filters=4, filter_size=5, max_iter=2, random_state=0)
pipeline = make_pipeline(layer, LinearSVC())
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)

for parameters, mean in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    factor, p = parameters["deconvnetlayer__lam"] / scale, parameters["deconvnetlayer__p"]
    print(f"lam = {factor:2.0f} lam_min, p = {p}: {mean:.3f}")

# %%
# What came out
# -------------
# The two are about level: on 600 digits a difference of one per cent is within chance. Digits of
# 8 x 8 pixels, all centred, leave little for a layer to add.

raw = LinearSVC().fit(X_train.reshape(len(X_train), -1), y_train)
print(f"raw pixels: {raw.score(X_test.reshape(len(X_test), -1), y_test):.3f}")
print(f"with a layer: {search.score(X_test, y_test):.3f}")

# %%
# The filters of the best layer are pieces of pen strokes.

FiltersDisplay.from_estimator(search.best_estimator_[0])
