"""R2 in pixels of two layers for several numbers of non-zeros: ``python hierarchy.py``.

Also the times of a layer of 45 filters for several connectivities, and that of a third layer.
"""

from __future__ import annotations

import resource
import time

import numpy as np
from _common import arguments, print_table, small_photos

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet, make_connectivity

LAMS = {
    "greedy": (1.0, 1.5, 2.0, 3.0, 4.0),
    "joint": (0.35, 0.5, 0.7, 1.0),
    "alternating": (0.5, 1.0, 2.0),
}
COMMON = {"max_iter": 10, "tol": 0, "random_state": 0, "sparse_output": True}


def r2_against_nonzeros(net, photos) -> None:
    """Print R2 in pixels and non-zeros of the top layer for each kind of inference."""
    rows = []
    for inference, lams in LAMS.items():
        for lam in lams:
            net.set_params(inference=inference, lam=(net.layers_[0].lam, lam))
            start = time.process_time()
            codes = net.transform(photos)
            seconds = (time.process_time() - start) / len(photos)
            error = np.sum((net.inverse_transform(codes) - photos) ** 2)
            centred = photos - photos.mean(axis=(1, 2), keepdims=True)
            r2 = 1 - error / np.sum(centred**2)
            per_pixel = codes.nnz / photos.size
            row = [inference, f"{lam}", f"{per_pixel:.3f}", f"{r2:.3f}", f"{seconds:.2f}"]
            rows.append(row)
    header = ["inference", "lam of layer 2", "non-zeros per pixel", "R2", "seconds per photo"]
    print_table("City photos, (9, 45) filters 7x7, from the top layer alone", header, rows)


def full_against_pairs(net, photos) -> None:
    """Print times of learning and inference of a second layer for each connectivity."""
    first = net.layers_[0]
    maps = first.to_maps(first.transform(photos)) / np.float32(net.factors_[1])
    rows = []
    for kind in ("full", "singles+pairs", "singles"):
        n_filters = 9 if kind == "singles" else 45
        table = make_connectivity(kind, 9, n_filters)
        rows.append([kind, str(n_filters), f"{table.mean():.2f}"])
        layer = DeconvNetLayer(n_filters, 7, lam=2.0, connectivity=table, **COMMON)
        for run in (layer.fit, layer.transform):
            start = time.process_time()
            run(maps)
            rows[-1].append(f"{time.process_time() - start:.1f}")
    header = ["connectivity", "filters", "connections", "learning, s", "inference, s"]
    print_table("One layer on the nine maps of ten photos, ten passes", header, rows)


def growth(photos) -> None:
    """Print time and peak memory of one, two and three layers, learned one after the other."""
    net, rows = HierarchicalDeconvNet((9,), lam=2.0, warm_start=True, **COMMON), []
    for n_filters in ((9,), (9, 45), (9, 45, 150)):
        net.set_params(n_filters=n_filters, lam=(2.0, 1.0, 1.0)[: len(n_filters)])
        start = time.perf_counter()
        net.fit(photos)
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append([str(n_filters), f"{seconds:.0f}", f"{peak:.0f}"])
    header = ["filters", "learning the last layer, s", "peak of the process so far, MB"]
    print_table("Ten city photos, ten passes", header, rows)


def main() -> None:
    """Print the tables."""
    arguments(__doc__)
    photos = small_photos("city")
    growth(photos)
    net = HierarchicalDeconvNet((9, 45), lam=(2.0, 1.0), **COMMON).fit(photos)
    full_against_pairs(net, photos)
    r2_against_nonzeros(net, photos)


if __name__ == "__main__":
    main()
