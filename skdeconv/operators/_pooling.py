"""Max pooling over rows, columns and neighbouring maps, and unpooling by switches."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.sparse import csc_array

from skdeconv.kernels import compiled
from skdeconv.operators._composition import Operator


def pooled_shape(maps_shape, shape) -> tuple[int, int, int]:
    """(n_maps, height, width) after pooling: sizes divided by those of a block, rounded up."""
    (rows, columns, maps), (n_maps, height, width) = shape, maps_shape
    return -(-n_maps // maps), -(-height // rows), -(-width // columns)


def pool(maps: np.ndarray, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The value of largest magnitude in every block of maps, and its position.

    Blocks do not overlap; the last ones may be cut off. Ties between a positive and a negative
    value of the same magnitude are resolved in favour of the positive one, ties between equal
    values in favour of the first column, then row, then map.

    Parameters
    ----------
    maps : ndarray of shape (n_samples, n_maps, height, width), float32 or float64
        Finite maps.
    shape : tuple of three ints
        Rows, columns and neighbouring maps of a block.

    Returns
    -------
    values : ndarray of shape (n_samples, n_pooled, pooled_height, pooled_width)
        The pooled values, with their signs.
    switches : ndarray of the same shape, of the smallest unsigned type that holds them
        Position in the block, in C order of (maps, rows, columns).

    Raises
    ------
    TypeError
        If ``maps`` is not float32 or float64.

    References
    ----------
    M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High Level
    Feature Learning", ICCV 2011, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import pool
    >>> values, switches = pool(np.array([[[[0.1, -0.9], [0.5, 0.0]]]]), (2, 2, 1))
    >>> values.item(), switches.item()
    (-0.9, 1)
    """
    if maps.dtype not in (np.float32, np.float64):
        raise TypeError(f"maps must be float32 or float64, got {maps.dtype}.")
    rows, columns, neighbours = shape
    kind = np.min_scalar_type(rows * columns * neighbours - 1)
    if (fast := compiled()) is not None:
        pooled = len(maps), *pooled_shape(maps.shape[1:], shape)
        return fast.pool(np.ascontiguousarray(maps), *shape, pooled, kind)
    best, place = _keys(maps), None
    # Reductions over maps and rows come first, because they work on contiguous data.
    for axis, size, stride in (
        (1, neighbours, rows * columns),
        (2, rows, columns),
        (3, columns, 1),
    ):
        # Along an axis that is not pooled the stride is not used, and may not fit the type.
        best, place = _reduced(best, place, axis, size, kind.type(stride if size > 1 else 0))
    sign = (best & 1) ^ 1
    bits = (best >> 1) | (sign << (8 * best.itemsize - 1))
    return bits.view(maps.dtype), place


def _keys(maps):
    """Integer keys that order values by magnitude, and at a tie by sign."""
    unsigned = np.uint32 if maps.dtype == np.float32 else np.uint64
    bits = np.ascontiguousarray(maps).view(unsigned)
    keys = bits << 1
    keys |= (bits >> (8 * bits.itemsize - 1)) ^ 1
    return keys


def _reduced(best, place, axis, size, stride):
    """Largest of every ``size`` neighbouring keys along an axis, and their block positions."""
    ahead = (slice(None),) * axis
    count = -(-best.shape[axis] // size)
    if count * size != best.shape[axis]:
        # Zero is the smallest key, that of -0.0, and loses ties against keys before it.
        best, place = (_lengthened(one, axis, count * size) for one in (best, place))
    strided = [(*ahead, slice(i, None, size)) for i in range(size)]
    winner = best[strided[0]]
    where = np.zeros(winner.shape, stride.dtype) if place is None else place[strided[0]]
    for i in range(1, size):
        rival = best[strided[i]]
        wins = rival > winner
        winner = np.maximum(winner, rival)
        there = stride * stride.dtype.type(i)
        if place is not None:
            there = place[strided[i]] + there
        # Bitwise selection, since np.where takes a hundred times as long for bytes.
        where = where ^ ((where ^ there) & np.negative(wins.astype(where.dtype)))
    return winner, where


def _lengthened(array, axis, length):
    """Pad the end of an axis with zeros; None is returned unchanged."""
    if array is None:
        return None
    shape = list(array.shape)
    shape[axis] = length
    longer = np.zeros(shape, dtype=array.dtype)
    longer[*(slice(0, n) for n in array.shape)] = array
    return longer


class Unpooling(Operator):
    r"""Linear operator that puts pooled values at the positions given by the switches.

    .. math:: \hat z = U_s p

    All other coefficients are zero. The adjoint :math:`P_s = U_s^T` selects the values at the
    switches, so that :math:`P_s U_s p = p`. The switches belong to one image.

    Parameters
    ----------
    switches : ndarray of int of shape (n_pooled, pooled_height, pooled_width)
        Positions in the blocks, as returned by ``pool`` for one image.
    shape : tuple of three ints
        Rows, columns and neighbouring maps of a block.
    maps_shape : tuple of int
        (n_maps, height, width) of the unpooled maps.

    Attributes
    ----------
    index : ndarray of int of the shape of ``switches``
        Flat indices of the switches into the unpooled maps.
    images_shape : tuple of int
        Shape of the unpooled maps, the output of the operator.
    maps_shape : tuple of int
        Shape of the pooled maps, the input of the operator.

    References
    ----------
    M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High Level
    Feature Learning", ICCV 2011, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import Unpooling
    >>> Unpooling(np.array([[[1]]]), (2, 2, 1), (1, 2, 2)).forward(np.array([[[[-0.9]]]]))
    array([[[[ 0. , -0.9],
             [ 0. ,  0. ]]]])
    """

    def __init__(self, switches: np.ndarray, shape, maps_shape):
        # The narrowest, so that in a composition the other parts decide.
        super().__init__(maps_shape, switches.shape, np.float32)
        self.index = flat_switches(switches, shape, maps_shape)

    def forward(self, values: np.ndarray) -> np.ndarray:
        """Unpool values to maps (n_samples, n_maps, height, width)."""
        maps = np.zeros((len(values), int(np.prod(self.images_shape))), dtype=values.dtype)
        maps[:, self.index.ravel()] = values.reshape(len(values), -1)
        return maps.reshape(-1, *self.images_shape)

    def adjoint(self, maps: np.ndarray) -> np.ndarray:
        """Select the values (n_samples, n_pooled, pooled_height, pooled_width) at the switches."""
        return maps.reshape(len(maps), -1)[:, self.index]

    def atoms(self, index: np.ndarray) -> csc_array:
        """Columns of the operator's matrix, each with a single entry of 1."""
        rows = self.index.ravel()[index].astype(np.int32)
        indptr = np.arange(len(index) + 1, dtype=np.int32)
        shape = int(np.prod(self.images_shape)), len(index)
        return csc_array((np.ones(len(index), dtype=self.dtype), rows, indptr), shape=shape)

    def norm(self) -> float:
        """Spectral norm."""
        return 1.0


def flat_switches(switches, shape, maps_shape, chosen=None) -> np.ndarray:
    """Flat indices of the switches of one image into maps of shape (n_maps, height, width).

    With ``chosen``, flat indices of blocks, only those of these blocks.
    """
    corners, steps = _block_places(tuple(shape), tuple(maps_shape))
    if chosen is not None:
        corners, switches = corners.ravel()[chosen], switches.ravel()[chosen]
    return corners + steps[switches]


@lru_cache(maxsize=64)
def _block_places(shape, maps_shape):
    """Flat indices of the first coefficients of all blocks, and offsets of the others from them."""
    (rows, columns, maps), (_, height, width) = shape, maps_shape
    strides = np.array([height * width, width, 1], dtype=np.int32)
    blocks = np.indices(pooled_shape(maps_shape, shape), dtype=np.int32)
    corners = np.tensordot(strides * [maps, rows, columns], blocks, 1).astype(np.int32)
    within = np.indices((maps, rows, columns), dtype=np.int32).reshape(3, -1)
    return corners, (strides @ within).astype(np.int32)


def check_switches(switches, shape, maps_shape) -> np.ndarray:
    """Validate switches of one image that were passed by the user.

    Raises
    ------
    ValueError
        If they do not have the shape of the pooled maps, or point outside of their block or of the
        maps.
    """
    wanted, switches = pooled_shape(maps_shape, shape), np.asarray(switches)
    if switches.shape != wanted or switches.dtype.kind not in "iu":
        raise ValueError(
            f"switches must be integers of shape {wanted} for maps of shape {tuple(maps_shape)}, "
            f"got {switches.dtype} of shape {switches.shape}."
        )
    rows, columns, maps = shape
    legal = (switches >= 0) & (switches < maps * rows * columns)
    within = np.unravel_index(np.where(legal, switches, 0), (maps, rows, columns))
    for axis, (size, place) in enumerate(zip((maps, rows, columns), within, strict=True)):
        legal &= place + size * np.indices(wanted)[axis] < maps_shape[axis]
    if not legal.all():
        raise ValueError(
            f"switches point out of blocks of {tuple(shape)} or of maps of {tuple(maps_shape)}."
        )
    return switches


def unpool(values, switches, shape, maps_shape) -> np.ndarray:
    """Put pooled values at the positions given by the switches, for every sample.

    Parameters
    ----------
    values, switches : ndarray of shape (n_samples, n_pooled, pooled_height, pooled_width)
        Pooled values and switches, as returned by ``pool``.
    shape : tuple of three ints
        Rows, columns and neighbouring maps of a block.
    maps_shape : tuple of int
        (n_maps, height, width) of the unpooled maps.

    Returns
    -------
    maps : ndarray of shape (n_samples, n_maps, height, width)
        The unpooled maps, zero at all other positions.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.operators import pool, unpool
    >>> maps = np.random.default_rng(0).standard_normal((1, 4, 7, 7))
    >>> values, switches = pool(maps, (3, 3, 2))
    >>> bool((pool(unpool(values, switches, (3, 3, 2), (4, 7, 7)), (3, 3, 2))[0] == values).all())
    True
    """
    return np.concatenate(
        [
            Unpooling(switch, shape, maps_shape).forward(value[None])
            for value, switch in zip(values, switches, strict=True)
        ]
    )
