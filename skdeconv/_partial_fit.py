"""Learning from a stream of images, a batch at a time."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from numpy.typing import ArrayLike

from skdeconv._images import check_image_shape, check_images
from skdeconv._learner import BATCH_PIXELS, check_statistics
from skdeconv._transformer import warn_of_zero_maps
from skdeconv._validation import restored_on_failure
from skdeconv.inference import quiet_single_thread, workers

# Pixels without use of a filter after which it is redrawn: twenty of the smallest memories.
_PATIENCE = 20 * BATCH_PIXELS


class PartialFit:
    """``partial_fit``, whose state is the filters and their sufficient statistics.

    An estimator tells ``_partial_fit(coding, images, fitted)``: what a batch of images leads to,
    ``fitted`` being the attributes that every fit sets. And whether the first call is a fit.
    """

    _first_is_fit = False

    def partial_fit(self, X: ArrayLike, y=None):
        """Learn further from a batch of images.

        The images are visited once, in mini-batches of ``batch_size``, and forgotten. What stays is
        the filters and their sufficient statistics, (``n_filters`` * h * w)^2 numbers, whatever the
        number of images; those of earlier batches fade by ``forgetting``. After ``fit`` it goes on
        from the filters that were learned; ``fit`` starts afresh. Of a net the first call is
        ``fit``, and later ones are for its top layer alone.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images in any layout that ``fit`` takes. After the first call they must fit what that
            has seen; of lists the number of channels alone counts.
        y : None
            Ignored.

        Returns
        -------
        self : estimator
            The estimator itself. Where the call fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, X does not fit, or the statistics would be larger than
            256 MB: lower ``n_filters`` or ``filter_size``, or use ``fit``.
        """
        if self._first_is_fit and not self.__sklearn_is_fitted__():
            return self.fit(X, y)
        with restored_on_failure(self):
            coding, image_shape = self._check_coding(), check_image_shape(self.image_shape)
            reset = not self.__sklearn_is_fitted__()
            images, layout, shape = check_images(self, X, image_shape=image_shape, reset=reset)
            if not reset:
                layout, seen = self._layout, self.image_shape_
                if layout == "list" and shape[:2] != seen[:2]:
                    seen = (None, None, *seen[2:])
                shape = seen
            self._partial_fit(coding, images, {"image_shape_": shape, "_layout": layout})
        return self


def learn_from_batch(layer, coding, images, name="lam") -> dict:
    """What a layer comes to by one visit of each image, as its attributes."""
    plan, known = layer._plan(images), hasattr(layer, "filters_")
    check_statistics("partial_fit", plan.shape)
    if known and layer.filters_.shape != plan.shape:
        raise ValueError(
            f"partial_fit goes on with filters of shape {layer.filters_.shape}, but n_filters and "
            f"filter_size now ask for {plan.shape}. Set them back, or call fit."
        )
    if known:
        plan.first = layer.filters_.transpose(0, 3, 1, 2).astype(images.dtype)
    stream = vars(layer).get("_stream", {})
    # A copy: a generator that was given stays its owner's.
    random_state = deepcopy(stream.get("random_state") or layer._seed())
    with workers(layer.n_jobs) as coding.parallel, quiet_single_thread():
        learner = layer._start(coding, images, plan, random_state, keep_maps=True)
        learner.whole_passes, learner.patience = False, _PATIENCE
        if known:
            _resume(learner, stream)
        cost = learner.run_epoch()
        learner.tend()
    if plan.verbose:
        print(f"[DeconvNetLayer] batch of {len(images)} images: mean cost {cost:.6g}")
    if not any(len(indices) for indices, _ in learner.codes):
        limits = layer.lam, layer.positive, layer.inference_tol
        warn_of_zero_maps(learner.stacks_to_explain(), learner.filters, *limits, name=name)
    return {
        "filters_": learner.filters.transpose(0, 2, 3, 1).copy(order="C"),
        "cost_": np.append(layer.cost_ if known else [], cost),
        "n_iter_": 1 + (layer.n_iter_ if known else 0),
        "_stream": {
            "gram": learner.problem.gram,
            "cross": learner.problem.cross,
            "scale": learner.problem.scale,
            "n_updates": learner.n_updates,
            "idle": learner.idle,
            "random_state": random_state,
        },
    }


def _resume(learner, stream):
    learner.n_updates = stream.get("n_updates", 0)
    if "gram" not in stream:
        # After a fit nothing but the filters is known of what they were learned from.
        learner.anchored = True
        return
    # Not by their method: copies of arrays that are mapped from files would be of that type too.
    learner.idle, learner.problem.scale = np.array(stream["idle"]), stream["scale"]
    learner.problem.gram = np.array(stream["gram"])
    learner.problem.cross = np.array(stream["cross"])
