"""A learner of one adaptive layer in the middle of its work, as plain values and arrays."""

from __future__ import annotations

import numpy as np

from skdeconv._checkpoint import random_state_of, state_of
from skdeconv.inference import AdaptedMaps

_PARTS = ("index", "values", "switches")


def state_of_learner(learner) -> tuple[dict, dict]:
    """All that an ``AdaptiveLearner`` has come to, as ``restore_learner`` takes it."""
    kept = {i: one for i, one in enumerate(learner.kept) if one is not None}
    meta = {
        "n_done": learner.n_done,
        "cost": float(learner.cost),
        "random_state": state_of(learner.random_state),
        "kept": list(kept),
        "kept_costs": [float(one.cost) for one in kept.values()],
    }
    arrays = {"filters": learner.filters, "used": learner.used}
    if learner.order is not None:
        arrays["order"] = learner.order
    for i, one in kept.items():
        arrays |= {f"{name}{i}": getattr(one, name) for name in _PARTS}
    return meta, arrays


def restore_learner(learner, meta, arrays) -> None:
    """Bring a new learner of the same images and parameters to a state."""
    learner.n_done, learner.cost, learner.order = meta["n_done"], meta["cost"], arrays.get("order")
    # In place: others draw from the same generator.
    learner.random_state.set_state(random_state_of(meta["random_state"]).get_state())
    learner.filters, learner.used = arrays["filters"], arrays["used"]
    for i, cost in zip(meta["kept"], meta["kept_costs"], strict=True):
        parts = (arrays[f"{name}{i}"] for name in _PARTS)
        learner.kept[i] = AdaptedMaps(*parts, np.float64(cost), None)
