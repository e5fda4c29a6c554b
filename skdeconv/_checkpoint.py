"""Files of interrupted fits: arrays and plain values in a numpy archive, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

import numpy as np

_MAGIC, _FORMAT = "skdeconv checkpoint", 1
_HEADER = "checkpoint.json"


def check_checkpoint(path) -> Path | None:
    """Require the parameter ``checkpoint`` to name a file that can be written.

    Parameters
    ----------
    path : str, os.PathLike or None
        The file, which need not exist; its folder must.

    Returns
    -------
    path : pathlib.Path or None
        The path; None stays None.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it is a folder, or the folder that it lies in does not exist.

    Examples
    --------
    >>> check_checkpoint("fit.npz").name
    'fit.npz'
    """
    if path is None:
        return None
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"checkpoint must be the path of a file, or None, got {path!r}.")
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"checkpoint must be the path of a file, and {str(path)!r} is a folder.")
    if not path.parent.is_dir():
        raise ValueError(
            f"checkpoint={str(path)!r} lies in a folder that does not exist; create "
            f"{str(path.parent)!r} first."
        )
    return path


def write_checkpoint(path, meta: dict, arrays: Mapping[str, np.ndarray]) -> None:
    """Write values and arrays into one file, which at any moment is the old or the new one.

    They go into a temporary file beside it, ``<name>.<16 hexadecimal digits>.tmp``, that takes its
    place when it is complete and on disk. Whatever is raised before that, Ctrl-C included, removes
    the temporary file; only a killed process leaves it behind.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    meta : dict
        None, booleans, integers, floats and strings, in lists and in dictionaries with strings
        as keys.
    arrays : mapping of str to ndarray
        Of any shape and dtype, but no objects.

    Raises
    ------
    TypeError
        If ``meta`` holds anything that would not come back as it is.
    ValueError
        If an array holds objects.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fit.npz"
    ...     write_checkpoint(path, {"epoch": 3}, {"filters": np.eye(2)})
    ...     read_checkpoint(path)
    ({'epoch': 3}, {'filters': array([[1., 0.], [0., 1.]])})
    """
    _check_meta(meta)
    arrays = {name: np.asanyarray(array) for name, array in arrays.items()}
    for name, array in arrays.items():
        _refuse_objects(f"arrays[{name!r}]", array)
    header = {"magic": _MAGIC, "format": _FORMAT, "arrays": list(arrays), "meta": meta}
    # Replacing a link would leave the file that it points to as it was.
    path = Path(os.path.realpath(path))
    # Not by tempfile, whose files are the owner's alone, and the checkpoint after them.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            with ZipFile(file, "w") as archive:
                _write_entries(archive, header, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)


def read_checkpoint(path) -> tuple[dict, dict[str, np.ndarray]]:
    """Read what :func:`write_checkpoint` has written.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    meta : dict
        The values.
    arrays : dict of str to ndarray
        The arrays, bit for bit, in the order in which they came.

    Raises
    ------
    ValueError
        If the file is damaged, is no checkpoint, or one of another format.
    OSError
        If there is no such file, or it cannot be read.

    Examples
    --------
    See :func:`write_checkpoint`.
    """
    with open(path, "rb") as file:
        try:
            with ZipFile(file) as archive:
                header = _read_header(archive)
                if header["format"] == _FORMAT:
                    return header["meta"], _read_arrays(archive, header["arrays"])
        except (OSError, MemoryError):
            raise
        # Damaged archives raise anything, from BadZipFile to NotImplementedError.
        except Exception as error:
            raise ValueError(
                f"{os.fspath(path)!r} is no checkpoint of skdeconv, or a damaged one ({error}): "
                "delete it or choose another path."
            ) from error
    raise ValueError(
        f"{os.fspath(path)!r} is a checkpoint of format {header['format']}, and this version of "
        f"skdeconv reads format {_FORMAT}: delete it or choose another path."
    )


def leftovers(path) -> list[Path]:
    """Temporary files that processes which were killed while they wrote have left beside a file.

    Parameters
    ----------
    path : str or os.PathLike
        The file of :func:`write_checkpoint`.

    Returns
    -------
    temporary : list of pathlib.Path
        Their paths.

    Examples
    --------
    >>> leftovers("fit.npz")
    []
    """
    path = Path(os.path.realpath(path))
    pattern = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.tmp")
    return [one for one in path.parent.iterdir() if pattern.fullmatch(one.name)]


def fingerprint(arrays: Iterable[np.ndarray], *numbers) -> str:
    """Tell by a short text whether data and settings are the same as before.

    Parameters
    ----------
    arrays : iterable of ndarray
        Their shapes, dtypes and bytes count, whatever their memory order.
    *numbers : int, float, str, bool, None, or tuples or dictionaries of them
        Anything else that counts, by its ``repr``. A scalar of numpy is as good as Python's, but
        not inside of a tuple.

    Returns
    -------
    fingerprint : str
        64 hexadecimal digits, the SHA-256 of it all.

    Raises
    ------
    ValueError
        If an array holds objects.

    Examples
    --------
    >>> images = np.zeros((2, 8, 8))
    >>> fingerprint([images], 0.5) == fingerprint([images.copy()], 0.5)
    True
    >>> fingerprint([images], 0.5) == fingerprint([images.astype("float32")], 0.5)
    False
    """
    digest = hashlib.sha256()
    for array in map(np.asanyarray, arrays):
        _refuse_objects("arrays", array)
        kind = np.lib.format.dtype_to_descr(array.dtype)
        digest.update(f"array {array.shape} {kind!r}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    plain = [one.item() if isinstance(one, np.generic) else one for one in numbers]
    digest.update(f"numbers {plain!r}\n".encode())
    return digest.hexdigest()


def state_of(random_state: np.random.RandomState) -> dict:
    """State of a generator, as plain values.

    Parameters
    ----------
    random_state : RandomState
        As :func:`sklearn.utils.check_random_state` makes it of a seed, or of None.

    Returns
    -------
    state : dict
        What :func:`random_state_of` takes, and the ``meta`` of a checkpoint holds.

    Raises
    ------
    ValueError
        If another algorithm than MT19937 is behind it.

    Examples
    --------
    >>> generator = np.random.RandomState(0)
    >>> again = random_state_of(state_of(generator))
    >>> bool(again.normal() == generator.normal())
    True
    """
    state = random_state.get_state(legacy=False)
    if state["bit_generator"] != "MT19937":
        raise ValueError(
            "random_state must be an integer, or a RandomState of MT19937, for its state to be "
            f"kept in a checkpoint; got one of {state['bit_generator']}."
        )
    inner = state["state"]
    return {
        "bit_generator": "MT19937",
        "state": {"key": inner["key"].tolist(), "pos": int(inner["pos"])},
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }


def random_state_of(state: dict) -> np.random.RandomState:
    """Generator that goes on where the one of :func:`state_of` was.

    Parameters
    ----------
    state : dict
        From :func:`state_of`; it stays as it is.

    Returns
    -------
    random_state : RandomState
        A new one.

    Raises
    ------
    ValueError
        If it is no state of a generator.

    Examples
    --------
    See :func:`state_of`.
    """
    inner = state["state"]
    key = np.array(inner["key"], dtype=np.uint32)
    random_state = np.random.RandomState(0)
    random_state.set_state(state | {"state": {"key": key, "pos": inner["pos"]}})
    return random_state


def _check_meta(value):
    """Refuse what JSON would turn into something else, such as tuples and integers as keys."""
    if isinstance(value, dict):
        for key, one in value.items():
            if not isinstance(key, str):
                raise TypeError(f"meta must have strings as keys, got {key!r}.")
            _check_meta(one)
    elif isinstance(value, list):
        for one in value:
            _check_meta(one)
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise TypeError(
            "meta must hold None, booleans, numbers, strings, lists and dictionaries of Python, "
            f"got {value!r}, a {type(value).__name__}."
        )


def _refuse_objects(name, array):
    if array.dtype.hasobject:
        raise ValueError(f"{name} must be numbers, not Python objects, got dtype {array.dtype}.")


def _write_entries(archive, header, arrays):
    with archive.open(_HEADER, "w") as entry:
        entry.write(json.dumps(header).encode())
    for name, array in arrays.items():
        with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
            np.lib.format.write_array(entry, array, allow_pickle=False)


def _read_header(archive):
    # At the very beginning: the rest of a larger file may be an archive of its own.
    if not any(one.filename == _HEADER and not one.header_offset for one in archive.infolist()):
        raise ValueError("there is no header")
    header = json.loads(archive.read(_HEADER))
    if header["magic"] != _MAGIC:
        raise ValueError("the header is another one")
    return header


def _read_arrays(archive, names):
    # All checksums first: a wrong bit in the shape of an array asks for any amount of memory.
    damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")
    arrays = {}
    for name in names:
        with archive.open(f"{name}.npy") as entry:
            arrays[name] = np.lib.format.read_array(entry, allow_pickle=False)
    return arrays


def _sync_folder(folder):
    """Bring the new name to disk; Windows cannot open folders, and some file systems refuse."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
