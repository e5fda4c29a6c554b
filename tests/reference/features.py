"""Features for classifiers by their definitions: window by window, position by position."""

import warnings
from fractions import Fraction
from itertools import product
from math import exp, sqrt

import numpy as np
from scipy.sparse import csr_array
from sklearn.linear_model import orthogonal_mp_gram

from skdeconv import SparseMaps


def sparse_maps(stack):
    """Dense maps of several images, a stack or a list, as ``SparseMaps``."""
    matrices = [csr_array(one.reshape(-1, one.shape[2])) for one in stack]
    return SparseMaps(matrices, [one.shape[:2] for one in stack])


def draw_maps(*shape, seed=0, dtype=np.float64, density=0.5):
    """Random maps of both signs, of which a part is not zero."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * (rng.random(shape) < density)).astype(dtype)


def responses_by_loops(images, filters, competition, padding):
    """What OnePassEncoder gives for images and filters with channels last."""
    (n_filters, h, w, n_channels), (height, width) = filters.shape, images.shape[1:3]
    top, left = (h // 2, w // 2) if padding == "same" else (0, 0)
    shape = (height, width) if padding == "same" else (height - h + 1, width - w + 1)
    result = np.zeros((len(images), *shape, 2 * n_filters))
    for i, y, x in np.ndindex(result.shape[:3]):
        a = np.zeros(n_filters)
        for k, dy, dx, c in np.ndindex(n_filters, h, w, n_channels):
            row = min(max(y + dy - top, 0), height - 1)
            column = min(max(x + dx - left, 0), width - 1)
            a[k] += filters[k, dy, dx, c] * images[i, row, column, c]
        largest = max(abs(value) for value in a)
        for k in range(n_filters):
            result[i, y, x, k] = max(0.0, a[k] - competition * largest)
            result[i, y, x, n_filters + k] = max(0.0, -a[k] - competition * largest)
    return result


def shares_of_cells(size, n_cells, overlap):
    """Share of every position in every cell, in exact fractions."""
    side, margin = Fraction(size, n_cells), Fraction(overlap) / 2
    cells = [((i - margin) * side, (i + 1 + margin) * side) for i in range(n_cells)]
    shares = [[min(b, y + 1) - max(a, y) for y in range(size)] for a, b in cells]
    return [[max(share, 0) for share in row] for row in shares]


def weights_on_a_grid(size, window, sigma, stride):
    """Weights of windows whose centres lie ``stride`` apart, in the middle of the axis."""
    count = 1
    while count * stride <= size - 1:
        count += 1
    first = ((size - 1) - (count - 1) * stride) / 2
    weights = []
    for i in range(count):
        distances = [abs(y - first - i * stride) / sigma for y in range(size)]
        if window == "gaussian":
            weights.append([exp(-(d**2) / 2) if d <= 4 else 0.0 for d in distances])
        else:
            weights.append([max(0.0, 1 - d / sqrt(6)) for d in distances])
    return weights


def flat_axis(maps):
    """The axis of one position that maps of signals have, the first one of two; otherwise None."""
    return next((axis for axis in (0, 1) if maps.shape[axis] == 1), None)


def _grids(shape, flat, levels, window, sigma, stride, overlap):
    if window != "box":
        return [[weights_on_a_grid(size, window, sigma, stride) for size in shape]]
    pairs = [(level, level) if isinstance(level, int) else level for level in levels]
    pairs = [[1 if axis == flat else n for axis, n in enumerate(pair)] for pair in pairs]
    return [
        [shares_of_cells(size, count, overlap) for size, count in zip(shape, pair, strict=True)]
        for pair in pairs
    ]


def pyramid_by_loops(
    maps,
    levels=(1, 2, 4),
    *,
    window="box",
    sigma=2.5,
    stride=3,
    overlap=0.0,
    pooling="sum",
    power=0.5,
    split_sign=False,
    normalize=None,
    flat="own",
):
    """What SpatialPyramid makes of the maps (map_height, map_width, n_filters) of one image.

    ``flat`` is the axis along which cells are not cut: by default that of one position, if any.
    """
    if split_sign:
        maps = np.concatenate([np.maximum(maps, 0), np.maximum(-maps, 0)], axis=2)
    blocks = []
    flat = flat_axis(maps) if flat == "own" else flat
    for rows, columns in _grids(maps.shape[:2], flat, levels, window, sigma, stride, overlap):
        for row, column in product(rows, columns):
            found = [[] for _ in range(maps.shape[2])]
            for y, x, k in np.ndindex(maps.shape):
                weight, value = float(row[y] * column[x]), abs(float(maps[y, x, k]))
                if pooling == "max":
                    found[k].append(value if weight else 0.0)
                else:
                    found[k].append(weight * (value**2 if pooling == "energy" else value))
            if pooling == "mean":
                area = sum(float(row[y] * column[x]) for y, x in np.ndindex(maps.shape[:2]))
                found = [[value / area for value in values] for values in found]
            totals = [max(values) if pooling == "max" else sum(values) for values in found]
            blocks.append(np.array([total**power for total in totals]))
    if normalize == "cell":
        blocks = [block / (np.linalg.norm(block) or 1) for block in blocks]
    result = np.concatenate(blocks)
    return result / (np.linalg.norm(result) or 1) if normalize == "global" else result


def descriptors_by_loops(maps, patch_size, step, pool):
    """Descriptors of all windows of the maps of one image, and rows and columns of windows."""
    height, width, n_filters = maps.shape
    sides = [(1, 1) if axis == flat_axis(maps) else (patch_size, pool) for axis in (0, 1)]
    (rows, block_rows), (columns, block_columns) = sides
    corners_y = [y for y in range(0, height, step) if y + rows <= height]
    corners_x = [x for x in range(0, width, step) if x + columns <= width]
    result = []
    for y, x in product(corners_y, corners_x):
        one = []
        for top, left in product(range(0, rows, block_rows), range(0, columns, block_columns)):
            for k in range(n_filters):
                total = 0.0
                for dy, dx in product(range(block_rows), range(block_columns)):
                    total += abs(maps[y + top + dy, x + left + dx, k])
                one.append(sqrt(total))
        result.append(np.array(one) / (np.linalg.norm(one) or 1))
    return np.array(result), (len(corners_y), len(corners_x))


def words_by_loops(descriptors, centres, coding="hard", n_nearest=5, sharpness=10.0):
    """Weights of all words at every window; a window of zeros has none."""
    result = np.zeros((len(descriptors), len(centres)))
    for weights, descriptor in zip(result, descriptors, strict=True):
        if not any(descriptor):
            continue
        if coding == "sparse":
            units = centres / np.linalg.norm(centres, axis=1, keepdims=True)
            number = min(n_nearest, len(units))
            gram, inner = units @ units.T, units @ descriptor
            with warnings.catch_warnings():
                # It ends early where nothing is left of a descriptor.
                warnings.simplefilter("ignore", RuntimeWarning)
                weights[:] = orthogonal_mp_gram(gram, inner, n_nonzero_coefs=number)
            continue
        squares = [sum((descriptor - centre) ** 2) for centre in centres]
        nearest = sorted(range(len(squares)), key=squares.__getitem__)
        nearest = nearest[: 1 if coding == "hard" else n_nearest]
        total = sum(exp(-sharpness * squares[i]) for i in nearest)
        for i in nearest:
            weights[i] = exp(-sharpness * squares[i]) / total
    return result
