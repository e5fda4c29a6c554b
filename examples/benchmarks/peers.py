"""SPORCO on the same problems, with the fastest settings found, on one thread.

A sum of valid convolutions over an image of height H equals a sum of circular ones on H + h - 1
rows or more, whose first h - 1 rows are masked out. The maps of both agree where ours exist;
elsewhere SPORCO's are zero. Sizes with small prime factors make its Fourier transforms fast.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, field

import numpy as np
from _common import Problem

try:
    import sporco.fft
    from sporco.admm import cbpdn
    from sporco.dictlrn import onlinecdl
except ImportError as error:
    raise SystemExit("The peers need SPORCO: pip install 'skdeconv[bench]'.") from error

sporco.fft.pyfftw_threads = 1

# Iterations are cheapest without residuals, statistics and adaptive rho. On these problems, four
# variants of adaptive rho took more iterations than a tuned fixed value, and so did a relaxation
# below 1.9.
FAST = {"FastSolve": True, "HighMemSolve": True, "AutoRho": {"Enabled": False}}
RELAXATION = 1.98
MOST_ITERATIONS = 300


def fft_sizes(least: int, most: int) -> list[int]:
    """Even sizes from ``least`` to ``most`` without prime factors above 11."""
    sizes = []
    for size in range(least, most + 1):
        rest = size
        for prime in (2, 3, 5, 7, 11):
            while rest % prime == 0:
                rest //= prime
        if rest == 1 and size % 2 == 0:
            sizes.append(size)
    return sizes


def padded(image: np.ndarray, filter_shape: tuple, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Image padded by h - 1 rows and w - 1 columns of zeros to a square, and its mask.

    Missing pixels, which are NaN, become masked zeros as well.
    """
    signal, mask = np.zeros((2, size, size), dtype=np.float32)
    inside = tuple(slice(f - 1, f - 1 + n) for f, n in zip(filter_shape, image.shape, strict=True))
    signal[inside], mask[inside] = np.nan_to_num(image), ~np.isnan(image)
    return signal, mask


def additive_mask(problem: Problem, size: int, options: dict):
    """ADMM with an impulse filter that represents the masked pixels."""
    signal, mask = padded(problem.image, problem.filters.shape[1:], size)
    dictionary = np.moveaxis(problem.filters, 0, -1).astype(np.float32)
    settings = cbpdn.ConvBPDN.Options(options)
    arguments = dictionary, signal, mask, np.float32(1 / problem.lam), settings
    return cbpdn.AddMaskSim(cbpdn.ConvBPDN, *arguments, dimK=0)


def mask_decoupling(problem: Problem, size: int, options: dict):
    """ADMM with the masked error as a second block of variables."""
    signal, mask = padded(problem.image, problem.filters.shape[1:], size)
    dictionary = np.moveaxis(problem.filters, 0, -1).astype(np.float32)
    settings = cbpdn.ConvBPDNMaskDcpl.Options(options)
    weight = np.float32(1 / problem.lam)
    return cbpdn.ConvBPDNMaskDcpl(dictionary, signal, weight, mask, settings, dimK=0)


PEERS = {"AddMaskSim": additive_mask, "ConvBPDNMaskDcpl": mask_decoupling}


def sparse_maps(solver, problem: Problem) -> np.ndarray:
    """Sparse variable of SPORCO, cropped to the maps of our problem."""
    solver = getattr(solver, "cbpdn", solver)  # AddMaskSim wraps the solver
    if isinstance(solver, cbpdn.ConvBPDNMaskDcpl):
        maps = solver.block_sep1(solver.Y)
    else:
        maps = solver.Y
    n_filters, height, width = problem.maps_shape
    return np.moveaxis(maps[:height, :width, 0, 0, :n_filters], -1, 0)


@dataclass(frozen=True)
class SetUp:
    """Settings of SPORCO for a problem.

    Parameters
    ----------
    peer : str
        Key of ``PEERS``.
    rho : float
        Penalty parameter of ADMM.
    size : int
        Side of the padded square.
    n_iter : int
        Number of iterations.
    """

    peer: str
    rho: float
    size: int
    n_iter: int = field(default=MOST_ITERATIONS)

    def solver(self, problem: Problem, callback=None):
        """Solver object of SPORCO."""
        options = FAST | {
            "rho": self.rho,
            "RelaxParam": RELAXATION,
            "MaxMainIter": self.n_iter,
            "Callback": callback,
        }
        return PEERS[self.peer](problem, self.size, options)

    def reaching(self, problem: Problem, target: float, first: int = 10) -> SetUp:
        """The same settings with the number of iterations to a cost of at most ``target``."""

        def reached(solver):
            enough = solver.k + 1 >= first
            return enough and problem.cost(sparse_maps(solver, problem)) <= target

        solver = SetUp(self.peer, self.rho, self.size, MOST_ITERATIONS).solver(problem, reached)
        solver.solve()
        n_iter = getattr(solver, "cbpdn", solver).k
        return SetUp(self.peer, self.rho, self.size, n_iter)

    def seconds(self, problem: Problem, n_iter: int = 8) -> float:
        """Time of all iterations, extrapolated from a short run."""
        solver = SetUp(self.peer, self.rho, self.size, n_iter).solver(problem)
        gc.collect()
        start = time.process_time()
        solver.solve()
        return (time.process_time() - start) * self.n_iter / n_iter


def fastest(problem: Problem, target: float) -> list[SetUp]:
    """The fastest settings of each peer, among values of rho and padded sizes.

    Parameters
    ----------
    problem : Problem
        What to solve.
    target : float
        Cost to reach by the sparse variable.

    Returns
    -------
    best : list of SetUp
        With the number of iterations that reach the target.
    """
    least = max(problem.maps_shape[1:])
    sizes = fft_sizes(least, least + 26)
    best = []
    for peer in PEERS:
        # The best values found by a fine search were 1.4, 2.75 and 4 for 9, 32 and 64 filters.
        guesses = [factor * len(problem.filters) ** 0.5 / 2 for factor in (0.7, 0.9, 1.1)]
        found = [SetUp(peer, rho, sizes[0]).reaching(problem, target) for rho in guesses]
        fewest = min(found, key=lambda setup: setup.n_iter)
        setups = [SetUp(peer, fewest.rho, size, fewest.n_iter) for size in sizes]
        # The first turn plans the transforms.
        taken = [[setup.seconds(problem) for setup in setups] for _ in range(5)]
        best.append(setups[int(np.argmin(np.min(taken[1:], axis=0)))])
    return best


def online_learner(photos, filters, lam, n_passes, *, rho, n_iter, eta, seed):
    """SPORCO's masked online learner; the unmasked one, with a periodic border, ends higher.

    Parameters
    ----------
    photos : ndarray of shape (n_photos, height, width)
        Photos of one size.
    filters : ndarray of shape (n_filters, h, w)
        First filters.
    lam : float
        Weight of the squared error.
    n_passes : int
        Passes over the photos.
    rho : float
        Penalty parameter of its ADMM.
    n_iter : int
        ADMM iterations at each visit. It starts every visit from zeros; many short visits learn
        faster than few long ones.
    eta : tuple of float
        a and b of the step length a / (b + visit).
    seed : int
        For the order of the photos.

    Yields
    ------
    seconds : float
        Time spent so far, after each pass.
    filters : ndarray of shape (n_filters, h, w)
        The filters, normalised.
    """
    settings = {"rho": rho, "RelaxParam": 1.8, "MaxMainIter": n_iter}
    options = onlinecdl.OnlineConvBPDNMaskDictLearn.Options(
        {"eta_a": eta[0], "eta_b": eta[1], "DataType": np.float32, "CBPDN": FAST | settings}
    )
    largest = max(np.add(photos.shape[1:], filters.shape[1:])) - 1
    size = fft_sizes(largest, 2 * largest)[0]
    pairs = [padded(image, filters.shape[1:], size) for image in photos]
    first = np.moveaxis(filters, 0, -1).astype(np.float32)
    learner = onlinecdl.OnlineConvBPDNMaskDictLearn(first, np.float32(1 / lam), options)
    random = np.random.default_rng(seed)
    seconds = 0.0
    for _ in range(n_passes):
        start = time.process_time()
        for i in random.permutation(len(photos)):
            learner.solve(*pairs[i], dimK=0)
        seconds += time.process_time() - start
        learned = np.moveaxis(learner.getdict().squeeze(), -1, 0)
        yield seconds, learned / np.linalg.norm(learned, axis=(1, 2), keepdims=True)
