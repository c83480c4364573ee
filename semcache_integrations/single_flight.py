"""One computation for concurrent equal misses: the first caller leads, the others wait for its answer.

A leader that fails hands over: its followers do not get its exception, the next of them leads. Works
for threads, for tasks of one or several event loops, and for a mix of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs at most one computation per key at a time."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Future[T | None]] = {}
        self._lock = threading.Lock()

    def do(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return `compute()`, or what a caller with the same key that came first gets from its own."""
        while True:
            flight, leads = self._join(key)
            if leads:
                return self._lead(key, flight, compute)
            answer = flight.result()
            if answer is not None:
                return answer

    async def ado(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """Async twin of `do`; a cancelled leader hands over like a failed one."""
        while True:
            flight, leads = self._join(key)
            if leads:
                return await self._alead(key, flight, compute)
            answer = await asyncio.shield(asyncio.wrap_future(flight))
            if answer is not None:
                return answer

    def _join(self, key: Hashable) -> tuple[Future[T | None], bool]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Future()
            return flight, True

    def _lead(self, key: Hashable, flight: Future[T | None], compute: Callable[[], T]) -> T:
        answer: T | None = None
        try:
            answer = compute()
        finally:
            self._land(key, flight, answer)
        return answer

    async def _alead(self, key: Hashable, flight: Future[T | None], compute: Callable[[], Awaitable[T]]) -> T:
        answer: T | None = None
        try:
            answer = await compute()
        finally:
            self._land(key, flight, answer)
        return answer

    def _land(self, key: Hashable, flight: Future[T | None], answer: T | None) -> None:
        with self._lock:
            del self._flights[key]
        flight.set_result(answer)
