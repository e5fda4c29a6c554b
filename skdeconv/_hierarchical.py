"""A hierarchy of deconvolutional layers, whose top explains the pixels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel
from sklearn.utils.validation import check_is_fitted

from skdeconv._callbacks import CallbackSupportMixin, with_callbacks
from skdeconv._images import check_image_shape, check_images
from skdeconv._layers import kept_layers, make_layers, next_images, prepare_layers
from skdeconv._low_frequency import LowFrequency
from skdeconv._maps import present_codes
from skdeconv._parameters import check_coding
from skdeconv._projections import Projections
from skdeconv._stack import Stack
from skdeconv._transformer import MapsTransformer, warn_of_zero_maps
from skdeconv._validation import check_in, check_seed, restored_on_failure
from skdeconv.exceptions import ZeroMapsWarning


class HierarchicalDeconvNet(
    CallbackSupportMixin, LowFrequency, Projections, MapsTransformer, BaseEstimator
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
    max_iter, tol, batch_size, forgetting, init : per layer
        As in :class:`skdeconv.DeconvNetLayer`.
    warm_start : bool, default=False
        Whether ``fit`` starts from the fit before. With a longer ``n_filters`` it keeps the layers
        that are there and learns the new ones; with the same it goes on with all of them. Filters
        keep their connectivity.
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
        Shape of one image as seen in ``fit``.
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
        init: tuple | None = None,
        warm_start: bool = False,
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
        self.init = init
        self.warm_start = warm_start
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
            tuple of another length than ``n_filters``; or X is not finite. All is checked before
            the first layer is learned.
        """
        with restored_on_failure(self):
            self._check_coding()
            image_shape = check_image_shape(self.image_shape)
            images, layout, shape = check_images(self, X, image_shape=image_shape, reset=True)
            self._fit(images, layout, shape, X, y)
        return self

    @with_callbacks
    def _fit(self, images, layout, shape, X, y):
        fitted = {"image_shape_": shape, "_layout": layout}
        random_state, layers = check_seed(self.random_state), make_layers(self)
        kept, factors = kept_layers(self, layers)
        prepare_layers(layers, kept, images, random_state)
        first = len(kept) if len(kept) < len(layers) else 0
        context = self._init_callback_context(max_subtasks=len(layers) - first)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        not_zero = images.any()
        for index, layer in enumerate(layers):
            if index:
                images = next_images(layers[index - 1], images, factors, index)
                layout = "list" if layout == "list" else "stack"
                shape = (*images.shape[2:], images.shape[1])
            if index >= first:
                if index and not_zero and not images.maps.nnz:
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
                with step.propagate_callback_context(layer):
                    data = (X, y) if index == 0 else (None, None)
                    known = check_coding(layer), images, layout, shape, random_state
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

    def encode(self, X: ArrayLike) -> list:
        """Infer the maps of every layer at once.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.

        Returns
        -------
        codes : list of ndarray, csr_array or SparseMaps
            For each layer, the lowest first, what ``transform`` of a net that ends with it gives.

        Raises
        ------
        ValueError
            If X does not fit what ``fit`` has seen, or is not finite.

        Warns
        -----
        ConvergenceWarning, ZeroMapsWarning
            As in ``transform``.
        """
        check_is_fitted(self)
        codings, images = self._check_coding(), self._check_images(X, as_rows=True)
        drawings = {
            number: self._drawing(self._drawing_filters(number), images.shape[2:], images.dtype)
            for number in range(1, len(self.layers_) + 1)
        }
        codes = []
        for number, result in self._results(codings, images, drawings).items():
            self._warn_of_unfinished(result)
            form = drawings[number].operator.maps_shape, self.output, self.sparse_output
            codes.append(present_codes(result.maps, *form, result.low))
        return codes

    def _check_coding(self):
        """What each layer infers with."""
        inference = check_in("inference", self.inference, ["joint", "greedy", "alternating"])
        layers = make_layers(self)
        codings = [check_coding(layer) for layer in layers]
        if inference == "alternating":
            for layer in layers[1:]:
                layer.solver = "half_quadratic"
            codings[1:] = [check_coding(layer) for layer in layers[1:]]
        return codings

    def _infer(self, codings, images, drawing):
        number = len(self.layers_)
        return self._results(codings, images, {number: drawing})[number]

    def _results(self, codings, images, drawings):
        """Codes of some layers, by their numbers; ``drawings`` draw them in pixels."""
        depth = len(self.layers_)
        if len(codings) != depth:
            raise ValueError(
                f"n_filters={self.n_filters} has another number of layers than the fit, {depth}; "
                "call fit again."
            )
        stack, uniform = self._stack(), next(iter(drawings.values())).uniform
        refine = {"joint": stack.jointly, "alternating": stack.alternating}.get(self.inference)
        with Parallel(n_jobs=self.n_jobs) as parallel:
            codings = [replace(coding, parallel=parallel) for coding in codings]
            greedy, inputs = stack.greedily(codings[: max(drawings)], images, uniform)
            results = {number: greedy[number - 1] for number in drawings}
            if refine is not None:
                for number, drawing in drawings.items():
                    coding, start = codings[number - 1], results[number]
                    results[number] = refine(number, coding, inputs, drawing, start)
        self._warn_of_silence(codings, inputs, greedy, drawings, results)
        return results

    def _warn_of_silence(self, codings, inputs, greedy, drawings, results):
        """Name the layer whose ``lam`` is too small, where maps that come out are all zero."""
        silent = [number for number, result in results.items() if not result.maps.nnz]
        if not silent:
            return
        number, stack = silent[0], self._stack()
        drawing, low = drawings[number], greedy[0].low
        if self.inference == "joint" and number > 1:
            gain = stack.gain(number)
            images = (inputs[0] - drawing.smooth(results[number].low)) / gain
            filters = drawing.operator.filters / gain
        else:
            number = next(i for i, one in enumerate(greedy, 1) if i == number or not one.maps.nnz)
            images = np.asarray(inputs[number - 1]) - (drawing.smooth(low) if number == 1 else 0)
            filters = stack.filters[number - 1]
        coding, filters = codings[number - 1], filters.transpose(0, 2, 3, 1)
        limits = coding.weight, coding.penalty.positive, coding.tol
        warn_of_zero_maps(images, filters, *limits, name=f"lam of layer {number}", stacklevel=7)

    def _warn_of_unfinished(self, result, stacklevel=3):
        if self.inference != "alternating":
            super()._warn_of_unfinished(result, stacklevel + 1)
        elif not result.converged.all():
            warnings.warn(
                f"The alternation of {np.sum(~result.converged)} of {len(result.converged)} images "
                "did not settle to inference_tol, or inference_max_iter cut its solver off. Raise "
                'either of the two, or use inference="joint".',
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

    def _stack(self):
        return Stack([layer._drawing_filters() for layer in self.layers_], self.factors_.tolist())

    def _drawing_filters(self, layer=None):
        return self._stack().drawing_filters(layer or len(self.layers_))

    def _low_size(self):
        return self.layers_[0].filters_.shape[1:3]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "layers_")
