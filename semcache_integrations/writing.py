"""The queue of the writing thread: what a caller need not wait for, and the sweeping that comes along with it.

The law: a full queue drops the work, counted; it never holds the caller.
"""

from __future__ import annotations

import queue
from collections.abc import Callable

from semcache_integrations.assembly import Backends
from semcache_integrations.core.models import Selector
from semcache_integrations.journal import Journal

_SWEEP_EVERY_S = 300.0


class Writer:
    """Queues work for the writing thread of one cache.

    Args:
        backends: The thread, and the store.
        journal: Is told what was dropped.
        clock: Seconds since the epoch.
    """

    def __init__(self, backends: Backends, journal: Journal, clock: Callable[[], float]) -> None:
        self._backends = backends
        self._journal = journal
        self._clock = clock
        self._next_sweep = clock() + _SWEEP_EVERY_S

    def later(self, function: Callable[..., object], *args: object) -> bool:
        """Queue a call; return whether there was room for it."""
        try:
            self._backends.writes.submit(function, *args)
        except queue.Full:
            self._journal.dropped()
            return False
        self._sweep_when_due()
        return True

    def _sweep_when_due(self) -> None:
        """Delete what has expired, now and then; the embedded store sweeps by itself."""
        now = self._clock()
        if now < self._next_sweep or self._backends.store.in_process:
            return
        self._next_sweep = now + _SWEEP_EVERY_S
        self.later(self._backends.store.delete, Selector(expired_at=now))
