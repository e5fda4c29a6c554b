"""What identifies images in caches: their files, and the function that prepares them."""

from __future__ import annotations

import dis
import hashlib
import os
import pickle
from functools import cached_property, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType

import joblib
import numpy as np

# Members of other modules that count; what else lies there may depend on the process.
_CONSTANTS = bool | int | float | complex | str | bytes | tuple | list | dict | set | frozenset
_COUNTED = FunctionType | _CONSTANTS | np.ndarray | np.generic


def stamp_of(root: Path, files: tuple[str, ...]) -> str:
    """Hash of the sizes and modification times of files; a missing file counts as one."""
    stamp = hashlib.blake2b(digest_size=16)
    for name in files:
        try:
            status = os.stat(root / name)
        except OSError:
            stamp.update(b"missing;")
        else:
            stamp.update(b"%d %d;" % (status.st_size, status.st_mtime_ns))
    return stamp.hexdigest()


class Identified:
    """A function that is pickled along with a hash of what it computes; loading gives the function.

    Parameters
    ----------
    function : callable
        The parameter ``prepare`` of a folder.

    Raises
    ------
    ValueError
        If joblib is to hash a function that cannot be pickled by name or by its state. Such
        functions are still pickled by cloudpickle, for workers.
    """

    def __init__(self, function):
        self.function = function

    def __reduce_ex__(self, protocol):
        return _first, (self.function, self._hash(protocol))

    def _hash(self, protocol):
        function = self.function
        try:
            content = function, _Content(_home(function)).of(function)
            # joblib.hash passes over what cannot be pickled in dictionaries of dictionaries.
            pickle.dumps(content)
            return joblib.hash(content)
        except Exception as error:
            # joblib.hash pickles by protocol 3, and all that sends or stores objects by a later
            # one. There the function itself, next in the tuple, is what cannot be pickled.
            if protocol > 3:
                return None
            # In dictionaries joblib.hash catches a TypeError.
            raise ValueError(
                f"Images with prepare={function!r} cannot be cached, because it cannot be "
                "identified. Instead of a lambda, a local function or an object that cannot be "
                "pickled, use a function at the top level of a module that can be imported. "
                "functools.partial sets its parameters."
            ) from error


def _first(function, identity):
    return function


def _home(function):
    """Name of the module that defines a function, or the class of a callable object."""
    while isinstance(function, partial):
        function = function.func
    return getattr(function, "__module__", None)


class _Content:
    """Names, code and values that a function uses, as nested lists for ``joblib.hash``.

    Parameters
    ----------
    home : str or None
        Name of the module of the function. Functions and classes of this module are followed to
        what they use. Functions of other modules count by their name, code and defaults, and other
        classes by their name.
    """

    def __init__(self, home: str | None):
        self.home, self._seen = home, set()

    def of(self, value):
        """Content of a function, or of any value that one uses."""
        match value:
            case FunctionType():
                return self._of_function(value)
            case partial():
                return ["partial", *map(self.of, (value.func, value.args, value.keywords))]
            case MethodType():
                return ["method", self.of(value.__func__), self.of(value.__self__)]
            case type():
                return self._of_class(value)
            case ModuleType():
                return value.__name__
            case list() | tuple():
                return [type(value).__name__, *map(self.of, value)]
            case dict():
                return ["dict", *([self.of(key), self.of(one)] for key, one in value.items())]
        return [self._of_class(type(value)), value, *self._wrapped(value)]

    def _wrapped(self, value):
        """The Python function in an object such as those of ``functools.lru_cache``."""
        wrapped = getattr(value, "__wrapped__", None)
        return [self._of_function(wrapped)] if isinstance(wrapped, FunctionType) else []

    def _of_function(self, function):
        content = [function.__module__, function.__qualname__, _text(function.__code__)]
        content += map(self.of, (function.__defaults__, function.__kwdefaults__))
        if self._is_to_follow(function):
            content += [self.of(cell.cell_contents) for cell in function.__closure__ or ()]
            content += [[name, self.of(value)] for name, value in _variables(function)]
        return content

    def _of_class(self, kind):
        content = [kind.__module__, kind.__qualname__]
        if self._is_to_follow(kind):
            content += map(self._of_class, kind.__bases__)
            content += [[name, self.of(value)] for name, value in _members(kind)]
        return content

    def _is_to_follow(self, value):
        """Whether a function or class is of the module, and met for the first time."""
        if value.__module__ != self.home or value in self._seen:
            return False
        self._seen.add(value)
        return True


def _variables(function):
    """Names and values of the global variables of a function, and of what it reads in modules."""
    names, attributes = set(), set()
    for code in _codes(function.__code__):
        attributes.update(code.co_names)
        names |= {one.argval for one in dis.get_instructions(code) if one.opname == "LOAD_GLOBAL"}
    space = function.__globals__
    for name in sorted(names & space.keys()):
        yield name, space[name]
        if isinstance(space[name], ModuleType):
            members = vars(space[name])
            for attribute in sorted(attributes & members.keys()):
                if isinstance(members[attribute], _COUNTED):
                    yield attribute, members[attribute]


def _members(kind):
    """Names and values of the functions and constants of a class."""
    for name, value in sorted(vars(kind).items()):
        match value:
            case property():
                value = value.fget
            case staticmethod() | classmethod():
                value = value.__func__
            case cached_property():
                value = value.func
        is_internal = name.startswith("__") or name == "_abc_impl" or hasattr(value, "__get__")
        if isinstance(value, FunctionType) or not is_internal:
            yield name, value


def _codes(code):
    """A code object, and those of the functions and comprehensions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _text(code):
    """What a code object computes, as a string that does not depend on the process."""
    constants = []
    for one in code.co_consts:
        if isinstance(one, CodeType):
            constants.append(_text(one))
        elif isinstance(one, frozenset):  # in an order that differs between processes
            constants.append(sorted(map(repr, one)))
        else:
            constants.append(repr(one))
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    return repr((code.co_code, code.co_exceptiontable, counts, names, constants))
