"""A hierarchy of deconvolutional layers, whose top explains the pixels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from skdeconv._callbacks import CallbackSupportMixin, with_callbacks
from skdeconv._images import check_image_shape, check_images
from skdeconv._layer_codes import LayerCodes
from skdeconv._layers import (
    kept_layers,
    make_layers,
    next_images,
    not_zero,
    prepare_layers,
    record_layers,
    resume_layers,
)
from skdeconv._low_frequency import LowFrequency
from skdeconv._parameters import check_coding
from skdeconv._partial_fit import PartialFit, learn_from_batch
from skdeconv._progress import Progress
from skdeconv._projections import Projections
from skdeconv._stack import Stack
from skdeconv._transformer import MapsTransformer
from skdeconv._validation import check_seed, restored_on_failure
from skdeconv.exceptions import ZeroMapsWarning


class HierarchicalDeconvNet(
    CallbackSupportMixin,
    PartialFit,
    LowFrequency,
    LayerCodes,
    Projections,
    MapsTransformer,
    BaseEstimator,
):
    r"""Layers of convolutional sparse coding, each learned from the maps of the one below.

    The first layer is a :class:`skdeconv.DeconvNetLayer` for the images. The images of layer l
    are the maps of layer l - 1, divided by one number, the root mean square of their non-zero
    coefficients; the number is remembered and multiplied back wherever maps are drawn. Seen from
    the top, the layers :math:`F_1 \cdots F_l` are one linear map, and ``transform`` infers the maps
    z of the top layer that explain the pixels y through all of them,

    .. math:: \frac{\lambda_l}{2 s^2} \| F_1 \cdots F_l s z - y \|^2 + \sum |z|^p,

    with s the product of the factors: an extension of equation 10 of [1]_.

    Every parameter that is marked "per layer" is one value for all layers, or a tuple of one value
    for each, the lowest first.

    Parameters
    ----------
    n_filters : tuple of int, default=(9, 45)
        Number of filters in each layer, the lowest first. Its length is the number of layers.
    filter_size : int or (int, int), per layer, default=7
        Height and width of the filters. A tuple always runs over the layers: rectangular filters of
        two layers are ``((7, 5), (5, 5))``.
    lam : float, per layer, default=1.0
        Weight of the squared error, above 0. Larger: better reconstruction, less sparse maps. Above
        the first layer its scale does not depend on that of the images.
    p : float, per layer, default=1.0
        Exponent of the sparsity term, 0 < p <= 1.
    positive : bool, per layer, default=False
        Whether maps are non-negative.
    connectivity : str or array of bool, per layer, default="auto"
        Which filter sees which map of the layer below, as a kind of
        :func:`skdeconv.make_connectivity` or an array of shape (n_filters, n_channels). The first
        layer under "auto" is full.
    inference : {"joint", "greedy", "alternating"}, default="joint"
        How ``transform`` infers the top maps: from the pixels through all layers, starting from the
        greedy ones; from the maps of the layer below; or by turns from both, the algorithm of [1]_,
        by its own half-quadratic solver. Learning is greedy.
    low_frequency : bool, default=False
        Whether a smooth map per channel draws brightness and shading of raw photos, as in
        :class:`skdeconv.DeconvNetLayer`; it belongs to the first layer.
    smoothness : float, default=1.0
        Weight of the squared gradient of the smooth maps, relative to the squared error.
    lower : fitted DeconvNetLayer or HierarchicalDeconvNet, default=None
        The lowest layers, ready made: ``n_filters`` begins with theirs, and only the layers above
        are learned. It gives the filters with their connectivity, and the factors; all else are
        this net's parameters. With ``warm_start`` the layers of the fit before take its place.
        ``clone`` would unfit it: inside a search, wrap it in ``sklearn.frozen.FrozenEstimator``.
    image_shape, output, sparse_output : tuple of int, str, bool
        As in :class:`skdeconv.DeconvNetLayer`.
    solver, inference_tol, inference_max_iter : str, float, int, per layer
        As in :class:`skdeconv.DeconvNetLayer`.
    beta_min, beta_factor, beta_max, beta_repeats, cg_max_iter : float or int, per layer
        As in :class:`skdeconv.DeconvNetLayer`; "alternating" uses them for every layer above the
        first.
    max_iter, tol, batch_size, forgetting, keep_maps, init : per layer
        As in :class:`skdeconv.DeconvNetLayer`.
    warm_start : bool, default=False
        Whether ``fit`` starts from the fit before. With a longer ``n_filters`` it keeps the layers
        that are there and learns the new ones; with the same it goes on with all of them. Filters
        keep their connectivity.
    checkpoint : str or path, default=None
        As in :class:`skdeconv.DeconvNetLayer`: one file for all layers.
    n_jobs : int, default=None
        Number of joblib workers that code images. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        For the connectivity, the first filters, the order of the images and the redraw of filters.
    verbose : int, default=0
        Above 0 prints a line for each pass.

    Attributes
    ----------
    layers_ : list of DeconvNetLayer
        The fitted layers, each usable alone.
    factors_ : ndarray of shape (n_layers,)
        What the images of each layer are divided by; 1 for the first.
    n_iter_ : int
        Number of passes, of all layers together.
    image_shape_ : tuple of int
        Shape of one image as seen in ``fit``; None for height and width where they differ.
    n_features_in_ : int
        Number of features of a row; absent after a fit on a list of images.
    feature_names_in_ : ndarray of str
        Column names seen in ``fit``, where there were any.

    See Also
    --------
    skdeconv.make_connectivity : The kinds of connectivity.
    skdeconv.display.HierarchyDisplay : All layers in one figure.

    References
    ----------
    .. [1] M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010.

    Examples
    --------
    >>> from skdeconv import HierarchicalDeconvNet
    >>> from skdeconv.datasets import make_sparse_images
    >>> images = make_sparse_images(20, (16, 16), n_filters=3, filter_size=5, random_state=0).images
    >>> net = HierarchicalDeconvNet((3, 6), 5, lam=10.0, random_state=0).fit(images)
    >>> net.transform(images).shape
    (20, 3456)
    >>> net.project_filters().shape
    (6, 9, 9, 1)
    """

    _first_is_fit = True

    def __init__(
        self,
        n_filters: Sequence[int] = (9, 45),
        filter_size: int | tuple = 7,
        *,
        lam: float | tuple = 1.0,
        p: float | tuple = 1.0,
        positive: bool | tuple = False,
        connectivity: str | tuple = "auto",
        inference: str = "joint",
        low_frequency: bool = False,
        smoothness: float = 1.0,
        lower=None,
        image_shape: tuple[int, ...] | None = None,
        output: str = "rows",
        sparse_output: bool = False,
        solver: str | tuple = "coordinate_descent",
        inference_tol: float | tuple = 1e-3,
        inference_max_iter: int | tuple = 50,
        beta_min: float | tuple = 1.0,
        beta_factor: float | tuple = 6.0,
        beta_max: float | tuple = 1e5,
        beta_repeats: int | tuple = 1,
        cg_max_iter: int | tuple = 2,
        max_iter: int | tuple = 20,
        tol: float | tuple = 1e-4,
        batch_size: int | str | tuple | None = "auto",
        forgetting: float | tuple = 100.0,
        keep_maps: bool | tuple = True,
        init: tuple | None = None,
        warm_start: bool = False,
        checkpoint=None,
        n_jobs: int | None = None,
        random_state=None,
        verbose: int = 0,
    ):
        self.n_filters = n_filters
        self.filter_size = filter_size
        self.lam = lam
        self.p = p
        self.positive = positive
        self.connectivity = connectivity
        self.inference = inference
        self.low_frequency = low_frequency
        self.smoothness = smoothness
        self.lower = lower
        self.image_shape = image_shape
        self.output = output
        self.sparse_output = sparse_output
        self.solver = solver
        self.inference_tol = inference_tol
        self.inference_max_iter = inference_max_iter
        self.beta_min = beta_min
        self.beta_factor = beta_factor
        self.beta_max = beta_max
        self.beta_repeats = beta_repeats
        self.cg_max_iter = cg_max_iter
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.forgetting = forgetting
        self.keep_maps = keep_maps
        self.init = init
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y=None) -> HierarchicalDeconvNet:
        """Learn the layers from images, the lowest first.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images in any layout that :meth:`skdeconv.DeconvNetLayer.fit` takes.
        y : None
            Ignored.

        Returns
        -------
        self : HierarchicalDeconvNet
            The fitted net. Where ``fit`` fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, does not fit the images or the layer below, or is a
            tuple of another length than ``n_filters``; or X is infinite. All is checked before
            the first layer is learned.
        """
        with restored_on_failure(self):
            self._check_coding()
            image_shape = check_image_shape(self.image_shape)
            images, layout, shape = check_images(self, X, image_shape=image_shape, reset=True)
            progress = Progress(self, images)
            self._fit(images, layout, shape, progress, X, y)
            progress.finish()
        return self

    @with_callbacks
    def _fit(self, images, layout, shape, progress, X, y):
        fitted = {"image_shape_": shape, "_layout": layout}
        random_state, layers = check_seed(self.random_state), make_layers(self)
        kept, factors = kept_layers(self, layers)
        prepare_layers(layers, kept, images, random_state)
        first = len(kept) if len(kept) < len(layers) else 0
        if progress.is_under_way:
            first, factors = resume_layers(layers, progress)
        context = self._init_callback_context(max_subtasks=len(layers) - first)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        pixels = images
        for index, layer in enumerate(layers):
            if index:
                images = next_images(layers[index - 1], images, factors, index)
                layout = "list" if layout == "list" else "stack"
                shape = (*(images.size or (None, None)), images.n_channels)
            if index >= first:
                if index and not images.maps.nnz and not_zero(pixels):
                    warnings.warn(
                        f"All maps of layer {index} are zero, and the layers above have nothing to "
                        f"learn from: their filters stay random. Raise lam of layer {index}.",
                        ZeroMapsWarning,
                        stacklevel=4,
                    )
                step = context.subcontext(task_name="layer")
                step.call_on_fit_task_begin(estimator=self, X=X, y=y)
                if layer.verbose:
                    print(f"[HierarchicalDeconvNet] layer {index + 1}/{len(layers)}")
                record_layers(layers, index, factors, progress)
                with step.propagate_callback_context(layer):
                    data = (X, y) if index == 0 else (None, None)
                    known = check_coding(layer), images, layout, shape, random_state, progress
                    layer._fit(*known, *data, name=f"lam of layer {index + 1}")
            vars(layer).update(image_shape_=shape, _layout=layout)
            if layout != "list":
                layer.n_features_in_ = math.prod(shape)
            if index == 0 and hasattr(self, "feature_names_in_"):
                layer.feature_names_in_ = self.feature_names_in_
            if index >= first:
                # Until the last layer is there, no net is fitted that a callback could be given.
                step.call_on_fit_task_end(estimator=self, X=X, y=y)
        fitted |= {"layers_": layers, "factors_": np.array(factors)}
        fitted["n_iter_"] = sum(layer.n_iter_ for layer in layers)
        vars(self).update(fitted)
        context.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=fitted)

    def _partial_fit(self, codings, images, fitted):
        """Learn the top layer further."""
        self._require_depth(codings)
        layers, factors = make_layers(self), self.factors_.tolist()
        for new, old in zip(layers, self.layers_, strict=True):
            known = {name: one for name, one in vars(old).items() if name.endswith("_")}
            vars(new).update(known, _layout=old._layout, connectivity=old.connectivity)
            # Layers of a net in a file of an older version have none.
            vars(new)["_stream"] = vars(old).get("_stream", {})
        for index in range(1, len(layers)):
            images = next_images(layers[index - 1], images, factors, index)
        top = layers[-1]
        name = f"lam of layer {len(layers)}"
        vars(top).update(learn_from_batch(top, codings[-1], images, name=name))
        vars(self).update(fitted, layers_=layers, n_iter_=sum(one.n_iter_ for one in layers))

    def _stack(self):
        return Stack([layer._drawing_filters() for layer in self.layers_], self.factors_.tolist())

    def _drawing_filters(self, layer=None):
        return self._stack().drawing_filters(layer or len(self.layers_))

    def _low_size(self):
        return self.layers_[0].filters_.shape[1:3]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "layers_")
