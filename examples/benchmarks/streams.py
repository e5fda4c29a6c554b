"""Streams, folders, and inference for one large photo: ``python streams.py``.

    passes   ``partial_fit``, twenty times over ten batches, and ``fit`` with twenty passes
    stream   resident memory in a stream of 2,000 batches
    folder   peak memory of ``fit`` on 200 and on 2,000 photos of 256x256, read from files
    large    time and peak memory of inference for a photo of 20 megapixels, without seams

Without arguments all parts run, one after the other in separate processes, for about half an hour
on one core. Memory is that of the whole process in MB. Images are parts of the sample photos of
scikit-learn; only "passes" needs the data folder.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

# Range of normalised photos that is stored in eight bits.
LOW, RANGE = -4.0, 8.0


def resident() -> float:
    """Resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def peak() -> float:
    """Peak resident memory so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def normalised() -> np.ndarray:
    """Two photos of 427 x 640 pixels, contrast-normalised, float32."""
    from skdeconv.datasets import load_sample_photos
    from skdeconv.preprocessing import LocalContrastNormalizer

    return LocalContrastNormalizer().fit_transform(load_sample_photos(None).astype(np.float32))


def cut(photos, size, rng):
    """A random square of one of the photos, mirrored at random."""
    photo = photos[rng.integers(len(photos))]
    y, x = rng.integers(photo.shape[0] - size + 1), rng.integers(photo.shape[1] - size + 1)
    return photo[y : y + size, x : x + size][:: rng.choice([-1, 1])]


def layer_of(**options):
    """Layer of nine filters of 7 x 7, for all parts."""
    from skdeconv import DeconvNetLayer

    return DeconvNetLayer(9, 7, **{"lam": 2.0, "random_state": 0} | options)


def passes() -> None:
    """Print mean costs of photos of 100 x 100, with maps inferred again."""
    from _common import small_photos

    for name in ("fruit", "city"):
        photos = small_photos(name)
        for lam, p in ((2.0, 1.0), (10.0, 1.0), (2.0, 0.5)):
            settings = {"lam": lam, "p": p, "tol": 0.0}
            fitted, streamed = layer_of(**settings).fit(photos), layer_of(**settings)
            for _ in range(20):
                for photo in photos:
                    streamed.partial_fit(photo[None])
            costs = [mean_cost(layer, photos) for layer in (fitted, streamed)]
            print(
                f"{name}, lam {lam:g}, p {p:g}: fit {costs[0]:.1f}, partial_fit {costs[1]:.1f}, "
                f"ratio {costs[1] / costs[0]:.4f}"
            )


def mean_cost(layer, images) -> float:
    """Mean cost of the codes of ``transform``."""
    codes = layer.transform(images)
    error = images - layer.inverse_transform(codes)
    sparsity = np.sum(np.abs(codes[codes != 0]) ** layer.p, dtype=np.float64)
    return (0.5 * layer.lam * np.sum(error**2, dtype=np.float64) + sparsity) / len(images)


def stream() -> None:
    """Print resident memory from batch 200."""
    photos, rng, layer = normalised(), np.random.default_rng(0), layer_of()
    for batch in range(1, 2001):
        layer.partial_fit(np.stack([cut(photos, 64, rng) for _ in range(4)]))
        if batch == 200:
            start = resident()
        if batch >= 200 and batch % 300 == 200:
            now = resident()
            print(f"batch {batch}: {now:.1f} MB resident, {100 * (now / start - 1):+.2f} %")


def prepare(image: np.ndarray) -> np.ndarray:
    """Convert grey values of a file to those of the normalised photo."""
    return image * np.float32(RANGE) + np.float32(LOW)


def folder(n_images: str) -> None:
    """Print the peak of a fit of two passes over photos in files."""
    from PIL import Image

    from skdeconv.datasets import ImageFolder

    with tempfile.TemporaryDirectory() as path:
        photos, rng = normalised(), np.random.default_rng(0)
        for i in range(int(n_images)):
            grey = 255 * np.clip((cut(photos, 256, rng) - LOW) / RANGE, 0, 1)
            Image.fromarray(grey.astype(np.uint8)).save(f"{path}/{i:05d}.png")
        before, start = peak(), time.perf_counter()
        layer_of(max_iter=2, tol=0.0).fit(ImageFolder(path, prepare=prepare))
        print(
            f"{n_images} photos: peak {peak():.0f} MB, {peak() - before:.0f} above that before the "
            f"fit, {time.perf_counter() - start:.0f} s"
        )


def large() -> None:
    """Print time and memory for a photo of 20 megapixels, and the difference of repeated parts."""
    photos = normalised()
    tile = np.concatenate([photos[0], photos[0][::-1], photos[1], photos[1][::-1]])
    tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
    image = np.tile(tile, (3, 4))[:4472, :4472]
    layer = layer_of(output="maps", sparse_output=True, max_iter=3)
    layer.fit([one[:200, :200] for one in photos])
    before, start = peak(), time.perf_counter()
    (codes,) = layer.transform([image]).maps
    seconds = time.perf_counter() - start
    summed = np.asarray(codes.sum(axis=1)).reshape(4478, 4478)
    # Far from the borders, the codes of all repetitions of the tile agree.
    height = len(tile)
    apart = np.abs(summed[100:1600, 100:1000] - summed[100 + height : 1600 + height, 100:1000])
    print(
        f"{image.size / 1e6:.1f} megapixels: {seconds:.0f} s, peak {peak():.0f} MB, "
        f"{peak() - before:.0f} above that before, {codes.nnz / image.size:.3f} non-zeros per "
        f"pixel; mean difference of repeated parts {apart.mean() / np.abs(summed).mean():.4f}"
    )


def main() -> None:
    """Run one part, or all of them."""
    warnings.simplefilter("ignore")
    if sys.argv[1:]:
        return globals()[sys.argv[1]](*sys.argv[2:])
    parts = [["passes"], ["stream"], ["folder", "200"], ["folder", "2000"], ["large"]]
    for part in parts:
        print(f"\n{' '.join(part)}", flush=True)
        subprocess.run([sys.executable, __file__, *part], check=True)


if __name__ == "__main__":
    main()
