"""What ``show_versions`` prints, and what it does not import for it."""

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy
import scipy
import sklearn

import skdeconv
from skdeconv._utils import versions

ROOT = Path(__file__).parents[2]


def lines_of(output):
    return dict(re.findall(r"^    ([\w-]+): (.+)$", output, re.MULTILINE))


def test_versions_of_python_and_packages(capsys):
    assert skdeconv.show_versions() is None
    output = capsys.readouterr().out
    lines = lines_of(output)
    assert lines["python"].split()[0] == sys.version.split()[0]
    assert "\n" not in lines["platform"]
    assert lines["skdeconv"] == skdeconv.__version__
    assert lines["numpy"] == numpy.__version__
    assert lines["scipy"] == scipy.__version__
    assert lines["scikit-learn"] == sklearn.__version__
    assert "user_api: blas" in output


def test_packages_that_are_not_installed(capsys, monkeypatch):
    def without_polars(name):
        if name == "polars":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(versions, "version", without_polars)
    skdeconv.show_versions()
    lines = lines_of(capsys.readouterr().out)
    assert lines["polars"] == "not installed"
    assert lines["joblib"] == version("joblib")


def test_every_run_time_dependency_is_listed(capsys):
    skdeconv.show_versions()
    lines = lines_of(capsys.readouterr().out)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = re.search(r"^dependencies = \[(.*)\]$", text, re.MULTILINE)[1]
    names = re.findall(r'"([\w-]+)', dependencies)
    assert "numpy" in names
    assert set(names) <= set(lines)


def test_optional_packages_are_not_imported(monkeypatch):
    optional = ("matplotlib", "PIL", "pandas", "polars", "dask", "numba")
    for name in optional:
        monkeypatch.delitem(sys.modules, name, raising=False)
    skdeconv.show_versions()
    assert not set(optional) & set(sys.modules)
