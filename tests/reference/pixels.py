"""Features of pixels by their definition: one weighted sum after the other."""

import numpy as np


def gaussian_mean(values, radius):
    """Along both axes, borders reflected, one weighted sum after the other."""
    reach = int(4 * radius + 0.5)
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * radius**2))
    weights /= weights.sum()
    for _ in range(2):
        padded = np.pad(values, ((reach, reach), (0, 0)), mode="symmetric")
        values = sum(w * padded[i : i + len(values)] for i, w in enumerate(weights)).T
    return values


def naive_features(maps, radii):
    """Of maps (height, width, n_filters) on the pixels; one row for every pixel."""
    height, width, n_filters = maps.shape
    means = [[gaussian_mean(maps[:, :, k] ** 2, r) for r in radii] for k in range(n_filters)]
    rows = [
        [means[k][j][y, x] ** 0.5 for k in range(n_filters) for j in range(len(radii))]
        for y in range(height)
        for x in range(width)
    ]
    return np.array(rows)


def centres(n_places, lengths, blocks):
    """Along an axis, the middle of the pixels that each coefficient may reach, in whole images."""
    result = []
    for place in range(n_places):
        first, last = place, place
        for length, block in reversed(list(zip(lengths, blocks, strict=True))):
            first -= length - 1
            first, last = first * block, last * block + block - 1
        result.append((first + last) / 2)
    return np.array(result)


def naive_places(n_pixels, n_places, lengths, blocks):
    """The place whose centre is nearest to each pixel, the first of two."""
    at = centres(n_places, lengths, blocks)
    return [int(np.argmin(np.abs(at - pixel))) for pixel in range(n_pixels)]
