"""Peak memory of inference for a photo of 256x256: ``python memory.py``.

float32, 32 filters of 8x8, ``lam`` = 2, one worker. Learning and measuring run in separate
processes, because a process starts with the peak of its parent.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

HEADER = ["maps", "after the import, MB", "peak, MB", "above the import, MB"]
CODES = ("dense", "sparse")


def peak() -> float:
    """Peak resident size of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def prepare(file: str) -> None:
    """Store a fitted layer and a photo."""
    import joblib
    from _common import arguments, learned_filters, photo, small_photos

    from skdeconv import DeconvNetLayer

    sys.argv = sys.argv[:1] + sys.argv[3:]
    filters = learned_filters(32, 8, arguments(__doc__).filters)
    layer = DeconvNetLayer(32, 8, lam=2, init=filters[..., None], max_iter=1, random_state=0)
    # After a fit on a list, the layer accepts images of any size.
    layer.set_params(n_jobs=1, output="maps").fit(list(small_photos("fruit", "city")))
    joblib.dump((layer, photo("set12/01.png")), file)


def measure(file: str, codes: str) -> None:
    """Print the peak before and after ``transform``."""
    import joblib

    layer, image = joblib.load(file)
    layer.set_params(sparse_output=codes == "sparse")
    before = peak()
    layer.transform([image])
    print(before, peak())


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--prepare"]:
        return prepare(sys.argv[2])
    if sys.argv[1:2] == ["--measure"]:
        return measure(sys.argv[2], sys.argv[3])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "layer.joblib")
        command = [sys.executable, __file__]
        subprocess.run([*command, "--prepare", file, *sys.argv[1:]], check=True)
        for codes in CODES:
            output = subprocess.run(
                [*command, "--measure", file, codes], check=True, stdout=subprocess.PIPE, text=True
            )
            before, after = map(float, output.stdout.split())
            rows.append([codes, f"{before:.0f}", f"{after:.0f}", f"{after - before:.0f}"])
    from _common import print_table

    print_table("Memory: transform of one photo, K=32 8x8", HEADER, rows)


if __name__ == "__main__":
    main()
