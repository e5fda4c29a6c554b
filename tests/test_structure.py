"""The shape of the code: who imports whom, how long things are, what is documented."""

import ast
import importlib
import inspect
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import skdeconv

ROOT = Path(__file__).parents[1]

# From the bottom up. A part of the package, a module or a folder, imports from the rows above its
# own alone; inside a folder modules may import each other, without cycles.
LAYERS = (
    {"exceptions"},
    {"kernels"},
    {"_utils"},
    {"layouts"},
    {"operators"},
    {"filters"},
    {"inference"},
    {"networks"},
    {"learning"},
    {"_lam_min"},
    {"datasets", "display", "features", "model_selection", "preprocessing"},
    {"_base"},
    {"_layer"},
    {"_adaptive", "_hierarchical", "_one_pass"},
    {""},  # skdeconv/__init__.py
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# For those who extend the package, not for those who use it: shorter docstrings may do.
FOLDERS = {"filters", "inference", "kernels", "layouts", "learning", "networks", "operators"}

RUNTIME = {"joblib", "numpy", "scipy", "sklearn", "skdeconv", "threadpoolctl"}
INSIDE_FUNCTIONS = {"PIL", "matplotlib"}
COMPILED, COMPILERS = "skdeconv.kernels._compiled", {"llvmlite", "numba"}

# Lines of code: docstrings, comments and blank lines do not count.
MOST_LINES, MOST_BODY_LINES = 300, 50


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def python_files(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(node, in_function=False):
    """Pairs of an imported name and whether the import stands in a function."""
    in_function |= isinstance(node, ast.FunctionDef | ast.Lambda)
    if isinstance(node, ast.Import):
        yield from ((alias.name, in_function) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"relative import in line {node.lineno}"
        for alias in node.names:
            name = f"{node.module}.{alias.name}"
            yield name if name in MODULES else node.module, in_function
    for child in ast.iter_child_nodes(node):
        yield from imports(child, in_function)


def own_imports(name):
    found = imports(MODULES[name])
    return {imported for imported, _ in found if imported.split(".")[0] == "skdeconv"}


def part_of(name):
    return name.split(".")[1] if "." in name else ""


def is_public(name):
    return not any(word.startswith("_") for word in name.split("."))


def public_objects():
    for name in filter(is_public, MODULES):
        module = importlib.import_module(name)
        for exported in getattr(module, "__all__", ()):
            yield f"{name}.{exported}", getattr(module, exported)


def documented_callables():
    """Public functions, classes, and what the package itself defines of their public methods."""
    for name, value in public_objects():
        if not callable(value):
            continue
        yield name, value
        for member, method in inspect.getmembers(value, inspect.isfunction):
            if inspect.isclass(value) and is_public(member):
                if method.__module__.startswith("skdeconv"):
                    yield f"{name}.{member}", method


def lines_of_code(path):
    """Numbers of the lines that hold code."""
    text = path.read_text(encoding="utf-8")
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return {number for number, line in lines if line and line[0] != "#"} - docstrings


MODULES = {module_name(path): parse(path) for path in python_files("skdeconv")}
# What the documentation build generates is not ours.
SOURCES = [*python_files("skdeconv", "tests", "examples"), ROOT / "doc" / "conf.py"]


def test_the_walk_finds_the_package():
    assert len(MODULES) >= 60
    assert len(SOURCES) >= 100
    assert sum(len(own_imports(name)) for name in MODULES) >= 150


def test_every_part_has_its_layer():
    parts = {part_of(name) for name in MODULES}
    assert parts <= set(RANK), f"give {parts - set(RANK)} a row in LAYERS"


def test_imports_point_one_way():
    wrong = [
        f"{name} must not import {imported}"
        for name in MODULES
        for imported in own_imports(name)
        if part_of(imported) != part_of(name) and RANK[part_of(imported)] >= RANK[part_of(name)]
    ]
    assert not wrong


def test_folders_are_imported_by_their_front_door():
    wrong = [
        f"{name} must import {imported} from the folder's __init__"
        for name in MODULES
        for imported in own_imports(name)
        if part_of(imported) != part_of(name) and not is_public(".".join(imported.split(".")[2:]))
    ]
    assert not wrong


def test_imports_have_no_cycles():
    graph = {name: own_imports(name) & set(MODULES) for name in MODULES}
    TopologicalSorter(graph).prepare()


def test_runtime_dependencies():
    for name, tree in MODULES.items():
        for imported, in_function in imports(tree):
            allowed = RUNTIME | sys.stdlib_module_names
            allowed |= INSIDE_FUNCTIONS if in_function else set()
            allowed |= COMPILERS if name.startswith(COMPILED) else set()
            assert imported.split(".")[0] in allowed, f"{name} must not import {imported}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lengths(path):
    lines = lines_of_code(path)
    assert len(lines) <= MOST_LINES
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef):
            body = lines & set(range(node.body[0].lineno, node.end_lineno + 1))
            assert len(body) <= MOST_BODY_LINES, f"{node.name} is too long"


@pytest.mark.parametrize(
    "estimator",
    [skdeconv.DeconvNetLayer, skdeconv.HierarchicalDeconvNet, skdeconv.AdaptiveDeconvNet],
)
def test_estimators_have_few_bases(estimator):
    own = [one for one in estimator.__mro__[1:] if one.__module__.startswith("skdeconv")]
    # Before scikit-learn 1.9 a stand-in for its callbacks is among them.
    names = [one.__name__ for one in own if one.__name__ != "CallbackSupportMixin"]
    assert names == ["BaseDeconvNet", "Transformer"]


def test_the_root_holds_what_people_import():
    assert len(list((ROOT / "skdeconv").glob("*.py"))) <= 8


def test_tests_mirror_the_package():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    mirrored = {path.name for path in (ROOT / "skdeconv").iterdir() if path.is_dir()}
    mirrored |= {path.stem.removeprefix("_") for path in (ROOT / "skdeconv").glob("_[!_]*.py")}
    assert {one for one in folders if not one.startswith("__")} <= mirrored | {"reference"}


def test_modules_say_what_they_are():
    assert all(ast.get_docstring(tree) for tree in MODULES.values())


def test_public_names():
    for name in filter(is_public, MODULES):
        exported = importlib.import_module(name).__all__
        assert all(isinstance(word, str) for word in exported)
    assert sum(1 for _ in public_objects()) >= 15


def test_public_callables_document_their_parameters():
    for name, function in documented_callables():
        documented = inspect.getdoc(function) or ""
        assert documented, f"{name} has no docstring"
        if part_of(name) in FOLDERS | {"exceptions"}:
            continue
        for parameter in inspect.signature(function).parameters:
            if parameter not in {"self", "args", "kwargs"}:
                entry = rf"^\**(\w+, \**)*{parameter}(, \**\w+)*( : |$)"
                assert re.search(entry, documented, re.MULTILINE), f"{name} hides {parameter}"


def test_the_reference_lists_all_that_is_public():
    listed = set(re.findall(r"\w+", (ROOT / "doc" / "api.rst").read_text(encoding="utf-8")))
    folders = {"datasets", "display", "exceptions", "features", "preprocessing", ""}
    folders |= {"model_selection"}
    for name, _ in public_objects():
        if part_of(name) in folders or part_of(name) == name.split(".")[-1]:
            assert name.split(".")[-1] in listed, f"doc/api.rst does not list {name}"
    solvers = importlib.import_module("skdeconv.inference").SOLVERS.values()
    assert {one.__name__ for one in solvers} <= listed
