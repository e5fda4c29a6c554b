"""One layer of a deconvolutional network."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from skdeconv._callbacks import CallbackSupportMixin, with_callbacks
from skdeconv._images import check_image_shape, check_images
from skdeconv._learner import Learner, check_batch_size, check_statistics
from skdeconv._learner_state import restore_learner, state_of_learner
from skdeconv._low_frequency import LowFrequency
from skdeconv._parameters import (
    check_coding,
    check_connectivity,
    check_filter_size,
    check_filters,
)
from skdeconv._partial_fit import PartialFit, learn_from_batch
from skdeconv._progress import Progress
from skdeconv._transformer import MapsTransformer, stacks_to_explain, warn_of_zero_maps
from skdeconv._validation import (
    check_flag,
    check_integer,
    check_real,
    check_seed,
    check_verbose,
    restored_on_failure,
)
from skdeconv.inference import quiet_single_thread, workers
from skdeconv.learning import normalized, random_filters, with_canonical_signs

# Online costs are noisy: one pass without progress says little.
_PATIENCE = 3


class DeconvNetLayer(
    CallbackSupportMixin, PartialFit, LowFrequency, MapsTransformer, BaseEstimator
):
    r"""Convolutional sparse coding: filters learned from images, sparse maps inferred for them.

    An image y is drawn by sparse maps z and filters f of unit norm,
    :math:`\hat y_c = \sum_k z_k * f_{k,c}`, where * is the valid convolution, so that maps are
    larger than images by the filter size less one. ``fit`` learns the filters, ``transform``
    infers the maps, both minimising

    .. math:: \frac{\lambda}{2} \sum_c \| \hat y_c - y_c \|^2 + \sum |z|^p, \quad 0 < p \le 1,

    and ``inverse_transform`` draws images from maps (equations 1 and 2 of [1]_). With
    ``low_frequency`` each channel has a smooth map :math:`z_{0,c}` besides, drawn by a flat filter
    :math:`f_0` of unit norm: :math:`z_{0,c} * f_0` joins the reconstruction, and :math:`\psi
    \| \nabla z_{0,c} \|^2`, with the weight :math:`\psi` = ``smoothness``, the squared error.

    Parameters
    ----------
    n_filters : int, default=9
        Number of filters, and of maps.
    filter_size : int or (int, int), default=7
        Height and width of the filters in pixels. Where images have a height of 1, and for rows
        that are read as signals, an integer means (1, ``filter_size``).
    lam : float, default=1.0
        Weight of the squared error, above 0. Larger: better reconstruction, less sparse maps. Its
        scale depends on that of the images; see :func:`skdeconv.lam_min`.
    p : float, default=1.0
        Exponent of the sparsity term, 0 < p <= 1. Below 1 the cost is not convex.
    positive : bool, default=False
        Whether maps are non-negative.
    connectivity : array-like of bool of shape (n_filters, n_channels), default=None
        Which filter sees which channel; None stands for all.
    low_frequency : bool, default=False
        Whether a smooth map per channel draws what the filters should not: brightness and shading
        of raw photos. It is inferred together with the sparse maps, and needs ``output="rows"``.
    smoothness : float, default=1.0
        Weight, above 0, of the squared gradient of the smooth maps, relative to the squared error.
    image_shape : tuple of int, default=None
        Shape of one image, (length,), (height, width) or (height, width, n_channels), where the
        input is rows. Without it rows are 1-D signals.
    output : {"rows", "maps"}, default="rows"
        What ``transform`` returns: one row per image, as classifiers want it, or the stack of
        maps, as the next step of a pipeline may want it.
    sparse_output : bool, default=False
        Whether rows are a csr_array, and maps a :class:`skdeconv.SparseMaps`.
    solver : {"coordinate_descent", "fista", "half_quadratic"}, default="coordinate_descent"
        How maps are inferred. "half_quadratic" is the algorithm of [1]_: a reference, whose cost
        is higher.
    inference_tol : float, default=1e-3
        At p = 1 the relative duality gap of an image at which its inference ends.
    inference_max_iter : int, default=50
        Largest number of the solver's iterations for one image.
    beta_min, beta_factor, beta_max : float, default=1.0, 6.0, 1e5
        Continuation of "half_quadratic": beta grows from the first, by the second, up to the third.
    beta_repeats : int, default=1
        Alternations of "half_quadratic" at each beta.
    cg_max_iter : int, default=2
        Steps of conjugate gradients in each alternation of "half_quadratic".
    max_iter : int, default=20
        Largest number of passes over the images in ``fit``.
    tol : float, default=1e-4
        ``fit`` ends when three passes together have lowered the mean cost by less than this
        fraction of it. 0 runs all passes.
    batch_size : int, "auto" or None, default="auto"
        Images coded between two updates of the filters. "auto" takes about 10,000 pixels, at least
        ten updates a pass. None takes all images: the cost then never rises from pass to pass.
    forgetting : float, default=100.0
        At update t, what was learned from earlier maps is weighted by (1 - 1/t)^``forgetting``.
        Early maps belong to bad filters: 0 forgets nothing. About 10,000 pixels are remembered in
        any case.
    keep_maps : bool, default=True
        Whether a visit of an image starts from its maps of the pass before, which are kept, beyond
        32 MB in a temporary file. False: from zeros; with ``batch_size=None`` workers then return
        sufficient statistics alone, of a size that does not depend on the images, and the cost may
        rise by ``inference_tol``.
    init : array-like of shape (n_filters, h, w, n_channels), default=None
        First filters; they are normalised. None starts from Gaussian noise.
    warm_start : bool, default=False
        Whether ``fit`` starts from the filters of the fit before.
    checkpoint : str or path, default=None
        File that ``fit`` writes after each pass, and within long ones, to go on from it where it
        was interrupted: with the result of a fit that was not. It is removed at the end.
    n_jobs : int, default=None
        Number of joblib workers that code images. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        For the first filters, the order of the images, and the redraw of unused filters.
    verbose : int, default=0
        Above 0 prints a line for each pass.

    Attributes
    ----------
    filters_ : ndarray of shape (n_filters, h, w, n_channels)
        The filters, of unit norm, in the floating type of the images. After a fit from scratch
        the entry of largest modulus is positive, unless ``positive``.
    cost_ : ndarray of shape (n_passes,)
        Mean cost per image of each pass, each image at the time it was visited.
    n_iter_ : int
        Number of passes.
    image_shape_ : tuple of int
        Shape of one image as seen in ``fit``; None for height and width where they differ.
    n_features_in_ : int
        Number of features of a row; absent after a fit on a list of images.
    feature_names_in_ : ndarray of str
        Column names seen in ``fit``, where there were any.

    See Also
    --------
    skdeconv.lam_min : The scale of ``lam``.
    skdeconv.preprocessing.LocalContrastNormalizer : What photos need first.

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

    def __init__(
        self,
        n_filters: int = 9,
        filter_size: int | tuple[int, int] = 7,
        *,
        lam: float = 1.0,
        p: float = 1.0,
        positive: bool = False,
        connectivity: ArrayLike | None = None,
        low_frequency: bool = False,
        smoothness: float = 1.0,
        image_shape: tuple[int, ...] | None = None,
        output: str = "rows",
        sparse_output: bool = False,
        solver: str = "coordinate_descent",
        inference_tol: float = 1e-3,
        inference_max_iter: int = 50,
        beta_min: float = 1.0,
        beta_factor: float = 6.0,
        beta_max: float = 1e5,
        beta_repeats: int = 1,
        cg_max_iter: int = 2,
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

    def fit(self, X: ArrayLike, y=None) -> DeconvNetLayer:
        """Learn filters from images.

        Parameters
        ----------
        X : array-like, DataFrame or list of images
            Rows (n_samples, n_features), a stack (n_samples, height, width) or (n_samples, height,
            width, n_channels), or a list of images of any sizes, or a sequence that reads them on
            access, such as :class:`skdeconv.datasets.ImageFolder`. NaN marks a missing pixel.
            float32 and float64 are kept, integers become float64. A single photo (height, width)
            is read as rows: pass X[None].
        y : None
            Ignored.

        Returns
        -------
        self : DeconvNetLayer
            The fitted layer. Where ``fit`` fails or is interrupted, it is as it was before.

        Raises
        ------
        TypeError
            If a parameter is of the wrong type.
        ValueError
            If a parameter is out of range, or does not fit the images; X is infinite, or of a scale
            whose squares its floating type does not hold, above 1e16 or below 1e-16 in float32; an
            image has no known pixel; or ``checkpoint`` is the file of another fit.
        """
        with restored_on_failure(self):
            coding = check_coding(self)
            image_shape = check_image_shape(self.image_shape)
            images, layout, shape = check_images(self, X, image_shape=image_shape, reset=True)
            random_state, progress = self._seed(), Progress(self, images)
            self._fit(coding, images, layout, shape, random_state, progress, X, y)
            progress.finish()
        return self

    @with_callbacks
    def _fit(self, coding, images, layout, shape, random_state, progress, X, y, name="lam"):
        """Learn from the images of a collection."""
        plan = self._plan(images)
        with workers(self.n_jobs) as coding.parallel, quiet_single_thread():
            learner = self._start(coding, images, plan, random_state, plan.keep_maps)
            fitted = {"image_shape_": shape, "_layout": layout}
            fitted |= self._learn(learner, plan, progress, fitted, X, y)
        fitted["_stream"] = {"n_updates": learner.n_updates}
        vars(self).update(fitted)
        if learner.is_silent:
            limits = self.lam, self.positive, self.inference_tol
            warn_of_zero_maps(learner.stacks_to_explain(), learner.filters, *limits, name=name)

    def _plan(self, images) -> SimpleNamespace:
        """Check the parameters of learning for the images of a collection."""
        n_channels, height = images.n_channels, images.sizes[:, 0].max()
        n_filters = check_integer("n_filters", self.n_filters, min_val=1)
        shape = n_filters, *check_filter_size(self.filter_size, height), n_channels
        connectivity = check_connectivity(self.connectivity, n_filters, n_channels)
        plan = SimpleNamespace(shape=shape, connectivity=connectivity, first=None)
        first = self.init
        if check_flag("warm_start", self.warm_start) and hasattr(self, "filters_"):
            first = self.filters_
        if first is not None:
            name = "init" if first is self.init else "filters_ of the fit before"
            plan.first = normalized(check_filters(name, first, shape, images.dtype), connectivity)
            if not plan.first.any(axis=(1, 2, 3)).all():
                raise ValueError(f"{name} must not be zero on all channels that a filter sees.")
        plan.batch_size = check_batch_size(self.batch_size, images)
        plan.forgetting = check_real("forgetting", self.forgetting, min_val=0)
        plan.keep_maps = check_flag("keep_maps", self.keep_maps)
        if not plan.keep_maps and plan.batch_size >= len(images):
            check_statistics("keep_maps=False with whole passes", plan.shape)
        plan.max_iter = check_integer("max_iter", self.max_iter, min_val=1)
        plan.tol = check_real("tol", self.tol, min_val=0)
        plan.verbose = check_verbose(self.verbose)
        return plan

    def _seed(self):
        return check_seed(self.random_state)

    def _start(self, coding, images, plan, random_state, keep_maps) -> Learner:
        filters = plan.first
        n_filters, h, w, n_channels = plan.shape
        if filters is None:
            shape = n_filters, n_channels, h, w
            filters = random_filters(shape, plan.connectivity, random_state, images.dtype)
        return Learner(
            images,
            filters,
            coding,
            plan.connectivity,
            batch_size=plan.batch_size,
            forgetting=plan.forgetting,
            keep_maps=keep_maps,
            random_state=random_state,
        )

    def _learn(self, learner, plan, progress, fitted, X, y) -> dict:
        """Pass over the images until the cost settles; what was learned, as attributes."""
        context = self._init_callback_context(max_subtasks=plan.max_iter)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        costs = []
        if (state := progress.take()) is not None:
            costs = state[0]["costs"]
            restore_learner(learner, *state)

        def state():
            meta, arrays = state_of_learner(learner)
            return meta | {"costs": costs}, arrays

        for epoch in range(len(costs) + 1, plan.max_iter + 1):
            step = context.subcontext(task_name="pass")
            step.call_on_fit_task_begin(estimator=self, X=X, y=y)
            costs.append(learner.run_epoch(lambda: progress.save(state)))
            if plan.verbose:
                print(f"[DeconvNetLayer] pass {epoch}/{plan.max_iter}: mean cost {costs[-1]:.6g}")
            learned = {"filters_": self._public_filters(learner), "cost_": np.array(costs)}
            learned["n_iter_"] = len(costs)
            told_to_stop = step.call_on_fit_task_end(
                estimator=self, X=X, y=y, reconstruction_attributes=fitted | learned
            )
            if told_to_stop or _settled(costs, plan.tol) or epoch == plan.max_iter:
                break
            learner.tend()
            progress.save(state, at_once=True)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes=fitted | learned
        )
        return learned

    def _partial_fit(self, coding, images, fitted):
        vars(self).update(fitted | learn_from_batch(self, coding, images))

    def _check_coding(self):
        return check_coding(self)

    def _drawing_filters(self):
        return self.filters_.transpose(0, 3, 1, 2)

    def _low_size(self):
        return self.filters_.shape[1:3]

    def _infer(self, coding, images, drawing):
        with workers(self.n_jobs) as coding.parallel:
            result = coding(drawing, images)
        if not result.maps.nnz:
            limits = self.lam, self.positive, self.inference_tol
            rest = stacks_to_explain(images, drawing, result.low)
            warn_of_zero_maps(rest, drawing.filters, *limits, stacklevel=5)
        return result

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "filters_")

    def _public_filters(self, learner):
        """Filters with channels last; of canonical sign where both signs draw the same."""
        filters = learner.filters.transpose(0, 2, 3, 1).copy(order="C")
        if not (self.positive or self.warm_start or self.init is not None):
            filters = with_canonical_signs(filters)
        return filters


def _settled(costs, tol):
    """Whether the last passes have not lowered the lowest cost by the fraction ``tol``."""
    if tol == 0 or len(costs) <= _PATIENCE:
        return False
    before = min(costs[:-_PATIENCE])
    return min(costs[-_PATIENCE:]) >= (1 - tol) * before
