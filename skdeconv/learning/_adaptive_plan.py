"""Validation of the parameters of an adaptive network, and their values for each layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from skdeconv._utils.parameters import check_depth, of_each_layer
from skdeconv._utils.validation import (
    check_flag,
    check_in,
    check_integer,
    check_real,
    check_verbose,
)
from skdeconv.filters import check_filter_size, check_filters, normalized
from skdeconv.inference import AdaptiveCoding
from skdeconv.layouts import in_windows
from skdeconv.learning._layer_plan import check_batch_size, check_passes, windows_for
from skdeconv.learning._scale import lam_unit
from skdeconv.operators import pooled_shape

# Pooling of table 1 of the paper; lam for filters of unit norm; the best numbers of CG steps there.
POOLING = ((3, 3, 3), (3, 3, 2), (3, 3, 2), (3, 3, 2))
LAM = (2.0, 0.5, 0.3, 0.2)
CG_MAX_ITER = (3, 2, 2, 2)
ALGORITHMS = ["fista", "ista", "coordinate_descent"]
# Number of pixels of a mini-batch for "auto": four photos of 150 x 150.
_BATCH_PIXELS = 90_000
_INFERENCE = "lam", "inference", "n_inference_steps", "beta"
_LEARNING = (
    "n_filters", "filter_size", "n_learning_steps", "batch_size", "cg_max_iter", "max_iter", "tol",
    "init",
)  # fmt: skip
_DEFAULTS = {"pooling": POOLING, "lam": LAM, "cg_max_iter": CG_MAX_ITER}


@dataclass(frozen=True)
class AdaptiveLayerPlan:
    """Validated parameters with which one layer is learned.

    Parameters
    ----------
    shape : tuple of four ints
        (n_filters, n_channels, h, w).
    block : tuple of three ints
        Pooling block: rows, columns and neighbouring maps.
    coding : AdaptiveCoding
        Parameters of inference during learning.
    first : ndarray of shape ``shape`` or None
        Initial filters; None for random ones.
    batch_size, n_cg, n_passes : int
        Number of images per update, of conjugate gradient steps in it, and of passes; 0 passes for
        a layer that is kept.
    cost : ndarray
        Costs of the earlier passes of a layer that is kept when the net grows; empty otherwise.
    keep_maps : bool
        Whether inference is warm-started from the maps of the previous pass.
    tol : float
        Learning stops at a relative change of the cost below this value.
    """

    shape: tuple[int, int, int, int]
    block: tuple[int, int, int]
    coding: AdaptiveCoding
    first: np.ndarray | None
    batch_size: int
    n_cg: int
    n_passes: int
    cost: np.ndarray
    keep_maps: bool
    tol: float


def check_adaptive_codings(net) -> tuple[list[AdaptiveCoding], list[tuple[int, int, int]]]:
    """Check the parameters of inference and the pooling blocks of all layers.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of range, or a tuple of another length than ``n_filters``.
    """
    depth = check_depth(net.n_filters)
    above_zero, codings, blocks = {"min_val": 0, "include_boundaries": "neither"}, [], []
    for of, layer in _layers(net, depth, *_INFERENCE, "pooling"):
        beta = layer.beta
        codings.append(
            AdaptiveCoding(
                weight=check_real(f"lam{of}", layer.lam, **above_zero),
                inference=check_in(f"inference{of}", layer.inference, ALGORITHMS),
                n_steps=check_integer(f"n_inference_steps{of}", layer.n_inference_steps, min_val=1),
                beta=None if beta is None else check_real(f"beta{of}", beta, **above_zero),
            )
        )
        blocks.append(_check_block(f"pooling{of}", layer.pooling))
    return codings, blocks


def check_adaptive_plans(net, codings, blocks, images) -> list[AdaptiveLayerPlan]:
    """Check the parameters with which each layer is learned, for a collection of images.

    Raises
    ------
    TypeError, ValueError
        As in ``check_adaptive_codings``; or if initial filters do not have the right shape.
    """
    check_verbose(net.verbose)
    keep_maps = check_flag("keep_maps", net.keep_maps)
    warm = check_flag("warm_start", net.warm_start) and hasattr(net, "filters_")
    if warm:
        _check_kept(net, blocks)
    visited = windows_of(net, images)
    plans, n_channels, size = [], images.n_channels, images.sizes.max(axis=0)
    for index, (of, layer) in enumerate(_layers(net, len(blocks), *_LEARNING)):
        n_filters = check_integer(f"n_filters{of}", layer.n_filters, min_val=1)
        is_kept = warm and index < len(net.filters_)
        fitted = net.filters_[index] if is_kept else None
        filter_size = check_filter_size(layer.filter_size, size, f"filter_size{of}", fitted)
        shape = n_filters, n_channels, *filter_size
        first = None
        if layer.init is not None:
            first = normalized(_first(f"init{of}", layer.init, shape, images.dtype))
        if is_kept:
            first = _first(f"filters_{of} of the previous fit", fitted, shape, images.dtype)
        coding = codings[index]
        if layer.n_learning_steps is not None:
            n_steps = check_integer(f"n_learning_steps{of}", layer.n_learning_steps, min_val=1)
            coding = replace(coding, n_steps=n_steps)
        cost = np.array([])
        n_passes = check_passes(f"max_iter{of}", layer.max_iter, known=first is not None)
        if is_kept and len(net.filters_) < len(blocks):
            n_passes, cost = 0, net.cost_[index]
        batch_size = check_batch_size(layer.batch_size, visited, _BATCH_PIXELS, f"batch_size{of}")
        plans.append(
            AdaptiveLayerPlan(
                shape=shape,
                block=blocks[index],
                coding=coding,
                first=first,
                batch_size=batch_size,
                n_cg=check_integer(f"cg_max_iter{of}", layer.cg_max_iter, min_val=1),
                n_passes=n_passes,
                cost=cost,
                keep_maps=keep_maps,
                tol=check_real(f"tol{of}", layer.tol, min_val=0),
            )
        )
        n_channels, *_ = pooled_shape((n_filters, 1, 1), blocks[index])
    return plans


def in_units(net, codings, images) -> list[AdaptiveCoding]:
    """Parameters of inference, with ``lam`` in the units that ``lam_scale`` gives it."""
    of, first = _layers(net, len(codings), "filter_size")[0]
    size, warm = images.sizes.max(axis=0), net.warm_start and hasattr(net, "filters_")
    fitted = net.filters_[0] if warm else None
    filter_size = check_filter_size(first.filter_size, size, f"filter_size{of}", fitted)
    unit = lam_unit(net, images, filter_size)
    return [coding.scaled(unit) for coding in codings]


def windows_of(net, images):
    """The images, cut into windows where they are large, if ``batch_size`` is "auto"."""
    window = windows_for(net.batch_size, _BATCH_PIXELS)
    return in_windows(images, *window) if window else images


def _check_kept(net, blocks):
    """Check that the layers of the previous fit can be the lowest ones of this fit."""
    if len(net.filters_) > len(blocks):
        raise ValueError(
            f"n_filters={net.n_filters} has fewer layers than the previous fit, which "
            "warm_start=True continues; increase it, or set warm_start=False."
        )
    for of, block, kept in zip(_words(len(blocks)), blocks, net.pooling_, strict=False):
        if block != kept:
            raise ValueError(
                f"pooling{of} must be {kept}, as in the previous fit, which warm_start=True "
                f"continues; got {block}."
            )


def _layers(net, depth, *names):
    """For each layer, its name in messages, and the values of the given parameters."""
    values = {}
    for name in names:
        value = getattr(net, name)
        if isinstance(value, tuple) and value == _DEFAULTS.get(name):
            # The default is for four layers; fewer layers use the first entries.
            value = value[:depth]
        elif name == "pooling" and _is_block(value):
            value = [value] * depth
        values[name] = of_each_layer(name, value, depth)
    return [
        (of, SimpleNamespace(**{name: value[index] for name, value in values.items()}))
        for index, of in enumerate(_words(depth))
    ]


def _words(depth):
    """Names of the layers in messages; empty if there is only one layer."""
    return [f" of layer {number}" if depth > 1 else "" for number in range(1, depth + 1)]


def _is_block(value):
    """Whether ``value`` is one block for all layers: a tuple of numbers, not of tuples."""
    return isinstance(value, tuple | list) and not any(
        one is None or isinstance(one, tuple | list) for one in value
    )


def _check_block(name, block):
    if block is None:
        return 1, 1, 1
    if not isinstance(block, tuple | list) or len(block) != 3:
        raise ValueError(
            f"{name} must be a triple (rows, columns, neighbouring maps), or None; got {block!r}."
        )
    rows, columns, maps = (check_integer(name, size, min_val=1) for size in block)
    return rows, columns, maps


def _first(name, filters, shape, dtype):
    n_filters, n_channels, h, w = shape
    filters = check_filters(name, filters, (n_filters, h, w, n_channels), dtype)
    if not filters.any(axis=(1, 2, 3)).all():
        raise ValueError(f"{name} must not hold filters of zeros.")
    return filters
