"""A learner in the middle of its work, as plain values and arrays."""

from __future__ import annotations

import numpy as np

from skdeconv._checkpoint import random_state_of, state_of
from skdeconv.learning import Statistics


def state_of_learner(learner) -> tuple[dict, dict]:
    """All that a ``Learner`` has come to, as ``restore_learner`` takes it."""
    meta = {
        "n_updates": learner.n_updates,
        "n_done": learner.n_done,
        "cost": learner.cost,
        "random_state": state_of(learner.random_state),
    }
    arrays = {"filters": learner.filters, "idle": learner.idle}
    if learner.order is not None:
        arrays["order"] = learner.order
    problem = learner.problem
    if isinstance(problem, Statistics):
        meta["scale"] = problem.scale
        arrays |= {"gram": problem.gram, "cross": problem.cross}
    else:
        meta["weights"], kept = problem.state()
        arrays |= {f"kept.{name}": array for name, array in kept.items()}
    if learner.codes is not None:
        arrays |= _one_after_another(learner.codes, learner.images.dtype)
    return meta, arrays


def _one_after_another(codes, dtype) -> dict:
    """Kept codes in one array of positions and one of values, of which no second copy is made."""
    counts = np.array([-1 if code is None else len(code[0]) for code in codes], dtype=np.int64)
    coded = np.flatnonzero(counts >= 0)
    ends = np.cumsum(counts[coded])
    indices, values = np.empty(counts[coded].sum(), np.int32), np.empty(counts[coded].sum(), dtype)
    for i, end in zip(coded, ends, strict=True):
        part = slice(end - counts[i], end)
        indices[part], values[part] = codes[i]
    return {"coded": coded, "counts": counts[coded], "indices": indices, "values": values}


def restore_learner(learner, meta, arrays) -> None:
    """Bring a new learner of the same images and parameters to a state."""
    learner.n_updates, learner.n_done = meta["n_updates"], meta["n_done"]
    learner.cost, learner.order = meta["cost"], arrays.get("order")
    # In place: others draw from the same generator.
    learner.random_state.set_state(random_state_of(meta["random_state"]).get_state())
    learner.filters, learner.idle = arrays["filters"], arrays["idle"]
    if "scale" in meta:
        problem = learner.problem
        problem.scale, problem.gram, problem.cross = meta["scale"], arrays["gram"], arrays["cross"]
    else:
        kept = {name[5:]: array for name, array in arrays.items() if name.startswith("kept.")}
        learner.problem.restore(meta["weights"], kept)
    if learner.codes is not None:
        ends = np.cumsum(arrays["counts"])[:-1]
        parts = (np.split(arrays[name], ends) for name in ("indices", "values"))
        for i, *code in zip(arrays["coded"], *parts, strict=True) if len(arrays["coded"]) else ():
            learner.codes[int(i)] = tuple(code)
