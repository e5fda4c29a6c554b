"""Learning from a stream of images, one batch at a time."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from skdeconv._utils.parallel import one_blas_thread, workers
from skdeconv._utils.validation import check_seed
from skdeconv.inference import warn_of_zero_maps
from skdeconv.learning._layer_learner import LayerLearner
from skdeconv.learning._layer_plan import BATCH_PIXELS, check_layer_plan, check_statistics

# Number of pixels without use after which a filter is redrawn.
_PATIENCE = 20 * BATCH_PIXELS


@dataclass(frozen=True)
class Batch:
    """Result of learning from one batch of a stream.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, h, w, n_channels)
        The filters.
    cost : float
        Mean cost per image, computed when it was visited.
    stream : dict
        Sufficient statistics and the rest of the state, for the next batch.
    """

    filters: np.ndarray
    cost: float
    stream: dict


def learn_from_batch(parameters, coding, images, filters=None, stream=None, of="") -> Batch:
    """Update filters with one batch, each image of which is visited once.

    Parameters
    ----------
    parameters : DeconvNetLayer or object with its parameters
        The parameters.
    coding : Coding
        Parameters of inference.
    images : Collection
        The batch.
    filters : ndarray of shape (n_filters, h, w, n_channels), default=None
        Filters learned so far; None for the first batch.
    stream : dict, default=None
        ``Batch.stream`` of the previous batch; None for the first batch.
    of : str, default=""
        Names the layer in messages, such as " of layer 2".
    """
    plan = check_layer_plan(parameters, coding, images, filters, streaming=True)
    check_statistics("partial_fit", plan.shape)
    if filters is not None and filters.shape != plan.shape:
        raise ValueError(
            f"partial_fit continues with filters of shape {filters.shape}, but n_filters and "
            f"filter_size now require {plan.shape}. Restore them, or call fit."
        )
    first = plan.first
    if filters is not None:
        first = filters.transpose(0, 3, 1, 2).astype(images.dtype)
    plan = replace(plan, first=first, keep_maps=True, whole_passes=False, patience=_PATIENCE)
    stream = stream or {}
    # A copy, so that a generator passed as random_state is not changed.
    random_state = stream.get("random_state") or check_seed(parameters.random_state)
    random_state = deepcopy(random_state)
    in_kernels = plan.coding.in_kernels
    with workers(parameters.n_jobs, in_kernels=in_kernels) as parallel, one_blas_thread():
        learner = LayerLearner(images, plan, random_state, parallel)
        learner.n_updates = stream.get("n_updates", 0)
        if "gram" in stream:
            learner.idle = np.array(stream["idle"])
            learner.problem.restore(stream)
        else:
            # After fit the filters are known, but not their statistics.
            learner.anchored = filters is not None
        cost = learner.run_pass()
        learner.repair_filters()
    if plan.verbose:
        print(f"[DeconvNetLayer] batch of {len(images)} images: mean cost {cost:.6g}")
    if not any(len(indices) for indices, _ in learner.codes):
        rest = learner.stacks_without_low_frequency()
        warn_of_zero_maps(rest, learner.filters, plan.coding, of=of)
    stream = {
        **learner.problem.state(),
        "n_updates": learner.n_updates,
        "idle": learner.idle,
        "random_state": random_state,
    }
    return Batch(learner.public_filters, cost, stream)
