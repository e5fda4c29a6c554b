"""Local contrast normalisation of one channel, window by window, over its known pixels."""

from itertools import product

import numpy as np

from skdeconv.preprocessing import LocalContrastNormalizer

PADDING = {
    "reflect": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "constant": "constant",
}


def _windows(image, side, boundary):
    """Each pixel's window and which of its pixels are known; zeros beyond the border are."""
    padded = np.pad(image, side // 2, mode=PADDING[boundary])
    for y, x in np.ndindex(image.shape):
        window = padded[y : y + side, x : x + side]
        yield (y, x), window, ~np.isnan(window)


def gaussian(image, sigma, window, boundary, divisive, two_pass, floor, zero_mean):
    """The Gaussian kind for (height, width) with NaN where a pixel is missing."""
    steps = np.arange(window) - window // 2
    weights = np.exp(-0.5 * (steps[:, None] ** 2 + steps**2) / sigma**2)

    def blur(values):
        result = np.full_like(values, np.nan)
        for pixel, around, known in _windows(values, window, boundary):
            if not np.isnan(values[pixel]):
                result[pixel] = np.average(around[known], weights=weights[known])
        return result

    mean = blur(image)
    result = image - mean
    if divisive:
        variance = blur(result**2) if two_pass else np.maximum(blur(image**2) - mean**2, 0)
        deviation = np.sqrt(variance)
        ordered = np.sort(deviation[~np.isnan(deviation)])
        lowest = ordered.mean() if floor == "mean" else ordered[(ordered.size + 1) // 2 - 1]
        result = result / np.maximum(deviation, lowest)
    return result - np.nanmean(result) if zero_mean else result


def laplacian(image, boundary):
    """The Laplacian of (height, width): a missing neighbour has the value of the centre."""
    kernel = np.array([[1, 4, 1], [4, -20, 4], [1, 4, 1]]) / 6
    result = np.full_like(image, np.nan)
    for pixel, around, known in _windows(image, 3, boundary):
        if not np.isnan(image[pixel]):
            result[pixel] = (kernel * np.where(known, around, image[pixel])).sum()
    return result


def check_gaussian(images, boundary, divisive):
    """The normaliser does what the loops do, for all other options of the Gaussian kind."""
    for two_pass, floor, zero_mean in product([True, False], ["mean", "median"], [True, False]):
        options = {
            "sigma": 1.3,
            "window": 5,
            "boundary": boundary,
            "divisive": divisive,
            "two_pass": two_pass,
            "floor": floor,
            "zero_mean": zero_mean,
        }
        expected = np.stack([gaussian(image, **options) for image in images])
        result = LocalContrastNormalizer(**options).fit_transform(images)
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
