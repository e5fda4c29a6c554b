"""One layer of a deconvolutional network."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from skdeconv._base import BaseDeconvNet
from skdeconv._utils.callbacks import with_callbacks
from skdeconv._utils.parallel import one_blas_thread, workers
from skdeconv._utils.rollback import restored_on_failure
from skdeconv._utils.validation import check_flag, check_in, check_seed
from skdeconv.filters import check_any_filters, check_filter_size, with_canonical_signs
from skdeconv.inference import Solver, check_coding, warn_of_zero_maps, without_low_frequency
from skdeconv.layouts import Collection, check_image_shape, check_images, full_shape
from skdeconv.learning import (
    Checkpoint,
    LayerLearner,
    check_layer_plan,
    lam_unit,
    learn_from_batch,
    learn_in_passes,
    warn_of_dense_maps,
    warn_of_scale,
)
from skdeconv.networks import next_images, typical_value

# Number of passes without progress before stopping, since online costs are noisy.
_PATIENCE = 3


class DeconvNetLayer(BaseDeconvNet):
    r"""Convolutional sparse coding: learns filters from images and infers sparse maps.

    An image y is reconstructed from sparse maps z and filters f of unit norm,
    :math:`\hat y_c = \sum_k z_k * f_{k,c}`, where * is the valid convolution, so that maps are
    larger than images by the filter size less one. ``fit`` learns the filters and ``transform``
    infers the maps, both minimising

    .. math:: \frac{\lambda}{2} \sum_c \| \hat y_c - y_c \|^2 + \sum |z|^p, \quad 0 < p \le 1,

    and ``inverse_transform`` reconstructs images from maps (equations 1 and 2 of [1]_). With
    ``low_frequency`` each channel also has a low-frequency map :math:`z_{0,c}`, which is convolved
    with a flat filter :math:`f_0` of unit norm: :math:`z_{0,c} * f_0` is added to the
    reconstruction, and :math:`\psi \| \nabla z_{0,c} \|^2`, with the weight :math:`\psi` =
    ``smoothness``, to the squared error.

    Parameters
    ----------
    n_filters : int, default=9
        Number of filters, and of maps.
    filter_size : int or (int, int), default=7
        Height and width of the filters in pixels. For images of height 1 an integer is the width
        alone, for images of width 1 the height alone. Filters that are learned further, by
        ``partial_fit`` or ``warm_start``, keep the size that the first images gave them.
    lam : float, default=1.0
        Weight of the squared error, above 0. Larger values give a better reconstruction and less
        sparse maps. Its scale depends on that of the images; see :func:`skdeconv.lam_min`.
    lam_scale : {"absolute", "median"}, default="absolute"
        Whether ``lam`` is the weight itself, or a multiple of the median of
        :func:`skdeconv.lam_min` over the images seen in ``fit``, at most 200 of them. With "median"
        one value of ``lam`` serves images in any units, such as photos in 0..1 and in 0..255. With
        ``low_frequency`` the mean of each image and channel is subtracted first, since the
        low-frequency maps represent it.
        It is used by ``fit`` alone: afterwards ``lam`` is in units of ``lam_scale_``, also if
        ``lam_scale`` is changed by ``set_params``.
    p : float, default=1.0
        Exponent of the sparsity term, 0 < p <= 1. At 1 inference is convex and certified by the
        duality gap; smaller values give sparser maps, at a local minimum.
    positive : bool, default=False
        Whether maps are constrained to be non-negative.
    connectivity : array-like of bool of shape (n_filters, n_channels), default=None
        Which filter is connected to which channel; None connects all.
    low_frequency : bool, default=False
        Whether one low-frequency map per channel represents brightness and shading of raw photos,
        so that the filters need not. It is inferred together with the sparse maps.
    smoothness : float, default=1.0
        Weight, above 0, of the squared gradient of the low-frequency maps, relative to the squared
        error.
    image_shape : tuple of int, default=None
        Shape of one image, (length,), (height, width) or (height, width, n_channels), if the
        input is rows. Without it rows are 1-D signals.
    output : {"rows", "maps"}, default="rows"
        Whether ``transform`` returns one row per image, as classifiers need it, or the maps, as
        ``skdeconv.features`` needs them.
    sparse_output : bool, default=False
        Whether rows are a csr_array, and maps a :class:`skdeconv.SparseMaps`.
    solver : str or Solver, default="coordinate_descent"
        Algorithm of inference: "coordinate_descent", "fista", "half_quadratic", or a solver of
        ``skdeconv.inference`` with parameters of its own. "half_quadratic" is the algorithm of
        [1]_, kept as a reference; it reaches higher costs.
    inference_tol : float, default=1e-2
        Tolerance of inference, not negative: at p = 1 the relative duality gap of an image. The
        cost is usually closer to the optimum by a factor of fifty or more.
    inference_max_iter : int, default=50
        Maximum number of iterations of the solver for one image.
    max_iter : int, default=20
        Maximum number of passes over the images in ``fit``. 0 keeps the filters, which needs
        ``init`` or ``warm_start``.
    tol : float, default=1e-4
        ``fit`` stops when three passes together have decreased the mean cost by less than this
        fraction of it. 0 runs all passes.
    batch_size : int, "auto" or None, default="auto"
        Number of images between two updates of the filters. "auto" stands for about 10,000 pixels,
        with at least ten updates per pass; images above 100,000 pixels are then visited in windows
        of about 10,000, which are coded separately and have their own kept maps. None stands for
        all images: the cost then never rises from pass to pass. The windows of one image of an
        ``ImageFolder`` or another lazy sequence are visited together, those of lists and stacks in
        any order, so the filters learned from large images depend on the container.
    forgetting : float, default=100.0
        At update t, the statistics of earlier maps are weighted by (1 - 1/t)^``forgetting``, since
        early maps belong to poor filters. 0 weights all equally. About 10,000 pixels, and two
        non-zero coefficients for each tap of the filters, are remembered in any case. If the
        statistics exceed 256 MB, the maps of the last twelve batches at most are used instead.
    keep_maps : bool, default=True
        Whether inference of an image is warm-started from its maps of the previous pass. These are
        kept in memory up to 32 MB, and in a temporary file beyond. If False, inference starts from
        zeros. With ``batch_size=None`` workers then return only sufficient statistics, whose size
        does not depend on the images, and the cost may rise by ``inference_tol``.
    init : array-like of shape (n_filters, h, w, n_channels), default=None
        Initial filters, which are normalised. None initialises with Gaussian noise.
    warm_start : bool, default=False
        Whether ``fit`` starts from the filters of the previous fit.
    checkpoint : str or path, default=None
        File that ``fit`` writes after each pass, and during long ones. An interrupted fit resumes
        from it, with the same result as one that was not interrupted. It is removed at the end.
    n_jobs : int, default=None
        Number of joblib workers that infer maps. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial filters, the order of the images, and the redraw of unused filters.
    verbose : int, default=0
        If above 0, prints the cost, the non-zeros and the seconds of each pass.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, h, w, n_channels)
        The filters, of unit norm, in the floating type of the images. After a fit from scratch
        the entry of largest magnitude is positive, unless ``positive``.
    cost_ : ndarray of shape (n_passes,)
        Mean cost per image of each pass, computed for each image when it was visited.
    n_iter_ : int
        Number of passes.
    lam_scale_ : float
        Value of the weight of the squared error that ``lam`` is a multiple of: 1.0 for "absolute";
        for "median" the median of ``lam_min``, of images without their mean if ``low_frequency``.
    image_shape_ : tuple of int
        Shape of one image as seen in ``fit``; height and width are None if images differ in size.
    n_features_in_ : int
        Number of features of a row; absent after a fit on a list of images.
    feature_names_in_ : ndarray of str
        Names of the columns seen in ``fit``, if there were any.

    See Also
    --------
    skdeconv.lam_min : The scale of ``lam``.
    skdeconv.preprocessing.LocalContrastNormalizer : Preprocessing of photos.

    References
    ----------
    .. [1] M. Zeiler, D. Krishnan, G. Taylor, R. Fergus, "Deconvolutional Networks", CVPR 2010.

    Examples
    --------
    >>> from skdeconv import DeconvNetLayer
    >>> from skdeconv.datasets import make_sparse_images
    >>> images = make_sparse_images(20, (16, 16), n_filters=3, filter_size=5, random_state=0).images
    >>> layer = DeconvNetLayer(3, 5, lam=10.0, random_state=0).fit(images)
    >>> layer.transform(images).shape
    (20, 1200)
    >>> layer.score(images) > 0.9
    True
    """

    # What the next batch of a stream needs; absent from layers that are made of their filters.
    _stream = None

    def __init__(
        self,
        n_filters: int = 9,
        filter_size: int | tuple[int, int] = 7,
        *,
        lam: float = 1.0,
        lam_scale: str = "absolute",
        p: float = 1.0,
        positive: bool = False,
        connectivity: ArrayLike | None = None,
        low_frequency: bool = False,
        smoothness: float = 1.0,
        image_shape: tuple[int, ...] | None = None,
        output: str = "rows",
        sparse_output: bool = False,
        solver: str | Solver = "coordinate_descent",
        inference_tol: float = 1e-2,
        inference_max_iter: int = 50,
        max_iter: int = 20,
        tol: float = 1e-4,
        batch_size: int | str | None = "auto",
        forgetting: float = 100.0,
        keep_maps: bool = True,
        init: ArrayLike | None = None,
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
        self.low_frequency = low_frequency
        self.smoothness = smoothness
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

    def fit(self, X: ArrayLike, y=None) -> DeconvNetLayer:
        """Learn filters from images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Rows (n_samples, n_features), a stack (n_samples, height, width) or (n_samples, height,
            width, n_channels), a list of images of any sizes, or a sequence that reads them on
            access, such as :class:`skdeconv.datasets.ImageFolder`. NaN marks a missing pixel.
            float32 and float64 are kept, integers are converted to float64. A single photo
            (height, width) would be read as rows: pass X[None].
        y : None
            Ignored.

        Returns
        -------
        self : DeconvNetLayer
            The fitted layer. If ``fit`` fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range or does not match the images; if X is infinite, or its
            squares overflow or underflow in its floating type (above 1e16 or below 1e-16 in
            float32); if an image has no known pixel; or if ``checkpoint`` belongs to another fit.
        """
        with restored_on_failure(self):
            self._check_output()
            coding = check_coding(self)
            images = check_images(self, X, image_shape=self.image_shape, reset=True)
            random_state, checkpoint = check_seed(self.random_state), Checkpoint(self, images)
            continues = check_flag("warm_start", self.warm_start) and hasattr(self, "filters_")
            fitted = self.filters_ if continues else None
            plan = check_layer_plan(self, coding, images, fitted)
            self._fit(plan, images, random_state, checkpoint, X, y)
            checkpoint.finish()
        return self

    @with_callbacks
    def _fit(self, plan, images, random_state, checkpoint, X, y, of=""):
        """Run passes over the images until the cost converges, and assign what was learned."""
        context = self._init_callback_context(max_subtasks=plan.max_iter)
        data = {"estimator": self, "X": X, "y": y}
        context.call_on_fit_task_begin(**data)
        if plan.max_iter:
            warn_of_scale(images, plan.coding, plan.shape[1:3])
        in_kernels = plan.coding.in_kernels
        with workers(self.n_jobs, in_kernels=in_kernels) as parallel, one_blas_thread():
            learner = LayerLearner(images, plan, random_state, parallel)

            def attributes(costs):
                return {
                    "filters_": _public_filters(learner),
                    "cost_": np.array(costs),
                    "n_iter_": len(costs),
                    "lam_scale_": plan.coding.scale,
                    "image_shape_": images.image_shape,
                    "_layout": images.layout,
                }

            costs = learn_in_passes(
                learner,
                max_iter=plan.max_iter,
                is_settled=lambda costs: _is_settled(costs, plan.tol),
                checkpoint=checkpoint,
                context=context,
                data=data,
                heading="[DeconvNetLayer] " if plan.verbose else None,
                attributes=attributes,
            )
        if learner.is_silent:
            rest = learner.stacks_without_low_frequency()
            warn_of_zero_maps(rest, learner.filters, plan.coding, of=of)
        warn_of_dense_maps(images, plan.coding, learner.nonzero_share)
        self.filters_ = _public_filters(learner)
        self.cost_ = np.array(costs)
        self.n_iter_ = len(costs)
        self.lam_scale_ = plan.coding.scale
        self.image_shape_ = images.image_shape
        self._layout = images.layout
        self._stream = {"n_updates": learner.n_updates}
        context.call_on_fit_task_end(**data, reconstruction_attributes={})

    def partial_fit(self, X: ArrayLike, y=None) -> DeconvNetLayer:
        """Update the filters with a batch of images.

        The images are visited once, in mini-batches of ``batch_size``, and not kept. Only the
        filters and their sufficient statistics are kept, (``n_filters`` * h * w)^2 numbers
        regardless of the number of images; earlier batches are weighted down by ``forgetting``.
        After ``fit``, learning continues from the fitted filters; ``fit`` itself starts from
        scratch.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Images of any size in any layout that ``fit`` takes. After the first call they need the
            number of channels of the first images, and rows their width.
        y : None
            Ignored.

        Returns
        -------
        self : DeconvNetLayer
            The layer itself. If the call fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, X does not match, or the statistics would exceed 256 MB:
            decrease ``n_filters`` or ``filter_size``, or use ``fit``.
        """
        is_first = not hasattr(self, "filters_")
        with restored_on_failure(self):
            self._check_output()
            coding = check_coding(self)
            images = check_images(self, X, image_shape=self.image_shape, reset=is_first)
            if is_first:
                coding, known = self._first_coding(coding, images), {}
            else:
                coding = coding.scaled(self._lam_unit)
                known = {"filters": self.filters_, "stream": self._stream}
            batch = learn_from_batch(self, coding, images, **known)
            self.filters_ = batch.filters
            self.cost_ = np.append([] if is_first else self.cost_, batch.cost)
            self.n_iter_ = len(self.cost_)
            self.lam_scale_ = coding.scale if is_first else self.lam_scale_
            self.image_shape_ = images.image_shape if is_first else self._shape_of_both(images)
            self._layout = images.layout if is_first else self._layout
            self._stream = batch.stream
        return self

    @classmethod
    def from_filters(cls, filters: ArrayLike, **params) -> DeconvNetLayer:
        """Make a fitted layer of given filters, for example of filters that were learned elsewhere.

        Parameters
        ----------
        filters : array-like of shape (n_filters, h, w, n_channels) or (n_filters, h, w)
            The filters, which are normalised to unit norm. They become ``init``, and determine
            ``n_filters`` and ``filter_size``; ``max_iter`` is 0.
        **params : dict
            Other parameters of the layer.

        Returns
        -------
        layer : DeconvNetLayer
            The layer. It has seen no images, so that ``output="rows"`` needs a call of ``fit``,
            which keeps the filters, or ``image_shape``. Filters of one row and one channel also
            take rows and lists of signals.

        Raises
        ------
        TypeError, ValueError
            If ``filters`` are not finite numbers of this shape, a filter is zero, or a parameter is
            invalid or determined by the filters.

        Examples
        --------
        >>> import numpy as np
        >>> from skdeconv import DeconvNetLayer
        >>> edges = np.array([[[1.0, -1.0]], [[-1.0, 1.0]]])
        >>> layer = DeconvNetLayer.from_filters(edges, lam=10.0, output="maps")
        >>> layer.transform(np.eye(8)[None]).shape
        (1, 8, 9, 2)
        """
        given = sorted({"n_filters", "filter_size", "init", "max_iter"} & params.keys())
        if given:
            raise TypeError(f"{given[0]} is determined by filters; pass the other parameters only.")
        # A copy, since filters may be changed where they come from.
        filters = check_any_filters("filters", filters).copy()
        if not filters.any(axis=(1, 2, 3)).all():
            raise ValueError("filters must not be zero, but at least one of them is.")
        n_filters, h, w, n_channels = filters.shape
        layer = cls(n_filters, (h, w), init=filters, max_iter=0, **params)
        shape = check_image_shape(layer.image_shape)
        if shape is not None and full_shape(shape)[2] != n_channels:
            raise ValueError(
                f"image_shape={shape} must have the {n_channels} channels of the filters."
            )
        if check_in("lam_scale", layer.lam_scale, ["absolute", "median"]) == "median":
            raise ValueError(
                'lam_scale="median" needs images; call fit of a layer with init=filters.'
            )
        layer._check_output()
        size = np.array([full_shape(shape)[:2] if shape is not None else (h, w)])
        images = Collection(size, n_channels, filters.dtype)
        plan = check_layer_plan(layer, check_coding(layer), images)
        layer.filters_ = np.ascontiguousarray(plan.first.transpose(0, 2, 3, 1))
        layer.cost_ = np.array([])
        layer.n_iter_ = 0
        layer.lam_scale_ = 1.0
        # Filters of one row and one channel are those of signals, as after a fit on a list of them.
        unknown = (None,) * (1 + (h > 1)) if n_channels == 1 else (None, None, n_channels)
        layer.image_shape_ = shape or unknown
        layer._layout = "stack" if shape is None else "rows"
        layer._stream = {"n_updates": 0}
        if shape is not None:
            layer.n_features_in_ = math.prod(shape)
        return layer

    def _first_coding(self, coding, images):
        """Parameters of inference in units that the first batch of a stream gives; may warn."""
        filter_size = check_filter_size(self.filter_size, images.sizes.max(axis=0))
        coding = coding.scaled(lam_unit(self, images, filter_size))
        warn_of_scale(images, coding, filter_size)
        return coding

    def _check_coding(self):
        return check_coding(self).scaled(self._lam_unit)

    def _infer(self, coding, images, synthesis):
        with workers(self.n_jobs, in_kernels=coding.in_kernels) as parallel:
            result = coding.infer(synthesis, images, parallel=parallel)
        if not result.maps.nnz:
            rest = without_low_frequency(images, synthesis, result.low_frequency)
            warn_of_zero_maps(rest, synthesis.filters, coding)
        return result

    def _maps_as_images(self, coding, images, factor=None):
        """Maps of images as images of a layer above, and their factor, found if it is None."""
        synthesis = self._synthesis(self._filters_in_pixels(), images.dtype)
        with workers(self.n_jobs, in_kernels=coding.in_kernels) as parallel:
            maps = coding.infer(synthesis, images, parallel=parallel).maps
        factor = typical_value(maps) if factor is None else factor
        return next_images(maps, synthesis, images, factor), factor

    def _filters_in_pixels(self):
        return self.filters_.transpose(0, 3, 1, 2)

    def _filter_size(self):
        return self.filters_.shape[1:3]

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "filters_")


def _public_filters(learner):
    """Filters with the channels last; with canonical signs, unless the plan keeps the signs."""
    filters = learner.public_filters
    return with_canonical_signs(filters) if learner.plan.canonical_signs else filters


def _is_settled(costs, tol):
    """Whether the last three passes have decreased the lowest cost by less than ``tol`` of it."""
    if tol == 0 or len(costs) <= _PATIENCE:
        return False
    before = min(costs[:-_PATIENCE])
    return min(costs[-_PATIENCE:]) >= (1 - tol) * before
