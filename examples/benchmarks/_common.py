"""Photos, an independent evaluation of maps, timing and tables for all benchmarks."""

from __future__ import annotations

import argparse
import datetime
import gc
import gzip
import os
import platform
import tempfile
import time
import warnings
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import fft
from scipy.ndimage import gaussian_filter
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from skdeconv import DeconvNetLayer, __version__
from skdeconv.inference import CoordinateDescent, PowerPenalty
from skdeconv.inference import Problem as SparseProblem
from skdeconv.operators import Convolution, Masked, zeros_for_nan

VARIABLE, KERNELS = "SKDECONV_DATA", "SKDECONV_KERNELS"
PACKAGES = ("numpy", "scipy", "scikit-learn", "joblib", "sporco", "pyFFTW")


def data_folder() -> Path:
    """Folder of photos and digits. Exit with a message if it is not set."""
    folder = os.environ.get(VARIABLE)
    if not folder or not Path(folder).is_dir():
        raise SystemExit(
            f"The benchmarks need photos: set the environment variable {VARIABLE} to a folder "
            f"with set12/, fruit_100_100/, city_100_100/ and mnist/ (it is {folder!r} now)."
        )
    return Path(folder)


def contrast_normalized(grey: np.ndarray) -> np.ndarray:
    """Subtract the Gaussian mean, divide by the local deviation, at least its mean."""
    high = grey - gaussian_filter(grey, 2)
    deviation = np.sqrt(gaussian_filter(high**2, 2))
    return high / np.maximum(deviation, deviation.mean())


def photo(name: str) -> np.ndarray:
    """One photo of the data folder, contrast-normalised, float32."""
    grey = np.asarray(Image.open(data_folder() / name).convert("L"), dtype=np.float64) / 255
    return contrast_normalized(grey).astype(np.float32)


def small_photos(*folders: str) -> np.ndarray:
    """Ten photos of 100x100 from each of the folders."""
    return np.stack(
        [photo(f"{folder}_100_100/{i}.jpg") for folder in folders for i in range(1, 11)]
    )


def large_photos(n_photos: int) -> np.ndarray:
    """Photos of 256x256: seven whole ones, quarters of larger ones, then mirror images."""
    squares = [photo(f"set12/{i:02}.png") for i in range(1, 8)]
    for i in range(8, 13):
        whole = photo(f"set12/{i:02}.png")
        squares += [whole[a : a + 256, b : b + 256] for a in (0, 256) for b in (0, 256)]
    squares += [square[:, ::-1] for square in squares]
    return np.stack(squares[:n_photos])


def digits(n_digits: int, part: str = "train") -> np.ndarray:
    """The first digits of MNIST, 28x28, float32 in [0, 1]; ``part`` is "train" or "t10k"."""
    with gzip.open(data_folder() / "mnist" / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + n_digits * 784), dtype=np.uint8, offset=16)
    return pixels.reshape(-1, 28, 28).astype(np.float32) / 255


class Problem:
    """Cost and duality gap of sparse maps of one image, in float64 and by FFT.

    It shares no code with the solvers that it evaluates.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, h, w)
        Filters of unit norm.
    image : ndarray of shape (height, width)
        The image; NaN marks a missing pixel, which is left out of the squared error.
    lam : float
        Weight of the squared error.
    positive : bool, default=False
        Whether maps are non-negative.
    """

    def __init__(self, filters, image, lam, positive=False):
        self.filters, self.image, self.lam, self.positive = filters, image, lam, positive
        self.maps_shape = (
            len(filters),
            image.shape[0] + filters.shape[1] - 1,
            image.shape[1] + filters.shape[2] - 1,
        )
        self._size = tuple(fft.next_fast_len(n, real=True) for n in self.maps_shape[1:])
        self._spectrum = fft.rfft2(filters.astype(np.float64), self._size)
        self._inside = tuple(
            slice(f - 1, f - 1 + n) for f, n in zip(filters.shape[1:], image.shape, strict=True)
        )

    def reconstruct(self, maps):
        """The reconstruction from maps of shape ``maps_shape``."""
        spectrum = fft.rfft2(maps.astype(np.float64), self._size)
        image = fft.irfft2(np.einsum("kij,kij->ij", spectrum, self._spectrum), self._size)
        return image[self._inside]

    def residual(self, maps):
        """Image minus its reconstruction; 0 at missing pixels."""
        return np.nan_to_num(self.image - self.reconstruct(maps))

    def cost(self, maps) -> float:
        """lam / 2 times the squared error, plus the l1 norm of the maps."""
        error = self.residual(maps)
        return self.lam / 2 * np.sum(error**2) + float(np.abs(maps, dtype=np.float64).sum())

    def gap(self, maps) -> float:
        """Relative duality gap, a proven bound on the suboptimality."""
        error = self.residual(maps)
        padded = np.zeros(self._size)
        padded[self._inside] = error
        inner = fft.irfft2(fft.rfft2(padded) * np.conj(self._spectrum), self._size)
        inner = self.lam * inner[:, : self.maps_shape[1], : self.maps_shape[2]]
        scale = 1 / max(1.0, inner.max() if self.positive else np.abs(inner).max())
        explained = np.nansum(error * self.image)
        dual = self.lam * scale * (explained - scale / 2 * np.sum(error**2))
        cost = self.cost(maps)
        return (cost - dual) / cost


def convolution(problem: Problem, dtype=np.float32) -> Convolution:
    """The operator of the problem for our solvers."""
    return Convolution(problem.filters[:, None].astype(dtype), problem.image.shape)


def infer(operator: Convolution, problem: Problem, tol: float, max_iter: int = 500):
    """Infer maps with the default solver to a tolerance on the duality gap, as one CSR row."""
    images = problem.image[None, None].astype(operator.dtype)
    known = ~np.isnan(images[0])
    if not known.all():
        operator, images = Masked(operator, known), zeros_for_nan(images)
    penalty = PowerPenalty(positive=problem.positive)
    sparse = SparseProblem(operator, images, penalty, problem.lam)
    return CoordinateDescent().solve(sparse, tol=tol, max_iter=max_iter).maps


@contextmanager
def kernels(choice: str):
    """Use "compiled" or "portable" kernels."""
    before = os.environ.get(KERNELS, "")
    os.environ[KERNELS] = choice
    try:
        yield
    finally:
        os.environ[KERNELS] = before


def dense(maps, problem: Problem) -> np.ndarray:
    """Convert one CSR row to maps of shape ``maps_shape``."""
    return maps.toarray().reshape(problem.maps_shape)


def certified(problem: Problem, tol: float) -> np.ndarray:
    """Maps whose relative gap is at most ``tol`` by ``Problem.gap``, which scales globally."""
    operator, gap = convolution(problem, np.float64), np.inf
    # The solver scales its dual points locally, so that its own gap is smaller.
    for fraction in (5, 25, 125, 625):
        maps = dense(infer(operator, problem, tol / fraction), problem)
        if (gap := problem.gap(maps)) <= tol:
            return maps
    raise RuntimeError(f"The duality gap is {gap:.1e}, above {tol:.1e}.")


def optimum(problem: Problem, tol: float = 1e-5) -> tuple[float, float]:
    """Optimal cost to a certified relative gap, and the fraction of non-zeros of its maps."""
    maps = certified(problem, tol)
    return problem.cost(maps), np.count_nonzero(maps) / maps.size


def lam_for_share(filters: np.ndarray, image: np.ndarray, share: float) -> float:
    """``lam`` with about this fraction of non-zero coefficients, to two digits."""
    low, high = 0.1, 30.0
    for _ in range(8):
        lam = (low * high) ** 0.5
        problem = Problem(filters, image, lam)
        found = infer(convolution(problem), problem, 1e-2).nnz / np.prod(problem.maps_shape)
        low, high = (lam, high) if found < share else (low, lam)
    return float(f"{(low * high) ** 0.5:.2g}")


def learned_filters(n_filters: int, filter_size: int, folder: Path) -> np.ndarray:
    """Filters (n_filters, h, w) learned from small photos, cached in a folder between runs."""
    file = folder / f"{n_filters}x{filter_size}.npy"
    if not file.exists():
        photos = small_photos("fruit") if n_filters < 16 else small_photos("fruit", "city")
        layer = DeconvNetLayer(n_filters, filter_size, lam=2, max_iter=10, random_state=0)
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, layer.fit(photos).filters_[..., 0])
    return np.load(file)


def arguments(description: str, **options) -> argparse.Namespace:
    """Command line: folder of filters, number of repeats, and options of the script."""
    parser = argparse.ArgumentParser(description=description)
    kept = Path(tempfile.gettempdir()) / "skdeconv-benchmarks"
    parser.add_argument("--filters", type=Path, default=kept, help="folder of learned filters")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs of each entry")
    for name, default in options.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    threadpool_limits(1)
    # The restricted problems run a fixed number of sweeps, and warn each time.
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    return parser.parse_args()


def alternate(jobs: dict, repeats: int, clock=time.process_time) -> dict:
    """Median seconds of jobs that run alternately.

    Parameters
    ----------
    jobs : dict of (callable, callable)
        For each name, a function that prepares a run, which is not timed, and one that takes its
        result and is timed. The first turn is not counted: it fills caches and plans transforms.
    repeats : int
        Number of turns that are counted.
    clock : callable, default=time.process_time
        Processor time does not depend on other programs on the machine. Use time.perf_counter
        for work in other processes.

    Returns
    -------
    seconds : dict of float
        Medians.
    """
    seconds = {name: [] for name in jobs}
    for turn in range(repeats + 1):
        for name, (prepare, run) in jobs.items():
            state = prepare()
            gc.collect()
            start = clock()
            run(state)
            if turn:
                seconds[name].append(clock() - start)
    return {name: float(np.median(taken)) for name, taken in seconds.items()}


def machine() -> str:
    """Date, processor and versions, in one line."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        facts = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
        if "model name" in facts:
            numbers = (facts.get(key, "?") for key in ("cpu family", "model"))
            processor = "{} (family {}, model {})".format(facts["model name"], *numbers)
    found = [f"Python {platform.python_version()}", f"skdeconv {__version__}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    today = datetime.date.today().isoformat()
    return f"{today}; {processor}, {os.cpu_count()} cores; {', '.join(found)}"


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown, with a description of the machine."""
    lines = [header, ["---"] * len(header), *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    print(f"\n### {title}\n\n{machine()}\n\n{table}\n", flush=True)
