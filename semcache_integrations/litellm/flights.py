"""One upstream call for concurrent equal misses, where one cannot wrap the call: LiteLLM asks, and later it tells.

The law: a call waits for what another one brings, never for longer than its patience, and never for itself: not
for a call of its own thread or of the context that it began in, nor for one that waits for such a call. Whoever
leads is seen to land by its write, by its failure, by the end of its task, or when LiteLLM drops its record of the
call; who waited looks again, and goes upstream itself if nothing was kept. Nobody takes turns: calls whose answers
cannot be kept go up side by side.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from concurrent.futures import thread as pools
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

from semcache_integrations.arrivals import arrival


class Flight:
    """A call that is upstream.

    Attributes:
        call: LiteLLM's id of it.
        endpoint: Which of the calls is meant that LiteLLM nests under that id.
        landed: Done when it is over.
        awaits: What the context that leads it waits for meanwhile.
        thread: Where it began.
        in_task: Whether a task leads it.
        unwatch: Ends the watch over it.
    """

    __slots__ = ("__weakref__", "awaits", "call", "endpoint", "in_task", "landed", "thread", "unwatch")

    def __init__(self, call: Hashable, endpoint: object) -> None:
        self.call, self.endpoint = call, endpoint
        self.landed: Future[None] = Future()
        self.awaits: list[Flight] = []
        self.thread = threading.get_ident()
        self.in_task = _task() is not None
        self.unwatch: Callable[[], object] = bool  # nothing to end yet


_LOOK_S = 0.1
_GRACE_S = 1.0  # between the end of a task and the last moment at which its write is waited for
_QUEUES: Mapping[threading.Thread, Any] = getattr(pools, "_threads_queues", {})
"""What each worker of a pool has still to do; the standard library keeps it to itself."""

_led: ContextVar[frozenset[Flight]] = ContextVar("semcache_litellm_led", default=frozenset())
"""The flights that the calls of this context lead: what they cause must not wait for them."""


class Flights:
    """The calls that are upstream, by what they ask.

    Args:
        patience_s: How long a call waits for an equal one; 0 for not at all.
    """

    def __init__(self, patience_s: float) -> None:
        self._patience_s = min(patience_s, threading.TIMEOUT_MAX)
        self._flights: dict[Hashable, Flight] = {}
        self._keys: dict[Hashable, list[Hashable]] = {}
        self._lock = threading.RLock()  # a record may be dropped, and its flight land, at any time
        _ALL.add(self)

    def wait(self, key: Hashable, endpoint: object, arguments: Mapping[str, Any]) -> bool:
        """Wait for an equal call of another thread, or lead. Returns whether it waited, and should look again."""
        flight = self._join(key, endpoint, arguments)
        if flight is None or flight.thread == threading.get_ident() or flight in _led.get():
            return False
        with self._waiting(flight) as free:
            if free:
                _wait(flight, self._patience_s)
        return free

    async def await_(self, key: Hashable, endpoint: object, arguments: Mapping[str, Any]) -> bool:
        """Async twin of `wait`; a task may wait for another one of its thread, and for its own call's write to begin."""
        flight = self._join(key, endpoint, arguments)
        if flight is None:
            return False
        if flight in _led.get():
            await asyncio.sleep(0)  # LiteLLM writes in a task that stands in line since the call returned
            return True
        with self._waiting(flight) as free:
            if free:
                await asyncio.wait([arrival(flight.landed)], timeout=self._patience_s)
        return free

    def land(self, call: Hashable, endpoint: object = None) -> None:
        """Let go all who wait for what a call leads; without an endpoint, for all the calls nested in it."""
        with self._lock:
            led = [(key, self._flights[key]) for key in list(self._keys.get(call, ()))]
            ended = [one for key, one in led if endpoint in (None, one.endpoint) and self._remove(key, one)]
        _settle(ended)

    def leave_behind(self) -> None:
        """Forget all calls, in a forked process: who leads them has stayed in the parent, with the lock maybe."""
        self._lock = threading.RLock()
        self._flights, self._keys = {}, {}

    def _join(self, key: Hashable, endpoint: object, arguments: Mapping[str, Any]) -> Flight | None:
        """Return the equal call that is upstream, or None: lead from here on."""
        if not self._patience_s or key is None:
            return None
        call = arguments.get("litellm_call_id")
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight
            self._keys.setdefault(call, []).append(key)  # first: this fails for an id without a hash
            flight = self._flights[key] = Flight(call, endpoint)
        _led.set(frozenset({flight, *(one for one in _led.get() if not one.landed.done())}))
        flight.unwatch = _watched(arguments.get("litellm_logging_obj"), partial(self._lose, key, flight))
        return None

    def _lose(self, key: Hashable, flight: Flight, _ended: object = None) -> None:
        with self._lock:
            gone = self._remove(key, flight)
        _settle([flight] if gone else [])

    def _remove(self, key: Hashable, flight: Flight) -> bool:
        if self._flights.get(key) is not flight:
            return False
        del self._flights[key]
        self._keys[flight.call].remove(key)
        if not self._keys[flight.call]:
            del self._keys[flight.call]
        return True

    @contextmanager
    def _waiting(self, flight: Flight) -> Iterator[bool]:
        """Note what the flights of this context wait for; yields whether none of them is waited for in turn."""
        led = _led.get()
        with self._lock:
            for one in led:
                one.awaits.append(flight)
            free = not _is_held_up(flight, led)
        try:
            yield free
        finally:
            with self._lock:
                for one in led:
                    one.awaits.remove(flight)


def _is_held_up(flight: Flight, led: Collection[Flight]) -> bool:
    """Whether a flight is one of those led here, or waits for one, however indirectly."""
    seen: set[Flight] = set()
    left = [flight]
    while left:
        one = left.pop()
        if one in led:
            return True
        if one not in seen:
            seen.add(one)
            left += one.awaits
    return False


def _wait(flight: Flight, patience_s: float) -> None:
    """Wait in a thread. A worker of a pool gives up for what stands in its queue: it may be what it waits for.

    `acompletion` begins in the default executor of its loop, as does every look-up of a host's name.
    """
    queue = _QUEUES.get(threading.current_thread()) if flight.in_task else None
    give_up = time.monotonic() + patience_s
    left = patience_s
    while left > 0:
        wait([flight.landed], left if queue is None else min(left, _LOOK_S))
        if flight.landed.done() or not (queue is None or queue.empty()):
            return
        left = give_up - time.monotonic()


def _settle(ended: Iterable[Flight]) -> None:
    """Wake who waits. Not under the lock: a waiter that holds its future's own may be losing a record just now."""
    for flight in ended:
        flight.unwatch()
        flight.landed.set_result(None)


def _watched(record: object, lost: Callable[..., None]) -> Callable[[], None]:
    """Call `lost` when the task that runs here ends, or LiteLLM's record of its call is dropped; return what ends that."""
    task = _task()

    def ended(over: asyncio.Task[Any]) -> None:
        if over.cancelled():
            lost()
        else:  # a stream that was read to its end is still being put together, and written; the loop may be gone by then
            later = threading.Timer(_GRACE_S, lost)
            later.daemon = True
            later.start()

    if task is not None:
        task.add_done_callback(ended)
    finalizer = None
    with suppress(TypeError):  # None, which lives for ever
        finalizer = weakref.finalize(record, lost)
        finalizer.atexit = False

    def unwatch() -> None:
        if task is not None:
            task.remove_done_callback(ended)
        if finalizer is not None:
            finalizer.detach()

    return unwatch


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs here
        return None


_ALL: weakref.WeakSet[Flights] = weakref.WeakSet()


def _forked() -> None:
    for flights in list(_ALL):
        flights.leave_behind()


if hasattr(os, "register_at_fork"):  # Windows has no forks
    os.register_at_fork(after_in_child=_forked)
