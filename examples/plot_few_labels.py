"""
Few labels
==========

Images are often plenty and labels few. Filters need no labels: they are learned from all images,
and the few labels go to a linear classifier of the features that the filters give.
"""

# %%
# The digits of scikit-learn are 1797 images of 8 x 8 pixels. 500 are kept back. Of the others,
# 3 to 50 of each class will have a label.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.features import SpatialPyramid

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.images / 16, digits.target, test_size=500, stratify=digits.target, random_state=0
)

# %%
# Features
# --------
# A layer infers sparse maps. A one-pass encoder correlates the images with the layer's filters and
# keeps what fits best at every pixel. :class:`skdeconv.features.SpatialPyramid` pools the maps of
# either. For comparison, a second encoder has filters that are nothing but noise.

layer = DeconvNetLayer(
    16, 3, lam=5.0, positive=True, output="maps", inference_tol=1e-2, max_iter=2, random_state=0
)
layer.fit(X_train)
noise = np.random.default_rng(0).standard_normal(layer.filters_.shape)
encoders = {
    "sparse maps": layer,
    "one pass, learned filters": OnePassEncoder(FrozenEstimator(layer)).fit(X_train),
    "one pass, random filters": OnePassEncoder(noise).fit(X_train),
}

# %%
# No label has a part in any of this, so the features of all images are computed once, and what
# follows fits classifiers alone.

pyramid = SpatialPyramid(levels=(1, 2, 3))
features = {"raw pixels": [X.reshape(len(X), -1) for X in (X_train, X_test)]}
for name, encoder in encoders.items():
    features[name] = [
        pyramid.fit(encoder.transform(X_train)).transform(encoder.transform(X))
        for X in (X_train, X_test)
    ]

# %%
# Accuracy
# --------
# The labelled images are drawn ten times, the same ones for all features. Three labels of a class
# leave nothing to choose ``C`` with. It is 10 throughout; 1 or 100 would change little.

numbers = [3, 5, 10, 20, 50]
rng = np.random.default_rng(0)
draws = [
    np.stack([rng.permutation(np.flatnonzero(y_train == k))[: numbers[-1]] for k in range(10)])
    for _ in range(10)
]
linear = LogisticRegression(C=10, max_iter=1000)


def accuracies(train, test, number, classifier=linear):
    """On the images kept back, of a classifier that has seen a number of labels per class."""
    for draw in draws:
        labelled = draw[:, :number].ravel()
        yield classifier.fit(train[labelled], y_train[labelled]).score(test, y_test)


figure, ax = plt.subplots(layout="constrained")
print("labels per class".ljust(26), *(f"{number:5d}" for number in numbers))
for name, (train, test) in features.items():
    scores = np.array([list(accuracies(train, test, number)) for number in numbers])
    mean, spread = scores.mean(axis=1), scores.std(axis=1)
    print(name.ljust(26), *(f"{one:.3f}" for one in mean))
    ax.plot(numbers, mean, marker="o", label=name)
    ax.fill_between(numbers, mean - spread, mean + spread, alpha=0.15)
ax.set(xscale="log", xlabel="labels per class", ylabel="accuracy on 500 digits")
ax.set_xticks(numbers, numbers)
ax.minorticks_off()
_ = ax.legend(loc="lower right")

# %%
# One pass makes of 5 labels per class what raw pixels make of 10 to 20. Its filters need not be
# learned: on images this small random ones do as well, and the gain comes from what is done with
# the responses. The sparse maps are made for drawing the digits, and are no better than pixels
# where labels are fewest.
#
# A classifier that is not linear gets more from raw pixels, but hardly so where labels are fewest.

train, test = features["raw pixels"]
for number in numbers:
    accuracy = np.mean(list(accuracies(train, test, number, SVC(C=10))))
    print(f"raw pixels, {number} labels per class, SVC with an RBF kernel: {accuracy:.3f}")

# %%
# One model
# ---------
# ``FrozenEstimator`` keeps the filters through every ``fit`` of a pipeline, also inside of a grid
# search or a cross-validation. The pipeline sees the labelled images alone, its filters have seen
# all.

encoder = FrozenEstimator(encoders["one pass, learned filters"])
model = make_pipeline(encoder, pyramid, linear)
labelled = draws[0][:, :5].ravel()
model.fit(X_train[labelled], y_train[labelled])
print(f"{len(labelled)} labelled images: {model.score(X_test, y_test):.3f}")
