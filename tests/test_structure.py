"""The shape of the code: who imports whom, how long things are, what is documented."""

import ast
import importlib
import inspect
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the bottom up. A part of the package, a module or a folder, imports from the rows above its
# own alone; inside a folder modules may import each other, without cycles.
LAYERS = (
    {"_callbacks", "_checkpoint", "_collection", "_kept_codes", "_validation", "exceptions"},
    {"_connectivity", "_images", "_penalty", "_persistence", "operators"},
    {"_progress", "inference", "learning"},
    {"_drawing", "_maps"},
    {"_learner"},
    {"_learner_state", "_parameters", "_stack"},
    {"_lam_min"},
    {"_low_frequency", "_transformer"},
    {"_partial_fit", "_projections", "datasets", "display", "features", "preprocessing"},
    {"_layer"},
    {"_layers", "_one_pass"},
    {"_layer_codes"},
    {"_adaptive", "_hierarchical"},
    {""},  # skdeconv/__init__.py
)
RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}

# For those who extend the package, not for those who use it: shorter docstrings may do.
FOLDERS = {"inference", "learning", "operators"}

RUNTIME = {"joblib", "numpy", "scipy", "sklearn", "skdeconv", "threadpoolctl"}
INSIDE_FUNCTIONS = {"PIL", "matplotlib"}

MOST_LINES, MOST_BODY_LINES = 400, 50


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


def body_lines(function):
    body = function.body[ast.get_docstring(function) is not None :]
    return function.end_lineno - body[0].lineno + 1 if body else 0


MODULES = {module_name(path): parse(path) for path in python_files("skdeconv")}
# What the documentation build generates is not ours.
SOURCES = [*python_files("skdeconv", "tests", "examples"), ROOT / "doc" / "conf.py"]


def test_the_walk_finds_the_package():
    assert len(MODULES) >= 25
    assert len(SOURCES) >= 40
    assert sum(len(own_imports(name)) for name in MODULES) >= 40


def test_every_part_has_its_layer():
    parts = {part_of(name) for name in MODULES}
    assert parts <= set(RANK), f"give {parts - set(RANK)} a row in LAYERS"


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_one_way(name):
    for imported in own_imports(name):
        part = part_of(imported)
        if part == part_of(name):
            continue
        assert RANK[part] < RANK[part_of(name)], f"{name} must not import {imported}"
        private = imported.count(".") > 1
        assert not private, f"{name} must import {imported} from the folder's __init__"


def test_imports_have_no_cycles():
    graph = {name: own_imports(name) & set(MODULES) for name in MODULES}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("name", MODULES)
def test_runtime_dependencies(name):
    for imported, in_function in imports(MODULES[name]):
        allowed = RUNTIME | sys.stdlib_module_names | (INSIDE_FUNCTIONS if in_function else set())
        assert imported.split(".")[0] in allowed, f"{name} must not import {imported}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_lengths(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.FunctionDef):
            assert body_lines(node) <= MOST_BODY_LINES, f"{node.name} is too long"


@pytest.mark.parametrize("name", MODULES)
def test_modules_say_what_they_are(name):
    assert ast.get_docstring(MODULES[name])


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
