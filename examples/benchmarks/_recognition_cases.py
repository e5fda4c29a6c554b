"""Features, times and scores of one row of the recognition benchmark on one split."""

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
    """Features of images in batches, and the median milliseconds per image on one core."""
    rows, taken = [], []
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        before = time.process_time()
        rows.append(np.asarray(encoder.transform(batch), dtype=np.float32))
        taken.append(1e3 * (time.process_time() - before) / len(batch))
    # The first batch is a warm-up.
    return np.concatenate(rows), float(np.median(taken[1:] or taken))


@lru_cache(maxsize=5)
def features_of(
    make, seed: int, split, colour: bool
) -> tuple[np.ndarray, np.ndarray, float, list[int]]:
    """Features of both parts of a split, milliseconds per image, and widths of feature blocks.

    Consecutive rows with the same ``make`` share the cached features, and differ in their blocks.
    """
    seen = (lambda images: images) if colour else grey
    encoder = make(seed).fit(seen(split.filters_from))
    train, _ = described(encoder, seen(split.train))
    test, milliseconds = described(encoder, seen(split.test))
    return train, test, milliseconds, getattr(encoder, "widths_", [train.shape[1]])


class Case:
    """A row with a seed on a split; features are computed on demand.

    Parameters
    ----------
    row : Row
        The features.
    seed : int
        Seed of the row.
    split : Split
        Training and test part.
    per_class : bool, default=False
        Whether the accuracy is averaged over classes instead of images.
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
        """Accuracy of one classifier, and its parameters.

        Parameters
        ----------
        kernel : str
            Kernel of the classifier.
        choice : Choice or None, default=None
            Scaling and parameters. None chooses them on the training part.
        numbers : ndarray of int, optional
            Training images that may be used.
        """
        train, test, milliseconds = self._features()
        train, labels = train[numbers], self.split.labels[numbers]
        choice = choice or choose(kernel, train, labels)
        found = predicted(choice, train, labels, test)
        return self._line(found, choice, train.shape[1], milliseconds)

    def score_of_many(self, choice: Choice) -> dict:
        """Accuracy with the Gaussian kernel for more images than a kernel matrix holds."""
        train, test, milliseconds = self._features()
        found = predicted_by_components(choice, train, self.split.labels, test)
        return self._line(found, choice, train.shape[1], milliseconds)

    def _line(self, found, choice, size, milliseconds):
        accuracy = float(self._metric(self.split.truth, found))
        return {"accuracy": accuracy, "size": size, "ms": milliseconds, "choice": asdict(choice)}
