"""Denoising compared with wavelets and total variation: ``python denoising.py``.

Gaussian noise at 13.84 dB on zero-mean, contrast-normalised photos. The filters are learned from
every other fruit and city photo without noise, and the parameters of every method are chosen there
with noise. The table is for the other photos, and for the central 256x256 pixels of Set12.
"""

from __future__ import annotations

import numpy as np
from _common import arguments, photo, print_table, small_photos
from scipy.sparse.linalg import LinearOperator, cg
from skimage.restoration import denoise_tv_chambolle, denoise_wavelet

from skdeconv import DeconvNetLayer, HierarchicalDeconvNet
from skdeconv.operators import Convolution

SNR = 13.84
# Weights of the squared error for learning and for denoising. For the second layer, the weight is
# that of the error in pixels: lam divided by the factor of the layer.
LEARNING = {1: (2.0, 6.0), 2: ((2.0, 1.0), (6.0, 1.0))}
WEIGHTS = {1: (6.0, 9.0, 12.0, 16.0, 22.0), 2: (5.0, 7.0, 9.0, 12.0, 16.0)}
FLAT = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
TV = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07)
WAVELET = (0.6, 0.8, 1.0, 1.1, 1.2, 1.4)
COMMON = {"max_iter": 10, "inference_max_iter": 100, "random_state": 0}
HEADER = ["method", "chosen", "other fruit and city", "Set12", "all"]


def decibels(clean, found):
    """Signal-to-noise ratio: 10 log10 of the energy of the clean image over that of the error."""
    return 10 * np.log10(np.sum(clean**2) / np.sum((found - clean) ** 2))


def noisy(photos, seed):
    """Add noise at ``SNR`` decibels of the energy of each photo."""
    rng = np.random.default_rng(seed)
    deviations = np.sqrt(np.mean(photos**2, axis=(1, 2), keepdims=True) / 10 ** (SNR / 10))
    return photos + (deviations * rng.standard_normal(photos.shape)).astype(np.float32)


def with_two_layers(net, weight):
    """Set the weight of the squared error in pixels of the top layer."""
    return net.set_params(lam=(net.layers_[0].lam, weight * net.factors_[1]))


def flat_prior(layer, photos, weight):
    """Reconstruct from maps with an L2 penalty: ``F F^T (F F^T + 1 / weight)^-1 y``."""
    filters = layer.filters_.transpose(0, 3, 1, 2).astype(np.float64)
    operator = Convolution(filters, photos.shape[1:])

    def system(image):
        image = image.reshape(1, 1, *photos.shape[1:])
        return (operator.forward(operator.adjoint(image)) + image / weight).ravel()

    size = photos[0].size
    matrix = LinearOperator((size, size), matvec=system, dtype=np.float64)
    solved = np.array([cg(matrix, image.ravel(), rtol=1e-4)[0] for image in photos])
    return photos - solved.reshape(photos.shape) / weight


def methods(clean):
    """For each name, pairs of a parameter choice and a function of noisy photos."""
    layers = {lam: DeconvNetLayer(9, 7, lam=lam, **COMMON).fit(clean) for lam in LEARNING[1]}
    nets = [HierarchicalDeconvNet((9, 45), lam=lam, **COMMON) for lam in LEARNING[2]]
    for net in nets:
        net.fit(clean)

    def by_layer(layer, weight):
        return lambda y: denoised(layer.set_params(lam=weight), y)

    def by_net(net, weight):
        return lambda y: denoised(with_two_layers(net, weight), y)

    deviation = np.sqrt(np.mean(np.square(clean)) / 10 ** (SNR / 10))
    return {
        "two layers (9, 45)": [
            (f"learned at lam={lam}, weight {weight}", by_net(net, weight))
            for lam, net in zip(LEARNING[2], nets, strict=True)
            for weight in WEIGHTS[2]
        ],
        "one layer, 9": [
            (f"learned at lam={lam}, weight {weight}", by_layer(layer, weight))
            for lam, layer in layers.items()
            for weight in WEIGHTS[1]
        ],
        "one layer, L2 prior": [
            (
                f"learned at lam={lam}, weight {weight}",
                lambda y, a=layer, b=weight: flat_prior(a, y, b),
            )
            for lam, layer in layers.items()
            for weight in FLAT
        ],
        "wavelets, BayesShrink": [
            (f"sigma x {factor}", lambda y, s=factor * deviation: by_wavelets(y, s))
            for factor in WAVELET
        ],
        "total variation": [(f"weight {weight}", lambda y, w=weight: by_tv(y, w)) for weight in TV],
        "none": [("", lambda y: y)],
    }


def denoised(estimator, photos):
    """Reconstruct photos of any sizes from their sparse maps."""
    estimator.set_params(output="maps", sparse_output=True)
    return np.array([estimator.inverse_transform(estimator.transform([y]))[0] for y in photos])


def by_wavelets(photos, sigma):
    """Wavelet shrinkage of scikit-image, for a known deviation of the noise."""
    options = {"sigma": sigma, "method": "BayesShrink", "rescale_sigma": True}
    return np.array([denoise_wavelet(y.astype(np.float64), **options) for y in photos])


def by_tv(photos, weight):
    """Total variation of scikit-image."""
    return np.array([denoise_tv_chambolle(y, weight=weight) for y in photos])


def main() -> None:
    """Print the table."""
    arguments(__doc__)
    small = small_photos("fruit", "city")
    large = np.stack([central(photo(f"set12/{i:02}.png")) for i in range(1, 13)])
    small, large = (a - a.mean(axis=(1, 2), keepdims=True) for a in (small, large))
    clean = [small[1::2], large]
    noisy_chosen, tests = noisy(small[::2], 1), [noisy(clean[0], 2), noisy(clean[1], 3)]

    def mean(method, photos, given):
        return [decibels(y, d) for y, d in zip(photos, method(given), strict=True)]

    rows = []
    for name, candidates in methods(list(small[::2])).items():
        scores = [np.mean(mean(run, small[::2], noisy_chosen)) for _, run in candidates]
        choice, run = candidates[int(np.argmax(scores))]
        found = [mean(run, *pair) for pair in zip(clean, tests, strict=True)]
        means = [np.mean(found[0]), np.mean(found[1]), np.mean(found[0] + found[1])]
        rows.append([name, choice, *(f"{value:.2f}" for value in means)])
        print(rows[-1], flush=True)
    print_table(f"Denoising: dB after noise of {SNR} dB", HEADER, rows)


def central(image):
    """The central 256x256 pixels."""
    top, left = (n // 2 - 128 for n in image.shape)
    return image[top : top + 256, left : left + 256]


if __name__ == "__main__":
    main()
