"""Milliseconds of inference for a digit of 28x28: ``python digits.py``.

One core, float32, 16 filters of 7x7 learned from the first thousand digits, non-negative maps,
``lam`` = 3. Costs and gaps are computed for 100 of the digits.
"""

from __future__ import annotations

import numpy as np
from _common import Problem, alternate, arguments, digits, print_table

from skdeconv import DeconvNetLayer

LAM = 3.0
N_EVALUATED = 100
HEADER = ["inference_tol", "ms a digit", "non-zeros a digit", "mean cost", "largest gap"]


def evaluate(layer: DeconvNetLayer, images: np.ndarray) -> tuple[float, float]:
    """Mean cost and largest certified gap of the codes of some images."""
    filters = layer.filters_[..., 0]
    codes = layer.transform(images).to_dense()
    costs, gaps = [], []
    for image, maps in zip(images, np.moveaxis(codes, -1, 1), strict=True):
        problem = Problem(filters, image, LAM, positive=True)
        costs.append(problem.cost(maps))
        gaps.append(problem.gap(maps))
    return float(np.mean(costs)), max(gaps)


def main() -> None:
    """Print the table."""
    options = arguments(__doc__, digits=5000)
    images = digits(options.digits)
    layer = DeconvNetLayer(
        16, 7, lam=LAM, positive=True, output="maps", sparse_output=True, n_jobs=1, random_state=0
    )
    layer.set_params(max_iter=3).fit(images[:1000])
    tolerances = (1e-3, 1e-2)
    jobs = {
        tol: (lambda tol=tol: layer.set_params(inference_tol=tol), lambda it: it.transform(images))
        for tol in tolerances
    }
    seconds = alternate(jobs, options.repeats)
    rows = []
    for tol in tolerances:
        layer.set_params(inference_tol=tol)
        n_nonzero = layer.set_params(output="rows").transform(images).nnz / len(images)
        evaluated = images[:: len(images) // N_EVALUATED]
        cost, gap = evaluate(layer.set_params(output="maps"), evaluated)
        row = [f"{tol:g}", f"{1e3 * seconds[tol] / len(images):.2f}", f"{n_nonzero:.1f}"]
        rows.append([*row, f"{cost:.4f}", f"{gap:.1e}"])
    print_table(f"Digits: {len(images)} of 28x28, K=16 7x7, one core", HEADER, rows)


if __name__ == "__main__":
    main()
