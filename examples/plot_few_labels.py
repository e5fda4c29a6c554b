"""
Learning with few labels
========================

Often there are many images and few labels. Filters need no labels, so they are learned from all
images. The labels are used by a linear classifier of the features.
"""

# %%
# The digits of scikit-learn are 1797 images of 8 x 8 pixels. 500 of them are held out. Of the
# others, 3 to 50 per class are labelled.

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
# A layer infers sparse maps. A one-pass encoder correlates the images with the filters of the
# layer, and keeps the strongest responses at every pixel. :class:`skdeconv.features.SpatialPyramid`
# pools both kinds of maps. For comparison, a second encoder has random filters.

layer = DeconvNetLayer(16, 3, lam=5.0, positive=True, output="maps", max_iter=2, random_state=0)
layer.fit(X_train)
noise = np.random.default_rng(0).standard_normal(layer.filters_.shape)
encoders = {
    "sparse maps": layer,
    "one pass, learned filters": OnePassEncoder(FrozenEstimator(layer)).fit(X_train),
    "one pass, random filters": OnePassEncoder(noise).fit(X_train),
}

# %%
# None of this uses labels, so the features of all images are computed once. Only classifiers are
# fitted below.

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
# The labelled images are chosen at random ten times, the same for all features. Three labels per
# class are too few to choose ``C``. It is 10 throughout; 1 or 100 would change little.

numbers = [3, 5, 10, 20, 50]
rng = np.random.default_rng(0)
draws = [
    np.stack([rng.permutation(np.flatnonzero(y_train == k))[: numbers[-1]] for k in range(10)])
    for _ in range(10)
]
linear = LogisticRegression(C=10, max_iter=1000)


def accuracies(train, test, number, classifier=linear):
    """Accuracies on the held-out images of classifiers fitted on some labels per class."""
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
# With 5 labels per class, one pass is as accurate as raw pixels with 10 to 20. On images this
# small, random filters are as good as learned ones: the gain is due to the encoder and the pooling.
# Sparse maps are made for reconstruction, and with the fewest labels they are no better than
# pixels.
#
# A non-linear classifier is more accurate on raw pixels, but hardly so with the fewest labels.

train, test = features["raw pixels"]
for number in numbers:
    accuracy = np.mean(list(accuracies(train, test, number, SVC(C=10))))
    print(f"raw pixels, {number} labels per class, SVC with an RBF kernel: {accuracy:.3f}")

# %%
# One model
# ---------
# ``FrozenEstimator`` keeps the filters in every ``fit`` of a pipeline, also inside a grid search or
# a cross-validation. The pipeline is fitted on the labelled images only, while its filters were
# learned from all images.

encoder = FrozenEstimator(encoders["one pass, learned filters"])
model = make_pipeline(encoder, pyramid, linear)
labelled = draws[0][:, :5].ravel()
model.fit(X_train[labelled], y_train[labelled])
print(f"{len(labelled)} labelled images: {model.score(X_test, y_test):.3f}")
