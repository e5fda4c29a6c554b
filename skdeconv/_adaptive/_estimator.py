"""An adaptive deconvolutional network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if

from skdeconv._adaptive._code import rows_suffice
from skdeconv._adaptive._codes import SwitchedCodes
from skdeconv._adaptive._encode import (
    encode_images,
    explained_by_top,
    next_switches,
    present_layer,
)
from skdeconv._adaptive._learner import AdaptiveLearner
from skdeconv._adaptive._learner_state import restore_learner, state_of_learner
from skdeconv._adaptive._plan import CG_MAX_ITER, LAM, POOLING, check_codings, check_plans
from skdeconv._adaptive._stack import AdaptiveLayers
from skdeconv._callbacks import FIT_FRAMES, CallbackSupportMixin, with_callbacks
from skdeconv._images import check_image_shape, check_images, full_shape
from skdeconv._maps import map_shape_of
from skdeconv._progress import Progress
from skdeconv._transformer import MapsTransformer
from skdeconv._validation import check_seed, restored_on_failure
from skdeconv.inference import quiet_single_thread, workers
from skdeconv.operators import compose


class AdaptiveDeconvNet(CallbackSupportMixin, SwitchedCodes, MapsTransformer, BaseEstimator):
    r"""Layers of convolutional sparse coding and max pooling, each of which explains the pixels.

    Layer l draws the image by its sparse maps :math:`z_l` through all layers below,

    .. math:: \hat y = F_1 U_{s_1} F_2 U_{s_2} \cdots F_l z_l,

    where :math:`F` is the valid convolution with a layer's filters, of unit norm, and :math:`U_s`
    puts pooled values where the switches s say: in every block of rows, columns and neighbouring
    maps at the one place where, in this image, the coefficient of largest modulus stood. Layers are
    learned and inferred from the lowest up, each minimising

    .. math:: \frac{\lambda_l}{2} \| \hat y - y \|^2 + \sum |z_l|

    with the switches of the layers below held (equations 1 to 7 of [1]_).

    Every parameter that is marked "per layer" is one value for all layers, or a tuple of one value
    for each, the lowest first. The defaults are for four layers: fewer take the leading entries.

    Parameters
    ----------
    n_filters : tuple of int, default=(15, 50, 100, 150)
        Number of filters in each layer, the lowest first. Its length is the number of layers.
    filter_size : int or (int, int), per layer, default=7
        Height and width of the filters. A tuple always runs over the layers: rectangular filters of
        two layers are ``((7, 5), (5, 5))``. Where images have a height of 1 an integer means
        (1, ``filter_size``).
    pooling : (int, int, int) or None, per layer
        Rows, columns and neighbouring maps of a block; None for a layer without pooling. One triple
        is for all layers. By default (3, 3, 3) in the first layer and (3, 3, 2) above. At the far
        ends blocks may be cut off.
    lam : float, per layer, default=(2.0, 0.5, 0.3, 0.2)
        Weight of the squared error, above 0. Larger: better reconstruction, less sparse maps. Its
        scale depends on that of the images.
    inference : {"fista", "ista", "coordinate_descent"}, per layer, default="fista"
        How maps are inferred. "ista" is the algorithm of [1]_: gradient step, pooling, shrinkage
        and unpooling. "fista" adds momentum. "coordinate_descent" solves layers 1 and 2 without
        pooling, pools once, and solves again with the switches held; in layers above the second,
        where atoms are too large, it is "fista".
    n_inference_steps : int, per layer, default=10
        Steps of inference, or rounds of coordinate descent.
    beta : float or None, per layer, default=None
        Length of a step of "ista" and "fista", in equations 9 and 10 of [1]_. None estimates the
        longest that the operator allows with the switches of the image, and takes back steps that
        raise the cost. A given one is used as it is.
    image_shape : tuple of int, default=None
        Shape of one image, (length,), (height, width) or (height, width, n_channels), where the
        input is rows. Without it rows are 1-D signals.
    output : {"layer1", "top"}, default="layer1"
        What ``transform`` returns: the maps of the first layer that the top one draws, which may be
        compared between images, or the maps of the top layer, whose meaning depends on the switches
        of each image.
    layout : {"rows", "maps"}, default="rows"
        Whether that is one row per image, as classifiers want it, or the stack of maps.
    sparse_output : bool, default=False
        Whether rows are a csr_array, and maps a :class:`skdeconv.SparseMaps`.
    max_iter : int, per layer, default=5
        Largest number of passes over the images in ``fit``.
    tol : float, per layer, default=5e-3
        A layer is done when a pass has changed the mean cost by less than this fraction of it. 0
        runs all passes.
    batch_size : int, "auto" or None, per layer, default="auto"
        Images coded between two updates of the filters. "auto" takes about 90,000 pixels, at least
        ten updates a pass; None takes all images.
    cg_max_iter : int, per layer, default=(3, 2, 2, 2)
        Steps of conjugate gradients in each update. Few are better where maps are sparse; too many
        fit the batch alone.
    n_learning_steps : int or None, per layer, default=None
        Steps of inference in each visit of an image in ``fit``; None for ``n_inference_steps``.
    keep_maps : bool, default=False
        Whether each visit of an image in ``fit`` starts from its maps of the visit before. With
        ``inference="ista", n_learning_steps=1, keep_maps=True, cg_max_iter=2, batch_size=None,
        max_iter=10, tol=0`` this is the schedule of [1]_. The maps of all images are kept then.
    init : array-like of shape (n_filters, h, w, n_channels) or None, per layer, default=None
        First filters; they are normalised. None starts from Gaussian noise.
    warm_start : bool, default=False
        Whether ``fit`` starts from the fit before. With a longer ``n_filters`` it keeps the layers
        that are there and learns the new ones; with the same it goes on with all of them.
    checkpoint : str or path, default=None
        As in :class:`skdeconv.DeconvNetLayer`: one file for all layers.
    n_jobs : int, default=None
        Number of joblib workers that code images. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        For the first filters, the order of the images and the redraw of unused filters.
    verbose : int, default=0
        Above 0 prints a line for each pass.

    Attributes
    ----------
    filters_ : list of ndarray of shape (n_filters, h, w, n_channels)
        Filters of each layer, of unit norm; those above the first see pooled maps.
    pooling_ : list of tuple of three ints
        What each layer pools; (1, 1, 1) for nothing.
    cost_ : list of ndarray of shape (n_passes,)
        For each layer the mean cost per image of each pass, each image when it was visited. It may
        rise, for filters of unit norm draw pixels of any size.
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
    skdeconv.AdaptiveCode : Maps and switches of all layers.
    skdeconv.HierarchicalDeconvNet : Layers without pooling.
    skdeconv.display.ActivationsDisplay : What features of a layer look like.

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

    _form = "layout"

    def __init__(
        self,
        n_filters: Sequence[int] = (15, 50, 100, 150),
        filter_size: int | tuple = 7,
        pooling: tuple | None = POOLING,
        *,
        lam: float | tuple = LAM,
        inference: str | tuple = "fista",
        n_inference_steps: int | tuple = 10,
        beta: float | tuple | None = None,
        image_shape: tuple[int, ...] | None = None,
        output: str = "layer1",
        layout: str = "rows",
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
        self.inference = inference
        self.n_inference_steps = n_inference_steps
        self.beta = beta
        self.image_shape = image_shape
        self.output = output
        self.layout = layout
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
            The fitted net. Where ``fit`` fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, does not fit the images, or is a tuple of another length
            than ``n_filters``; or X is infinite; or steps of length ``beta`` diverge. All but the
            last is checked before the first layer is learned.
        """
        with restored_on_failure(self):
            codings, blocks = check_codings(self)
            image_shape = check_image_shape(self.image_shape)
            images, layout, shape = check_images(self, X, image_shape=image_shape, reset=True)
            plans, progress = check_plans(self, codings, blocks, images), Progress(self, images)
            self._fit(plans, codings, images, layout, shape, progress, X, y)
            progress.finish()
        return self

    @with_callbacks
    def _fit(self, plans, codings, images, layout, shape, progress, X, y):
        data, random_state = {"estimator": self, "X": X, "y": y}, check_seed(self.random_state)
        context = self._init_callback_context(max_subtasks=len(plans))
        context.call_on_fit_task_begin(**data)
        layers, switches = AdaptiveLayers([], []), [[] for _ in range(len(images))]
        filters, costs = [], []
        with workers(self.n_jobs) as parallel, quiet_single_thread():
            for number, plan in enumerate(plans, 1):
                learner = AdaptiveLearner(images, layers, switches, plan, random_state, parallel)
                step = context.subcontext(task_name="layer", max_subtasks=plan.n_passes)
                step.call_on_fit_task_begin(**data)
                if progress.is_under_way and f"filters{number}" in progress.below:
                    learner.filters = progress.below[f"filters{number}"]
                    costs.append(progress.below[f"cost{number}"])
                    # What was told of it was told then.
                    learner.used[:] = 1
                else:
                    costs.append(self._learn(learner, plan, number, progress, step, data))
                    now = {f"filters{number}": learner.filters, f"cost{number}": costs[-1]}
                    progress.below |= now
                if plan.n_passes and learner.is_silent:
                    self._warn_of_silence(
                        number, learner.layers, images, switches, stacklevel=4 + FIT_FRAMES
                    )
                layers = learner.layers
                filters.append(learner.filters.transpose(0, 2, 3, 1).copy(order="C"))
                if number < len(plans):
                    new = next_switches(layers, codings[number - 1], images, switches, parallel)
                    switches = [[*old, one] for old, one in zip(switches, new, strict=True)]
                # Until the last layer is there, no net is fitted that a callback could be given.
                step.call_on_fit_task_end(**data)
        fitted = {"image_shape_": shape, "_layout": layout, "filters_": filters, "cost_": costs}
        fitted["pooling_"] = [plan.block for plan in plans]
        fitted["n_iter_"] = sum(map(len, costs))
        vars(self).update(fitted)
        context.call_on_fit_task_end(**data, reconstruction_attributes=fitted)

    def _learn(self, learner, plan, number, progress, context, data) -> np.ndarray:
        """Pass over the images until the cost settles; the costs of the passes."""
        costs = [] if plan.n_passes else self.cost_[number - 1].tolist()
        if (known := progress.take()) is not None:
            costs = known[0]["costs"]
            restore_learner(learner, *known)

        def state():
            meta, arrays = state_of_learner(learner)
            return meta | {"costs": costs}, arrays

        for epoch in range(len(costs) + 1 if plan.n_passes else 1, plan.n_passes + 1):
            step = context.subcontext(task_name="pass")
            step.call_on_fit_task_begin(**data)
            costs.append(float(learner.run_epoch(lambda: progress.save(state))))
            if self.verbose:
                print(
                    f"[AdaptiveDeconvNet] layer {number}, pass {epoch}/{plan.n_passes}: mean cost "
                    f"{costs[-1]:.6g}"
                )
            told_to_stop = step.call_on_fit_task_end(**data)
            settled = epoch > 1 and abs(costs[-2] - costs[-1]) < plan.tol * costs[-2]
            if told_to_stop or settled or epoch == plan.n_passes:
                break
            learner.tend()
            progress.save(state, at_once=True)
        if not self.warm_start and plan.first is None:
            learner.make_signs_canonical()
        return np.array(costs)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Infer the maps of images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images in any layout that ``fit`` takes, of the shape seen there. Where ``fit`` saw a
            list, the number of channels is enough.

        Returns
        -------
        codes : ndarray, csr_array or SparseMaps
            The maps of the first layer that the top one draws, or those of the top layer, by
            ``output``. For ``layout="rows"`` of shape (n_samples, map_height * map_width *
            n_filters), C order of the maps; for ``layout="maps"`` (n_samples, map_height,
            map_width, n_filters). Sparse by ``sparse_output``; those of images of different sizes
            in any case.

        Raises
        ------
        ValueError
            If X does not fit what ``fit`` has seen, or is infinite, or steps of length ``beta``
            diverge.

        Warns
        -----
        ZeroMapsWarning
            If ``lam`` is so small that the top maps of all images that are not zero are zero.
        """
        in_first = self.output == "layer1"
        task = explained_by_top if in_first else encode_images
        layers, images, found = self._encode(X, task=task, as_rows=True, stacklevel=5)
        number = 1 if in_first else len(self.filters_)
        maps = found if in_first else [one[-1] for one in found]
        return present_layer(maps, layers, number, images, self.layout, self.sparse_output)

    @available_if(rows_suffice)
    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Draw images from codes that need no switches: those of ``output="layer1"``.

        Parameters
        ----------
        X : array-like, csr_array or SparseMaps
            Codes in any form that ``transform`` gives.

        Returns
        -------
        images : ndarray or list of ndarray
            The reconstructions, in the layout seen in ``fit``: rows, a stack or a list.

        Raises
        ------
        AttributeError
            For ``output="top"`` where a layer below is pooled: see ``decode``.
        ValueError
            If the width of rows or the shape of maps does not fit the filters.
        """
        return super().inverse_transform(X)

    def _drawing_filters(self):
        """Filters that draw images from codes which need no switches."""
        first, *above = (one.transpose(0, 3, 1, 2) for one in self.filters_)
        if self.output == "top":
            for upper in above:
                first = compose(upper, first)
        return first

    def _maps_shape(self, codes=None, filters=None):
        """(n_filters, height, width) of the maps; of the codes' own where any size is legal."""
        if filters is None and self.output == "top":
            if self._layout == "list" and (own := map_shape_of(codes)) is not None:
                return len(self.filters_[-1]), *own
            if None not in self.image_shape_:
                layers = self._layers(self.filters_[0].dtype)
                return layers.maps_shape(len(self.filters_), full_shape(self.image_shape_)[:2])
            # Where images differ in size there is none for any filters, as is said below.
            filters = self.filters_[0].transpose(0, 3, 1, 2)
        return super()._maps_shape(codes, filters)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "filters_")
