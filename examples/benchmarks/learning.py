"""Seconds to learn filters from ten photos, compared with SPORCO: ``python learning.py``.

One core, float32, ``lam`` = 2. Filters are evaluated by the mean cost of the ten photos, with maps
inferred in float64 to a certified gap of 1e-4, which is not timed. Entries are medians over random
states. SPORCO's masked online learner has the settings that were found to decrease this cost
fastest.
"""

from __future__ import annotations

import gc
import time

import numpy as np
from _common import (
    Problem,
    arguments,
    certified,
    print_table,
    small_photos,
)
from peers import online_learner

from skdeconv import DeconvNetLayer

LAM = 2.0
# Number of filters, their size, and the best settings of SPORCO.
SETS = (
    (9, 7, {"rho": 2.0, "n_iter": 10, "eta": (0.2, 5.0)}),
    (32, 8, {"rho": 3.0, "n_iter": 15, "eta": (0.6, 5.0)}),
)
PASSES = (1, 2, 3, 4, 5, 7, 10, 14, 20)
HEADER = ["SPORCO, passes", "mean cost", "seconds", "skdeconv, passes", "mean cost", "seconds"]
HEADER += ["ratio of seconds"]


def mean_cost(filters: np.ndarray, photos: np.ndarray) -> float:
    """Mean optimal cost of the photos for given filters, certified to 1e-4."""
    problems = (Problem(filters, image, LAM) for image in photos)
    return float(np.mean([problem.cost(certified(problem, 1e-4)) for problem in problems]))


def sporco_curve(photos, n_filters, filter_size, settings, seed) -> list[tuple[float, float]]:
    """Seconds and mean cost after each of ``PASSES``."""
    random = np.random.default_rng(seed)
    first = random.standard_normal((n_filters, filter_size, filter_size))
    next(online_learner(photos[:1], first, LAM, 1, seed=seed, **settings))  # plans transforms
    passes = online_learner(photos, first, LAM, max(PASSES), seed=seed, **settings)
    learned = dict(enumerate(passes, start=1))
    return [(learned[n][0], mean_cost(learned[n][1], photos)) for n in PASSES]


def our_curve(photos, n_filters, filter_size, seed) -> list[tuple[float, float]]:
    """Seconds and mean cost of a fit with each of ``PASSES``."""
    curve = []
    for n_passes in PASSES:
        layer = DeconvNetLayer(
            n_filters, filter_size, lam=LAM, max_iter=n_passes, tol=0, random_state=seed
        )
        gc.collect()
        start = time.process_time()
        layer.fit(photos)
        seconds = time.process_time() - start
        curve.append((seconds, mean_cost(layer.filters_[..., 0].astype(np.float64), photos)))
    return curve


def main() -> None:
    """Print both curves, and our time for each cost that SPORCO reaches."""
    options = arguments(__doc__, sets=len(SETS))
    photos = small_photos("fruit")
    for n_filters, filter_size, settings in SETS[: options.sets]:
        theirs, ours = [], []
        for seed in range(options.repeats):
            theirs.append(sporco_curve(photos, n_filters, filter_size, settings, seed))
            ours.append(our_curve(photos, n_filters, filter_size, seed))
            for name, curve in (("SPORCO", theirs[-1]), ("skdeconv", ours[-1])):
                points = ", ".join(f"{taken:.2f} s {cost:.1f}" for taken, cost in curve)
                print(f"K={n_filters}, random state {seed}, {name}: {points}", flush=True)
        theirs, ours = np.median(theirs, axis=0), np.median(ours, axis=0)
        rows = []
        for n_passes, (taken, cost) in zip(PASSES, theirs, strict=True):
            row = [f"{n_passes}", f"{cost:.1f}", f"{taken:.2f}"]
            reached = np.flatnonzero(ours[:, 1] <= cost)
            if len(reached):
                seconds, lower = ours[reached[0]]
                row += [f"{PASSES[reached[0]]}", f"{lower:.1f}", f"{seconds:.2f}"]
                rows.append([*row, f"{taken / seconds:.1f}"])
            else:
                rows.append([*row, "-", f"{ours[:, 1].min():.1f}", "not reached", "-"])
        title = f"Learning, K={n_filters} {filter_size}x{filter_size}, ten photos, one core"
        print_table(title, HEADER, rows)


if __name__ == "__main__":
    main()
