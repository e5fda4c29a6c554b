"""Connectivity between the filters of a layer and the maps of the layer below."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from skdeconv._utils.validation import check_in, check_integer, check_seed

KINDS = ("auto", "full", "singles", "pairs", "singles+pairs", "random-pairs", "random-triples")
# Up to this number of subsets all are listed and shuffled; beyond, random subsets are sampled.
_LISTED = 100_000


def make_connectivity(
    kind: str, n_channels: int, n_filters: int | None = None, random_state=None
) -> np.ndarray:
    """Generate a boolean table of the channels that each filter is connected to.

    Parameters
    ----------
    kind : str
        - "full": every filter is connected to every channel.
        - "singles": filter k is connected to channel k only.
        - "pairs": one filter for every pair of channels.
        - "singles+pairs": the singles, followed by all pairs.
        - "random-pairs", "random-triples": two or three random channels for each filter. No subset
          is used twice before all have been used once.
        - "auto": the singles, then all pairs in random order, then random triples, up to
          ``n_filters``. Subsets larger than ``n_channels`` are omitted; when all subsets are used
          up, they are used again. With fewer filters than channels, some channels are unconnected.
    n_channels : int
        Number of channels, or of maps of the layer below.
    n_filters : int, default=None
        Number of filters. It is determined by ``n_channels`` for "singles", "pairs" and
        "singles+pairs", and required for the other kinds.
    random_state : int, RandomState instance or None, default=None
        Seed for the random kinds and "auto".

    Returns
    -------
    connectivity : ndarray of bool of shape (n_filters, n_channels)
        True where a filter is connected to a channel, g in [1]_.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If ``kind`` is unknown, or not compatible with the numbers of channels and filters.

    References
    ----------
    .. [1] M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010,
       equation 3; the paper uses 9 filters, then 45 as singles and pairs, then 150 random pairs.

    Examples
    --------
    >>> from skdeconv import make_connectivity
    >>> make_connectivity("singles+pairs", n_channels=3).astype(int)
    array([[1, 0, 0],
           [0, 1, 0],
           [0, 0, 1],
           [1, 1, 0],
           [1, 0, 1],
           [0, 1, 1]])
    """
    check_in("kind", kind, KINDS)
    n_channels = check_integer("n_channels", n_channels, min_val=1)
    rng = check_seed(random_state)
    fixed = {
        "singles": n_channels,
        "pairs": math.comb(n_channels, 2),
        "singles+pairs": n_channels + math.comb(n_channels, 2),
    }.get(kind)
    if n_filters is not None:
        n_filters = check_integer("n_filters", n_filters, min_val=1)
    elif fixed is None:
        raise TypeError(f"n_filters must be an integer for kind={kind!r}, got None.")
    least = {"pairs": 2, "random-pairs": 2, "random-triples": 3}.get(kind, 1)
    if n_channels < least:
        raise ValueError(
            f"kind={kind!r} needs n_channels of at least {least}, got {n_channels}; "
            'use "auto" or "full".'
        )
    if fixed is not None and n_filters not in (None, fixed):
        raise ValueError(
            f"n_filters must be {fixed} for kind={kind!r} of n_channels={n_channels}, got "
            f'{n_filters}. "auto", "random-pairs", "random-triples" and "full" take any number.'
        )
    n_filters = fixed or n_filters
    if kind == "full":
        return np.ones((n_filters, n_channels), dtype=bool)
    subsets = _subsets(kind, n_channels, n_filters, rng)
    connectivity = np.zeros((n_filters, n_channels), dtype=bool)
    for row, subset in zip(connectivity, subsets, strict=True):
        row[list(subset)] = True
    return connectivity


def _subsets(kind, n_channels, n_filters, rng):
    """Channels of each filter."""
    if kind.startswith("random"):
        return _random_subsets(n_channels, 2 if kind == "random-pairs" else 3, n_filters, rng)
    subsets = [] if kind == "pairs" else [(channel,) for channel in range(n_channels)]
    if kind != "auto":
        return subsets + ([] if kind == "singles" else [*combinations(range(n_channels), 2)])
    n_pairs = min(math.comb(n_channels, 2), max(0, n_filters - n_channels))
    subsets += _random_subsets(n_channels, 2, n_pairs, rng)
    missing = max(0, n_filters - len(subsets))
    subsets += _random_subsets(n_channels, min(3, n_channels), missing, rng)
    return subsets[:n_filters]


def _random_subsets(n_channels, size, n_subsets, rng):
    """Subsets in random order; the numbers of their occurrences differ by at most one."""
    total = math.comb(n_channels, size)
    if not min(total, n_subsets):
        return []
    if total > max(_LISTED, 2 * n_subsets):
        chosen = {}
        while len(chosen) < n_subsets:
            chosen[tuple(sorted(rng.choice(n_channels, size, replace=False)))] = None
        return list(chosen)
    listed = list(combinations(range(n_channels), size))
    rounds = -(-n_subsets // total)
    return [listed[i] for _ in range(rounds) for i in rng.permutation(total)][:n_subsets]
