"""
Filters of 1-D signals
======================

A layer reads rows as 1-D signals. The signals of this example resemble electrocardiograms: beats of
two shapes, at irregular times, with a slow drift and noise. The layer finds the shapes and the
times without labels.
"""

# %%
# The signals
# -----------
# A beat is a sum of Gaussian waves. Most beats are normal. About one in five is wide, like an
# ectopic beat.

import numpy as np
from scipy.ndimage import gaussian_filter1d

from skdeconv import DeconvNetLayer
from skdeconv.display import FiltersDisplay, MapsDisplay, ReconstructionDisplay

# Height, centre and width of each wave, in samples from the main peak.
NORMAL = [(0.15, -20, 4.0), (-0.12, -4, 1.5), (1.0, 0, 1.5), (-0.25, 4, 1.5), (0.3, 26, 6.0)]
ECTOPIC = [(0.9, 0, 5.0), (-0.5, 16, 7.0)]


def beat(waves, times):
    return sum(height * np.exp(-(((times - at) / width) ** 2) / 2) for height, at, width in waves)


def make_signal(rng, length=600):
    times, signal, at = np.arange(length), np.zeros(length), rng.uniform(0, 60)
    while at < length + 40:
        waves = ECTOPIC if rng.uniform() < 0.2 else NORMAL
        signal += rng.uniform(0.8, 1.2) * beat(waves, times - round(at))
        at += rng.normal(85, 8)
    drift = 0.3 * np.sin(2 * np.pi * (times / 500 + rng.uniform()))
    return signal + drift + 0.03 * rng.standard_normal(length)


rng = np.random.default_rng(0)
signals = np.stack([make_signal(rng) for _ in range(40)])
signals.shape

# %%
# The drift is slower than any beat. It is estimated by a wide Gaussian filter and subtracted.
# Otherwise filters are spent on it.

signals -= gaussian_filter1d(signals, 40, axis=1)

# %%
# The filters
# -----------
# The filters are long enough for a whole beat. The heights of beats are positive, and so are the
# maps.

layer = DeconvNetLayer(
    n_filters=3, filter_size=81, lam=5.0, positive=True, max_iter=30, random_state=0
)
layer.fit(signals)
FiltersDisplay.from_estimator(layer)

# %%
# The maps
# --------
# Each spike places one filter at one time. Two or three coefficients represent a beat of dozens of
# samples.

MapsDisplay.from_estimator(layer, signals, index=1)

# %%
# The reconstruction
# ------------------

ReconstructionDisplay.from_estimator(layer, signals, index=1)
nonzero = np.count_nonzero(layer.transform(signals)) / len(signals)
print(f"R² = {layer.score(signals):.3f} with {nonzero:.0f} spikes for {signals.shape[1]} samples")
