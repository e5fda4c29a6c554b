"""Collections of images of one or several sizes, which are read as channels-first stacks."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator

import numpy as np

from skdeconv.layouts._containers import plain

# Number of pixels of the images that are read as one stack.
_PIXELS = 2**20


def full_shape(image_shape: tuple) -> tuple:
    """(height, width, n_channels) of an image of shape (L,), (H, W) or (H, W, C)."""
    if len(image_shape) == 1:
        return 1, image_shape[0], 1
    return (*image_shape, 1) if len(image_shape) == 2 else tuple(image_shape)


class Collection:
    """Sizes, channels and dtype of images, and groups of one size in which they are read.

    Parameters
    ----------
    sizes : ndarray of int of shape (n_samples, 2)
        Height and width of each image.
    n_channels : int
        Number of channels of all images.
    dtype : dtype
        Floating type of the stacks.
    layout : {"rows", "stack", "list"}, default="stack"
        Container in which the images were passed.
    image_shape : tuple of int, default=None
        Shape of one image as it was passed: (L,), (H, W) or (H, W, C). Height and width are None if
        images differ in size. None stands for (H, W, C).
    """

    #: Warning about the layout in which the images were passed, if one was issued.
    trap: str | None = None
    #: For windows of larger images, the index of the image of each.
    owners: np.ndarray | None = None

    def __init__(self, sizes: np.ndarray, n_channels: int, dtype, layout="stack", image_shape=None):
        self.sizes, self.n_channels, self.dtype = sizes, int(n_channels), np.dtype(dtype)
        self.layout, self._image_shape = layout, image_shape

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of all images; None if they differ in size."""
        return self.size_of(0) if (self.sizes == self.sizes[0]).all() else None

    @property
    def image_shape(self) -> tuple:
        """Shape of one image as passed; height and width are None if images differ in size."""
        return self._image_shape or (*(self.size or (None, None)), self.n_channels)

    @property
    def n_pixels(self) -> int:
        """Number of pixels of all images; the channels of a pixel count once."""
        return int(self.sizes.prod(axis=1).sum())

    @property
    def is_zero(self) -> bool:
        """Whether all known pixels are zero."""
        stacks = (self.stack(part) for part in self.groups(1))
        return not any(((stack != 0) & ~np.isnan(stack)).any() for stack in stacks)

    def count_known(self) -> int:
        """Number of known pixels: all, except in ``Images``, whose pixels may be missing."""
        return self.n_pixels

    def size_of(self, sample: int) -> tuple[int, int]:
        """(height, width) of one image."""
        height, width = self.sizes[sample].tolist()
        return height, width

    def groups(self, at_most: Callable | int | None = None) -> Iterator[slice | np.ndarray]:
        """Yield positions of images of one size: a slice if contiguous, otherwise an array.

        Parameters
        ----------
        at_most : int or callable, default=None
            Maximum number of images in a group, or a function of the size that returns it; None for
            no limit.
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

    def shuffled(self, random_state) -> np.ndarray:
        """Positions in random order; windows of images that are read on access stay together."""
        order = np.arange(len(self))
        random_state.shuffle(order)
        if self.owners is None or not self.is_lazy:
            return order
        owners = self.owners[order]
        _, first, which = np.unique(owners, return_index=True, return_inverse=True)
        return order[np.argsort(first[which], kind="stable")]

    def portions(self) -> Iterator[slice | np.ndarray]:
        """Yield groups of about a megapixel at most, to be read as one stack."""
        return self.groups(lambda size: _PIXELS // math.prod(size))


class Images(Collection):
    """Images of an array or of a sequence, which may read them from files on access.

    Parameters
    ----------
    source : ndarray of shape (n_samples, ...), or sequence of arrays
        The images, each of shape (height, width) or (height, width, n_channels), or flat in an
        array. NaN marks a missing pixel.
    sizes, n_channels, dtype, layout, image_shape
        As in ``Collection``.
    """

    def __init__(self, source, sizes, n_channels, dtype, layout="stack", image_shape=None):
        super().__init__(sizes, n_channels, dtype, layout, image_shape)
        self.source = source

    def __sizeof__(self) -> int:
        # Cluster schedulers use the size to place tasks; the default does not include the source.
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
        image = np.asarray(plain(self.source[int(sample)]), dtype=self.dtype)
        height, width = self.size_of(sample)
        if full_shape(image.shape) != (height, width, self.n_channels):
            raise ValueError(
                f"X[{sample}] has shape {image.shape}, but had {height} x {width} pixels of "
                f"{self.n_channels} channels when it was first read; images must not change."
            )
        return image.reshape(height, width, self.n_channels)

    def count_known(self) -> int:
        """Number of pixels that are known in at least one channel."""
        stacks = (self.stack(part) for part in self.groups())
        return sum(int((~np.isnan(stack)).any(axis=1).sum()) for stack in stacks)

    def part(self, positions: slice | np.ndarray) -> Images:
        """Select images; lazy ones are not read, if the sequence supports indexing by arrays."""
        chosen = np.arange(len(self))[positions]
        if isinstance(self.source, np.ndarray):
            source = self.source[positions]
        elif isinstance(self.source, list):
            source = [self.source[i] for i in chosen]
        elif hasattr(self.source, "shape"):
            source = self.source[chosen]
        else:
            return self.load(positions)
        return Images(source, self.sizes[positions], self.n_channels, self.dtype, self.layout)

    def load(self, positions: slice | np.ndarray) -> Images:
        """Select images and read them into memory."""
        if not self.is_lazy:
            return self.part(positions)
        chosen = [self._read(i) for i in np.arange(len(self))[positions]]
        return Images(chosen, self.sizes[positions], self.n_channels, self.dtype, self.layout)
