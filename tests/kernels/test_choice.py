"""When compiled kernels are used, and what importing them costs."""

import logging
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from skdeconv.kernels import _choice, compiled
from skdeconv.operators import Convolution

CODE = """
import sys
import numpy as np
import skdeconv
from skdeconv.operators import Convolution
assert not {"numba", "llvmlite"} & set(sys.modules), "imported too early"
operator = Convolution(np.ones((2, 1, 3, 3), np.float32), (8, 8))
operator.best(np.ones((1, 1, 8, 8), np.float32), False, np.isfinite)
operator.residual(np.ones((1, 1, 8, 8), np.float32), np.arange(4), np.ones(4, np.float32))
print("numba" in sys.modules)
"""


def run(code=CODE, **variables):
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def fresh_choice():
    _choice._load.cache_clear()
    yield
    _choice._load.cache_clear()


def test_numba_is_imported_by_the_first_call(tmp_path):
    pytest.importorskip("numba")
    assert run(NUMBA_CACHE_DIR=str(tmp_path)) == "True"
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert written
    # A second process finds all that it needs.
    assert run(NUMBA_CACHE_DIR=str(tmp_path)) == "True"
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == written


def test_portable_kernels_import_nothing():
    assert run(SKDECONV_KERNELS="portable") == "False"


def test_an_unknown_choice_is_refused(monkeypatch):
    monkeypatch.setenv("SKDECONV_KERNELS", "fast")
    with pytest.raises(ValueError, match="SKDECONV_KERNELS must be 'compiled', 'portable' or"):
        compiled()


@pytest.mark.parametrize("error", [ImportError("absent"), RuntimeError("broken")])
def test_without_a_usable_numba_the_kernels_are_portable(error, monkeypatch, caplog, fresh_choice):
    def fail(name):
        raise error

    monkeypatch.delenv("SKDECONV_KERNELS", raising=False)
    monkeypatch.setattr(_choice, "import_module", fail)
    with caplog.at_level(logging.DEBUG, logger="skdeconv"):
        assert compiled() is None
        assert compiled() is None
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    monkeypatch.setenv("SKDECONV_KERNELS", "compiled")
    with pytest.raises(ImportError, match="numba cannot be used"):
        compiled()


def test_a_compiler_that_is_switched_off_leaves_the_portable_kernels():
    pytest.importorskip("numba")
    code = CODE + "from skdeconv.kernels import compiled\nassert compiled() is None"
    run(code, NUMBA_DISABLE_JIT="1")


def test_folders_that_cannot_be_written_are_no_error():
    pytest.importorskip("numba")
    # What numba finds in folders that are read-only: nowhere to put a cache.
    nowhere = "from numba.core.caching import CacheImpl\nCacheImpl._locator_classes = []\n"
    assert run(nowhere + CODE.replace("assert not", "not")) == "True"


def test_a_convolution_is_pickled_without_its_bank():
    operator = Convolution(np.ones((2, 1, 3, 3)), (8, 8))
    size = len(pickle.dumps(operator))
    operator.adjoint(np.ones((1, 1, 8, 8)))
    assert len(pickle.dumps(operator)) == size
