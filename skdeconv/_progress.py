"""Where an interrupted fit left off: what it was for, when it is written, when it may go on."""

from __future__ import annotations

import os
import reprlib
import time
from collections.abc import Callable
from contextlib import suppress

import joblib
import numpy as np
import scipy
import sklearn
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator

from skdeconv._checkpoint import (
    check_checkpoint,
    fingerprint,
    leftovers,
    read_checkpoint,
    state_of,
    write_checkpoint,
)
from skdeconv._persistence import current_version
from skdeconv._validation import check_flag

# Within a pass a checkpoint is written at most this often.
_SECONDS = 30
# Pixels whose bytes tell whether the data are the same, of this many images at least.
_SAMPLED_PIXELS, _SAMPLED = 2**24, 16
# They change nothing of the result.
_IRRELEVANT = {"n_jobs", "verbose", "checkpoint"}


class Progress:
    """The checkpoint of one fit.

    Parameters
    ----------
    estimator : estimator
        With the parameter ``checkpoint``.
    images : Collection
        What it is fitted on.

    Attributes
    ----------
    below : dict of str to ndarray, and below_meta : dict
        What each checkpoint holds besides the state of the layer that is being learned: of a net
        the layers that are done.

    Raises
    ------
    TypeError, ValueError
        If the path is none, or the file there is no checkpoint, or one of another fit.
    """

    def __init__(self, estimator, images):
        self._path = check_checkpoint(estimator.checkpoint)
        self.below, self.below_meta, self._state = {}, {}, None
        if self._path is None:
            return
        self._identity = _identity(estimator, images)
        self._written, self._stamp = time.monotonic(), self._stamp_of_file()
        self._leftovers = leftovers(self._path)
        if self._stamp is not None:
            meta, arrays = read_checkpoint(self._path)
            self._require_same(meta.get("identity", {}))
            self.below_meta = meta["below"]
            self.below = _without_prefix(arrays, "below.")
            self._state = meta["state"], _without_prefix(arrays, "state.")

    def _require_same(self, found):
        for part, now in self._identity.items():
            before = found.get(part, {})
            for name in now | before:
                if now.get(name) != before.get(name):
                    raise ValueError(
                        f"checkpoint={str(self._path)!r} belongs to another fit: {part} {name} was "
                        f"{reprlib.repr(before.get(name))}, and is {reprlib.repr(now.get(name))} "
                        "now. Go on with what it was, delete the file, or choose another path."
                    )

    def _stamp_of_file(self):
        """What is another after each write, whoever wrote; None without a file."""
        try:
            status = os.stat(self._path)
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    @property
    def is_under_way(self) -> bool:
        """Whether there is a state to go on from."""
        return self._state is not None

    def take(self) -> tuple[dict, dict] | None:
        """Values and arrays of the layer that was being learned, once; None without."""
        state, self._state = self._state, None
        return state

    def save(self, state: Callable[[], tuple[dict, dict]], *, at_once: bool = False) -> None:
        """Write what ``state`` gives, values and arrays, unless that was done a moment ago."""
        if self._path is None or not (at_once or time.monotonic() - self._written >= _SECONDS):
            return
        if self._stamp_of_file() not in (None, self._stamp):
            raise ValueError(
                f"checkpoint={str(self._path)!r} was written by another fit while this one was "
                "under way: give each fit a path of its own."
            )
        meta, arrays = state()
        meta = {"identity": self._identity, "below": self.below_meta, "state": meta}
        arrays = {f"below.{name}": array for name, array in self.below.items()} | {
            f"state.{name}": array for name, array in arrays.items()
        }
        write_checkpoint(self._path, meta, arrays)
        self._written, self._stamp = time.monotonic(), self._stamp_of_file()

    def finish(self) -> None:
        """Remove the file of a fit that has come to its end, and what killed ones left beside."""
        if self._path is None:
            return
        # A file that stays is no reason to lose the fit.
        with suppress(OSError):
            for one in self._leftovers:
                one.unlink(missing_ok=True)
            if self._stamp is not None and self._stamp_of_file() == self._stamp:
                # The file itself where the path is a link, as it is the one that was written.
                os.unlink(os.path.realpath(self._path))


def _identity(estimator, images):
    """What must be the same for a fit to go on, as plain values."""
    parameters = estimator.get_params(deep=False).items()
    before = estimator if check_flag("warm_start", estimator.warm_start) else None
    number = max(_SAMPLED, _SAMPLED_PIXELS * len(images) // images.n_pixels)
    sampled = np.unique(np.linspace(0, len(images) - 1, number).astype(int))
    # Versions first: those of skdeconv differ in their parameters.
    return {
        "version of": {"skdeconv": current_version()}
        | {module.__name__: module.__version__ for module in (joblib, np, scipy, sklearn)},
        "type": {"of the estimator": type(estimator).__name__},
        "parameter": {name: _plain(one) for name, one in parameters if name not in _IRRELEVANT},
        "fit before": {"that warm_start=True begins with": _plain(before)},
        "data": {
            "number of images": len(images),
            "number of channels": images.n_channels,
            "type": images.dtype.name,
            "sizes": fingerprint([images.sizes]),
            "sample": fingerprint(images.stack(np.array([i])) for i in sampled),
        },
    }


def _plain(value):
    """A parameter as JSON can hold and compare it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.random.RandomState):
        return fingerprint([], state_of(value))
    while isinstance(value, FrozenEstimator):
        value = value.estimator
    if isinstance(value, BaseEstimator):
        layers = getattr(value, "layers_", [value])
        learned = [getattr(layer, "filters_", None) for layer in layers]
        return [type(value).__name__, *map(_plain, learned), _plain(getattr(value, "factors_", 1))]
    value = np.asarray(value)
    if value.dtype.hasobject:
        # Of what is no array but the type is known, and that no fit will take it.
        return _plain(value.tolist()) if value.ndim else type(value.item()).__name__
    return fingerprint([value])


def _without_prefix(arrays, prefix):
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
