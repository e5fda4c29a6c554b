"""The parameters of an adaptive network, checked and set out layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from skdeconv._adaptive._stack import LayerCoding
from skdeconv._learner import check_batch_size
from skdeconv._parameters import (
    check_depth,
    check_filter_size,
    check_filters,
    check_jobs,
    of_each_layer,
)
from skdeconv._validation import (
    check_flag,
    check_in,
    check_integer,
    check_real,
    check_verbose,
)
from skdeconv.learning import normalized
from skdeconv.operators import pooled_shape

# Table 1 of the paper; weights that suit filters of unit norm; steps that were best for them.
POOLING = ((3, 3, 3), (3, 3, 2), (3, 3, 2), (3, 3, 2))
LAM = (2.0, 0.5, 0.3, 0.2)
CG_MAX_ITER = (3, 2, 2, 2)
INFERENCE = ["fista", "ista", "coordinate_descent"]
# Pixels of a mini-batch of "auto": four photos of 150 x 150.
_BATCH_PIXELS = 90_000
_DEFAULTS = {"pooling": POOLING, "lam": LAM, "cg_max_iter": CG_MAX_ITER}


@dataclass
class LayerPlan:
    """What one layer is learned with.

    Parameters
    ----------
    shape : tuple of four ints
        (n_filters, n_channels, h, w).
    block : tuple of three ints
        Rows, columns and neighbouring maps that are pooled.
    coding : LayerCoding
        How maps are inferred in a visit.
    first : ndarray of shape ``shape`` or None
        First filters.
    batch_size, n_cg, n_passes : int
        Images of an update, steps of conjugate gradients in it, and passes; none for a layer that
        is there.
    keep_maps : bool
        Whether a visit starts from the maps of the one before; otherwise from zeros.
    tol : float
        Relative change of the cost at which passes end.
    """

    shape: tuple[int, int, int, int]
    block: tuple[int, int, int]
    coding: LayerCoding
    first: np.ndarray | None
    batch_size: int
    n_cg: int
    n_passes: int
    keep_maps: bool
    tol: float


def check_codings(net) -> tuple[list[LayerCoding], list[tuple[int, int, int]]]:
    """How each layer infers its maps, and what it pools.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of range, or a tuple of another length than ``n_filters``.
    """
    depth = check_depth(net.n_filters)
    check_in("output", net.output, ["layer1", "top"])
    check_in("layout", net.layout, ["rows", "maps"])
    check_flag("sparse_output", net.sparse_output)
    check_jobs(net.n_jobs)
    above_zero = {"min_val": 0, "include_boundaries": "neither"}
    codings = [
        LayerCoding(
            check_real(f"lam{of}", lam, **above_zero),
            check_in(f"inference{of}", inference, INFERENCE),
            check_integer(f"n_inference_steps{of}", n_steps, min_val=1),
            None if beta is None else check_real(f"beta{of}", beta, **above_zero),
        )
        for of, lam, inference, n_steps, beta in _layers(
            net, depth, "lam", "inference", "n_inference_steps", "beta"
        )
    ]
    blocks = [_check_block(f"pooling{of}", block) for of, block in _layers(net, depth, "pooling")]
    return codings, blocks


def check_plans(net, codings, blocks, images) -> list[LayerPlan]:
    """What each layer is learned with, for a collection of images.

    Raises
    ------
    TypeError, ValueError
        As ``check_codings``; and if filters to start from do not fit.
    """
    check_verbose(net.verbose)
    keep_maps = check_flag("keep_maps", net.keep_maps)
    warm = check_flag("warm_start", net.warm_start) and hasattr(net, "filters_")
    if warm:
        _check_kept(net, blocks)
    names = "filter_size", "n_learning_steps", "batch_size", "cg_max_iter", "max_iter", "tol"
    plans, n_channels, height = [], images.n_channels, images.sizes[:, 0].max()
    for index, layer in enumerate(_layers(net, len(blocks), "n_filters", *names, "init")):
        of, n_filters, filter_size, n_steps, batch_size, n_cg, max_iter, tol, init = layer
        n_filters = check_integer(f"n_filters{of}", n_filters, min_val=1)
        shape = (
            n_filters,
            n_channels,
            *check_filter_size(filter_size, height, f"filter_size{of}"),
        )
        first = None if init is None else normalized(_first(f"init{of}", init, shape, images.dtype))
        kept = warm and index < len(net.filters_)
        if kept:
            name = f"filters_{of} of the fit before"
            first = _first(name, net.filters_[index], shape, images.dtype)
        final = kept and len(net.filters_) < len(blocks)
        coding = codings[index]
        if n_steps is not None:
            n_steps = check_integer(f"n_learning_steps{of}", n_steps, min_val=1)
            coding = replace(coding, n_steps=n_steps)
        n_passes = check_integer(f"max_iter{of}", max_iter, min_val=1)
        plans.append(
            LayerPlan(
                shape,
                blocks[index],
                coding,
                first,
                check_batch_size(batch_size, images, _BATCH_PIXELS, f"batch_size{of}"),
                check_integer(f"cg_max_iter{of}", n_cg, min_val=1),
                0 if final else n_passes,
                keep_maps,
                check_real(f"tol{of}", tol, min_val=0),
            )
        )
        n_channels, *_ = pooled_shape((n_filters, 1, 1), blocks[index])
    return plans


def _check_kept(net, blocks):
    """Require that layers of the fit before can be the lowest of this one."""
    if len(net.filters_) > len(blocks):
        raise ValueError(
            f"n_filters={net.n_filters} has fewer layers than the fit before, which "
            "warm_start=True goes on with; raise it, or fit afresh."
        )
    for of, block, kept in zip(_words(len(blocks)), blocks, net.pooling_, strict=False):
        if block != kept:
            raise ValueError(
                f"pooling{of} must be {kept}, that of the fit before, which warm_start=True goes "
                f"on with; got {block}."
            )


def _layers(net, depth, *names):
    """For every layer the words that name it in messages, then its values of the parameters."""
    values = []
    for name in names:
        value = getattr(net, name)
        if isinstance(value, tuple) and value == _DEFAULTS.get(name):
            # The default is for four layers; fewer take what they need of it.
            value = value[:depth]
        elif name == "pooling" and _is_block(value):
            value = [value] * depth
        values.append(of_each_layer(name, value, depth))
    return list(zip(_words(depth), *values, strict=True))


def _words(depth):
    """What names each layer in messages; nothing where there is one."""
    return [f" of layer {number}" if depth > 1 else "" for number in range(1, depth + 1)]


def _is_block(value):
    """Whether it is one block for all layers: a tuple of numbers, not of tuples."""
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
