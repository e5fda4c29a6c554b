"""Codes of images between the visits of a fit, in memory or in a file that has no name."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator

import numpy as np

# Bytes of codes that stay in memory: of a few hundred photos of 256 x 256.
_IN_MEMORY = 32 * 2**20


class KeptCodes:
    """Non-zero coefficients of many images: what each had at its last visit.

    What does not fit into memory goes to a temporary file, which the operating system removes
    with the process, whatever ends it.

    Parameters
    ----------
    n_samples : int
        Number of images.
    dtype : dtype
        Floating type of the coefficients.
    """

    def __init__(self, n_samples: int, dtype):
        self._dtype = np.dtype(dtype)
        self._kept: list = [None] * n_samples
        # First byte, room and number of coefficients of the images in the file.
        self._places: dict[int, tuple[int, int, int]] = {}
        self._n_bytes, self._end, self._file = 0, 0, None

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, sample: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Positions and values of one image's coefficients; None before its first visit."""
        if sample not in self._places:
            return self._kept[sample]
        first, _, number = self._places[sample]
        self._file.seek(first)
        indices = np.frombuffer(self._file.read(4 * number), dtype=np.int32)
        values = np.frombuffer(self._file.read(self._dtype.itemsize * number), self._dtype)
        return indices, values

    def __setitem__(self, sample: int, code: tuple[np.ndarray, np.ndarray]) -> None:
        indices, values = (np.array(part, kind) for part, kind in self._typed(code))
        n_bytes = indices.nbytes + values.nbytes
        if sample not in self._places:
            before = self._kept[sample]
            freed = 0 if before is None else sum(part.nbytes for part in before)
            if self._n_bytes - freed + n_bytes <= _IN_MEMORY:
                self._n_bytes += n_bytes - freed
                self._kept[sample] = indices, values
                return
            self._n_bytes -= freed
            self._kept[sample] = None
        self._write(sample, indices, values, n_bytes)

    def _typed(self, code):
        return zip(code, (np.int32, self._dtype), strict=True)

    def _write(self, sample, indices, values, n_bytes):
        if self._file is None:
            self._file = tempfile.TemporaryFile()
            weakref.finalize(self, self._file.close)
        first, room, _ = self._places.get(sample, (0, -1, 0))
        if n_bytes > room:
            # Codes change from visit to visit; some room saves most moves.
            first, room = self._end, n_bytes + n_bytes // 4
            self._end += room
        self._file.seek(first)
        self._file.write(indices.tobytes() + values.tobytes())
        self._places[sample] = first, room, len(indices)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray] | None]:
        return (self[sample] for sample in range(len(self)))
