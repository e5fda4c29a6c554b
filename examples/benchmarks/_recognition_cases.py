"""One row of the recognition benchmark on one split: features, times, scores."""

from __future__ import annotations

import time
from dataclasses import asdict
from functools import lru_cache

import numpy as np
from _recognition_classifiers import Choice, choose, predicted, predicted_by_components
from _recognition_data import grey
from sklearn.metrics import accuracy_score, balanced_accuracy_score

BATCH = 1000


def described(encoder, images) -> tuple[np.ndarray, float]:
    """Features of images in batches, and the median milliseconds an image on one core."""
    rows, taken = [], []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        before = time.process_time()
        rows.append(np.asarray(encoder.transform(batch), dtype=np.float32))
        taken.append(1e3 * (time.process_time() - before) / len(batch))
    # The first batch warms up.
    return np.concatenate(rows), float(np.median(taken[1:] or taken))


@lru_cache(maxsize=5)
def features_of(
    make, seed: int, split, colour: bool
) -> tuple[np.ndarray, np.ndarray, float, list[int]]:
    """Features of both parts of a split, milliseconds an image, and widths of blocks of features.

    Rows that share ``make`` follow each other and differ in their blocks.
    """
    seen = (lambda images: images) if colour else grey
    encoder = make(seed).fit(seen(split.filters_from))
    train, _ = described(encoder, seen(split.train))
    test, milliseconds = described(encoder, seen(split.test))
    return train, test, milliseconds, getattr(encoder, "widths_", [train.shape[1]])


class Case:
    """A row with a seed on a split; features are computed when they are first needed.

    Parameters
    ----------
    row : Row
        How images are described.
    seed : int
        For the row.
    split : Split
        What it is fitted on and scored on.
    per_class : bool, default=False
        Whether the accuracy is a mean over classes, not over images.
    """

    def __init__(self, row, seed, split, *, per_class=False):
        self.row, self.seed, self.split = row, seed, split
        self._metric = balanced_accuracy_score if per_class else accuracy_score

    def _features(self):
        *parts, milliseconds, widths = features_of(
            self.row.make, self.seed, self.split, self.row.colour
        )
        if self.row.block is not None:
            end = sum(widths[: self.row.block + 1])
            parts = [rows[:, end - widths[self.row.block] : end] for rows in parts]
        return *parts, milliseconds

    def score(self, kernel: str, choice: Choice | None = None, numbers=slice(None)) -> dict:
        """Accuracy of one classifier, and what was chosen for it.

        Parameters
        ----------
        kernel : str
            Kernel of the classifier.
        choice : Choice or None, default=None
            What to use. None chooses on the training part.
        numbers : ndarray of int, optional
            Those training images that may be used.
        """
        train, test, milliseconds = self._features()
        train, labels = train[numbers], self.split.labels[numbers]
        choice = choice or choose(kernel, train, labels)
        found = predicted(choice, train, labels, test)
        return self._line(found, choice, train.shape[1], milliseconds)

    def score_of_many(self, choice: Choice) -> dict:
        """Accuracy of the Gaussian kernel on more images than a table holds."""
        train, test, milliseconds = self._features()
        found = predicted_by_components(choice, train, self.split.labels, test)
        return self._line(found, choice, train.shape[1], milliseconds)

    def _line(self, found, choice, size, milliseconds):
        accuracy = float(self._metric(self.split.truth, found))
        return {"accuracy": accuracy, "size": size, "ms": milliseconds, "choice": asdict(choice)}
