"""Sparse feature maps of several images."""

from __future__ import annotations

import numpy as np


class SparseMaps:
    """Sparse feature maps of several images, as a sequence of sparse matrices.

    Parameters
    ----------
    maps : list of csr_array of shape (map_height * map_width, n_filters)
        The maps of each image, with one row per position, in C order.
    map_shapes : list of tuple of two ints
        (map_height, map_width) of each image.
    low_frequency : list of ndarray of shape (height, width, n_channels), default=None
        Low-frequency maps of each image, which ``inverse_transform`` adds; None if there are none.
        Their size is that of the maps of the first layer.
    index : pandas.Index, default=None
        Labels of the images. ``transform`` sets it for images of a Series or a data frame if the
        output is configured to be pandas, and the rows computed from the maps have it again.

    Attributes
    ----------
    shape : tuple of one int
        The number of images.

    See Also
    --------
    skdeconv.DeconvNetLayer : Returns them for ``output="maps", sparse_output=True``, for images of
        different sizes, and with ``low_frequency``.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from skdeconv import SparseMaps
    >>> maps = SparseMaps([csr_array(np.eye(6)), csr_array(np.ones((6, 6)))], [(2, 3), (2, 3)])
    >>> len(maps), maps.to_dense().shape
    (2, (2, 2, 3, 6))
    >>> maps[0].shape
    (6, 6)
    """

    def __init__(self, maps: list, map_shapes: list, low_frequency: list | None = None, index=None):
        if low_frequency is not None and len(low_frequency) != len(maps):
            raise ValueError(
                "maps and low_frequency must have the same length, got "
                f"{len(maps)} and {len(low_frequency)}."
            )
        if index is not None and len(index) != len(maps):
            raise ValueError(
                f"maps and index must have the same length, got {len(maps)} and {len(index)}."
            )
        if len(maps) != len(map_shapes):
            raise ValueError(
                f"maps and map_shapes must have the same length, got {len(maps)} and "
                f"{len(map_shapes)}."
            )
        for one, (height, width) in zip(maps, map_shapes, strict=True):
            if one.shape[0] != height * width:
                raise ValueError(
                    f"Maps of {one.shape[0]} positions do not fit map_shapes {(height, width)}."
                )
        self.maps = list(maps)
        self.map_shapes = [tuple(shape) for shape in map_shapes]
        self.low_frequency = None if low_frequency is None else list(low_frequency)
        self.index = index

    @property
    def shape(self) -> tuple[int]:
        """The number of images, as a tuple."""
        return (len(self.maps),)

    def __len__(self) -> int:
        return len(self.maps)

    def __repr__(self) -> str:
        shapes = sorted(set(self.map_shapes))
        return f"<SparseMaps of {len(self)} images, map shapes {shapes}>"

    def __getitem__(self, key):
        """One image's CSR matrix for an integer; ``SparseMaps`` for a slice, array or mask."""
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:
            key = key[0]
        chosen = np.arange(len(self))[key]
        if np.ndim(chosen) == 0:
            return self.maps[chosen]
        low_frequency = self.low_frequency
        return SparseMaps(
            [self.maps[i] for i in chosen],
            [self.map_shapes[i] for i in chosen],
            None if low_frequency is None else [low_frequency[i] for i in chosen],
            None if self.index is None else self.index[chosen],
        )

    def to_dense(self):
        """Convert to dense maps, without the low-frequency ones.

        Returns
        -------
        maps : ndarray of shape (n_samples, map_height, map_width, n_filters) or list
            One array if all maps have the same shape, otherwise a list of arrays.
        """
        dense = [
            one.toarray().reshape(*shape, -1)
            for one, shape in zip(self.maps, self.map_shapes, strict=True)
        ]
        return np.stack(dense) if len(set(self.map_shapes)) == 1 else dense
