"""scikit-learn's callback protocol, with a substitute that does nothing before version 1.9."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

__all__ = ["CallbackSupportMixin", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class _NoContext:
        """Callback context that ignores all calls and never requests a stop."""

        def subcontext(self, **kwargs) -> _NoContext:
            return self

        def call_on_fit_task_begin(self, **kwargs) -> _NoContext:
            return self

        def call_on_fit_task_end(self, **kwargs) -> bool:
            return False

        def propagate_callback_context(self, estimator) -> AbstractContextManager:
            return nullcontext()

    class CallbackSupportMixin:
        """Mixin of estimators, with a callback context that does nothing."""

        def _init_callback_context(self, **kwargs) -> _NoContext:
            return _NoContext()

    def with_callbacks(fit: Callable) -> Callable:
        """Return ``fit`` unchanged."""
        return fit
