"""Checkpoints of a fit: when they are written, and which fits can resume from them."""

from __future__ import annotations

import glob
import os
import reprlib
import time
from contextlib import suppress
from pathlib import Path

import joblib
import numpy as np
import scipy
import sklearn
from sklearn.base import BaseEstimator

from skdeconv._utils.parameters import thawed
from skdeconv._utils.persistence import current_version
from skdeconv._utils.validation import check_flag, check_path
from skdeconv.inference import Solver
from skdeconv.learning._archive import read_archive, write_archive

# Minimum time in seconds between two checkpoints within a pass.
_SECONDS = 30
# Images are identified by their sizes and a hash of about this many pixels, but of at least this
# many images.
_HASHED_PIXELS, _HASHED_IMAGES = 2**24, 16
# Parameters that do not change the result.
_IRRELEVANT = {"n_jobs", "verbose", "checkpoint"}


class Checkpoint:
    """File with the state of a fit, from which the same fit resumes if it was interrupted.

    Parameters
    ----------
    estimator : estimator
        Estimator with the parameter ``checkpoint``; nothing is written if it is None.
    images : Collection
        Images on which it is fitted.

    Attributes
    ----------
    layers : dict
        Values and arrays of the layers of a net that have been learned.

    Raises
    ------
    TypeError, ValueError
        If the path is invalid, or the file is not a checkpoint or belongs to another fit.
    """

    def __init__(self, estimator, images):
        self._path = check_path("checkpoint", estimator.checkpoint)
        self.layers, self._state = {}, None
        if self._path is None:
            return
        self._identity = _identity(estimator, images)
        self._written, self._stamp = time.monotonic(), self._stamp_of_file()
        # If the path is a symbolic link, its target is written.
        self._target = Path(os.path.realpath(self._path))
        temporary = f"{glob.escape(self._target.name)}.{16 * '[0-9a-f]'}.tmp"
        self._leftovers = list(self._target.parent.glob(temporary))
        if self._stamp is not None:
            content = read_archive(self._path)
            self._require_same_fit(content.get("identity", {}))
            self.layers, self._state = content["layers"], content["state"]

    def _require_same_fit(self, identity):
        for name, now in self._identity.items():
            if identity.get(name) != now:
                raise ValueError(
                    f"checkpoint={str(self._path)!r} belongs to another fit: {name} was "
                    f"{reprlib.repr(identity.get(name))}, but is now {reprlib.repr(now)}. Restore "
                    "it, delete the file, or choose another path."
                )

    def _stamp_of_file(self):
        """Values that change with each write, whoever writes; None without a file."""
        with suppress(FileNotFoundError):
            status = os.stat(self._path)
            return status.st_ino, status.st_mtime_ns, status.st_size

    @property
    def is_resumed(self) -> bool:
        """Whether there is a state from which to resume."""
        return self._state is not None

    def resume(self, learner) -> list[float]:
        """Restore the learner of the layer that was interrupted, once.

        Returns
        -------
        costs : list of float
            Costs of the passes that were completed; empty without a state.
        """
        if self._state is None:
            return []
        state, self._state = self._state, None
        learner.restore(state["learner"])
        return state["costs"]

    def save(self, learner, costs: list[float], *, at_once: bool = False) -> None:
        """Write the state of a learner, unless this was done recently."""
        if self._path is None or not (at_once or time.monotonic() - self._written >= _SECONDS):
            return
        if self._stamp_of_file() not in (None, self._stamp):
            raise ValueError(
                f"checkpoint={str(self._path)!r} was written by another fit while this one was "
                "running: use a different path for each fit."
            )
        state = {"learner": learner.state(), "costs": costs}
        content = {"identity": self._identity, "layers": self.layers, "state": state}
        write_archive(self._path, content)
        self._written, self._stamp = time.monotonic(), self._stamp_of_file()

    def finish(self) -> None:
        """Remove the file of a completed fit, and temporary files of killed processes."""
        if self._path is None:
            return
        # A file that cannot be removed is no reason to lose the fit.
        with suppress(OSError):
            for one in self._leftovers:
                one.unlink(missing_ok=True)
            if self._stamp is not None and self._stamp_of_file() == self._stamp:
                self._target.unlink()


def _identity(estimator, images):
    """Everything that must be unchanged for a fit to resume, by its name in messages."""
    modules = joblib, np, scipy, sklearn
    parameters = estimator.get_params(deep=False).items()
    before = estimator if check_flag("warm_start", estimator.warm_start) else None
    number = max(_HASHED_IMAGES, _HASHED_PIXELS * len(images) // images.n_pixels)
    hashed = np.unique(np.linspace(0, len(images) - 1, number).astype(int))
    # Versions come first, since versions of skdeconv may differ in their parameters.
    return {
        "version of skdeconv": current_version(),
        **{f"version of {module.__name__}": module.__version__ for module in modules},
        "type of the estimator": type(estimator).__name__,
        **{f"parameter {name}": _plain(one) for name, one in parameters if name not in _IRRELEVANT},
        "previous fit, continued by warm_start=True,": _plain(before),
        "number of images": len(images),
        "number of channels": images.n_channels,
        "type of the images": images.dtype.name,
        "hash of the sizes": _hash(images.sizes),
        "hash of the images": joblib.hash([_hash(images.stack([i])) for i in hashed]),
    }


def _plain(value):
    """Convert a parameter to JSON values that can be compared, and shown in messages."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, np.random.RandomState):
        return joblib.hash(value.get_state(legacy=False))
    if isinstance(value, BaseEstimator):
        value = thawed(value)
        if isinstance(value, Solver):
            known = value.get_params()
        else:
            layers = getattr(value, "layers_", [value])
            known = {"filters": [getattr(layer, "filters_", None) for layer in layers]}
            known["factors"] = getattr(value, "factors_", None)
        return [type(value).__name__, {name: _plain(one) for name, one in known.items()}]
    array = np.asarray(value)
    if not array.dtype.hasobject:
        return _hash(array)
    # No fit accepts single objects; they only have to appear in a message.
    return _plain(array.tolist()) if array.ndim else type(value).__name__


def _hash(array):
    """Hash of the values, dtype and shape of an array, whatever its strides."""
    return joblib.hash(np.array(array, order="C"))
