"""The adaptive network on ten categories of Caltech-101: ``python adaptive.py``.

Needs the photos in ``caltech101_subset/`` of the data folder, one folder for each category. Prints
R2 and non-zeros of each layer with default parameters, R2 of learned and random filters with sparse
maps, and times.
"""

from __future__ import annotations

import copy
import resource
import time

import numpy as np
from _common import alternate, arguments, contrast_normalized, data_folder, print_table
from PIL import Image

from skdeconv import AdaptiveDeconvNet

SIDE, SPARSE = 150, (2.0, 0.25, 0.1, 0.05)
# Numbers of the held-out photos of each category.
HELD_OUT = (13, 14)


def photo(file) -> np.ndarray:
    """Grey photo, its longer side 150 pixels, contrast-normalised, then padded to a square."""
    image = Image.open(file).convert("L")
    scale = SIDE / max(image.size)
    image = image.resize([max(1, round(scale * n)) for n in image.size], Image.Resampling.BICUBIC)
    normalized = contrast_normalized(np.asarray(image, dtype=np.float64) / 255)
    square = np.zeros((SIDE, SIDE), dtype=np.float32)
    top, left = ((SIDE - n) // 2 for n in normalized.shape)
    square[top : top + normalized.shape[0], left : left + normalized.shape[1]] = normalized
    return square


def photos(numbers) -> np.ndarray:
    """The photos of these numbers in every category."""
    folders = sorted((data_folder() / "caltech101_subset").iterdir())
    return np.stack(
        [photo(folder / f"image_{number:04}.jpg") for folder in folders for number in numbers]
    )


def explained(net, images) -> list[tuple[float, float]]:
    """R2 and non-zeros per pixel of every layer."""
    code, found = net.encode(images), []
    variance = np.sum((images - images.mean(axis=(1, 2), keepdims=True)) ** 2)
    for number, maps in enumerate(code.maps, 1):
        error = np.sum((net.decode(code, number) - images) ** 2)
        found.append((1 - error / variance, sum(one.nnz for one in maps.maps) / images.size))
    return found


def shortened(net, number) -> AdaptiveDeconvNet:
    """The lowest layers of a net."""
    other = copy.copy(net).set_params(n_filters=net.n_filters[:number], lam=net.lam[:number])
    other.filters_, other.pooling_ = net.filters_[:number], net.pooling_[:number]
    return other


def with_random_top(net, number) -> AdaptiveDeconvNet:
    """The lowest layers of a net, the highest of them with random filters."""
    other = shortened(net, number)
    noise = np.random.default_rng(0).standard_normal(other.filters_[-1].shape)
    noise /= np.linalg.norm(noise.reshape(len(noise), -1), axis=1)[:, None, None, None]
    other.filters_ = [*other.filters_[:-1], noise.astype(np.float32)]
    return other


def learned_and_random(net, images) -> None:
    """Print R2 of learned and of random filters at equal non-zeros per pixel."""
    # With few steps many small coefficients remain, which do not depend on the filters.
    rows, steps = [], 30
    net.n_inference_steps = steps
    for number, (r2, nonzeros) in enumerate(explained(net, images)[1:], 2):
        other, curve = with_random_top(net, number), []
        other.n_inference_steps = steps
        for factor in (0.7, 1.0, 1.4, 2.0, 2.8):
            other.lam = (*net.lam[: number - 1], factor * net.lam[number - 1])
            curve.append(explained(other, images)[-1][::-1])
        known, values = np.transpose(sorted(curve))
        random = float(np.interp(np.log(nonzeros), np.log(known), values))
        numbers = (f"{value:.3f}" for value in (r2, random, r2 - random))
        rows.append([str(number), f"{nonzeros:.4f}", *numbers])
    header = ["layer", "non-zeros per pixel", "R2, learned", "R2, random", "difference"]
    print_table("Sparse maps, 20 held-out photos, random filters in one layer", header, rows)


def times(net, images, repeats) -> None:
    """Print times of inference, of projections, and with two workers."""
    one, rows = images[:1], []
    jobs = {
        f"{n} layers": (lambda n=n: shortened(net, n), lambda it: it.encode(one))
        for n in range(1, 5)
    }
    for name, seconds in alternate(jobs, repeats).items():
        rows.append([f"encode, {name}", f"{1e3 * seconds:.0f}"])
    code = net.encode(one)
    jobs = {
        f"50 activations of layer {n} to layer 1": (
            lambda: None,
            lambda _, n=n: net.project(code, n, to="layer1"),
        )
        for n in (2, 3, 4)
    }
    for name, seconds in alternate(jobs, repeats).items():
        rows.append([name, f"{1e3 * seconds:.0f}"])
    print_table("One photo, one core", ["task", "ms"], rows)
    many, seconds = np.concatenate([images] * 5)[:100], {}
    for n_jobs in (1, 2):
        net.n_jobs = n_jobs
        net.encode(many[:4])
        start = time.perf_counter()
        net.encode(many)
        seconds[n_jobs] = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    row = [*(f"{value:.1f}" for value in seconds.values()), f"{seconds[1] / seconds[2]:.2f}"]
    header = ["one worker, s", "two, s", "ratio", "peak of this process, MB"]
    print_table("100 photos", header, [[*row, f"{peak:.0f}"]])


def learned(numbers, lam, **options) -> AdaptiveDeconvNet:
    """A net learned from these photos of each category. Prints the time of each layer."""
    net = AdaptiveDeconvNet((15,), random_state=0, warm_start=True, **options)
    images, rows = photos(numbers), []
    for depth in range(1, 5):
        net.set_params(n_filters=(15, 50, 100, 150)[:depth], lam=lam[:depth])
        start = time.perf_counter()
        net.fit(images)
        seconds = time.perf_counter() - start
        rows.append([str(depth), f"{seconds:.0f}", str(len(net.cost_[-1]))])
    title = f"{len(images)} photos, lam={lam}, {options}"
    print_table(title, ["layer", "learning it, s", "passes"], rows)
    return net


def main() -> None:
    """Print the tables."""
    options = arguments(__doc__, jobs=2)
    images = photos(HELD_OUT)
    few = [number for number in range(1, 15) if number not in HELD_OUT]
    net = learned(few, (2.0, 0.5, 0.3, 0.2), n_jobs=options.jobs)
    rows = [
        [str(number), f"{r2:.3f}", f"{nonzeros:.4f}"]
        for number, (r2, nonzeros) in enumerate(explained(net, images), 1)
    ]
    print_table("20 held-out photos", ["layer", "R2", "non-zeros per pixel"], rows)
    times(net.set_params(n_jobs=1), images, options.repeats)
    many = [number for number in range(1, 33) if number not in HELD_OUT]
    learned_and_random(learned(many, SPARSE, n_jobs=options.jobs), images)


if __name__ == "__main__":
    main()
