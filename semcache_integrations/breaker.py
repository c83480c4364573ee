"""A circuit breaker: after repeated failures it stops asking for a while, then lets one call try.

It decides and counts; who asks, and what to tell the user, is the driver's business.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open"]

FAILURES_TO_OPEN = 5
REST_S = 10.0


class Breaker:
    """Guards one backend.

    Args:
        on_change: Called with the new state, once per change.
        failures: Consecutive failures that open it.
        rest_s: Seconds for which it stays open before one call may try.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        on_change: Callable[[State], None] = lambda _state: None,
        *,
        failures: int = FAILURES_TO_OPEN,
        rest_s: float = REST_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._limit = failures
        self._rest_s = rest_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at = 0.0

    @property
    def state(self) -> State:
        """Whether calls are let through (`closed`) or not (`open`)."""
        return "open" if self._failures >= self._limit else "closed"

    def allows(self) -> bool:
        """Whether a call may be made now; while open, one caller per rest period gets a True."""
        if self._failures < self._limit:
            return True
        with self._lock:
            now = self._clock()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._rest_s
            return True

    def succeeded(self) -> None:
        """Take note of an answer."""
        if not self._failures:
            return
        with self._lock:
            was_open, self._failures = self._failures >= self._limit, 0
        if was_open:
            self._on_change("closed")

    def failed(self) -> None:
        """Take note of a failure."""
        with self._lock:
            self._failures += 1
            opened = self._failures == self._limit
            if opened:
                self._retry_at = self._clock() + self._rest_s
        if opened:
            self._on_change("open")
