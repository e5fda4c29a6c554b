"""Layers of a hierarchy that are learned already: in an earlier fit, or before an interruption."""

from __future__ import annotations

import numpy as np

from skdeconv.learning._learned_layer import LearnedLayer


def known_layer(plan, checkpoint, index, dtype) -> LearnedLayer:
    """A layer that is not learned: one of an earlier fit, or of the checkpoint."""
    learned = checkpoint.layers.get("learned", [])
    if index < len(learned):
        return LearnedLayer(**learned[index])
    kept = plan.kept[index]
    # Copies, so that two estimators do not share arrays.
    filters, cost = np.array(kept.filters_, dtype=dtype), kept.cost_.copy()
    return LearnedLayer(filters, cost, (kept._stream or {}).get("n_updates", 0))


def record_layers(plan, layers, factors, checkpoint) -> None:
    """Let checkpoints hold the layers that are learned, and the connectivity of all."""
    checkpoint.layers = {
        "connectivity": [layer.connectivity for layer in plan.layers],
        "learned": [
            {"filters": one.filters_, "cost": one.cost_, "n_updates": one._stream["n_updates"]}
            for one in layers
        ],
        "factors": factors,
    }
