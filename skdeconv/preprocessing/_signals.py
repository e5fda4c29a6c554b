"""Conversion of signals from the layouts of time-series packages to images of height 1."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from skdeconv._utils.transformer import Transformer
from skdeconv._utils.validation import check_in
from skdeconv._utils.warnings import warn
from skdeconv.layouts import check_unpaired

_UNCHECKED = {
    "ensure_2d": False,
    "allow_nd": True,
    "ensure_all_finite": False,
    "ensure_min_samples": 0,
    "ensure_min_features": 0,
}
# Signals of fewer samples, and of this many times as many channels, are taken to be transposed.
_FEW_SAMPLES, _MANY_TIMES = 20, 10


def as_signals(X: ArrayLike, *, channels: str | None = None) -> np.ndarray | list[np.ndarray]:
    """Convert signals in any layout to images of height 1, which all estimators accept.

    Parameters
    ----------
    X : array-like, DataFrame or sequence of array-like
        The signals, real numbers:

        - one dimension: one signal of one channel;
        - two dimensions, such as a DataFrame: with ``channels=None`` one signal of one channel per
          row; with ``channels="first"`` or "last" one recording of several channels, of shape
          (n_channels, length) or (length, n_channels);
        - three dimensions: recordings of several channels, of shape (n_samples, n_channels, length)
          or (n_samples, length, n_channels); requires ``channels``;
        - list, tuple, object array, Series or other sequence of one-dimensional arrays: one signal
          of one channel per array, for any ``channels``;
        - such a sequence of two-dimensional arrays or DataFrames: recordings of several channels,
          as above; requires ``channels``. All must have the same number of channels.

        The arrays of a sequence may differ in length. NaN and masked values are missing.
    channels : {"first", "last"} or None, default=None
        Position of the channels before or after the samples.

    Returns
    -------
    images : ndarray of shape (n_samples, 1, length, n_channels), or list of ndarray of shape \
            (1, length, n_channels)
        The signals, float32 if they were, float64 otherwise. A list only if lengths differ. The
        values are not copied unless the dtype changes, values are masked or a sequence is stacked.

    Raises
    ------
    TypeError
        If ``channels`` is not a string, or X is sparse.
    ValueError
        If ``channels`` is another string, or missing although X has three dimensions or holds
        arrays of two; or if X is a scalar, has more than three dimensions, is empty, or holds
        complex numbers, text, or recordings of different numbers of channels.

    Warns
    -----
    UserWarning
        If there are fewer than 20 samples and more than 10 times as many channels, so that
        ``channels`` is probably wrong.

    See Also
    --------
    AsSignals : The same as a transformer.

    Notes
    -----
    ``images[:, 0]`` has the shape (n_samples, length, n_channels), and ``images[:, 0].swapaxes(1,
    2)`` the shape (n_samples, n_channels, length). This also converts what ``inverse_transform`` of
    an estimator returns.

    A sequence that reads from files on access is read as a whole. Infinite values, and signals of
    which all values are missing, raise an error in the estimators.

    Examples
    --------
    >>> import numpy as np
    >>> from skdeconv.preprocessing import as_signals
    >>> as_signals(np.zeros(5000)).shape
    (1, 1, 5000, 1)
    >>> as_signals(np.zeros((20, 300))).shape
    (20, 1, 300, 1)
    >>> as_signals(np.zeros((20, 12, 300)), channels="first").shape
    (20, 1, 300, 12)
    >>> recordings = [np.zeros((300, 2)), np.zeros((450, 2))]
    >>> [image.shape for image in as_signals(recordings, channels="last")]
    [(1, 300, 2), (1, 450, 2)]
    """
    images = _read(X, channels)
    length, _ = _sizes(images, channels)
    if not isinstance(images, list) or length is None:
        return images
    return images[0][None] if len(images) == 1 else np.stack(images)


class AsSignals(Transformer, BaseEstimator):
    """Convert signals in any layout to images of height 1, as first step of a pipeline.

    Parameters
    ----------
    channels : {"first", "last"} or None, default=None
        Position of the channels before or after the samples, as in :func:`as_signals`.

    Attributes
    ----------
    image_shape_ : tuple of int
        (1, length, n_channels) of the signals seen in ``fit``; the length is None if it differs
        between them.

    See Also
    --------
    as_signals : The same as a function, with a description of all layouts.

    Notes
    -----
    ``transform`` does not depend on ``fit``, which records the shape of the signals for
    ``get_feature_names_out``.

    Sequences of recordings are converted to lists even if all lengths are equal, which differs from
    :func:`as_signals`. An estimator that was fitted on a list accepts signals of other lengths
    later, for example in the next fold of a cross-validation.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.features import SpatialPyramid
    >>> from skdeconv.preprocessing import AsSignals
    >>> X = np.random.default_rng(0).standard_normal((20, 2, 60))
    >>> y = np.arange(20) % 2
    >>> X[y == 1, 1] = X[y == 1, 0]
    >>> model = make_pipeline(
    ...     AsSignals(channels="first"),
    ...     DeconvNetLayer(4, 9, output="maps", max_iter=2, random_state=0),
    ...     SpatialPyramid(levels=(1, 2)),
    ...     LinearSVC(),
    ... )
    >>> model.fit(X, y).predict(X).shape
    (20,)
    >>> model[:2].inverse_transform(model[:2].transform(X)).shape
    (20, 2, 60)
    """

    def __init__(self, channels: str | None = None):
        self.channels = channels

    def fit(self, X: ArrayLike, y=None) -> Self:
        """Check the signals and record their shape.

        Parameters
        ----------
        X : array-like, DataFrame or sequence of array-like
            The signals, as in :func:`as_signals`.
        y : None
            Ignored.

        Returns
        -------
        self : AsSignals
            The fitted transformer.

        Raises
        ------
        TypeError, ValueError
            As :func:`as_signals`.

        Warns
        -----
        UserWarning
            As :func:`as_signals`.
        """
        self.image_shape_ = (1, *_sizes(_read(X, self.channels), self.channels))
        return self

    def transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Convert signals to images.

        Parameters
        ----------
        X : array-like, DataFrame or sequence of array-like
            The signals, as in :func:`as_signals`.

        Returns
        -------
        images : ndarray of shape (n_samples, 1, length, n_channels), or list of ndarray of shape \
                (1, length, n_channels)
            The signals, float64 or float32; a list if X is a sequence of recordings.

        Raises
        ------
        TypeError, ValueError
            As :func:`as_signals`.
        """
        return _read(X, self.channels)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray | list[np.ndarray]:
        """Convert images of height 1 to signals.

        Parameters
        ----------
        X : ndarray of shape (n_samples, 1, length, n_channels), or list of ndarray of shape \
                (1, length, n_channels)
            The images, such as those that ``inverse_transform`` of the next step returns.

        Returns
        -------
        signals : ndarray or list of ndarray
            Of shape (n_samples, n_channels, length) if ``channels="first"``, (n_samples, length,
            n_channels) if "last", and (n_samples, length) if None; a list of such arrays without
            the first axis if X is a list.

        Raises
        ------
        TypeError
            If ``channels`` is neither a string nor None.
        ValueError
            If ``channels`` is another string, X does not hold images of height 1, or has several
            channels although ``channels=None``.
        """
        _check_channels(self.channels)
        if isinstance(X, list | tuple):
            return [self._signals_of(np.asarray(image)[None])[0] for image in X]
        return self._signals_of(np.asarray(X))

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Names of the values of one signal: ``x7`` is sample 7, ``x7_c1`` its second channel.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        names : ndarray of object of shape (length * n_channels,)
            The names; without channels if there is one channel only.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If ``fit`` has seen signals of different lengths.
        """
        check_is_fitted(self, "image_shape_")
        _, length, n_channels = self.image_shape_
        if length is None:
            raise ValueError("Signals of different lengths have no common names of samples.")
        of_channel = [""] if n_channels == 1 else [f"_c{c}" for c in range(n_channels)]
        names = [f"x{i}{channel}" for i in range(length) for channel in of_channel]
        return np.array(names, dtype=object)

    def __sklearn_tags__(self):
        """Missing values are accepted; there is no state; the dtype is preserved."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        # Signals may have another length than in fit.
        tags.no_validation = True
        tags.input_tags.three_d_array = self.channels is not None
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _signals_of(self, images):
        """Convert a stack of images (n_samples, 1, length, n_channels)."""
        if images.ndim != 4 or images.shape[1] != 1:
            raise ValueError(
                "X must hold images of shape (1, length, n_channels), as a stack or a list; got "
                f"shape {images.shape[1:]}."
            )
        if self.channels is None and images.shape[3] != 1:
            raise ValueError(
                f"channels=None is for signals of one channel, but X has {images.shape[3]}. Set "
                'channels="first" or channels="last".'
            )
        signals = images[:, 0]
        if self.channels is None:
            return signals[:, :, 0]
        return signals.swapaxes(1, 2) if self.channels == "first" else signals


def _check_channels(channels):
    check_in("channels", channels, ("first", "last", None))


def _read(X, channels):
    """Images of height 1: a stack, or a list if X is a sequence of recordings."""
    _check_channels(channels)
    X = _opened(X)
    if isinstance(X, list) and X:
        check_unpaired(X[0], 0)
    if not isinstance(X, list) or not X or _array(X[0], "X[0]").ndim == 0:
        return _stack(_numbers(X, "X"), channels, "X")
    recordings = [_numbers(one, f"X[{i}]") for i, one in enumerate(X)]
    images = []
    for i, one in enumerate(recordings):
        _check_recording(one, recordings[0], channels, i)
        images.append(_stack(one, channels, f"X[{i}]")[0])
        if images[i].shape[2] != images[0].shape[2]:
            raise ValueError(
                f"X[0] has {images[0].shape[2]} channels, but X[{i}] has {images[i].shape[2]}. All "
                "recordings must have the same number of channels; check that "
                f"channels={channels!r} is their position."
            )
    return images


def _opened(X):
    """List of the elements if X is a sequence of scalars or arrays; otherwise an array or frame."""
    if isinstance(X, list | tuple):
        return list(X)
    if issparse(X) or isinstance(X, str | bytes | Mapping):
        return X
    if not hasattr(X, "__array__") and hasattr(X, "__len__") and hasattr(X, "__getitem__"):
        return [X[i] for i in range(len(X))]
    # Masks, and the missing values of data frames, are read later.
    if not isinstance(X, np.ma.MaskedArray) and not hasattr(X, "iloc"):
        X = np.asarray(X)
    elements = np.asarray(X)
    return list(elements) if elements.dtype == object and elements.ndim == 1 else X


def _array(X, name):
    try:
        return np.asarray(X)
    except ValueError as error:
        raise ValueError(
            f"{name} mixes numbers and arrays, or arrays of different lengths: {error}"
        ) from error


def _numbers(X, name):
    """Array of float32 or float64, with NaN for masked values; a view if possible."""
    if issparse(X):
        raise TypeError(f"{name} is sparse, but signals are dense: pass {name}.toarray().")
    array = _array(X, name)
    if array.ndim == 0:
        raise ValueError(
            f"{name} must be a signal or several, as an array of one to three dimensions or a list "
            f"of such signals; got {reprlib.repr(array.item())}."
        )
    if array.dtype.kind == "O":
        try:
            # It also converts the missing values of data frames.
            array = check_array(X, dtype=np.float64, input_name=name, **_UNCHECKED)
        except (OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"{name} must hold real numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        is_complex = array.dtype.kind == "c"
        advice = "pass both parts as channels" if is_complex else "leave text and dates out"
        raise ValueError(f"{name} must hold real numbers, got {array.dtype}; {advice}.")
    if array.size == 0:
        raise ValueError(
            f"{name} is empty, of shape {array.shape}; a signal has at least one sample. Leave "
            "empty signals out."
        )
    is_single = array.dtype.kind == "f" and array.dtype.itemsize == 4
    array = array.astype(np.float32 if is_single else np.float64, copy=False)
    return np.where(X.mask, np.nan, array) if np.ma.is_masked(X) else array


def _stack(array, channels, name):
    """View of an array of one to three dimensions as images (n_samples, 1, length, n_channels)."""
    if array.ndim > 3:
        raise ValueError(
            f"{name} has {array.ndim} dimensions, shape {array.shape}; signals have at most three, "
            '(n_samples, n_channels, length) with channels="first" or (n_samples, length, '
            'n_channels) with channels="last". Images need no conversion.'
        )
    if array.ndim == 1:
        return array[None, None, :, None]
    if channels is None:
        if array.ndim == 3:
            raise ValueError(_choice(f"X has three dimensions, shape {array.shape}", "n_samples, "))
        return array[:, None, :, None]
    array = array.swapaxes(-1, -2) if channels == "first" else array
    return array[None, None] if array.ndim == 2 else array[:, None]


def _check_recording(array, first, channels, i):
    """Check the dimensions of an element of a sequence, and those of the first element."""
    if array.ndim != first.ndim:
        raise ValueError(
            f"X[0] has shape {first.shape}, but X[{i}] {array.shape}. All recordings must have the "
            "same number of dimensions."
        )
    if array.ndim > 2:
        raise ValueError(
            f"X is a sequence of arrays, of which X[{i}] has shape {array.shape}; a recording has "
            "one dimension, or two with channels. Images need no conversion."
        )
    if array.ndim == 2 and channels is None:
        raise ValueError(_choice(f"X[{i}] has two dimensions, shape {array.shape}"))


def _choice(what, samples=""):
    return (
        f'{what}, and channels is None. Pass channels="first" for ({samples}n_channels, length), '
        f'or channels="last" for ({samples}length, n_channels).'
    )


def _sizes(images, channels):
    """Length of the signals, None if it differs, and their number of channels.

    Warns if both are probably mistaken for each other.
    """
    lengths, n_channels = {image.shape[1] for image in images}, images[0].shape[2]
    longest = max(lengths)
    if channels and longest < _FEW_SAMPLES and n_channels > _MANY_TIMES * longest:
        other = "last" if channels == "first" else "first"
        warn(
            f'channels="{channels}" reads X as signals of {n_channels} channels and {longest} '
            f"samples. If these are {longest} channels and {n_channels} samples, pass "
            f'channels="{other}".',
            UserWarning,
        )
    return (longest if len(lengths) == 1 else None), n_channels
