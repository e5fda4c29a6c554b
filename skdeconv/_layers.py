"""The layers of a hierarchy: made from its parameters, or taken over from an earlier fit."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skdeconv._collection import Collection
from skdeconv._connectivity import KINDS, make_connectivity
from skdeconv._drawing import Drawing
from skdeconv._layer import DeconvNetLayer
from skdeconv._parameters import (
    check_coding,
    check_connectivity,
    check_depth,
    check_filter_size,
    check_filters,
    of_each_layer,
    thawed,
)
from skdeconv._stack import next_layer, typical_value
from skdeconv._validation import check_flag, check_in, check_integer
from skdeconv.inference import workers
from skdeconv.operators import zeros_for_nan

_PER_LAYER = (
    "filter_size", "lam", "p", "positive", "connectivity", "solver", "inference_tol",
    "inference_max_iter", "beta_min", "beta_factor", "beta_max", "beta_repeats", "cg_max_iter",
    "max_iter", "tol", "batch_size", "forgetting", "keep_maps", "init",
)  # fmt: skip
_COMMON = ("smoothness", "output", "sparse_output", "n_jobs", "random_state", "verbose")


def make_layers(net) -> list[DeconvNetLayer]:
    """Unfitted layers with the parameters of a net, the lowest first.

    Raises
    ------
    TypeError
        If ``n_filters`` is no tuple.
    ValueError
        If it is empty, or another tuple is not of its length.
    """
    depth, common = check_depth(net.n_filters), {name: getattr(net, name) for name in _COMMON}
    each = {name: of_each_layer(name, getattr(net, name), depth) for name in _PER_LAYER}
    return [
        DeconvNetLayer(
            check_integer("n_filters", net.n_filters[index], min_val=1),
            **{name: values[index] for name, values in each.items()},
            low_frequency=net.low_frequency if index == 0 else False,
            image_shape=net.image_shape if index == 0 else None,
            **common,
        )
        for index in range(depth)
    ]


def kept_layers(net, layers) -> tuple[list[DeconvNetLayer], list[float]]:
    """Fitted layers that a fit of ``net`` starts from, and the factors between them.

    As many layers as ``layers``: all are to be learned further. Fewer: they stay as they are.
    """
    if check_flag("warm_start", net.warm_start) and hasattr(net, "layers_"):
        name, kept, factors = "the fit before", net.layers_, net.factors_.tolist()
        if len(kept) > len(layers):
            raise ValueError(
                f"n_filters={net.n_filters} has fewer layers than the fit before, which "
                "warm_start=True goes on with; raise it, or fit afresh."
            )
    elif net.lower is not None:
        name, kept, factors = "lower", *_parts_of(net.lower)
        if len(kept) >= len(layers):
            raise ValueError(
                f"lower has {len(kept)} layers, and n_filters={net.n_filters} leaves none to "
                "learn above them."
            )
    else:
        return [], [1.0]
    for index, (old, new) in enumerate(zip(kept, layers, strict=False)):
        if len(old.filters_) != new.n_filters:
            raise ValueError(
                f"n_filters={net.n_filters} must begin with the numbers of {name}; its layer "
                f"{index + 1} has {len(old.filters_)} filters."
            )
    return kept, factors


def _parts_of(lower):
    lower = thawed(lower)
    stacked = hasattr(lower, "project_filters") and not isinstance(lower, type)
    if not (isinstance(lower, DeconvNetLayer) or stacked):
        raise TypeError(
            "lower must be a fitted DeconvNetLayer or HierarchicalDeconvNet, or None; got "
            f"{lower!r}."
        )
    check_is_fitted(
        lower,
        msg="lower must be fitted, and %(name)s is not. Where a search clones it, wrap it in "
        "sklearn.frozen.FrozenEstimator.",
    )
    if isinstance(lower, DeconvNetLayer):
        return [lower], [1.0]
    return lower.layers_, lower.factors_.tolist()


def prepare_layers(layers, kept, images, random_state) -> None:
    """Give layers their connectivity and kept filters, and check all that they will learn with.

    Raises
    ------
    TypeError, ValueError
        As ``fit`` of the layers would, before any is fitted.
    """
    for index, layer in enumerate(layers):
        n_channels = images.n_channels
        h, w = check_filter_size(layer.filter_size, images.sizes[:, 0].max())
        if index < len(kept):
            shape = layer.n_filters, h, w, n_channels
            _take_over(layer, kept[index], shape, index, images.dtype)
            layer.warm_start = len(kept) == len(layers)
        else:
            _connect(layer, n_channels, index, random_state)
        layer._plan(images)
        # Those of the layer above, of which no more is known yet.
        sizes = images.sizes + np.array([h - 1, w - 1])
        images = Collection(sizes, layer.n_filters, images.dtype)


def _take_over(layer, old, shape, index, dtype):
    """Give a layer the filters of a fitted one, and with them their connectivity."""
    if old.filters_.shape != shape:
        raise ValueError(
            f"Layer {index + 1} was fitted with filters of shape {old.filters_.shape}; filter_size "
            f"and the images now ask for {shape}."
        )
    if layer.init is not None:
        check_filters("init", layer.init, shape, dtype)
    kept = np.ones((shape[0], shape[3]), bool) if old.connectivity is None else old.connectivity
    if isinstance(layer.connectivity, str):
        check_in("connectivity", layer.connectivity, KINDS)
    else:
        table = check_connectivity(layer.connectivity, shape[0], shape[3])
        if not np.array_equal(np.ones_like(kept) if table is None else table, kept):
            raise ValueError(
                f"connectivity of layer {index + 1} must be that of the layer that is kept, or a "
                "kind, which is not used then."
            )
    layer.connectivity = None if old.connectivity is None else np.array(kept)
    # Copies: two estimators must not share what one of them may change.
    layer.init, filters = None, np.array(old.filters_, dtype=dtype)
    vars(layer).update(filters_=filters, cost_=old.cost_.copy(), n_iter_=old.n_iter_)
    layer._stream = {"n_updates": vars(old).get("_stream", {}).get("n_updates", 0)}


def _connect(layer, n_channels, index, random_state):
    """Turn a kind of connectivity into its table; None where all is connected."""
    kind = layer.connectivity
    if not isinstance(kind, str):
        layer.connectivity = deepcopy(kind)
        return
    if kind == "auto" and index == 0:
        kind = "full"
    try:
        table = make_connectivity(kind, n_channels, layer.n_filters, random_state)
    except ValueError as error:
        raise ValueError(f"connectivity of layer {index + 1}: {error}") from error
    layer.connectivity = None if np.all(table) else table


def next_images(layer, images, factors, index):
    """The maps of a fitted layer as images of the next; its factor is appended if it is new.

    Parameters
    ----------
    layer : DeconvNetLayer
        The layer, whose maps are inferred.
    images : Collection
        Its images.
    factors : list of float
        What the images of each layer are divided by, as far as it is known.
    index : int
        The next layer, counted from 0.
    """
    coding, filters = check_coding(layer), layer._drawing_filters().astype(images.dtype)
    smooth = coding.smooth(layer._low_size(), images.n_channels, images.dtype)
    drawing = Drawing(filters, smooth)
    with workers(layer.n_jobs) as coding.parallel:
        maps = coding(drawing, images).maps
    if index == len(factors):
        factors.append(typical_value(maps))
    return next_layer(maps, drawing, images, factors[index])


def resume_layers(layers, progress) -> tuple[int, list[float]]:
    """Bring the layers that an interrupted fit had done to where they were.

    Returns
    -------
    first : int
        The layer that was being learned.
    factors : list of float
        What the images of the layers up to it are divided by.
    """
    meta, arrays = progress.below_meta, progress.below
    for index, layer in enumerate(layers):
        # The tables of kinds were drawn before anything was learned.
        layer.connectivity = arrays.get(f"connectivity{index}")
    for index, (n_iter, n_updates) in enumerate(
        zip(meta["n_iter"], meta["n_updates"], strict=True)
    ):
        layer = layers[index]
        layer.filters_, layer.cost_ = arrays[f"filters{index}"], arrays[f"cost{index}"]
        layer.n_iter_, layer._stream = n_iter, {"n_updates": n_updates}
    return len(meta["n_iter"]), list(meta["factors"])


def record_layers(layers, n_done, factors, progress) -> None:
    """Put the layers that are done, and all tables, into what checkpoints hold."""
    arrays = {
        f"connectivity{index}": np.asarray(layer.connectivity)
        for index, layer in enumerate(layers)
        if layer.connectivity is not None
    }
    for index, layer in enumerate(layers[:n_done]):
        arrays |= {f"filters{index}": layer.filters_, f"cost{index}": layer.cost_}
    progress.below = arrays
    progress.below_meta = {
        "n_iter": [layer.n_iter_ for layer in layers[:n_done]],
        "n_updates": [layer._stream["n_updates"] for layer in layers[:n_done]],
        "factors": [float(factor) for factor in factors],
    }


def not_zero(images) -> bool:
    """Whether any known pixel of a collection is not zero."""
    stacks = (images.stack(part) for part in images.groups(1))
    return any(zeros_for_nan(stack).any() for stack in stacks)
