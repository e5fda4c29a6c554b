"""Parameters with which the maps of one layer of an adaptive network are inferred."""

from __future__ import annotations

from dataclasses import dataclass, replace

from skdeconv.inference._adapted_maps import AdaptedMaps, adapt, adapt_by_descent

# From this layer on, computing the atoms takes longer than FISTA.
_FIRST_WITHOUT_ATOMS = 3


@dataclass(frozen=True)
class AdaptiveCoding:
    """Algorithm and parameters of inference in one layer.

    Parameters
    ----------
    weight : float
        lambda.
    inference : {"fista", "ista", "coordinate_descent"}
        Algorithm of inference.
    n_steps : int
        Number of steps, or of rounds of coordinate descent.
    beta : float or None
        Step length; None for the one derived from the operator in ``adapt``.
    scale : float, default=1.0
        Value of lambda that the parameter ``lam`` is a multiple of.
    """

    weight: float
    inference: str
    n_steps: int
    beta: float | None
    scale: float = 1.0

    @property
    def lam(self) -> float:
        """The parameter ``lam``."""
        return self.weight / self.scale

    def scaled(self, scale: float) -> AdaptiveCoding:
        """The same parameters, with ``lam`` as a multiple of ``scale``.

        A step of length beta changes maps in proportion to the product of beta and lambda.
        """
        beta = None if self.beta is None else self.beta / scale
        return replace(self, weight=self.weight * scale, beta=beta, scale=scale)

    def infer(self, number, operator, image, shape, init=None) -> AdaptedMaps:
        """Infer the maps of one image in layer ``number``, counted from 1."""
        if self.inference == "coordinate_descent" and number < _FIRST_WITHOUT_ATOMS:
            return adapt_by_descent(operator, image, self.weight, shape, n_rounds=self.n_steps)
        return adapt(
            operator,
            image,
            self.weight,
            shape,
            n_steps=self.n_steps,
            accelerated=self.inference != "ista",
            beta=self.beta,
            init=init,
        )
