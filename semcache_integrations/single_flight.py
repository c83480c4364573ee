"""One computation for concurrent equal misses: the first caller leads, the others wait for its answer.

A leader that fails hands over: its followers do not get its exception, the next of them leads. Works
for threads, for tasks of one or several event loops, and for a mix of them. Nobody waits for itself: what
a leader calls, and what would stop the loop that the leader runs on, computes for itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

T = TypeVar("T")
_led: ContextVar[frozenset[Future[Any]]] = ContextVar("semcache_led", default=frozenset())
"""The flights that the current context leads, of every answer type."""


class SingleFlight(Generic[T]):
    """Runs at most one computation per key at a time."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Future[T | None]] = {}
        self._threads: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def do(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return `compute()`, or what a caller with the same key that came first gets from its own."""
        while True:
            flight, leads = self._join(key)
            if leads:
                return self._lead(key, flight, compute)
            if flight in _led.get() or self._threads.get(key) == threading.get_ident():
                return compute()
            answer = flight.result()
            if answer is not None:
                return answer

    async def ado(self, key: Hashable, compute: Callable[[], Awaitable[T]]) -> T:
        """Async twin of `do`; a cancelled leader hands over like a failed one."""
        while True:
            flight, leads = self._join(key)
            if leads:
                return await self._alead(key, flight, compute)
            if flight in _led.get():
                return await compute()
            answer = await asyncio.shield(asyncio.wrap_future(flight))
            if answer is not None:
                return answer

    def _join(self, key: Hashable) -> tuple[Future[T | None], bool]:
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Future()
            self._threads[key] = threading.get_ident()
            return flight, True

    def _lead(self, key: Hashable, flight: Future[T | None], compute: Callable[[], T]) -> T:
        answer: T | None = None
        try:
            with _leading(flight):
                answer = compute()
        finally:
            self._land(key, flight, answer)
        return answer

    async def _alead(self, key: Hashable, flight: Future[T | None], compute: Callable[[], Awaitable[T]]) -> T:
        answer: T | None = None
        try:
            with _leading(flight):
                answer = await compute()
        finally:
            self._land(key, flight, answer)
        return answer

    def _land(self, key: Hashable, flight: Future[T | None], answer: T | None) -> None:
        with self._lock:
            del self._flights[key], self._threads[key]
        flight.set_result(answer)


@contextmanager
def _leading(flight: Future[Any]) -> Iterator[None]:
    token = _led.set(_led.get() | {flight})
    try:
        yield
    finally:
        _led.reset(token)
