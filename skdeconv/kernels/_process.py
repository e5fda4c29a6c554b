"""Changes of the whole process, which concurrent blocks share."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager


class WhileAny:
    """A change that the first of several concurrent blocks makes, and that the last one undoes.

    A fork waits for threads that enter or leave. Otherwise the child would get half a change. The
    blocks of other threads end in the child, since a fork copies only the thread that calls it.

    Parameters
    ----------
    enter : callable
        Makes the change.
    leave : callable
        Undoes it, or what has been made of it if an exception interrupted ``enter``.
    """

    def __init__(self, enter, leave):
        self._enter, self._leave = enter, leave
        # A block is a pair of its thread and a key.
        self._lock, self._blocks = threading.RLock(), set()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=lambda: self._lock.acquire(),
                after_in_parent=lambda: self._lock.release(),
                after_in_child=self._keep_blocks_of_this_thread,
            )

    @contextmanager
    def __call__(self):
        """Context manager of a block."""
        block = threading.get_ident(), object()
        try:
            with self._lock:
                self._blocks.add(block)
                if len(self._blocks) == 1:
                    self._enter()
            yield
        finally:
            with self._lock:
                self._blocks.discard(block)
                self._leave_after_the_last()

    def _leave_after_the_last(self):
        if not self._blocks:
            self._leave()

    def _keep_blocks_of_this_thread(self):
        # The other threads may have waited for the old lock.
        self._lock = threading.RLock()
        here = threading.get_ident()
        self._blocks = {block for block in self._blocks if block[0] == here}
        self._leave_after_the_last()
