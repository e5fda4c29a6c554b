"""Where the data lies, what becomes of tests without it, and a backend that needs no screen."""

import os
from pathlib import Path

import pytest
import sklearn
from sklearn.utils.fixes import parse_version

VARIABLE = "SKDECONV_DATA"
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of photos and published results; skips where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get(VARIABLE) or beside)
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; {VARIABLE} may name another one")
    return folder


@pytest.fixture
def portable_kernels(monkeypatch):
    """Run without the compiled kernels."""
    monkeypatch.setenv("SKDECONV_KERNELS", "portable")


def pytest_configure(config):
    # scikit-learn's own parametrize_with_checks hands a generator to pytest.
    if parse_version(sklearn.__version__) < parse_version("1.9"):
        config.addinivalue_line("filterwarnings", "ignore:Passing a non-Collection iterable")


def pytest_collection_modifyitems(items):
    for item in items:
        if "data_dir" in getattr(item, "fixturenames", ()):
            item.add_marker("data")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    # The floor versions run without numba.
    skipped = skipped and "'numba'" not in str(call.excinfo.value)
    if skipped and os.environ.get(VARIABLE) and item.get_closest_marker("data"):
        report.outcome = "failed"
        report.longrepr = f"{VARIABLE} is set, so no data test may skip: {call.excinfo.value}"
    return report


def pytest_terminal_summary(terminalreporter):
    def count(*outcomes):
        reports = [report for name in outcomes for report in terminalreporter.getreports(name)]
        return sum("data" in getattr(report, "keywords", ()) for report in reports)

    ran, skipped = count("passed", "failed", "xfailed", "xpassed"), count("skipped")
    terminalreporter.write_line(f"Data tests: {ran} ran, {skipped} skipped.")
