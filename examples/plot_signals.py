"""
Filters of 1-D signals
======================

Rows of numbers are signals to a layer. These are made to look like electrocardiograms: beats of
two shapes, at irregular times, over a slow drift and noise. The layer is told neither the shapes
nor the times, and finds both.
"""

# %%
# The signals
# -----------
# A beat is a sum of Gaussian waves. Most are normal; about one in five is wide and early, as an
# ectopic beat is.

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
# The drift is slower than any beat, and a wide blur estimates it. Without this step filters are
# spent on it, as on the brightness of photos.

signals -= gaussian_filter1d(signals, 40, axis=1)

# %%
# The filters
# -----------
# A filter as long as a beat can hold it whole. Beats are of positive height, and so are the maps.

layer = DeconvNetLayer(
    n_filters=3, filter_size=81, lam=5.0, positive=True, max_iter=30, random_state=0
)
layer.fit(signals)
FiltersDisplay.from_estimator(layer)

# %%
# Where they are drawn
# --------------------
# Each spike is one filter at one time: two or three numbers say what a beat takes dozens for.

MapsDisplay.from_estimator(layer, signals, index=1)

# %%
# The signal, drawn from its spikes
# ---------------------------------

ReconstructionDisplay.from_estimator(layer, signals, index=1)
nonzero = np.count_nonzero(layer.transform(signals)) / len(signals)
print(f"R² = {layer.score(signals):.3f} with {nonzero:.0f} spikes for {signals.shape[1]} samples")
