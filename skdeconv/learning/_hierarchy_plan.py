"""Validation of the parameters of a hierarchy, and their values for each layer."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
from sklearn.base import clone

from skdeconv._utils.parameters import check_depth, of_each_layer
from skdeconv._utils.validation import check_flag, check_in, check_integer
from skdeconv.filters import (
    KINDS,
    check_connectivity,
    check_filter_size,
    check_filters,
    make_connectivity,
)
from skdeconv.inference import Coding, Solver, check_coding
from skdeconv.layouts import Collection
from skdeconv.learning._layer_plan import LayerPlan, check_layer_plan

_PER_LAYER = (
    "filter_size", "lam", "p", "positive", "connectivity", "solver", "inference_tol",
    "inference_max_iter", "max_iter", "tol", "batch_size", "forgetting", "keep_maps", "init",
)  # fmt: skip
_COMMON = ("smoothness", "output", "sparse_output", "n_jobs", "random_state", "verbose")


@dataclass(frozen=True)
class HierarchyPlan:
    """Validated parameters with which the layers of a hierarchy are learned.

    Parameters
    ----------
    parameters : list of SimpleNamespace
        Parameters of a DeconvNetLayer for each layer, the lowest first.
    layers : list of LayerPlan
        The same, validated for the images of each layer.
    kept : list of DeconvNetLayer
        Fitted layers from which the fit starts. If there are as many as ``layers``, learning of all
        continues; if fewer, these layers are kept unchanged.
    factors : list of float or None
        Factors by which the images of each layer are divided; None if not known yet.
    """

    parameters: list[SimpleNamespace]
    layers: list[LayerPlan]
    kept: list
    factors: list[float | None]

    @property
    def n_kept(self) -> int:
        """Number of the lowest layers that are kept unchanged."""
        return len(self.kept) if len(self.kept) < len(self.layers) else 0


def layer_parameters(net) -> list[SimpleNamespace]:
    """Parameters of a DeconvNetLayer for each layer of a net, the lowest first.

    Raises
    ------
    TypeError
        If ``n_filters`` is not a tuple.
    ValueError
        If it is empty, or another tuple has a different length.
    """
    depth, common = check_depth(net.n_filters), {name: getattr(net, name) for name in _COMMON}
    each = {name: of_each_layer(name, getattr(net, name), depth) for name in _PER_LAYER}
    # Clones, so that layers do not share what one of them may change.
    each["solver"] = [clone(one) if isinstance(one, Solver) else one for one in each["solver"]]
    return [
        SimpleNamespace(
            n_filters=check_integer("n_filters", net.n_filters[index], min_val=1),
            low_frequency=net.low_frequency if index == 0 else False,
            lam_scale=net.lam_scale if index == 0 else "absolute",
            image_shape=net.image_shape if index == 0 else None,
            warm_start=False,
            checkpoint=None,
            **{name: values[index] for name, values in each.items()},
            **common,
        )
        for index in range(depth)
    ]


def check_hierarchy_codings(net) -> list[Coding]:
    """Check the parameters with which each layer of a net infers its maps.

    Raises
    ------
    TypeError, ValueError
        As ``check_coding``, for any layer.
    """
    check_in("inference", net.inference, ["joint", "greedy", "alternating"])
    return [
        check_coding(parameters, of=f" of layer {number}")
        for number, parameters in enumerate(layer_parameters(net), 1)
    ]


def check_hierarchy_plan(
    net, codings, lower, images, random_state, connectivity=None
) -> HierarchyPlan:
    """Check the parameters of all layers of a net, before the first one is learned.

    Parameters
    ----------
    net : HierarchicalDeconvNet
        The net, with its parameters and, for ``warm_start``, the attributes of its previous fit.
    codings : list of Coding
        How each layer infers its maps, as ``check_hierarchy_codings`` returns it.
    lower : (list of DeconvNetLayer, list of float) or None
        The fitted layers of the parameter ``lower``, and the factors between them.
    images : Collection
        The images.
    random_state : RandomState
        For random kinds of connectivity.
    connectivity : list of ndarray or None, default=None
        That of each layer in an interrupted fit, which replaces the parameter.

    Raises
    ------
    TypeError, ValueError
        As in ``fit`` of the layers.
    """
    all_parameters, checked, layers = layer_parameters(net), [], []
    kept, factors = _kept_layers(net, lower, [one.n_filters for one in all_parameters])
    for index, parameters in enumerate(all_parameters):
        coding, old = codings[index], kept[index] if index < len(kept) else None
        if old is None:
            if connectivity is not None:
                parameters.connectivity = connectivity[index]
            parameters.connectivity = _connectivity(parameters, images, index, random_state)
            layers.append(check_layer_plan(parameters, coding, images))
        else:
            _check_kept(parameters, old, images, index)
            parameters.connectivity, parameters.init = deepcopy(old.connectivity), None
            parameters.warm_start = len(kept) == len(all_parameters)
            layers.append(check_layer_plan(parameters, coding, images, old.filters_))
        checked.append(parameters)
        # Images of the layer above, of which only sizes and dtype are known yet.
        n_filters, h, w, _ = layers[-1].shape
        images = Collection(images.sizes + np.array([h - 1, w - 1]), n_filters, images.dtype)
    unknown = [None] * (len(layers) - len(factors))
    return HierarchyPlan(checked, layers, kept, [*factors, *unknown])


def _kept_layers(net, lower, n_filters):
    """Fitted layers from which a fit starts, and the factors between them."""
    if check_flag("warm_start", net.warm_start) and hasattr(net, "layers_"):
        name, kept, factors = "the previous fit", net.layers_, net.factors_.tolist()
        if len(kept) > len(n_filters):
            raise ValueError(
                f"n_filters={net.n_filters} has fewer layers than the previous fit, which "
                "warm_start=True continues; increase it, or set warm_start=False."
            )
    elif lower is not None:
        name, kept, factors = "lower", *lower
        if len(kept) >= len(n_filters):
            raise ValueError(
                f"n_filters={net.n_filters} must have more layers than lower, which has "
                f"{len(kept)}."
            )
    else:
        return [], [1.0]
    for index, (old, number) in enumerate(zip(kept, n_filters, strict=False)):
        if len(old.filters_) != number:
            raise ValueError(
                f"n_filters={net.n_filters} must begin with the numbers of filters of {name}; its "
                f"layer {index + 1} has {len(old.filters_)} filters."
            )
    return kept, factors


def _check_kept(parameters, old, images, index):
    """Check that parameters match the filters and the connectivity of a kept layer."""
    size = images.sizes.max(axis=0)
    h, w = check_filter_size(parameters.filter_size, size, fitted=old.filters_)
    shape = parameters.n_filters, h, w, images.n_channels
    if old.filters_.shape != shape:
        raise ValueError(
            f"Layer {index + 1} was fitted with filters of shape {old.filters_.shape}, but "
            f"filter_size and the images now require {shape}."
        )
    if parameters.init is not None:
        check_filters("init", parameters.init, shape, images.dtype)
    if isinstance(parameters.connectivity, str):
        check_in("connectivity", parameters.connectivity, KINDS)
        return
    full = np.ones((shape[0], shape[3]), bool)
    table = check_connectivity(parameters.connectivity, shape[0], shape[3])
    kept = full if old.connectivity is None else old.connectivity
    if not np.array_equal(full if table is None else table, kept):
        raise ValueError(
            f"connectivity of layer {index + 1} must be that of the fitted layer, or a kind, which "
            "is then ignored."
        )


def _connectivity(parameters, images, index, random_state):
    """Generate the connectivity of a given kind; None if it is full."""
    kind = parameters.connectivity
    if not isinstance(kind, str):
        return deepcopy(kind)
    if kind == "auto" and index == 0:
        kind = "full"
    try:
        table = make_connectivity(kind, images.n_channels, parameters.n_filters, random_state)
    except ValueError as error:
        raise ValueError(f"connectivity of layer {index + 1}: {error}") from error
    return None if np.all(table) else table
