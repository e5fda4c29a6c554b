"""What the transformers that wrap another transformer share."""

from __future__ import annotations

import numpy as np
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skdeconv._utils.callbacks import CallbackSupportMixin, with_callbacks
from skdeconv._utils.parameters import thawed
from skdeconv._utils.transformer import Transformer
from skdeconv._utils.warnings import one_trap


class MetaTransformer(CallbackSupportMixin, Transformer, BaseEstimator):
    """Base class of estimators with a parameter ``transformer``, of which ``fit`` fits a clone."""

    @with_callbacks
    def _fit_clone(self, X, y, sample, labels):
        """Fit a clone of the transformer on a sample, as a task of its own for callbacks."""
        data = {"estimator": self, "X": X, "y": y}
        context = self._init_callback_context(max_subtasks=1)
        context.call_on_fit_task_begin(**data)
        transformer = clone(self.transformer)
        step = context.subcontext(task_name="fit-transformer")
        step.call_on_fit_task_begin(**data)
        # As in transform: steps that were fitted on frames would warn of arrays.
        with step.propagate_callback_context(transformer), plain_output(), one_trap():
            transformer.fit(sample, labels)
        self.transformer_ = transformer
        step.call_on_fit_task_end(**data, reconstruction_attributes={})
        context.call_on_fit_task_end(**data, reconstruction_attributes={})

    def _check_transformer(self):
        methods = ("fit", "transform", "get_params")
        is_transformer = all(hasattr(self.transformer, name) for name in methods)
        if isinstance(self.transformer, type) or not is_transformer:
            raise TypeError(
                "transformer must be an estimator with fit and transform, such as "
                f"make_pipeline(OnePassEncoder(), SpatialPyramid()); got {self.transformer!r}."
            )

    def __sklearn_tags__(self):
        """Input is that of the first step of a pipeline, output that of the last."""
        tags = super().__sklearn_tags__()
        if isinstance(self.transformer, BaseEstimator):
            tags.input_tags = get_tags(_first_step(self.transformer)).input_tags
            own = get_tags(self.transformer)
            tags.target_tags, tags.transformer_tags = own.target_tags, own.transformer_tags
        return tags


def plain_output():
    """Context in which transformers return arrays, unless their own ``set_output`` was called."""
    return config_context(transform_output="default")


def checked_rows(rows, n_samples):
    """Rows of a transformer as an array or in CSR format; raise if there is not one per image."""
    shape = getattr(rows, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != n_samples:
        found = type(rows).__name__ if shape is None else f"{type(rows).__name__} of shape {shape}"
        raise ValueError(
            f"transformer must return one row per image, but returned a {found} for {n_samples} "
            "images. Add a step that pools maps into rows, such as SpatialPyramid()."
        )
    # A step may return a frame, because its own set_output was called.
    return rows.tocsr() if issparse(rows) else np.asarray(rows)


def _first_step(transformer):
    """First estimator of a pipeline, or the transformer itself."""
    while isinstance(pipeline := thawed(transformer), Pipeline):
        steps = [step for _, step in pipeline.steps if isinstance(step, BaseEstimator)]
        if not steps:
            break
        transformer = steps[0]
    return transformer
