"""Choice of parameters without labels: a scorer for the searches of scikit-learn."""

from skdeconv.model_selection._held_out import HeldOutPixels

__all__ = ["HeldOutPixels"]
