"""Both kinds of kernels."""

import pytest

from skdeconv.kernels import compiled


@pytest.fixture(params=["compiled", "portable"])
def kernels(request, monkeypatch):
    """Run once with compiled kernels, and once without."""
    if request.param == "compiled":
        pytest.importorskip("numba")
    monkeypatch.setenv("SKDECONV_KERNELS", request.param)
    assert (compiled() is None) == (request.param == "portable")
