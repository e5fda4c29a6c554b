"""Seconds of inference for 40 photos of 256x256 with one and two workers: ``python parallel.py``.

float32, 32 filters of 8x8, ``lam`` = 2. The codes must be bit-identical.
"""

from __future__ import annotations

import time

from _common import alternate, arguments, large_photos, learned_filters, print_table, small_photos

from skdeconv import DeconvNetLayer

HEADER = ["n_jobs", "seconds", "photos per second", "speed-up"]


def main() -> None:
    """Print the table."""
    options = arguments(__doc__, photos=40)
    photos = list(large_photos(options.photos))
    filters = learned_filters(32, 8, options.filters)
    layer = DeconvNetLayer(32, 8, lam=2, init=filters[..., None], output="maps", random_state=0)
    # After a fit on a list, the layer accepts images of any size.
    layer.set_params(sparse_output=True, max_iter=1).fit(list(small_photos("fruit", "city")))
    jobs = {
        n: (lambda n=n: layer.set_params(n_jobs=n), lambda it: it.transform(photos)) for n in (1, 2)
    }
    seconds = alternate(jobs, options.repeats, clock=time.perf_counter)
    codes = [layer.set_params(n_jobs=n).transform(photos) for n in (1, 2)]
    if any((one != two).nnz for one, two in zip(*codes, strict=True)):
        raise RuntimeError("One worker and two workers gave different codes.")
    rows = [
        [f"{n}", f"{taken:.2f}", f"{len(photos) / taken:.2f}", f"{seconds[1] / taken:.2f}"]
        for n, taken in seconds.items()
    ]
    print_table(f"Workers: {len(photos)} photos of 256x256, K=32 8x8", HEADER, rows)


if __name__ == "__main__":
    main()
