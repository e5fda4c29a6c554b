"""Splits of the recognition benchmark, and the record of all scores."""

from __future__ import annotations

import datetime
import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _common import data_folder, digits
from PIL import Image

N_FILTER_DIGITS, N_SMALL = 1000, 10_000
# Validation digits from the training part.
VALIDATION = slice(50_000, 60_000)
N_TRAIN_PHOTOS, N_TEST_PHOTOS = 30, 50
# Splits for validation differ from the five for testing.
CALTECH_SEEDS = {"test": range(5), "validation": range(100, 103)}
SIDE = 300


@dataclass(frozen=True, eq=False)
class Split:
    """Images and labels of one training and one test part.

    Parameters
    ----------
    train, test : sequence of ndarray
        Grey digits, or photos in colours, with values from 0 to 1.
    labels, truth : ndarray
        Their labels.
    filters_from : sequence of ndarray
        Images of the training part that filters and visual words are learned from.
    """

    train: object
    labels: np.ndarray
    test: object
    truth: np.ndarray
    filters_from: object


def digit_labels(part: str) -> np.ndarray:
    """Labels of all digits of a part of MNIST, "train" or "t10k"."""
    with gzip.open(data_folder() / "mnist" / f"{part}-labels-idx1-ubyte.gz") as file:
        return np.frombuffer(file.read(), dtype=np.uint8, offset=8)


def digits_split(part: str, n_train: int = N_SMALL) -> Split:
    """First training digits, and the test digits or, for validation, the last training digits."""
    labels = digit_labels("train")
    if part == "validation":
        images = digits(60_000)
        n_train = min(n_train, VALIDATION.start)
        test, truth = images[VALIDATION], labels[VALIDATION]
    else:
        images = digits(n_train)
        test, truth = digits(10_000, "t10k"), digit_labels("t10k")
    return Split(images[:n_train], labels[:n_train], test, truth, images[:N_FILTER_DIGITS])


def photo(file: Path) -> np.ndarray:
    """Photo in colours, its longer side at most 300 pixels, float32 in [0, 1]."""
    image = Image.open(file).convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float32) / 255


def photos() -> dict[str, list[np.ndarray]]:
    """All photos of ten categories of Caltech-101."""
    folders = sorted((data_folder() / "caltech101_subset").iterdir())
    return {folder.name: [photo(file) for file in sorted(folder.iterdir())] for folder in folders}


def grey(images):
    """Convert photos to grey with the weights of Rec. 601."""
    if np.ndim(images[0]) == 2:
        return images
    return [(image @ np.array([0.299, 0.587, 0.114])).astype(np.float32) for image in images]


def caltech_split(categories: dict, seed: int) -> Split:
    """30 training photos of each category, and at most 50 of the others for testing."""
    random, parts = np.random.default_rng(seed), ([], [], [], [])
    for label, images in enumerate(categories.values()):
        order = random.permutation(len(images))
        chosen = order[:N_TRAIN_PHOTOS], order[N_TRAIN_PHOTOS:][:N_TEST_PHOTOS]
        for i, numbers in enumerate(chosen):
            parts[2 * i].extend(images[number] for number in numbers)
            parts[2 * i + 1].extend([label] * len(numbers))
    train, labels, test, truth = parts
    return Split(train, np.array(labels), test, np.array(truth), train)


class Record:
    """File with one line per score; each row is scored once on the test part.

    Parameters
    ----------
    file : Path
        File of JSON lines. Test scores that it holds are not computed again.
    part : {"test", "validation"}
        What is scored.
    """

    def __init__(self, file: Path, part: str):
        self.file, self.part = file, part
        self._known = {}
        if part == "test" and file.exists():
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            self._known = {self._key(line): line for line in lines if line["part"] == part}

    @staticmethod
    def _key(line: dict) -> tuple:
        return tuple(line[name] for name in ("task", "row", "seed", "classifier"))

    def once(self, task: str, row: str, seed: int, classifier: str, score) -> dict:
        """One score, from the file or from ``score()``, a dict with ``accuracy``."""
        line = {"task": task, "row": row, "seed": seed, "classifier": classifier}
        if (key := self._key(line)) not in self._known:
            found = score()
            now = datetime.datetime.now().isoformat(timespec="seconds")
            line = {"time": now, "part": self.part} | line | found
            self._known[key] = line
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print("scored:", *line.values(), flush=True)
        return self._known[key]
