"""Seconds to infer the maps of a photo of 256x256, compared with SPORCO: ``python inference.py``.

One core, float32, three sets of learned filters. ``lam`` is chosen for a fraction of non-zeros.
Both packages are timed to the same cost, 1e-3 above the optimum. SPORCO runs the number of
iterations that reaches it, found beforehand, without a stopping criterion. Our solver has the
loosest tolerance that reaches it. Further rows have our default tolerance, and portable kernels.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from _common import (
    Problem,
    alternate,
    arguments,
    convolution,
    dense,
    infer,
    kernels,
    lam_for_share,
    learned_filters,
    optimum,
    photo,
    print_table,
)
from peers import SetUp, fastest, sparse_maps

from skdeconv import DeconvNetLayer

# Number of filters, their size, and the fraction of non-zeros.
SETS = ((9, 7, 0.03), (32, 8, 0.008), (64, 11, 0.004))
PHOTOS = ("set12/01.png", "set12/07.png")
ABOVE = 1e-3
HEADER = ["filters", "photo", "lam", "non-zeros", "solver", "seconds", "above optimum"]
HEADER += ["certified gap", "SPORCO / this"]


def loosest_tol(problem: Problem, target: float) -> float:
    """Largest of sixteen tolerances with a cost of at most ``target``."""
    operator = convolution(problem)
    for tol in np.geomspace(0.5, ABOVE, 16):
        if problem.cost(dense(infer(operator, problem, tol), problem)) <= target:
            break
    return float(tol)


def infer_by(choice: str, operator, problem: Problem, tol: float):
    """Maps inferred by compiled or portable kernels."""
    with kernels(choice):
        return infer(operator, problem, tol)


def solved(setup: SetUp, problem: Problem) -> np.ndarray:
    """Maps inferred by SPORCO."""
    solver = setup.solver(problem)
    solver.solve()
    return sparse_maps(solver, problem)


def compare(problem: Problem, setups: list[SetUp], best: float, repeats: int) -> list[list[str]]:
    """Rows for one photo: solver, seconds, cost above ``best``, gap, ratio of times."""
    operator = convolution(problem)
    jobs, maps = {}, {}
    default = DeconvNetLayer().inference_tol
    for tol in (loosest_tol(problem, (1 + ABOVE) * best), default):
        for choice in ("compiled", "portable"):
            name = f"skdeconv, tol={tol:.2g}, {choice}"
            run = partial(infer_by, choice, problem=problem, tol=tol)
            jobs[name] = (lambda: operator, run)
            maps[name] = dense(run(operator), problem)
    for setup in setups:
        name = f"SPORCO {setup.peer}, {setup.n_iter} iterations"
        jobs[name] = (partial(setup.solver, problem), lambda solver: solver.solve())
        maps[name] = solved(setup, problem)
    seconds = alternate(jobs, repeats)
    peer = min(taken for name, taken in seconds.items() if name.startswith("SPORCO"))
    rows = []
    for name, taken in seconds.items():
        above, gap = problem.cost(maps[name]) / best - 1, problem.gap(maps[name])
        ratio = f"{peer / taken:.1f}"
        rows.append([name, f"{taken:.3f}", f"{above:.1e}", f"{gap:.1e}", ratio])
    return rows


def main() -> None:
    """Print the table."""
    options = arguments(__doc__, sets=len(SETS))
    rows = []
    for n_filters, filter_size, share in SETS[: options.sets]:
        filters = learned_filters(n_filters, filter_size, options.filters)
        setups = []
        for name in PHOTOS:
            image = photo(name)
            lam = lam_for_share(filters, image, share)
            problem = Problem(filters, image, lam)
            best, found = optimum(problem)
            target = (1 + ABOVE) * best
            setups = [s.reaching(problem, target) for s in setups or fastest(problem, target)]
            print(f"K={n_filters}, {name}, lam={lam:g}: optimum {best:.3f}, {setups}", flush=True)
            facts = [f"K={n_filters}, {filter_size}x{filter_size}", name, f"{lam:g}"]
            for row in compare(problem, setups, best, options.repeats):
                rows.append([*facts, f"{found:.2%}", *row])
    print_table("Inference, one core, float32", HEADER, rows)


if __name__ == "__main__":
    main()
