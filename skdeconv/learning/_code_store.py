"""Storage for the codes of images between passes, in memory or in a temporary file."""

from __future__ import annotations

import tempfile
import weakref

import numpy as np

# Number of bytes that are kept in memory: the codes of a few hundred photos of 256 x 256.
_IN_MEMORY = 32 * 2**20


class CodeStore:
    """Non-zero coefficients of many images, as last inferred.

    Codes beyond 32 MB are stored in a temporary file, which the operating system removes when the
    process ends, also if it is killed.

    Parameters
    ----------
    n_samples : int
        Number of images.
    dtype : dtype
        Floating type of the coefficients.
    """

    def __init__(self, n_samples: int, dtype):
        self._dtype = np.dtype(dtype)
        # Offset, reserved bytes and number of coefficients of every image that has been visited.
        self._places: list[tuple[int, int, int] | None] = [None] * n_samples
        self._file, self._end = tempfile.SpooledTemporaryFile(_IN_MEMORY), 0
        weakref.finalize(self, self._file.close)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, sample: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Positions and values of the coefficients of one image; None before its first visit."""
        if self._places[sample] is None:
            return None
        first, _, number = self._places[sample]
        self._file.seek(first)
        indices = np.frombuffer(self._file.read(4 * number), dtype=np.int32)
        values = np.frombuffer(self._file.read(self._dtype.itemsize * number), self._dtype)
        return indices, values

    def __setitem__(self, sample: int, code: tuple[np.ndarray, np.ndarray]) -> None:
        indices, values = np.asarray(code[0], np.int32), np.asarray(code[1], self._dtype)
        n_bytes = indices.nbytes + values.nbytes
        first, room, _ = self._places[sample] or (0, -1, 0)
        if n_bytes > room:
            # Codes change in size from pass to pass; reserved bytes avoid most moves.
            first, room = self._end, n_bytes + n_bytes // 4
            self._end += room
        self._file.seek(first)
        self._file.write((indices.tobytes() + values.tobytes()).ljust(room, b"\0"))
        self._places[sample] = first, room, len(indices)

    def state(self) -> dict:
        """All codes, as ``restore`` takes them."""
        self._file.seek(0)
        return {
            "places": [one and list(one) for one in self._places],
            "content": np.frombuffer(self._file.read(self._end), np.uint8),
        }

    def restore(self, state: dict) -> None:
        """Take over the codes of another store of as many images."""
        self._places = [one and tuple(one) for one in state["places"]]
        self._file.seek(0)
        self._file.write(state["content"])
        self._end = len(state["content"])
