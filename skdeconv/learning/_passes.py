"""The loop over passes that all fits share, and the base class of learners."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from sklearn.utils import gen_batches


class Learner:
    """Base class of learners, which learn filters from mini-batches, with the state of a pass.

    A subclass has ``n_nonzero``, the number of non-zero coefficients in the pass, and defines
    ``_start_pass()``, which returns the order of the images in a new pass,
    ``_visit(batch)``, which learns from a mini-batch and returns its summed cost, and
    ``repair_filters()``, which is called between passes.

    Parameters
    ----------
    images : Collection
        The images, or windows of them; NaN marks a missing pixel.
    n_images : int
        Number of images, of which the mean cost is computed.
    batch_size : int
        Number of images or windows per update.
    random_state : RandomState
        For the order of the images and the redraw of filters.
    """

    def __init__(self, images, n_images, batch_size, random_state):
        self.images, self.n_images = images, n_images
        self.batch_size, self.random_state = batch_size, random_state
        # State of the current pass: its order, the number of batches completed, and their cost.
        self.order, self.n_done, self.cost = None, 0, 0.0

    @property
    def public_filters(self) -> np.ndarray:
        """Filters with the channels last, (n_filters, h, w, n_channels)."""
        return self.filters.transpose(0, 2, 3, 1).copy(order="C")

    def run_pass(self, after_update: Callable[[], None] = lambda: None) -> float:
        """Visit every image once; returns the mean cost per image, computed when it was visited."""
        if self.order is None:
            self.order, self.n_done, self.cost = self._start_pass(), 0, 0.0
        for batch in list(gen_batches(len(self.order), self.batch_size))[self.n_done :]:
            self.cost += self._visit(self.order[batch])
            self.n_done += 1
            after_update()
        self.order = None
        return float(self.cost / self.n_images)

    def state(self) -> dict:
        """State of the learner, plain values and arrays that ``restore`` takes."""
        return {
            "order": self.order,
            "n_done": self.n_done,
            "cost": float(self.cost),
            "random_state": self.random_state.get_state(legacy=False),
            "filters": self.filters,
        }

    def restore(self, state: dict) -> None:
        """Restore the state of a learner with the same images and parameters."""
        self.order, self.n_done, self.cost = state["order"], state["n_done"], state["cost"]
        # In place, because the generator is shared.
        self.random_state.set_state(state["random_state"])
        self.filters = state["filters"]


def learn_in_passes(
    learner: Learner,
    *,
    max_iter: int,
    is_settled: Callable[[list[float]], bool],
    checkpoint,
    context,
    data: dict,
    heading: str | None = None,
    attributes: Callable[[list[float]], dict] | None = None,
) -> list[float]:
    """Run passes over the images until the cost converges.

    Parameters
    ----------
    learner : Learner
        The learner.
    max_iter : int
        Maximum number of passes.
    is_settled : callable
        Returns whether to stop, given the costs of the passes.
    checkpoint : Checkpoint
        Checkpoint from which an interrupted fit resumes.
    context : callback context
        Callback context of the fit; each pass is one of its subtasks.
    data : dict
        The estimator, X and y, which are passed to the callbacks.
    heading : str, default=None
        Beginning of the line that is printed for each pass; None prints nothing.
    attributes : callable, default=None
        Returns the fitted attributes of the estimator after a pass, for the callbacks.

    Returns
    -------
    costs : list of float
        Mean cost per image of every pass.
    """
    costs = checkpoint.resume(learner)
    for number in range(len(costs) + 1, max_iter + 1):
        step, start = context.subcontext(task_name="pass"), time.perf_counter()
        step.call_on_fit_task_begin(**data)
        costs.append(learner.run_pass(lambda: checkpoint.save(learner, costs)))
        if heading is not None:
            print(
                f"{heading}pass {number}/{max_iter}: mean cost {costs[-1]:.6g}, "
                f"{learner.n_nonzero} non-zeros, {time.perf_counter() - start:.1f} s"
            )
        fitted = {}
        if attributes is not None:
            fitted["reconstruction_attributes"] = attributes(costs)
        stopped = step.call_on_fit_task_end(**data, **fitted)
        if stopped or is_settled(costs) or number == max_iter:
            break
        learner.repair_filters()
        checkpoint.save(learner, costs, at_once=True)
    return costs
