"""Collections of images of one size or of several, channels first where they are looked at."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator

import numpy as np

# Of one size, that are looked at as one stack.
_PIXELS = 2**20


class Collection:
    """What is known of images without looking at them, and the order in which to look.

    Parameters
    ----------
    sizes : ndarray of int of shape (n_samples, 2)
        Height and width of each image.
    n_channels : int
        Their number of channels.
    dtype : dtype
        Floating type of the stacks.
    """

    def __init__(self, sizes: np.ndarray, n_channels: int, dtype):
        self.sizes, self.n_channels, self.dtype = sizes, int(n_channels), np.dtype(dtype)

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of all images; None where they differ."""
        return self.size_of(0) if (self.sizes == self.sizes[0]).all() else None

    @property
    def n_pixels(self) -> int:
        """Pixels of all images together, each counted once for all channels."""
        return int(self.sizes.prod(axis=1).sum())

    def count_known(self) -> int:
        """Pixels that are not missing, which no collection but ``Images`` knows."""
        return self.n_pixels

    def size_of(self, sample: int) -> tuple[int, int]:
        """(height, width) of one image."""
        height, width = self.sizes[sample].tolist()
        return height, width

    def groups(self, at_most: Callable | int | None = None) -> Iterator[slice | np.ndarray]:
        """Positions of images that share one size: a slice, or an array where sizes differ.

        Parameters
        ----------
        at_most : int or callable, default=None
            Largest number of images in a group, or what gives it for a size; None takes all.
        """
        if self.size is not None:
            of_a_size = [np.arange(len(self))]
        else:
            _, which = np.unique(self.sizes, axis=0, return_inverse=True)
            which = which.reshape(-1)
            order = np.argsort(which, kind="stable")
            of_a_size = np.split(order, np.flatnonzero(np.diff(which[order])) + 1)
            of_a_size.sort(key=lambda positions: positions[0])
        for positions in of_a_size:
            step = at_most(self.size_of(positions[0])) if callable(at_most) else at_most
            step = len(positions) if step is None else max(1, step)
            for first in range(0, len(positions), step):
                part = positions[first : first + step]
                whole = part[-1] - part[0] == len(part) - 1
                yield slice(int(part[0]), int(part[-1]) + 1) if whole else part

    def portions(self) -> Iterator[slice | np.ndarray]:
        """Groups of about a megapixel at most, to be looked at as one stack."""
        return self.groups(lambda size: _PIXELS // math.prod(size))


class Images(Collection):
    """Images that come as an array or as a sequence, which may read them on access.

    Parameters
    ----------
    source : ndarray of shape (n_samples, ...), or sequence of arrays
        The images, each (height, width) or (height, width, n_channels); those of an array may be
        flat. NaN marks a missing pixel.
    sizes, n_channels, dtype
        As of ``Collection``.
    """

    def __init__(self, source, sizes, n_channels, dtype):
        super().__init__(sizes, n_channels, dtype)
        self.source = source

    def __sizeof__(self) -> int:
        # Schedulers of clusters decide by it how to move arguments: the default ignores the source.
        own = object.__sizeof__(self)
        if isinstance(self.source, np.ndarray):
            return own + self.source.nbytes
        if isinstance(self.source, list):
            return own + sum(getattr(image, "nbytes", 0) for image in self.source)
        return own + sys.getsizeof(self.source)

    @property
    def is_lazy(self) -> bool:
        """Whether images are read on access."""
        return not isinstance(self.source, np.ndarray | list)

    def stack(self, positions: slice | np.ndarray) -> np.ndarray:
        """Images of one size, (n_chosen, n_channels, height, width)."""
        (height, width), n_channels = self.sizes[positions][0], self.n_channels
        if isinstance(self.source, np.ndarray):
            chosen = self.source[positions]
        else:
            chosen = np.stack([self._read(i) for i in np.arange(len(self))[positions]])
        chosen = chosen.reshape(len(chosen), height, width, n_channels).transpose(0, 3, 1, 2)
        return np.ascontiguousarray(chosen, dtype=self.dtype)

    def _read(self, sample):
        image = np.asarray(self.source[int(sample)], dtype=self.dtype)
        height, width = self.size_of(sample)
        if image.shape[:2] != (height, width) or image.size != height * width * self.n_channels:
            raise ValueError(
                f"X[{sample}] has shape {image.shape}, and had {height} x {width} pixels of "
                f"{self.n_channels} channels when it was looked at first; images must not change."
            )
        return image

    def count_known(self) -> int:
        """Pixels that are not missing from all channels."""
        stacks = (self.stack(part) for part in self.groups())
        return sum(int((~np.isnan(stack)).any(axis=1).sum()) for stack in stacks)

    def part(self, positions: slice | np.ndarray) -> Images:
        """Some of the images; those that are read on access stay unread, if indices choose them."""
        chosen = np.arange(len(self))[positions]
        if isinstance(self.source, np.ndarray):
            source = self.source[positions]
        elif isinstance(self.source, list):
            source = [self.source[i] for i in chosen]
        elif hasattr(self.source, "shape"):
            source = self.source[chosen]
        else:
            return self.load(positions)
        return Images(source, self.sizes[positions], self.n_channels, self.dtype)

    def load(self, positions: slice | np.ndarray) -> Images:
        """Some of the images, in memory."""
        if not self.is_lazy:
            return self.part(positions)
        chosen = [self._read(i) for i in np.arange(len(self))[positions]]
        return Images(chosen, self.sizes[positions], self.n_channels, self.dtype)
