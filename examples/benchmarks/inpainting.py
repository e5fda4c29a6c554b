"""Inpainting, compared with biharmonic inpainting and SPORCO: ``python inpainting.py``.

The central 256x256 pixels of Set12, grey, in [0, 1]. Half or four fifths of the pixels are missing
at random, or those under words. Filters are learned from other photos (fruits, cities, and the
sample photos of scikit-learn) after subtraction of their Gaussian mean. Raw photos are represented
by these filters and a low-frequency map. ``lam`` is chosen for each kind of damage on photos of
Caltech-101.

SPORCO's masked solvers are applied to the photos minus the low-frequency part, with the same
filters, ``lam`` and mask. Both packages are timed to the same cost, 1e-3 above the optimum.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from _common import (
    Problem,
    arguments,
    convolution,
    data_folder,
    dense,
    infer,
    optimum,
    print_table,
)
from inference import ABOVE, compare, loosest_tol, solved
from peers import fastest
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter, label
from skimage.restoration import inpaint_biharmonic

from skdeconv import DeconvNetLayer
from skdeconv.datasets import load_sample_photos
from skdeconv.inference import Coding, CoordinateDescent, PowerPenalty
from skdeconv.layouts import Images
from skdeconv.operators import Synthesis

N_FILTERS, FILTER_SIZE, LEARNING_LAM, BLUR, SMOOTHNESS = 36, 12, 5.0, 3.0, 0.1
WEIGHTS, TOL = (10.0, 20.0, 30.0, 60.0), 3e-3
WORDS = "the quick brown fox jumps over the lazy dog while it is still light "
RACED, MOST_REGIONS = (0, 6), 500


def grey(path, size: int) -> np.ndarray:
    """The central square of a photo, in [0, 1]."""
    photo = np.asarray(Image.open(path).convert("L"), dtype=np.float32) / 255
    y, x = ((n - size) // 2 for n in photo.shape)
    return photo[y : y + size, x : x + size]


def test_photos() -> np.ndarray:
    """Set12."""
    return np.stack([grey(data_folder() / f"set12/{i:02}.png", 256) for i in range(1, 13)])


def photos_to_choose_on() -> np.ndarray:
    """One photo of each category of Caltech-101."""
    paths = sorted((data_folder() / "caltech101_subset").glob("*/image_0003.jpg"))
    return np.stack([grey(path, 128) for path in paths])


def photos_to_learn_from() -> np.ndarray:
    """Squares of 100x100, minus their Gaussian mean."""
    small = [
        grey(data_folder() / f"{name}_100_100/{i}.jpg", 100)
        for name in ("fruit", "city")
        for i in range(1, 11)
    ]
    squares = load_sample_photos(size=100).astype(np.float32)
    photos = np.concatenate([squares[squares.std(axis=(1, 2)) > 0.08], small])
    return photos - gaussian_filter(photos, (0, BLUR, BLUR))


def learned_filters(folder) -> np.ndarray:
    """Filters (n_filters, h, w), cached in a folder between runs."""
    file = folder / f"inpainting-{N_FILTERS}x{FILTER_SIZE}.npy"
    if not file.exists():
        # With maps this sparse, a few images do not determine the filters: discount slowly.
        options = {"lam": LEARNING_LAM, "forgetting": 5.0, "max_iter": 15, "random_state": 0}
        layer = DeconvNetLayer(N_FILTERS, FILTER_SIZE, **options).fit(photos_to_learn_from())
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, layer.filters_[..., 0])
    return np.load(file)


def at_random(shape, share: float, seed: int) -> np.ndarray:
    """Mask of a fraction of the pixels; True marks a missing one."""
    return np.random.default_rng(seed).random(shape) < share


def written(shape) -> np.ndarray:
    """Mask of lines of words and two strokes."""
    page = Image.new("1", shape[::-1])
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=17)
    for line, top in enumerate(range(2, shape[0], 24)):
        draw.text((3 - 40 * (line % 3), top), 2 * WORDS, fill=1, font=font)
    draw.line([(0, shape[0] // 3), (shape[1], shape[0] // 2)], fill=1, width=3)
    draw.line([(shape[1] // 4, 0), (shape[1] // 2, shape[0])], fill=1, width=3)
    return np.asarray(page)


DAMAGES = {
    "50 % missing": lambda photos, seed: at_random(photos.shape, 0.5, seed),
    "80 % missing": lambda photos, seed: at_random(photos.shape, 0.8, seed),
    "words": lambda photos, seed: np.stack([written(photos.shape[1:])] * len(photos)),
}


def reconstructed(filters, damaged, weight):
    """Reconstruction from all maps, and the part of the low-frequency map."""
    coding = Coding(CoordinateDescent(), PowerPenalty(), weight, TOL, 50, SMOOTHNESS)
    low_frequency = coding.low_frequency(filters.shape[1:], 1, damaged.dtype)
    synthesis = Synthesis(filters[:, None], low_frequency)
    images = Images([damaged], np.array([damaged.shape]), 1, damaged.dtype)
    result = coding.infer(synthesis, images)
    maps, low = result.maps, result.low_frequency
    image = synthesis.reconstruct(maps, low, slice(None), damaged.shape)
    return image[0, 0], synthesis.low_frequency_part(low, slice(None), damaged.shape)[0, 0]


def decibels(photo, filled, missing) -> float:
    """Peak signal-to-noise ratio over all pixels, without error at known ones."""
    error = np.where(missing, np.clip(filled, 0, 1) - photo, 0)
    return float(-10 * np.log10(np.mean(error**2)))


def biharmonic(photo, missing) -> float:
    """Ratio of the biharmonic inpainting of scikit-image."""
    damaged = np.where(missing, 0, photo).astype(np.float64)
    # scikit-image 0.26 sometimes fails on words as one region. Single pixels are too many regions.
    split = label(missing)[1] < MOST_REGIONS
    filled = inpaint_biharmonic(damaged, missing, split_into_regions=split)
    return decibels(photo, filled, missing)


def ours(filters, weight, photo, missing) -> float:
    """Ratio of the reconstruction from maps."""
    return decibels(photo, reconstructed(filters, with_nan(photo, missing), weight)[0], missing)


def with_nan(photo, missing) -> np.ndarray:
    """The photo with NaN at missing pixels."""
    return np.where(missing, np.float32(np.nan), photo)


def mean_over(photos, masks, ratio) -> float:
    """Mean ratio of photos."""
    return float(np.mean([ratio(*pair) for pair in zip(photos, masks, strict=True)]))


def quality(filters) -> dict[str, float]:
    """Print mean ratios, and return the chosen weights."""
    photos, tried, rows, chosen = test_photos(), photos_to_choose_on(), [], {}
    for name, damage in DAMAGES.items():
        masks = damage(tried, 1)
        weights = {
            weight: mean_over(tried, masks, partial(ours, filters, weight)) for weight in WEIGHTS
        }
        chosen[name] = max(weights, key=weights.get)
        choice = ", ".join(f"{weight:g}: {found:.2f}" for weight, found in weights.items())
        print(f"{name}, lam on Caltech-101: {choice}", flush=True)
        masks = damage(photos, 0)
        pairs = list(zip(photos, masks, strict=True))
        each = np.array([(biharmonic(*pair), ours(filters, chosen[name], *pair)) for pair in pairs])
        print(f"{name}, each photo:\n{np.round(each.T, 2)}", flush=True)
        gain = each[:, 1] - each[:, 0]
        mean_gain = f"{gain.mean():+.2f} ± {gain.std(ddof=1) / len(gain) ** 0.5:.2f}"
        row = [name, f"{chosen[name]:g}", *(f"{mean:.2f}" for mean in each.mean(axis=0))]
        rows.append([*row, mean_gain, f"{np.sum(gain > 0)} of {len(gain)}"])
    header = ["missing", "lam", "biharmonic, dB", "skdeconv, dB", "difference", "photos better"]
    print_table("Mean peak signal-to-noise ratio, Set12", header, rows)
    return chosen


def race(filters, chosen, repeats) -> None:
    """Print seconds to the same cost, and the signal-to-noise ratios of all maps."""
    photos, rows, setups = test_photos(), [], []
    for name, damage in DAMAGES.items():
        masks = damage(photos, 0)
        for i in RACED:
            damaged = with_nan(photos[i], masks[i])
            _, low = reconstructed(filters, damaged, chosen[name])
            problem = Problem(filters, damaged - low, chosen[name])
            best, share = optimum(problem)
            target = (1 + ABOVE) * best
            setups = [s.reaching(problem, target) for s in setups or fastest(problem, target)]
            for setup in setups:
                image = problem.reconstruct(solved(setup, problem)) + low
                found = decibels(photos[i], image, masks[i])
                print(f"{name}, photo {i + 1}, {setup}: {found:.2f} dB", flush=True)
            tol = loosest_tol(problem, target)
            maps = dense(infer(convolution(problem), problem, tol), problem)
            found = decibels(photos[i], problem.reconstruct(maps) + low, masks[i])
            print(f"{name}, photo {i + 1}, skdeconv at tol={tol:.2g}: {found:.2f} dB", flush=True)
            for row in compare(problem, setups, best, repeats):
                rows.append([name, f"{i + 1}", f"{share:.2%}", *row])
    header = ["damage", "photo", "non-zeros", "solver", "seconds", "above optimum"]
    header += ["certified gap", "SPORCO / this"]
    print_table("Inference with masks, one core, float32", header, rows)


def main() -> None:
    """Print both tables."""
    options = arguments(__doc__)
    filters = learned_filters(options.filters)
    race(filters, quality(filters), options.repeats)


if __name__ == "__main__":
    main()
