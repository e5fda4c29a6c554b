"""Codes of all layers of a hierarchy, inferred from pixels."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skdeconv._layers import make_layers
from skdeconv._parameters import check_coding
from skdeconv._transformer import stacks_to_explain, warn_of_zero_maps
from skdeconv._validation import check_in
from skdeconv.inference import workers


class LayerCodes:
    """``encode`` and what it shares with ``transform``, for ``layers_`` and ``factors_``."""

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
            If X does not fit what ``fit`` has seen, or is infinite, or its squares are.

        Warns
        -----
        ConvergenceWarning, ZeroMapsWarning
            As in ``transform``.
        """
        check_is_fitted(self)
        codings, images = self._check_coding(), self._check_images(X, as_rows=True)
        drawings = {
            number: self._drawing(self._drawing_filters(number), images.dtype)
            for number in range(1, len(self.layers_) + 1)
        }
        codes = []
        for number, result in self._results(codings, images, drawings).items():
            self._warn_of_unfinished(result)
            codes.append(self._present(result, images, drawings[number]))
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
        self._require_depth(codings)
        stack, smooth = self._stack(), next(iter(drawings.values())).smooth
        refine = {"joint": stack.jointly, "alternating": stack.alternating}.get(self.inference)
        with workers(self.n_jobs) as parallel:
            codings = [replace(coding, parallel=parallel) for coding in codings]
            greedy, inputs = stack.greedily(codings[: max(drawings)], images, smooth)
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
            rest = stacks_to_explain(inputs[0], drawing, results[number].low)
            rest, filters = (one / gain for one in rest), drawing.filters / gain
        else:
            number = next(i for i, one in enumerate(greedy, 1) if i == number or not one.maps.nnz)
            rest = stacks_to_explain(inputs[number - 1], drawing, low if number == 1 else None)
            filters = stack.filters[number - 1]
        coding = codings[number - 1]
        limits = coding.weight, coding.penalty.positive, coding.tol
        warn_of_zero_maps(rest, filters, *limits, name=f"lam of layer {number}", stacklevel=7)

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

    def _require_depth(self, codings):
        depth = len(self.layers_)
        if len(codings) != depth:
            raise ValueError(
                f"n_filters={self.n_filters} has another number of layers than the fit, {depth}; "
                "call fit again."
            )
