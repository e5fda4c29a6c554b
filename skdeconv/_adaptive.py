"""An adaptive deconvolutional network: pooling with switches between its layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skdeconv._base import BaseDeconvNet
from skdeconv._utils.callbacks import with_callbacks
from skdeconv._utils.parallel import one_blas_thread, workers
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.validation import check_in, check_integer, check_seed
from skdeconv.layouts import (
    AdaptiveCode,
    SparseMaps,
    check_images,
    full_shape,
    images_in_layout,
    map_shape_of,
)
from skdeconv.learning import (
    CG_MAX_ITER,
    LAM,
    POOLING,
    AdaptiveLearner,
    Checkpoint,
    check_adaptive_codings,
    check_adaptive_plans,
    in_units,
    learn_in_passes,
    warn_of_scale,
    windows_of,
)
from skdeconv.networks import (
    AdaptiveNetwork,
    cascaded,
    check_layer,
    code_of,
    encode_images,
    maps_from_top,
    next_switches,
    present_layer,
    projected_to_first_layer,
    projected_to_pixels,
    reconstructed_images,
    strongest_fields,
    switches_of,
    warn_of_silent_layer,
)
from skdeconv.operators import compose


def _needs_no_switches(net):
    """Whether images can be reconstructed from codes without the switches of each image."""
    pooling = getattr(net, "pooling_", [])
    # Illegal values are refused where they are used.
    layer = net.layer if isinstance(net.layer, Integral) else 1
    below = pooling[:-1] if layer == -1 else pooling[: max(layer - 1, 0)]
    if all(block == (1, 1, 1) for block in below):
        return True
    raise AttributeError(
        "Images cannot be reconstructed from maps above pooling without their switches: use "
        "layer=1, or decode(encode(X))."
    )


class AdaptiveDeconvNet(BaseDeconvNet):
    r"""Layers of convolutional sparse coding and max pooling, which all reconstruct the pixels.

    Layer l reconstructs the image from its sparse maps :math:`z_l` through all layers below,

    .. math:: \hat y = F_1 U_{s_1} F_2 U_{s_2} \cdots F_l z_l,

    where :math:`F` is the valid convolution with a layer's filters, of unit norm, and :math:`U_s`
    is unpooling by the switches s: in every block of rows, columns and neighbouring maps, the
    pooled value is placed at the position of the coefficient of largest magnitude in this image.
    Layers are learned and inferred from the lowest up, each minimising

    .. math:: \frac{\lambda_l}{2} \| \hat y - y \|^2 + \sum |z_l|

    with the switches of the layers below held fixed (equations 1 to 7 of [1]_).

    Every parameter that is marked "per layer" is one value for all layers, or a tuple with one
    value for each, the lowest first. The defaults are for four layers: fewer use the first entries.

    Parameters
    ----------
    n_filters : tuple of int, default=(15, 50, 100, 150)
        Number of filters in each layer, the lowest first. Its length is the number of layers.
    filter_size : int or (int, int), per layer, default=7
        Height and width of the filters. A tuple always runs over the layers: rectangular filters of
        two layers are ``((7, 5), (5, 5))``. For images of height 1 an integer is the width alone,
        for images of width 1 the height alone.
    pooling : (int, int, int) or None, per layer
        Rows, columns and neighbouring maps of a block; None for a layer without pooling. One triple
        is for all layers. By default (3, 3, 3) in the first layer and (3, 3, 2) above. Blocks at
        the end of an axis may be smaller.
    lam : float, per layer, default=(2.0, 0.5, 0.3, 0.2)
        Weight of the squared error, above 0. Larger values give a better reconstruction and less
        sparse maps. Its scale depends on that of the images.
    lam_scale : {"absolute", "median"}, default="absolute"
        Whether ``lam`` is the weight itself, or a multiple of the median of
        :func:`skdeconv.lam_min` over the images seen in ``fit``, at most 200 of them. With "median"
        one value of ``lam`` serves images in any units, such as photos in 0..1 and in 0..255.
        It is used by ``fit`` alone: afterwards ``lam`` is in units of ``lam_scale_``, also if
        ``lam_scale`` is changed by ``set_params``.
    inference : {"fista", "ista", "coordinate_descent"}, per layer, default="fista"
        Algorithm of inference. "ista" is that of [1]_: gradient step, pooling, shrinkage and
        unpooling. "fista" adds momentum. "coordinate_descent" solves layers 1 and 2 without
        pooling, pools once, and solves again with the switches held fixed; in layers above the
        second, where atoms are too large, it is "fista".
    n_inference_steps : int, per layer, default=10
        Number of steps of inference, or of rounds of coordinate descent.
    beta : float or None, per layer, default=None
        Step length of "ista" and "fista", in equations 9 and 10 of [1]_. None estimates the
        largest that the operator allows with the switches of the image, and rejects steps that
        raise the cost. A given value is used unchanged.
    image_shape : tuple of int, default=None
        Shape of one image, (length,), (height, width) or (height, width, n_channels), if the
        input is rows. Without it rows are 1-D signals.
    layer : int, default=1
        Number of the layer whose maps ``transform`` returns, as the top layer reconstructs them: 1
        for the lowest, -1 for the top itself. Maps of layer 1 can be compared between images; the
        meaning of maps above pooling depends on the switches of each image.
    output : {"rows", "maps"}, default="rows"
        Whether ``transform`` returns one row per image, as classifiers need it, or the maps, as
        ``skdeconv.features`` needs them.
    sparse_output : bool, default=False
        Whether rows are a csr_array, and maps a :class:`skdeconv.SparseMaps`.
    max_iter : int, per layer, default=5
        Maximum number of passes over the images in ``fit``.
    tol : float, per layer, default=5e-3
        Learning of a layer stops when a pass has changed the mean cost by less than this fraction
        of it. 0 runs all passes.
    batch_size : int, "auto" or None, per layer, default="auto"
        Number of images between two updates of the filters. "auto" stands for about 90,000 pixels,
        with at least ten updates per pass; None for all images.
    cg_max_iter : int, per layer, default=(3, 2, 2, 2)
        Number of conjugate gradient steps in each update. Few are better for sparse maps; too many
        overfit the batch.
    n_learning_steps : int or None, per layer, default=None
        Number of steps of inference at each visit of an image in ``fit``; None for
        ``n_inference_steps``.
    keep_maps : bool, default=False
        Whether inference of an image in ``fit`` is warm-started from its maps of the previous pass.
        With ``inference="ista", n_learning_steps=1, keep_maps=True, cg_max_iter=2, batch_size=None,
        max_iter=10, tol=0`` this is the schedule of [1]_. The maps of all images are then kept.
    init : array-like of shape (n_filters, h, w, n_channels) or None, per layer, default=None
        Initial filters, which are normalised. None initialises with Gaussian noise.
    warm_start : bool, default=False
        Whether ``fit`` starts from the previous fit. With a longer ``n_filters`` the fitted layers
        are kept and the new ones learned; with the same, learning of all layers continues.
    checkpoint : str or path, default=None
        As in :class:`skdeconv.DeconvNetLayer`: one file for all layers.
    n_jobs : int, default=None
        Number of joblib workers that infer maps. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial filters, the order of the images, and the redraw of unused filters.
    verbose : int, default=0
        If above 0, prints the cost, the non-zeros and the seconds of each pass.

    Attributes
    ----------
    filters_ : list of ndarray of shape (n_filters, h, w, n_channels)
        Filters of each layer, of unit norm; the channels of those above the first are pooled maps.
    pooling_ : list of tuple of three ints
        Block of each layer; (1, 1, 1) without pooling.
    cost_ : list of ndarray of shape (n_passes,)
        For each layer the mean cost per image of each pass, computed when the image was visited.
        It may rise, because filters of unit norm may reconstruct pixels of any scale.
    n_iter_ : int
        Number of passes of all layers together.
    lam_scale_ : float
        Value of the weight of the squared error that ``lam`` is a multiple of; 1.0 for "absolute".
    image_shape_ : tuple of int
        Shape of one image as seen in ``fit``; height and width are None if images differ in size.
    n_features_in_ : int
        Number of features of a row; absent after a fit on a list of images.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, if there were any.

    See Also
    --------
    skdeconv.AdaptiveCode : Maps and switches of all layers.
    skdeconv.HierarchicalDeconvNet : Layers without pooling.
    skdeconv.display.ActivationsDisplay : Shows what the filters of a layer respond to.

    References
    ----------
    .. [1] M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High
       Level Feature Learning", ICCV 2011.

    Examples
    --------
    >>> from skdeconv import AdaptiveDeconvNet
    >>> from skdeconv.datasets import make_sparse_images
    >>> images = make_sparse_images(20, (16, 16), n_filters=3, filter_size=5, random_state=0).images
    >>> net = AdaptiveDeconvNet((4, 6), 5, lam=10.0, random_state=0).fit(images)
    >>> net.transform(images).shape
    (20, 1600)
    >>> code = net.encode(images)
    >>> net.decode(code, layer=1).shape
    (20, 16, 16)
    """

    def __init__(
        self,
        n_filters: Sequence[int] = (15, 50, 100, 150),
        filter_size: int | tuple = 7,
        pooling: tuple | None = POOLING,
        *,
        lam: float | tuple = LAM,
        lam_scale: str = "absolute",
        inference: str | tuple = "fista",
        n_inference_steps: int | tuple = 10,
        beta: float | tuple | None = None,
        image_shape: tuple[int, ...] | None = None,
        layer: int = 1,
        output: str = "rows",
        sparse_output: bool = False,
        max_iter: int | tuple = 5,
        tol: float | tuple = 5e-3,
        batch_size: int | str | tuple | None = "auto",
        cg_max_iter: int | tuple = CG_MAX_ITER,
        n_learning_steps: int | tuple | None = None,
        keep_maps: bool = False,
        init: tuple | None = None,
        warm_start: bool = False,
        checkpoint=None,
        n_jobs: int | None = None,
        random_state=None,
        verbose: int = 0,
    ):
        self.n_filters = n_filters
        self.filter_size = filter_size
        self.pooling = pooling
        self.lam = lam
        self.lam_scale = lam_scale
        self.inference = inference
        self.n_inference_steps = n_inference_steps
        self.beta = beta
        self.image_shape = image_shape
        self.layer = layer
        self.output = output
        self.sparse_output = sparse_output
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.cg_max_iter = cg_max_iter
        self.n_learning_steps = n_learning_steps
        self.keep_maps = keep_maps
        self.init = init
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y=None) -> AdaptiveDeconvNet:
        """Learn the layers from images, the lowest first.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images in any layout that :meth:`skdeconv.DeconvNetLayer.fit` takes; those of a list may
            differ in size. NaN marks a missing pixel, which is left out of the squared error.
        y : None
            Ignored.

        Returns
        -------
        self : AdaptiveDeconvNet
            The fitted net. If ``fit`` fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, does not match the images, or is a tuple of another
            length than ``n_filters``; if X is infinite; or if steps of length ``beta`` diverge. All
            but the last is checked before the first layer is learned.
        """
        with restored_on_failure(self):
            self._check_output()
            codings, blocks = check_adaptive_codings(self)
            self._layer_number(len(codings))
            images = check_images(self, X, image_shape=self.image_shape, reset=True)
            codings = in_units(self, codings, images)
            plans = check_adaptive_plans(self, codings, blocks, images)
            checkpoint = Checkpoint(self, images)
            self._fit(plans, codings, images, checkpoint, X, y)
            checkpoint.finish()
        return self

    @with_callbacks
    def _fit(self, plans, codings, images, checkpoint, X, y):
        """Learn one layer after the other; returns the filters and costs of all layers."""
        data, random_state = {"estimator": self, "X": X, "y": y}, check_seed(self.random_state)
        context = self._init_callback_context(max_subtasks=len(plans))
        context.call_on_fit_task_begin(**data)
        warn_of_scale(images, codings[0], plans[0].shape[2:])
        visited, network = windows_of(self, images), AdaptiveNetwork([], [])
        switches, filters, costs = [[] for _ in range(len(visited))], [], []
        with workers(self.n_jobs) as parallel, one_blas_thread():
            for number, plan in enumerate(plans, 1):
                known = visited, len(images), network, switches
                learner = AdaptiveLearner(*known, plan, random_state, parallel)
                step = context.subcontext(task_name="layer", max_subtasks=plan.n_passes)
                step.call_on_fit_task_begin(**data)
                costs.append(self._learn_layer(learner, number, checkpoint, step, data))
                network = learner.network
                filters.append(learner.public_filters)
                if number < len(plans):
                    new = next_switches(network, codings[number - 1], visited, switches, parallel)
                    switches = [[*old, one] for old, one in zip(switches, new, strict=True)]
                # No fitted attributes: the net is fitted only after the last layer.
                step.call_on_fit_task_end(**data)
        self.filters_ = filters
        self.cost_ = costs
        self.n_iter_ = sum(map(len, costs))
        self.pooling_ = [plan.block for plan in plans]
        self.lam_scale_ = codings[0].scale
        self.image_shape_ = images.image_shape
        self._layout = images.layout
        context.call_on_fit_task_end(**data, reconstruction_attributes={})

    def _learn_layer(self, learner, number, checkpoint, context, data) -> np.ndarray:
        """Run passes over the images until the cost converges; returns the costs of the passes."""
        plan, learned = learner.plan, checkpoint.layers.setdefault("learned", [])
        if checkpoint.is_resumed and number <= len(learned):
            learner.filters = learned[number - 1]["filters"]
            return learned[number - 1]["cost"]
        if plan.n_passes:
            costs = learn_in_passes(
                learner,
                max_iter=plan.n_passes,
                is_settled=lambda costs: _is_settled(costs, plan.tol),
                checkpoint=checkpoint,
                context=context,
                data=data,
                heading=f"[AdaptiveDeconvNet] layer {number}, " if self.verbose else None,
            )
            if not self.warm_start and plan.first is None:
                learner.make_signs_canonical()
            if learner.is_silent:
                known = learner.network, learner.images, learner.switches
                warn_of_silent_layer(number, plan.coding, *known)
        else:
            costs = plan.cost
        learned.append({"filters": learner.filters, "cost": np.array(costs)})
        return learned[-1]["cost"]

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Infer the maps of images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images of any size in any layout that ``fit`` takes, with the number of channels seen
            there. Rows must have the width seen in ``fit``.

        Returns
        -------
        codes : ndarray, csr_array or SparseMaps
            The maps of the layer ``layer``, as the top layer reconstructs them. For
            ``output="rows"`` of shape (n_samples, map_height * map_width * n_filters), C order of
            the maps; for ``output="maps"`` (n_samples, map_height, map_width, n_filters). Sparse if
            ``sparse_output``, or if images differ in size.

        Raises
        ------
        ValueError
            If X does not match what ``fit`` has seen or is infinite, or if steps of length ``beta``
            diverge.

        Warns
        -----
        ZeroMapsWarning
            If ``lam`` is so small that the top maps of all images are zero.
        """
        check_is_fitted(self)
        number = self._layer_number(len(self.filters_))
        task = partial(maps_from_top, number=number)
        network, images, found = self._encode_layers(X, task=task, as_rows=True)
        maps = [layers[-1] for layers in found]
        return present_layer(maps, network, number, images, self.output, self.sparse_output)

    @available_if(_needs_no_switches)
    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Reconstruct images from codes that need no switches, such as those of layer 1.

        Parameters
        ----------
        X : array-like, csr_array or SparseMaps
            Codes in any form that ``transform`` returns.

        Returns
        -------
        images : ndarray or list of ndarray
            The reconstructions. Rows of codes return to the layout seen in ``fit``: rows, a stack
            or a list. Dense maps return to a stack, or to rows if ``fit`` saw rows of that size. A
            list of maps, and codes of images of different sizes, return to a list.

        Raises
        ------
        AttributeError
            If ``layer`` is above a layer that is pooled: see ``decode``.
        ValueError
            If the width of rows or the shape of maps does not match the filters.
        """
        return super().inverse_transform(X)

    def encode(self, X: ArrayLike) -> AdaptiveCode:
        """Infer the maps and switches of every layer.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images, as for ``transform``.

        Returns
        -------
        code : AdaptiveCode
            Maps and switches of all layers, for ``decode`` and ``project``.

        Raises
        ------
        ValueError
            As in ``transform``.

        Warns
        -----
        ZeroMapsWarning
            As in ``transform``, for any layer.
        """
        network, images, encoded = self._encode_layers(X)
        for number, layer in enumerate(zip(*encoded, strict=True), 1):
            if number < len(self.filters_) and not any(len(one.index) for one in layer):
                below = switches_of(encoded, number - 1)
                warn_of_silent_layer(number, self._codings()[number - 1], network, images, below)
        return code_of(encoded, network, images)

    def decode(self, code: AdaptiveCode, layer: int | None = None) -> np.ndarray:
        r"""Reconstruct images from the maps of one layer.

        Parameters
        ----------
        code : AdaptiveCode
            Code of images, as ``encode`` returns it.
        layer : int, default=None
            Number of the layer, 1 for the lowest; None or -1 for the highest of the code. The maps
            of the others are not used.

        Returns
        -------
        images : ndarray or list of ndarray
            :math:`R_l z_l` with the switches of each image, in the layout seen in ``fit``.

        Raises
        ------
        TypeError
            If ``code`` is not an AdaptiveCode.
        ValueError
            If it has no such layer, or does not match the filters.
        """
        check_is_fitted(self)
        number = self._check_code(code, layer)
        images = list(reconstructed_images(code, number, self._network))
        if len(set(code.image_shapes)) > 1:
            return images_in_layout(images, "list", self.image_shape_)
        return self._in_layout(np.stack(images), keep_list=True)

    def project(
        self, code: AdaptiveCode, layer: int | None = None, k: int = 50, *, to: str = "pixels"
    ) -> np.ndarray | list[np.ndarray] | SparseMaps:
        """Reconstruct the strongest activations of each image one at a time, by its switches.

        Parameters
        ----------
        code : AdaptiveCode
            Code of images, as ``encode`` returns it.
        layer : int, default=None
            Number of the layer, 1 for the lowest; None or -1 for the highest of the code.
        k : int, default=50
            Number of coefficients of each image, those of largest magnitude first.
        to : {"pixels", "layer1"}, default="pixels"
            Whether to reconstruct the image or the maps of the first layer.

        Returns
        -------
        projections : ndarray of shape (n_samples, k, height, width, n_channels), list or SparseMaps
            Reconstruction of each coefficient alone, zero if an image has fewer; a list of arrays
            (k, height, width, n_channels) if images differ in size. For ``to="layer1"`` maps of the
            first layer, n_samples * k of them: the k of the first image, then those of the next.
            In [1]_ features for recognition are averages over the 50 strongest of the
            top layer.

        Raises
        ------
        TypeError, ValueError
            As in ``decode``; or if ``k`` is below 1.

        References
        ----------
        .. [1] M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High
           Level Feature Learning", ICCV 2011.
        """
        check_is_fitted(self)
        number = self._check_code(code, layer)
        k = check_integer("k", k, min_val=1)
        check_in("to", to, ["pixels", "layer1"])
        if to == "layer1":
            return projected_to_first_layer(code, number, self._network, k)
        projections = list(projected_to_pixels(code, number, self._network, k))
        return np.stack(projections) if len(set(code.image_shapes)) == 1 else projections

    def cascade(self, code: AdaptiveCode, layer: int | None = None, k: int = 5) -> list[np.ndarray]:
        """Decompose the strongest activation of a layer into its parts in the layers below.

        By the switches of its image, a coefficient reconstructs maps of the layer below; the k
        coefficients of largest magnitude are its parts there. Each of these is reconstructed
        further down alone, and so on: 1, 5, 25, 125 features from the fourth layer to the first.

        Parameters
        ----------
        code : AdaptiveCode
            Code of one image.
        layer : int, default=None
            Layer of the activation, 1 for the lowest; None or -1 for the highest of the code.
        k : int, default=5
            Number of parts of each feature.

        Returns
        -------
        patches : list of ndarray of shape (k ** j, h, w, n_channels)
            For each layer, from the given one down, the reconstruction of each feature alone in its
            receptive field: the k parts of the first feature above, then those of the next. Zeros
            if a feature has fewer.

        Raises
        ------
        TypeError, ValueError
            As in ``decode``; or if the code is not of one image, or ``k`` is below 1.

        See Also
        --------
        skdeconv.display.CascadeDisplay : Plots them.
        """
        check_is_fitted(self)
        number = self._check_code(code, layer)
        k = check_integer("k", k, min_val=1)
        if len(code) != 1:
            raise ValueError(f"code must be that of one image, such as code[0]; got {len(code)}.")
        return cascaded(code, number, self._network, k)

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
              pixel of the activation's receptive field, cut off at the border of the image.
            - ``coefficients``: ndarray of shape (n_filters, k), their values.
            - ``crops``: ndarray of shape (n_filters, k, h, w, n_channels), the images there. If
              images differ in size so may the fields, and smaller ones are padded with zeros.
            - ``projections``: ndarray of the same shape, reconstruction of each coefficient by
              the switches of its image.

        Raises
        ------
        ValueError
            If there is no such layer, or X does not match what ``fit`` has seen.
        """
        k = check_integer("k", k, min_val=1)
        check_is_fitted(self)
        number = check_layer(layer, len(self.filters_))
        network, images, encoded = self._encode_layers(X, number)
        return Bunch(**strongest_fields(encoded, images, network, number, k))

    def _encode_layers(self, X, number=None, task=encode_images, as_rows=False):
        """Run ``task`` in the ``number`` lowest layers or all; returns network, images, results."""
        check_is_fitted(self)
        self._check_output()
        codings, depth = self._codings(), len(self.filters_)
        if len(codings) != depth:
            raise ValueError(
                f"n_filters={self.n_filters} has {len(codings)} layers, but {depth} were fitted; "
                "call fit again."
            )
        self._layer_number(depth)
        images = self._check_images(X, as_rows)
        network = self._network(images.dtype, number)
        with workers(self.n_jobs) as parallel:
            found = task(network, codings[:number], images, parallel)
            if not any(len(layers[-1].index) for layers in found):
                # Since this is rare, the switches below are inferred again instead of being kept.
                encoded = encode_images(network, codings[:number], images, parallel)
                number = len(network.filters)
                below = switches_of(encoded, number - 1)
                warn_of_silent_layer(number, codings[number - 1], network, images, below)
        return network, images, found

    def _reconstructions(self, X):
        """Yield stacks of images of one size, and their reconstructions from inferred codes."""
        network, images, encoded = self._encode_layers(X)
        for part in images.portions():
            which = np.arange(len(images))[part]
            sized = network.at(images.size_of(which[0]))
            reconstructed = [sized.reconstruct(encoded[i]) for i in which]
            yield images.stack(part), np.concatenate(reconstructed)

    def _network(self, dtype, number=None):
        """Network of the ``number`` lowest layers, or of all, for images of any size."""
        filters = [one.transpose(0, 3, 1, 2).astype(dtype) for one in self.filters_[:number]]
        return AdaptiveNetwork(filters, self.pooling_[:number])

    def _check_code(self, code, layer):
        """Check a code, and return the number of its layer ``layer``, counted from 1."""
        if not isinstance(code, AdaptiveCode):
            kind = type(code).__name__
            raise TypeError(f"code must be an AdaptiveCode, as returned by encode; got {kind}.")
        if not len(code):
            raise ValueError("code holds no images; at least one is required.")
        if code.n_layers > len(self.filters_):
            raise ValueError(
                f"code has {code.n_layers} layers, but the net has {len(self.filters_)}."
            )
        return check_layer(layer, code.n_layers)

    def _codings(self):
        """Parameters of inference of each layer of the fitted net."""
        return [coding.scaled(self._lam_unit) for coding in check_adaptive_codings(self)[0]]

    def _layer_number(self, depth):
        """Number of the layer that the parameter ``layer`` names, counted from 1."""
        return check_layer(check_integer("layer", self.layer), depth)

    def _filters_in_pixels(self):
        """Filters of ``layer`` projected to pixels; there must be no pooling below it."""
        first, *above = (one.transpose(0, 3, 1, 2) for one in self.filters_)
        for upper in above[: self._layer_number(len(self.filters_)) - 1]:
            first = compose(upper, first)
        return first

    @property
    def _n_maps(self):
        return len(self.filters_[self._layer_number(len(self.filters_)) - 1])

    def _maps_shape(self, codes=None, filters=None):
        """(n_filters, height, width) of the maps: those of the codes, or of the images of fit."""
        number = self._layer_number(len(self.filters_))
        if filters is None and number > 1:
            if (own := map_shape_of(codes)) is not None:
                return len(self.filters_[number - 1]), *own
            if None not in self.image_shape_:
                network = self._network(self.filters_[0].dtype)
                return network.maps_shape(number, full_shape(self.image_shape_)[:2])
            # For images of different sizes the base class raises; the filters do not matter.
            filters = self.filters_[0].transpose(0, 3, 1, 2)
        return super()._maps_shape(codes, filters)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "filters_")


def _is_settled(costs, tol):
    """Whether the last pass has changed the cost by less than the fraction ``tol``."""
    return len(costs) > 1 and abs(costs[-2] - costs[-1]) < tol * costs[-2]
