"""Restoring an estimator when a method fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def restored_on_failure(estimator) -> Iterator[None]:
    """Restore the attributes of an estimator if the block raises, including KeyboardInterrupt.

    After a failed refit the estimator would otherwise not accept the data of the old fit, because
    scikit-learn's ``validate_data`` sets ``n_features_in_`` first. The snapshot is shallow: inside
    the block attributes may be replaced, but not changed in place. Only the state of a generator
    passed as ``random_state`` is restored, too.

    Parameters
    ----------
    estimator : object
        Any object with a ``__dict__``.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> layer = SimpleNamespace(n_features_in_=64)
    >>> try:
    ...     with restored_on_failure(layer):
    ...         layer.n_features_in_ = 3
    ...         raise KeyboardInterrupt
    ... except KeyboardInterrupt:
    ...     layer.n_features_in_
    64
    """
    snapshot = vars(estimator).copy()
    generator = snapshot.get("random_state")
    state = generator.get_state() if isinstance(generator, np.random.RandomState) else None
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(snapshot)
        if state is not None:
            generator.set_state(state)
        raise
