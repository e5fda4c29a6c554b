"""A hierarchy of deconvolutional layers, whose top layer reconstructs the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skdeconv._base import BaseDeconvNet, image_size
from skdeconv._layer import DeconvNetLayer
from skdeconv._utils.callbacks import with_callbacks
from skdeconv._utils.parallel import workers
from skdeconv._utils.parameters import thawed
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.validation import check_integer, check_seed
from skdeconv._utils.warnings import warn
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.inference import Solver, warn_of_unconverged, warn_of_zero_maps
from skdeconv.layouts import check_images, one_by_one
from skdeconv.learning import (
    Checkpoint,
    check_hierarchy_codings,
    check_hierarchy_plan,
    known_layer,
    layer_parameters,
    learn_from_batch,
    record_layers,
)
from skdeconv.networks import (
    Hierarchy,
    check_layer,
    reconstructed_separately,
    strongest_activations,
    with_half_quadratic,
)


class HierarchicalDeconvNet(BaseDeconvNet):
    r"""Layers of convolutional sparse coding, each learned from the maps of the one below.

    The first layer is a :class:`skdeconv.DeconvNetLayer` for the images. The images of layer l
    are the maps of layer l - 1, divided by a factor, the root mean square of their non-zero
    coefficients, which is stored and multiplied back in every reconstruction. From the top, the
    layers :math:`F_1 \cdots F_l` are one linear map, and ``transform`` infers the maps z of the top
    layer that reconstruct the pixels y through all layers, minimising

    .. math:: \frac{\lambda_l}{2 s^2} \| F_1 \cdots F_l s z - y \|^2 + \sum |z|^p,

    with s the product of the factors. This extends equation 10 of [1]_.

    Every parameter that is marked "per layer" is one value for all layers, or a tuple with one
    value for each, the lowest first.

    Parameters
    ----------
    n_filters : tuple of int, default=(9, 45)
        Number of filters in each layer, the lowest first. Its length is the number of layers.
    filter_size : int or (int, int), per layer, default=7
        Height and width of the filters. A tuple always runs over the layers: rectangular filters of
        two layers are ``((7, 5), (5, 5))``.
    lam : float, per layer, default=1.0
        Weight of the squared error, above 0. Larger values give a better reconstruction and less
        sparse maps. Above the first layer its scale does not depend on that of the images.
    lam_scale : {"absolute", "median"}, default="absolute"
        Whether ``lam`` is the weight itself, or a multiple of the median of
        :func:`skdeconv.lam_min` over the images seen in ``fit``, at most 200 of them. It concerns
        the first layer; those above do not depend on the scale of the images. With
        ``low_frequency`` the mean of each image and channel is subtracted first, since the
        low-frequency maps represent it.
        It is used by ``fit`` alone: afterwards ``lam`` is in units of ``lam_scale_``, also if
        ``lam_scale`` is changed by ``set_params``.
    p : float, per layer, default=1.0
        Exponent of the sparsity term, 0 < p <= 1.
    positive : bool, per layer, default=False
        Whether maps are constrained to be non-negative.
    connectivity : str or array of bool, per layer, default="auto"
        Which filter is connected to which map of the layer below, as a kind of
        :func:`skdeconv.make_connectivity` or an array of shape (n_filters, n_channels). The first
        layer under "auto" is full.
    inference : {"joint", "greedy", "alternating"}, default="joint"
        How ``transform`` infers the top maps: "joint" from the pixels through all layers,
        warm-started from the greedy ones; "greedy" from the maps of the layer below; "alternating"
        from both in turn, the algorithm of [1]_, by the half-quadratic solver. Learning is greedy.
    low_frequency : bool, default=False
        Whether one low-frequency map per channel represents brightness and shading of raw photos,
        as in :class:`skdeconv.DeconvNetLayer`; it belongs to the first layer.
    smoothness : float, default=1.0
        Weight of the squared gradient of the low-frequency maps, relative to the squared error.
    lower : fitted DeconvNetLayer or HierarchicalDeconvNet, default=None
        The lowest layers, already fitted: ``n_filters`` begins with their numbers of filters, and
        only the layers above are learned. Their filters, connectivity and factors are used; all
        else is determined by this net's parameters. With ``warm_start`` the layers of the previous
        fit are used instead. Inside a search, wrap it in ``sklearn.frozen.FrozenEstimator``, since
        ``clone`` does not keep what was fitted.
    image_shape, output, sparse_output : tuple of int, str, bool
        As in :class:`skdeconv.DeconvNetLayer`.
    solver, inference_tol, inference_max_iter : str or Solver, float, int, per layer
        As in :class:`skdeconv.DeconvNetLayer`. "alternating" uses the layer's
        :class:`skdeconv.inference.HalfQuadratic`, or one with default parameters if the layer has
        another solver.
    max_iter, tol, batch_size, forgetting, keep_maps, init : per layer
        As in :class:`skdeconv.DeconvNetLayer`.
    warm_start : bool, default=False
        Whether ``fit`` starts from the previous fit. With a longer ``n_filters`` the fitted layers
        are kept and the new ones learned; with the same, learning of all layers continues. Filters
        keep their connectivity.
    checkpoint : str or path, default=None
        As in :class:`skdeconv.DeconvNetLayer`: one file for all layers.
    n_jobs : int, default=None
        Number of joblib workers that infer maps. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the connectivity, the initial filters, the order of the images, and the redraw of
        unused filters.
    verbose : int, default=0
        If above 0, prints the cost, the non-zeros and the seconds of each pass.

    Attributes
    ----------
    layers_ : list of DeconvNetLayer
        The fitted layers, each usable alone.
    factors_ : ndarray of shape (n_layers,)
        Factors by which the images of each layer are divided; 1 for the first.
    n_iter_ : int
        Number of passes of all layers together.
    lam_scale_ : float
        Value of the weight of the squared error that ``lam`` of the first layer is a multiple of:
        1.0 for "absolute"; for "median" the median of ``lam_min``, of images without their mean if
        ``low_frequency``.
    image_shape_ : tuple of int
        Shape of one image as seen in ``fit``; height and width are None if images differ in size.
    n_features_in_ : int
        Number of features of a row; absent after a fit on a list of images.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, if there were any.

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
        lam_scale: str = "absolute",
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
        solver: str | Solver | tuple = "coordinate_descent",
        inference_tol: float | tuple = 1e-2,
        inference_max_iter: int | tuple = 50,
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
        self.lam_scale = lam_scale
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
            The fitted net. If ``fit`` fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, does not match the images or the layer below, or is a
            tuple of another length than ``n_filters``; or if X is infinite. All is checked before
            the first layer is learned.
        """
        with restored_on_failure(self):
            self._check_output()
            codings = check_hierarchy_codings(self)
            images = check_images(self, X, image_shape=self.image_shape, reset=True)
            checkpoint, random_state = Checkpoint(self, images), check_seed(self.random_state)
            lower = None if self.lower is None else _layers_of(self)
            # Random kinds of connectivity were drawn before the interruption.
            drawn = checkpoint.layers.get("connectivity")
            plan = check_hierarchy_plan(self, codings, lower, images, random_state, drawn)
            self._fit(plan, images, random_state, checkpoint, X, y)
            checkpoint.finish()
        return self

    @with_callbacks
    def _fit(self, plan, images, random_state, checkpoint, X, y):
        """Learn the layers that are not kept, and assign what was learned."""
        first, factors = plan.n_kept, list(plan.factors)
        if checkpoint.is_resumed:
            first, factors = len(checkpoint.layers["learned"]), checkpoint.layers["factors"]
        data = {"estimator": self, "X": X, "y": y}
        context = self._init_callback_context(max_subtasks=len(plan.layers) - first)
        context.call_on_fit_task_begin(**data)
        layers, inputs = [], images
        for index, parameters in enumerate(plan.parameters):
            if index:
                below = plan.layers[index - 1].coding, inputs, factors[index]
                inputs, factors[index] = layers[-1]._maps_as_images(*below)
            layer = DeconvNetLayer(**vars(parameters))
            if index < first:
                known = known_layer(plan, checkpoint, index, images.dtype)
                _restore(layer, known, inputs, plan.layers[index].coding.scale)
            else:
                if index and not inputs.maps.nnz and not images.is_zero:
                    _warn_of_zero_inputs(index)
                record_layers(plan, layers, factors, checkpoint)
                step = context.subcontext(task_name="layer")
                known = plan.layers[index], inputs, random_state, checkpoint
                _fit_layer(layer, index + 1, known, step, data)
            if inputs.layout != "list":
                layer.n_features_in_ = math.prod(inputs.image_shape)
            if index == 0 and hasattr(self, "feature_names_in_"):
                layer.feature_names_in_ = self.feature_names_in_
            layers.append(layer)
        self.layers_ = layers
        self.factors_ = np.array(factors)
        self.n_iter_ = sum(layer.n_iter_ for layer in layers)
        self.lam_scale_ = layers[0].lam_scale_
        self.image_shape_ = images.image_shape
        self._layout = images.layout
        context.call_on_fit_task_end(**data, reconstruction_attributes={})

    def partial_fit(self, X: ArrayLike, y=None) -> HierarchicalDeconvNet:
        """Update the filters of the top layer with a batch of images.

        The first call fits all layers. Later calls update the top layer, as
        :meth:`skdeconv.DeconvNetLayer.partial_fit` does, from the maps of the layers below.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images of any size in any layout that ``fit`` takes. After the first call they need the
            number of channels of the first images, and rows their width.
        y : None
            Ignored.

        Returns
        -------
        self : HierarchicalDeconvNet
            The net itself. If the call fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, X does not match, or the statistics would exceed 256 MB:
            decrease ``n_filters`` or ``filter_size``, or use ``fit``.
        """
        if not hasattr(self, "layers_"):
            return self.fit(X, y)
        with restored_on_failure(self):
            self._check_output()
            codings = self._codings()
            images = check_images(self, X, image_shape=self.image_shape, reset=False)
            layers, shape = self._copies_of_layers(), self._shape_of_both(images)
            below = zip(layers[:-1], codings[:-1], self.factors_[1:], strict=True)
            for layer, coding, factor in below:
                images, _ = layer._maps_as_images(coding, images, factor)
            top, of = layers[-1], f" of layer {len(layers)}"
            batch = learn_from_batch(top, codings[-1], images, top.filters_, top._stream, of)
            top.filters_ = batch.filters
            top.cost_ = np.append(top.cost_, batch.cost)
            top.n_iter_ = len(top.cost_)
            top._stream = batch.stream
            self.layers_ = layers
            self.n_iter_ = sum(layer.n_iter_ for layer in layers)
            self.image_shape_ = shape
        return self

    def encode(self, X: ArrayLike) -> list:
        """Infer the maps of every layer.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.

        Returns
        -------
        codes : list of ndarray, csr_array or SparseMaps
            Codes of each layer, the lowest first, as ``transform`` of a net with this top layer
            returns them.

        Raises
        ------
        ValueError
            If X does not match what ``fit`` has seen, is infinite or has squares that overflow.

        Warns
        -----
        ConvergenceWarning, ZeroMapsWarning
            As in ``transform``.
        """
        check_is_fitted(self)
        self._check_output()
        codings, images = self._check_coding(), self._check_images(X, as_rows=True)
        synthesis = {
            number: self._synthesis(self._filters_in_pixels(number), images.dtype)
            for number in range(1, len(self.layers_) + 1)
        }
        codes = []
        for number, result in self._results(codings, images, synthesis).items():
            self._warn_of_unconverged(result, codings, number)
            codes.append(self._present(result, images, synthesis[number]))
        return codes

    def decode(self, codes: ArrayLike, layer: int | None = None) -> np.ndarray:
        """Reconstruct images from the codes of any layer.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes of that layer, in any form that ``transform`` and ``encode`` return.
        layer : int, default=None
            Number of the layer, 1 for the lowest; None or -1 for the top, as in
            ``inverse_transform``.

        Returns
        -------
        images : ndarray or list of ndarray
            The reconstructions, in the layout seen in ``fit``.

        Raises
        ------
        ValueError
            If there is no such layer, or the codes are not of its size.
        """
        check_is_fitted(self)
        number = check_layer(layer, len(self.layers_))
        return self._reconstruct(codes, self._filters_in_pixels(number))

    def project_filters(self, layer: int | None = None) -> np.ndarray:
        r"""Project every filter of a layer to pixels, through the layers below.

        Parameters
        ----------
        layer : int, default=None
            Number of the layer, 1 for the lowest; None or -1 for the top.

        Returns
        -------
        filters : ndarray of shape (n_filters, h, w, n_channels)
            Reconstruction of a coefficient of 1: :math:`F_1 \cdots F_l` applied to it, with the
            factors between the layers. The sizes of filters add up, less one at each layer.

        Raises
        ------
        ValueError
            If there is no such layer.
        """
        check_is_fitted(self)
        filters = self._filters_in_pixels(check_layer(layer, len(self.layers_)))
        return np.ascontiguousarray(filters.transpose(0, 2, 3, 1))

    def project_maps(
        self, codes: ArrayLike, layer: int | None = None, *, n_activations: int = 9
    ) -> np.ndarray:
        """Reconstruct the strongest activations of each image one at a time.

        Parameters
        ----------
        codes : array-like, csr_array or SparseMaps
            Codes of a layer, in any form that ``transform`` and ``encode`` return.
        layer : int, default=None
            Number of the layer, 1 for the lowest; None or -1 for the top.
        n_activations : int, default=9
            Number of coefficients of each image, those of largest magnitude first.

        Returns
        -------
        images : ndarray of shape (n_samples, n_activations, height, width, n_channels)
            Reconstruction of each coefficient alone; zeros if an image has fewer. Those of all
            coefficients of an image, and of its low-frequency maps, add up to what ``decode``
            returns. A list with one array per image, if images differ in size.

        Raises
        ------
        ValueError
            If there is no such layer, or the codes are not of its size.
        """
        check_is_fitted(self)
        n_activations = check_integer("n_activations", n_activations, min_val=1)
        if (each := one_by_one(codes)) is not None:
            options = {"layer": layer, "n_activations": n_activations}
            return [self.project_maps(code, **options)[0] for code in each]
        filters = self._filters_in_pixels(check_layer(layer, len(self.layers_)))
        maps, _, maps_shape = self._check_codes(codes, filters)
        size = image_size(maps_shape, filters)
        operator, _ = self._synthesis(filters, maps.dtype).at(size)
        images = reconstructed_separately(operator, maps, n_activations)
        return np.ascontiguousarray(images.transpose(0, 1, 3, 4, 2))

    def top_activations(self, X: ArrayLike, layer: int | None = None, k: int = 9) -> Bunch:
        """Find the strongest activations of every filter of a layer in a set of images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.
        layer : int, default=None
            Number of the layer, 1 for the lowest; None or -1 for the top.
        k : int, default=9
            Number of activations of each filter, those of largest magnitude first.

        Returns
        -------
        activations : Bunch
            - ``samples``: ndarray of int of shape (n_filters, k), index of the image; -1 if a
              filter has fewer activations.
            - ``corners``: ndarray of int of shape (n_filters, k, 2), row and column of the top left
              pixel of the projected filter; it may lie outside of the image.
            - ``coefficients``: ndarray of shape (n_filters, k), their values.
            - ``crops``: ndarray of shape (n_filters, k, h, w, n_channels), the images there, zero
              outside.
            - ``projections``: ndarray of the same shape, reconstruction of each coefficient, also
              outside of the image.

        Raises
        ------
        ValueError
            If there is no such layer, or X does not match what ``fit`` has seen.
        """
        k = check_integer("k", k, min_val=1)
        check_is_fitted(self)
        number = check_layer(layer, len(self.layers_))
        self._check_output()
        codings, images = self._check_coding(), self._check_images(X)
        synthesis = self._synthesis(self._filters_in_pixels(number), images.dtype)
        maps = self._results(codings, images, {number: synthesis})[number].maps
        return Bunch(**strongest_activations(maps, images, synthesis, k))

    def _check_coding(self):
        """Check the parameters of inference of each layer."""
        codings = self._codings()
        return with_half_quadratic(codings) if self.inference == "alternating" else codings

    def _infer(self, coding, images, synthesis):
        number = len(self.layers_)
        return self._results(coding, images, {number: synthesis})[number]

    def _results(self, codings, images, synthesis):
        """Codes of some layers, by their numbers; ``synthesis`` reconstructs pixels from them."""
        hierarchy = self._hierarchy()
        with workers(self.n_jobs, in_kernels=codings[0].in_kernels) as parallel:
            args = codings, images, synthesis, self.inference, parallel
            results, greedy, inputs = hierarchy.infer(*args)
        if any(not result.maps.nnz for result in results.values()):
            number, rest, filters = hierarchy.cause_of_zero_maps(
                results, greedy, inputs, synthesis, self.inference
            )
            warn_of_zero_maps(rest, filters, codings[number - 1], of=f" of layer {number}")
        return results

    def _warn_of_unconverged(self, result, coding, number=None):
        number = number or len(self.layers_)
        if self.inference != "alternating" or number == 1:
            warn_of_unconverged(result, coding[number - 1], of=f" of layer {number}")
        elif not result.converged.all():
            warn(
                f"Alternating inference did not converge for {np.sum(~result.converged)} of "
                f"{len(result.converged)} images. Increase inference_tol={self.inference_tol} or "
                f'inference_max_iter={self.inference_max_iter}, or use inference="joint".',
                ConvergenceWarning,
            )

    def _codings(self):
        """Parameters of inference of each layer of the fitted net."""
        codings, depth = check_hierarchy_codings(self), len(self.layers_)
        if len(codings) != depth:
            raise ValueError(
                f"n_filters={self.n_filters} has {len(codings)} layers, but {depth} were fitted; "
                "call fit again."
            )
        return [codings[0].scaled(self._lam_unit), *codings[1:]]

    def _hierarchy(self):
        filters = [layer._filters_in_pixels() for layer in self.layers_]
        return Hierarchy(filters, self.factors_.tolist())

    def _filters_in_pixels(self, number=None):
        return self._hierarchy().projected(number or len(self.layers_))

    def _filter_size(self):
        return self.layers_[0].filters_.shape[1:3]

    def _copies_of_layers(self):
        """Copies of the fitted layers with the current parameters of the net."""
        layers = []
        for layer, parameters in zip(self.layers_, layer_parameters(self), strict=True):
            parameters.connectivity = layer.connectivity
            layers.append(copy(layer).set_params(**vars(parameters)))
        return layers

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "layers_")


def _fit_layer(layer, number, known, context, data):
    """Fit layer ``number``, counted from 1, with what its ``_fit`` takes first."""
    context.call_on_fit_task_begin(**data)
    if layer.verbose:
        print(f"[HierarchicalDeconvNet] layer {number}/{len(data['estimator'].n_filters)}")
    with context.propagate_callback_context(layer):
        inputs = (data["X"], data["y"]) if number == 1 else (None, None)
        layer._fit(*known, *inputs, of=f" of layer {number}")
    # No fitted attributes: the net is fitted only after the last layer.
    context.call_on_fit_task_end(**data)


def _restore(layer, learned, images, lam_scale):
    """Assign the fitted attributes of a layer that is known already."""
    layer.filters_ = learned.filters
    layer.cost_ = learned.cost
    layer.n_iter_ = len(learned.cost)
    layer.lam_scale_ = lam_scale
    layer.image_shape_ = images.image_shape
    layer._layout = images.layout
    layer._stream = {"n_updates": learned.n_updates}


def _warn_of_zero_inputs(number):
    warn(
        f"All maps of layer {number} are zero, so that the filters of the layers above remain "
        f"random. Increase lam of layer {number}.",
        ZeroMapsWarning,
    )


def _layers_of(net):
    """The fitted layers of the parameter ``lower`` and their factors; None after a warm start."""
    if net.warm_start and hasattr(net, "layers_"):
        return None
    lower = thawed(net.lower)
    if not isinstance(lower, DeconvNetLayer | HierarchicalDeconvNet):
        raise TypeError(
            "lower must be a fitted DeconvNetLayer or HierarchicalDeconvNet, or None; got "
            f"{lower!r}."
        )
    check_is_fitted(
        lower,
        msg="lower must be fitted, but %(name)s is not. Inside a search, which clones it, wrap it "
        "in sklearn.frozen.FrozenEstimator.",
    )
    if isinstance(lower, DeconvNetLayer):
        return [lower], [1.0]
    return lower.layers_, lower.factors_.tolist()
