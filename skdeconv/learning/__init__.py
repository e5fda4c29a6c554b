"""Dictionary learning: learners, the loop over passes, streams, checkpoints and plans."""

from skdeconv.learning._adaptive_learner import AdaptiveLearner
from skdeconv.learning._adaptive_plan import (
    CG_MAX_ITER,
    LAM,
    POOLING,
    check_adaptive_codings,
    check_adaptive_plans,
    in_units,
    windows_of,
)
from skdeconv.learning._checkpoint import Checkpoint
from skdeconv.learning._hierarchy_plan import (
    check_hierarchy_codings,
    check_hierarchy_plan,
    layer_parameters,
)
from skdeconv.learning._hierarchy_state import known_layer, record_layers
from skdeconv.learning._layer_learner import LayerLearner
from skdeconv.learning._layer_plan import check_layer_plan
from skdeconv.learning._learned_layer import LearnedLayer
from skdeconv.learning._passes import learn_in_passes
from skdeconv.learning._scale import lam_unit, warn_of_dense_maps, warn_of_scale
from skdeconv.learning._stream import learn_from_batch

__all__ = [
    "CG_MAX_ITER",
    "LAM",
    "POOLING",
    "AdaptiveLearner",
    "Checkpoint",
    "LayerLearner",
    "LearnedLayer",
    "check_adaptive_codings",
    "check_adaptive_plans",
    "check_hierarchy_codings",
    "check_hierarchy_plan",
    "check_layer_plan",
    "in_units",
    "known_layer",
    "lam_unit",
    "layer_parameters",
    "learn_from_batch",
    "learn_in_passes",
    "record_layers",
    "warn_of_dense_maps",
    "warn_of_scale",
    "windows_of",
]
