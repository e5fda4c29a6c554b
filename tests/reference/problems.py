"""Inference problems, from a few coefficients to photos, and the cost that all solvers lower."""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.signal import convolve, correlate

# Filters (n_filters, n_channels, h, w) and image shapes.
SHAPES = {
    "square": ((3, 1, 3, 3), (9, 8)),
    "even": ((2, 1, 4, 2), (7, 9)),
    "colour": ((2, 3, 3, 2), (6, 7)),
    "signal": ((4, 1, 1, 5), (1, 30)),
    "larger than the image": ((2, 1, 5, 7), (3, 4)),
    "single pixel": ((2, 2, 1, 1), (4, 4)),
    "one filter": ((1, 1, 3, 3), (8, 8)),
}


def unit_filters(shape, seed=0):
    """Random filters of unit norm."""
    filters = np.random.default_rng(seed).standard_normal(shape)
    return filters / np.linalg.norm(filters.reshape(len(filters), -1), axis=1)[:, None, None, None]


def random_images(n_samples, filters_shape, image_shape, seed=1):
    """White noise of unit variance."""
    shape = (n_samples, filters_shape[1], *image_shape)
    return np.random.default_rng(seed).standard_normal(shape)


def largest_correlation(matrix, images, positive=False):
    """max F^T y of every image, with modulus unless ``positive``."""
    correlation = images.reshape(len(images), -1) @ matrix
    return (correlation if positive else np.abs(correlation)).max(axis=1)


def explicit_costs(matrix, maps, images, weight, p):
    """``weight / 2 * ||F z - y||^2 + sum |z|^p`` of every image."""
    residual = images.reshape(len(images), -1) - maps @ matrix.T
    return weight / 2 * (residual**2).sum(axis=1) + (np.abs(maps) ** p).sum(axis=1)


def photo_filters(n_filters=9, size=7):
    """Gabor-like filters of unit norm: nine orientations, three wavelengths, two phases."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    filters = []
    for k in range(n_filters):
        angle = np.pi * k / n_filters
        wave = 2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / (3 + k % 3)
        one = np.exp(-(x**2 + y**2) / 4) * np.cos(wave + np.pi / 2 * (k % 2))
        filters.append(one / np.linalg.norm(one))
    return np.stack(filters)[:, None]


def load_photos(folder):
    """Photos of a folder as (n_samples, height, width): high-passed, contrast-normalised."""
    photos = []
    for path in sorted(folder.glob("*.jpg")):
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L")) / 255
        high = grey - gaussian_filter(grey, 2)
        deviation = np.sqrt(gaussian_filter(high**2, 2))
        photos.append(high / np.maximum(deviation, deviation.mean()))
    return np.stack(photos)


def photo_certificate(filters, photo, maps, weight, positive=False):
    """Cost at p = 1 of one photo's maps, and a lower bound on the optimum; by scipy alone."""
    pairs = list(zip(filters[:, 0], maps, strict=True))
    residual = photo - sum(convolve(one, f, mode="valid", method="direct") for f, one in pairs)
    correlation = np.stack(
        [correlate(residual, f, mode="full", method="direct") for f in filters[:, 0]]
    )
    largest = weight * (correlation if positive else np.abs(correlation)).max()
    dual = weight / max(largest, 1) * residual
    bound = (dual * photo).sum() - (dual**2).sum() / (2 * weight)
    return weight / 2 * (residual**2).sum() + np.abs(maps).sum(), bound
