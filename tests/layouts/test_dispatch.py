"""Arrays that scikit-learn recognises when it dispatches, but that lack the array API."""

import os
import subprocess
import sys

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

SCRIPT = """
import dask.array as da
import numpy as np
import sklearn
from reference.quick import QUICK, QUICK_NET
from sklearn.pipeline import make_pipeline

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet, OnePassEncoder, lam_min
from skdeconv.features import BatchTransformer, SpatialPyramid
from skdeconv.model_selection import HeldOutPixels
from skdeconv.preprocessing import LocalContrastNormalizer

X = np.random.default_rng(0).standard_normal((6, 12, 12))
layer = DeconvNetLayer(**QUICK | {"lam": 8.0, "output": "maps"}).fit(X)
rows = DeconvNetLayer(**QUICK | {"lam": 8.0}).fit(X.reshape(6, -1)[:, :30])
maps = layer.transform(X)
pooled = make_pipeline(layer, SpatialPyramid(levels=(1,)))
uses = {
    "fit": lambda X, maps: DeconvNetLayer(**QUICK | {"lam": 8.0}).fit(X).filters_,
    "rows": lambda X, maps: rows.transform(X.reshape(6, -1)[:, :30]),
    "list": lambda X, maps: layer.transform([one for one in X]),
    "score": lambda X, maps: layer.score(X),
    "inverse": lambda X, maps: layer.inverse_transform(maps),
    "inverse of rows": lambda X, maps: rows.inverse_transform(maps[:, :4].reshape(6, -1)[:, :64]),
    "to_maps": lambda X, maps: layer.to_maps(maps),
    "net": lambda X, maps: HierarchicalDeconvNet(**QUICK_NET | {"lam": 8.0}).fit_transform(X),
    "encoder": lambda X, maps: OnePassEncoder(layer).fit_transform(X),
    "normaliser": lambda X, maps: LocalContrastNormalizer().fit_transform(X),
    "pyramid": lambda X, maps: SpatialPyramid().fit_transform(maps),
    "batches": lambda X, maps: BatchTransformer(pooled, batch_size=2).fit_transform(X),
    "some": lambda X, maps: BatchTransformer(pooled, subsample=3, random_state=0).fit_transform(X),
    "held out": lambda X, maps: HeldOutPixels(0.2)(layer, X),
    "lam_min": lambda X, maps: lam_min(X, filter_size=3),
}
for name, use in uses.items():
    expected = use(X, maps)
    with sklearn.config_context(array_api_dispatch=True):
        try:
            found = use(da.from_array(X), da.from_array(maps))
        except Exception as error:
            print(name, repr(error)[:200])
            continue
    same = all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True)) \\
        if isinstance(expected, list) else np.array_equal(found, expected)
    if not same:
        print(name, "differs")
"""


def test_dask_arrays():
    pytest.importorskip("dask.array")
    if parse_version(sklearn.__version__) < parse_version("1.7"):
        pytest.importorskip("array_api_compat", reason="newer versions of scikit-learn contain it")
    environment = os.environ | {
        "SCIPY_ARRAY_API": "1",
        "PYTHONPATH": os.pathsep.join(["tests", *sys.path]),
        "PYTHONWARNINGS": "ignore",
    }
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert (run.stdout, run.returncode) == ("", 0), run.stderr[-2000:]
