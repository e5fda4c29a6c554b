"""Files of interrupted fits: a numpy archive of plain values and arrays, never a pickle."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

import numpy as np

_FORMAT = "skdeconv checkpoint 2"


def write_archive(path, content) -> None:
    """Write values and arrays into a file, which at any moment is the old or the new one.

    A temporary file beside it, ``<name>.<16 hexadecimal digits>.tmp``, replaces it when it is
    complete and on disk. Only a killed process leaves the temporary file behind.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    content : object
        What JSON can hold: dictionaries, lists, numbers, strings, booleans and None; and in it
        arrays of any shape and dtype but objects.

    Raises
    ------
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "fit.npz"
    ...     write_archive(path, {"epoch": 3, "filters": np.eye(2)})
    ...     read_archive(path)
    {'epoch': 3, 'filters': array([[1., 0.], [0., 1.]])}
    """
    arrays = {}

    def replaced(array):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{array!r} is not JSON serializable, and no array.")
        name = f"array{len(arrays)}"
        arrays[name] = array
        return {"__array__": name}

    header = json.dumps({"format": _FORMAT, "content": content}, default=replaced)
    arrays["header"] = np.frombuffer(header.encode(), np.uint8)
    # If the path is a link, the file that it points to is replaced, not the link.
    path = Path(os.path.realpath(path))
    # Files made by tempfile can be read by their owner alone, and so could the checkpoint.
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def read_archive(path):
    """Read what :func:`write_archive` has written.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    content : object
        Values and arrays, bit for bit.

    Raises
    ------
    ValueError
        If the file is damaged, is not a checkpoint, or one of another format.
    OSError
        If there is no such file, or it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            if file.read(2) != b"PK":
                raise ValueError("it is not an archive")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                offsets = [entry.header_offset for entry in archive.zip.infolist()]
                # The end of a larger file may be an archive of its own.
                if min(offsets) < 0 or offsets[0] != 0:
                    raise ValueError("its directory is wrong")
                # All checksums first: a wrong bit in a shape would ask for any amount of memory.
                if (damaged := archive.zip.testzip()) is not None:
                    raise ValueError(f"the checksum of {damaged} is wrong")
                arrays = dict(archive)

            def replaced(part):
                return arrays[part["__array__"]] if part.keys() == {"__array__"} else part

            header = json.loads(arrays["header"].tobytes(), object_hook=replaced)
            if header["format"] != _FORMAT:
                raise ValueError(f"its format is {header['format']}")
            return header["content"]
        except (OSError, MemoryError):
            raise
        # Damaged archives raise anything, from BadZipFile to NotImplementedError.
        except Exception as error:
            raise ValueError(
                f"{os.fspath(path)!r} is not a checkpoint that this version of skdeconv can read "
                f"({error}): delete it or choose another path."
            ) from error
