"""Time against pixels, filters and lam, and size of the statistics: ``python growth.py``.

Squares of the sample photos of scikit-learn, contrast-normalised, float32, filters of 7x7, one
core. Filters are those of three passes. The pass of fit is the first one, from random filters, over
all images at once, and stores no maps.
"""

from __future__ import annotations

import pickle
import time
import warnings

import numpy as np
from _common import print_table
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.preprocessing import LocalContrastNormalizer

# Two decades each of pixels, filters and non-zeros. The statistics of more filters exceed 256 MB.
# The photos are 427 pixels high, which limits the size of the squares.
SIDES, NUMBERS = (32, 64, 128, 256, 424), (1, 4, 16, 48, 100)
WEIGHTS = (0.25, 0.5, 1, 2, 4, 8, 16)
HEADER = ["side", "filters", "lam", "non-zeros per image", "transform, s", "pass of fit, s"]
FILTER_SIZE = 7


def squares(photos: np.ndarray, side: int) -> np.ndarray:
    """Adjacent squares from the centre of both photos, so that all sizes have the same content."""
    n_rows, n_columns = (n // side for n in photos.shape[1:])
    first = [
        (n - m * side) // 2 for n, m in zip(photos.shape[1:], (n_rows, n_columns), strict=True)
    ]
    cut = photos[:, first[0] :, first[1] :][:, : n_rows * side, : n_columns * side]
    cut = cut.reshape(2, n_rows, side, n_columns, side).swapaxes(2, 3)
    return np.ascontiguousarray(cut.reshape(-1, side, side))


def entry(images: np.ndarray, n_filters: int, lam: float) -> tuple[float, float, float]:
    """Non-zeros per image, and seconds per image of transform and of a pass of fit."""
    layer = DeconvNetLayer(n_filters, FILTER_SIZE, lam=lam, random_state=0, tol=0)
    layer.set_params(sparse_output=True, max_iter=3).fit(images)
    start = time.process_time()
    codes = layer.transform(images)
    coded = time.process_time() - start
    learner = DeconvNetLayer(n_filters, FILTER_SIZE, lam=lam, random_state=0, tol=0, max_iter=1)
    learner.set_params(batch_size=None, keep_maps=False)
    start = time.process_time()
    learner.fit(images)
    passed = time.process_time() - start
    return codes.nnz / len(images), coded / len(images), passed / len(images)


def measure(title: str, cases: list, of_rows: list | None = None) -> None:
    """Print a table. Its last row has the slopes in log-log scale, by default against non-zeros."""
    found = [entry(*case) for case in cases]
    rows = [
        [f"{len(case[0][0])}", f"{case[1]}", f"{case[2]:g}", *(f"{value:.3g}" for value in values)]
        for case, values in zip(cases, found, strict=True)
    ]
    of_rows = [values[0] for values in found] if of_rows is None else of_rows
    slopes = np.polyfit(np.log(of_rows), np.log(found), 1)[0]
    rows.append(["slope", "", "", *(f"{slope:.2f}" for slope in slopes)])
    print_table(title, HEADER, rows)


def returned(n_filters: int) -> int:
    """Bytes of the pickled statistics that a task returns."""
    side = n_filters * FILTER_SIZE**2
    gram, cross = np.zeros((side, side)), np.zeros((side, 1))
    return len(pickle.dumps((gram, cross, np.zeros(n_filters, np.int64), 0.0), protocol=5))


def main() -> None:
    """Print the tables."""
    threadpool_limits(1)
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    photos = LocalContrastNormalizer().fit_transform(load_sample_photos(size=None))
    photos = photos.astype(np.float32)
    of_a_side = {side: squares(photos, side) for side in SIDES}
    entry(of_a_side[64], 4, 1)  # Warm up caches.
    pixels = [side**2 for side in SIDES]
    measure("Pixels", [(of_a_side[side], 9, 2) for side in SIDES], pixels)
    measure("Filters", [(of_a_side[128], number, 2) for number in NUMBERS], NUMBERS)
    measure("Non-zeros", [(of_a_side[128], 9, lam) for lam in WEIGHTS])
    rows = [[f"{number}", f"{returned(number) / 1e6:.2f}"] for number in (*NUMBERS, 9)]
    print_table("Statistics that a task returns", ["filters", "MB"], rows)


if __name__ == "__main__":
    main()
