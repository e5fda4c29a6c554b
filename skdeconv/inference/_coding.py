"""Inference for many images, and validation of its parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from sklearn.base import clone

from skdeconv._utils.parallel import map_tasks
from skdeconv._utils.validation import check_flag, check_integer, check_real
from skdeconv.inference._alternation import ALTERNATIONS, LowFrequencyAlternation
from skdeconv.inference._missing import problems_by_mask
from skdeconv.inference._penalty import PowerPenalty
from skdeconv.inference._registry import SOLVERS
from skdeconv.inference._result import InferenceResult, concatenated
from skdeconv.inference._solver import Solver
from skdeconv.layouts import rows_of
from skdeconv.operators import LowFrequencySynthesis

# Number of coefficients per chunk: many small images, which share the overhead of a call, or one
# large photo.
_CHUNK = 2**20


@dataclass(frozen=True)
class Coding:
    """Solver, penalty and tolerances of inference.

    Parameters
    ----------
    solver : Solver
        Algorithm of inference.
    penalty : PowerPenalty
        The sparsity term.
    weight : float
        lambda, the weight of the squared error.
    tol, max_iter : float, int
        Tolerance and limit of the solver.
    smoothness : float, default=None
        Weight of the squared gradient of low-frequency maps; None if there are none.
    n_alternations : int, default=30
        Maximum number of alternations between sparse and low-frequency maps.
    unit : float, default=None
        What ``Problem`` calls its unit; None stands for ``weight``.
    scale : float, default=1.0
        Value of lambda that the parameter ``lam`` is a multiple of.
    """

    solver: Solver
    penalty: PowerPenalty
    weight: float
    tol: float
    max_iter: int
    smoothness: float | None = None
    n_alternations: int = ALTERNATIONS
    unit: float | None = None
    scale: float = 1.0

    @property
    def lam(self) -> float:
        """The parameter ``lam``."""
        return self.weight / self.scale

    def scaled(self, scale: float) -> Coding:
        """The same parameters, with ``lam`` as a multiple of ``scale``."""
        return replace(self, weight=self.weight * scale, scale=scale)

    @property
    def in_kernels(self) -> bool:
        """Whether inference spends most of its time in kernels, not in many small products."""
        return self.smoothness is None

    def low_frequency(self, filter_size, n_channels, dtype) -> LowFrequencySynthesis | None:
        """Synthesis from low-frequency maps; None if there are none."""
        if self.smoothness is None:
            return None
        return LowFrequencySynthesis(filter_size, self.smoothness, n_channels, dtype)

    def infer(self, synthesis, images, init=None, parallel=None) -> InferenceResult:
        """Infer the maps of all images, chunk by chunk.

        The result is bit-identical for any number of workers: the division into chunks does not
        depend on it, each chunk runs on one BLAS thread, and images are inferred independently.

        Parameters
        ----------
        synthesis : Synthesis
            Reconstructs images of any size from maps.
        images : Collection
            The images; NaN marks a missing pixel.
        init : csr_array, default=None
            Codes for a warm start, one row per image; zeros by default.
        parallel : joblib.Parallel, default=None
            Runs the chunks; None runs them in the calling thread.

        Returns
        -------
        result : InferenceResult
            Result for all images, in order.
        """
        chunks = list(images.groups(lambda size: _CHUNK // _checked_number(synthesis, size)))

        def tasks():
            for chunk in chunks:
                operators, start = synthesis.at(images.sizes[chunk][0]), None
                if init is not None:
                    start = rows_of(init, chunk, math.prod(operators[0].maps_shape))
                yield *operators, images.part(chunk), start

        results = map_tasks(self._infer_stack, tasks(), parallel)
        return concatenated(results, [np.arange(len(images))[chunk] for chunk in chunks])

    def _infer_stack(self, operator, low_operator, images, init) -> InferenceResult:
        """Infer the maps of images of one size."""
        solver = self.solver
        if low_operator is not None:
            solver = LowFrequencyAlternation(solver, low_operator, self.n_alternations)
        stack = images.stack(slice(None))
        results, places = [], []
        parts = problems_by_mask(operator, stack, self.penalty, self.weight, init, self.unit)
        for problem, start, samples in parts:
            result = solver.solve(problem, init=start, tol=self.tol, max_iter=self.max_iter)
            results.append(result)
            places.append(samples)
        return concatenated(results, places)


def _checked_number(synthesis, size):
    """Number of coefficients of an image of this size, which must fit into 32-bit indices."""
    number = synthesis.n_coefficients(size)
    if number > np.iinfo(np.int32).max:
        raise ValueError(
            f"An image of {size[0]} x {size[1]} pixels has {number} coefficients, which exceeds "
            "32-bit indices. Cut the image into parts, or use fewer filters."
        )
    return number


def check_coding(parameters, of="") -> Coding:
    """Check the parameters of inference and combine them.

    Parameters
    ----------
    parameters : object
        An estimator, or any object with its parameters ``lam``, ``p``, ``positive``, ``solver``,
        ``inference_tol``, ``inference_max_iter``, ``low_frequency`` and ``smoothness``.
    of : str, default=""
        Names the layer in messages, such as " of layer 2".

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If it is out of range.
    """
    above_zero = {"min_val": 0, "include_boundaries": "neither"}
    p = check_real(f"p{of}", parameters.p, min_val=0, max_val=1, include_boundaries="right")
    max_iter = parameters.inference_max_iter
    smoothness = check_real("smoothness", parameters.smoothness, **above_zero)
    return Coding(
        solver=_check_solver(f"solver{of}", parameters.solver),
        penalty=PowerPenalty(p, check_flag(f"positive{of}", parameters.positive)),
        weight=check_real(f"lam{of}", parameters.lam, **above_zero),
        tol=check_real(f"inference_tol{of}", parameters.inference_tol, min_val=0),
        max_iter=check_integer(f"inference_max_iter{of}", max_iter, min_val=1),
        smoothness=smoothness if check_flag("low_frequency", parameters.low_frequency) else None,
    )


def _check_solver(name, solver) -> Solver:
    """Check a solver and clone it, so that later changes of the parameter have no effect."""
    names = ", ".join(map(repr, SOLVERS))
    if isinstance(solver, str):
        if solver not in SOLVERS:
            raise ValueError(f"{name} must be one of {names} or a solver object, got {solver!r}.")
        return SOLVERS[solver]()
    if not isinstance(solver, Solver):
        raise TypeError(f"{name} must be one of {names} or a solver object, got {solver!r}.")
    solver.check_parameters()
    return clone(solver)
