"""Inference of the sparse maps and switches of one layer of an adaptive network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skdeconv.inference._coordinate_descent import CoordinateDescent
from skdeconv.inference._penalty import PowerPenalty
from skdeconv.inference._problem import Problem, squared_norms
from skdeconv.operators import Unpooling, flat_switches, pool

# The gain of R^T y is slightly less than the squared norm of R for its switches, which limits the
# step length.
_MARGIN = 1.2
# The penalty of every layer.
_MODULI = PowerPenalty(1.0)
# Maximum number of times that a step is halved.
_HALVINGS = 10


@dataclass
class AdaptedMaps:
    """Maps of one image, at most one non-zero coefficient per block, and all switches.

    Parameters
    ----------
    index : ndarray of int of shape (n_nonzeros,)
        Flat positions, in C order of (n_maps, height, width).
    values : ndarray of shape (n_nonzeros,)
        Values of the non-zero coefficients.
    switches : ndarray of shape (n_pooled, pooled_height, pooled_width)
        Position in each block, as ``pool`` returns it, also if the coefficient is zero.
    cost : float
        lambda / 2 times the squared norm of the residual, plus the l1 norm of the maps.
    residual : ndarray of shape (1, n_channels, height, width)
        y - R z; None if it is not kept, to save memory.
    """

    index: np.ndarray
    values: np.ndarray
    switches: np.ndarray
    cost: float
    residual: np.ndarray | None

    def add_to(self, maps, factor=1.0) -> None:
        """Add a multiple of these maps to dense maps, in place."""
        maps.reshape(-1)[self.index] += self.values.dtype.type(factor) * self.values

    def dense(self, maps_shape) -> np.ndarray:
        """Dense maps of shape (1, *maps_shape)."""
        maps = np.zeros((1, *maps_shape), dtype=self.values.dtype)
        self.add_to(maps)
        return maps


def adapt(
    operator, image, weight, shape, *, n_steps=10, accelerated=True, beta=None, init=None
) -> AdaptedMaps:
    r"""Infer sparse maps of one image, with new switches at every step.

    From maps v a step of length :math:`\beta` is

    .. math:: u = v + \beta \lambda R^T (y - R v), \quad (p, s) = \mathrm{pool}(u), \quad
        z = U_s \, \mathrm{shrink}(p, \beta).

    Since the switches change, this is a heuristic: the cost decreases, but not to a certified
    minimum. Only one coefficient per block is non-zero, so that steps can be four to five times
    longer than the norm of R alone would allow. With the switches s of
    :math:`q = \mathrm{pool}(R^T y)` the step length is

    .. math:: \beta = \frac{1}{1.2 \, \lambda} \, \frac{\|q\|^2}{\|R U_s q\|^2}.

    A step that raises the cost is rejected. If it had momentum, it counts as a step, and the next
    one has no momentum; without momentum, :math:`\beta` is halved until the cost decreases.

    Parameters
    ----------
    operator : operator
        R, from the maps of one image to its pixels, with the switches of the lower layers; it is
        ``Masked`` if pixels are missing.
    image : ndarray of shape (1, n_channels, height, width)
        The image y, zero at missing pixels.
    weight : float
        lambda.
    shape : tuple of three ints
        Rows, columns and neighbouring maps of a block.
    n_steps : int, default=10
        Number of steps.
    accelerated : bool, default=True
        Whether v is extrapolated from z with the momentum of FISTA; otherwise v = z, as in the
        paper.
    beta : float, default=None
        Step length, which is used unchanged, so that the cost may rise. None for the one above.
    init : AdaptedMaps, default=None
        Initial maps; zeros by default.

    Returns
    -------
    maps : AdaptedMaps
        The maps.

    Raises
    ------
    ValueError
        If steps of the given length have raised the cost above that of zero maps.

    References
    ----------
    M. Zeiler, G. Taylor, R. Fergus, "Adaptive Deconvolutional Networks for Mid and High Level
    Feature Learning", ICCV 2011, equations 8 to 10.
    """
    problem = _SwitchedProblem(operator, image, weight, shape)
    pull, switches = problem.pull
    maps = problem.maps(np.zeros_like(pull), switches) if init is None else problem.anew(init)
    if not pull.any():
        return maps
    guarded = beta is None
    if guarded:
        beta = 1 / (weight * _MARGIN * problem.gain(pull, switches))
    before, momentum = maps, 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(n_steps):
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2 if accelerated else 1.0
            ahead = (momentum - 1) / following
            new = problem.step(maps, before, ahead, beta)
            for _ in range(_HALVINGS if guarded and not ahead else 0):
                if new.cost <= maps.cost:
                    break
                beta /= 2
                new = problem.step(maps, before, ahead, beta)
            if guarded and not new.cost <= maps.cost:
                before, momentum = maps, 1.0
            else:
                before, maps, momentum = maps, new, following
    if not guarded and not maps.cost <= 0.5 * weight * squared_norms(image)[0]:
        raise ValueError(
            f"beta={beta} is too long a step: the cost has risen above that of zero maps. Decrease "
            "beta, or pass None."
        )
    return maps


@dataclass
class _SwitchedProblem:
    operator: object
    image: np.ndarray
    weight: float
    shape: tuple[int, int, int]

    @cached_property
    def pull(self):
        """Pooled values and switches of R^T y."""
        return pool(self.operator.adjoint(self.image), self.shape)

    def maps(self, values, switches) -> AdaptedMaps:
        """Maps with residual and cost, from pooled values (1, ...) and their switches."""
        # Comparing first is faster, since non-zeros are found faster among booleans.
        values, used = values.ravel(), np.flatnonzero(values != 0)
        index = self.places(switches, used)
        return self.anew(AdaptedMaps(index, values[used], switches[0], 0.0, None))

    def places(self, switches, blocks=None) -> np.ndarray:
        """Flat positions of switches in the maps, all of them or those of some blocks."""
        return flat_switches(switches[0], self.shape, self.operator.maps_shape, blocks)

    def anew(self, maps) -> AdaptedMaps:
        """The maps with their residual and cost recomputed for this operator."""
        residual = self.image
        if len(maps.values):
            residual = residual - self.operator.drawn(maps.index, maps.values)
        error, size = squared_norms(residual)[0], np.abs(maps.values).sum(dtype=np.float64)
        return replace(maps, residual=residual, cost=float(0.5 * self.weight * error + size))

    def moved(self, maps, before, ahead, beta) -> np.ndarray:
        """Dense maps after a gradient step of length beta from the extrapolated maps."""
        factor = self.image.dtype.type(ahead)
        residual = maps.residual + factor * (maps.residual - before.residual)
        moved = self.operator.adjoint(self.image.dtype.type(beta * self.weight) * residual)
        maps.add_to(moved, 1 + ahead)
        before.add_to(moved, -ahead)
        return moved

    def step(self, maps, before, ahead, beta) -> AdaptedMaps:
        """Maps after a gradient step, pooling and shrinkage."""
        if not len(maps.index) and not len(before.index):
            # From zeros the step is a multiple of R^T y, whose switches are known.
            pull, switches = self.pull
            return self.shrunk(pull.dtype.type(beta * self.weight) * pull, switches, beta)
        values, switches = pool(self.moved(maps, before, ahead, beta), self.shape)
        return self.shrunk(values, switches, beta)

    def shrunk(self, values, switches, beta) -> AdaptedMaps:
        """Maps of pooled values after shrinkage by the proximal operator of the penalty."""
        return self.maps(_MODULI.prox(values, beta), switches)

    def gain(self, values, switches) -> float:
        """Squared norm of the reconstruction of pooled values, relative to their own."""
        # Scaled, so that squares do not underflow.
        values = np.ldexp(values, -np.frexp(np.abs(values).max())[1])
        image = self.operator.drawn(self.places(switches).ravel(), values.ravel())
        return float(squared_norms(image)[0] / squared_norms(values)[0])


def adapt_by_descent(operator, image, weight, shape, *, n_rounds=10) -> AdaptedMaps:
    r"""Infer sparse maps of one image by coordinate descent, with switches chosen once.

    Without pooling in the layer the problem is convex, and is solved by coordinate descent on a
    working set. Pooling a gradient step from the solution gives the switches, and coordinate
    descent on the coefficients that these select gives the maps. The atoms have to be computed,
    which is efficient only if they are small, as in the first and second layer.

    Parameters
    ----------
    operator, image, weight, shape
        As in ``adapt``.
    n_rounds : int, default=10
        Maximum number of rounds of each of the two descents.

    Returns
    -------
    maps : AdaptedMaps
        The maps, which minimise the cost for these switches.
    """
    problem = _SwitchedProblem(operator, image, weight, shape)

    def descend(operator):
        convex = Problem(operator, image, _MODULI, weight)
        return CoordinateDescent().solve(convex, tol=1e-3, max_iter=n_rounds).maps

    free = descend(operator)
    maps = problem.anew(AdaptedMaps(free.indices, free.data, None, 0.0, None))
    # At a solution, the step leaves zeros below the threshold and non-zero coefficients above it.
    _, switches = pool(problem.moved(maps, maps, 0.0, 1 / (weight * operator.norm() ** 2)), shape)
    unpooling = Unpooling(switches[0], shape, operator.maps_shape)
    pooled = descend(operator @ unpooling)
    values = pooled.toarray().reshape(1, *unpooling.maps_shape)
    return problem.maps(values, switches)
