"""scikit-learn's callback protocol, and a stand-in that does nothing before version 1.9."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

__all__ = ["FIT_FRAMES", "CallbackSupportMixin", "with_callbacks"]

# Frames that ``with_callbacks`` puts between a fit and who called it.
FIT_FRAMES = 1

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    FIT_FRAMES = 0

    class _NoContext:
        """Takes every call of a callback context, and never asks to stop."""

        def subcontext(self, **kwargs) -> _NoContext:
            return self

        def call_on_fit_task_begin(self, **kwargs) -> _NoContext:
            return self

        def call_on_fit_task_end(self, **kwargs) -> bool:
            return False

        def propagate_callback_context(self, estimator) -> AbstractContextManager:
            return nullcontext()

    class CallbackSupportMixin:
        """Gives an estimator a context that does nothing."""

        def _init_callback_context(self, **kwargs) -> _NoContext:
            return _NoContext()

    def with_callbacks(fit: Callable) -> Callable:
        """Leave ``fit`` as it is."""
        return fit
