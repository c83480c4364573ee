"""`FaultyStore`: any store, failing on demand. It shows what an application does when its cache's store is ill.

The law: an injected fault looks to the caller exactly as a real one would; between faults the store is itself.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar

from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import CacheEntry, Candidate, Namespace, Selector, Vector
from semcache_integrations.protocols import Store

Operation: TypeAlias = Literal["get", "find", "search", "put", "touch", "delete", "count"]
T = TypeVar("T")

_ALL: tuple[Operation, ...] = ("get", "find", "search", "put", "touch", "delete", "count")
_GARBAGE = "\x00not an envelope"
_POLL_S = 0.005


@dataclass(slots=True)
class _Fault:
    """What goes wrong, and how many times more."""

    kind: Literal["raise", "hang", "garble"]
    error: Exception
    seconds: float
    left: float


class FaultyStore(Store):
    """Wraps any store; raises, hangs or lies when told to, and records every call.

    Args:
        inner: The store that does the work.
        in_process: Overrides the inner store's, to play a server.

    Attributes:
        calls: Name of every operation that was called, in order; sync and async alike.
    """

    def __init__(self, inner: Store, *, in_process: bool | None = None) -> None:
        self.inner = inner
        self.in_process = inner.in_process if in_process is None else in_process
        self.calls: list[Operation] = []
        self._faults: dict[Operation, _Fault] = {}
        self._healed = threading.Event()

    def fail(self, *on: Operation, error: Exception | None = None, times: float = math.inf) -> None:
        """Raise `error` (a `StoreError` if none is given) from these operations, or from all."""
        self._plan(on, _Fault("raise", error or StoreError("injected failure"), 0.0, times))

    def hang(self, *on: Operation, seconds: float = 30.0, times: float = math.inf) -> None:
        """Let these operations, or all, take `seconds` longer, or until `heal`."""
        self._plan(on, _Fault("hang", StoreError("unused"), seconds, times))

    def garble(self, *on: Operation, times: float = math.inf) -> None:
        """Let `get` and `search` answer with payloads that nobody can read and cosines that are NaN."""
        self._plan(on or ("get", "search"), _Fault("garble", StoreError("unused"), 0.0, times))

    def heal(self) -> None:
        """Stop all faults and let go of what hangs."""
        self._faults.clear()
        self._healed.set()
        self._healed = threading.Event()

    def get(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """See `Store.get`."""
        return self._run("get", lambda: self.inner.get(namespace, entry_id), _garbled_entry)

    def find(self, entry_id: str) -> CacheEntry | None:
        """See `Store.find`."""
        return self._run("find", lambda: self.inner.find(entry_id), _garbled_entry)

    def search(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """See `Store.search`."""
        return self._run("search", lambda: self.inner.search(namespace, vector, limit), _garbled_candidates)

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """See `Store.put`."""
        self._run("put", lambda: self.inner.put(entry, vector), _as_is)

    def touch(self, entry: CacheEntry) -> None:
        """See `Store.touch`."""
        self._run("touch", lambda: self.inner.touch(entry), _as_is)

    def delete(self, selector: Selector) -> int:
        """See `Store.delete`."""
        return self._run("delete", lambda: self.inner.delete(selector), _as_is)

    def count(self) -> int:
        """See `Store.count`."""
        return self._run("count", self.inner.count, _as_is)

    def flush(self) -> None:
        """See `Store.flush`."""
        self.inner.flush()

    def close(self) -> None:
        """See `Store.close`."""
        self.heal()
        self.inner.close()

    async def aget(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """See `Store.aget`."""
        return await self._arun("get", lambda: self.inner.aget(namespace, entry_id), _garbled_entry)

    async def afind(self, entry_id: str) -> CacheEntry | None:
        """See `Store.afind`."""
        return await self._arun("find", lambda: self.inner.afind(entry_id), _garbled_entry)

    async def asearch(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """See `Store.asearch`."""
        return await self._arun(
            "search", lambda: self.inner.asearch(namespace, vector, limit), _garbled_candidates
        )

    async def aput(self, entry: CacheEntry, vector: Vector | None) -> None:
        """See `Store.aput`."""
        await self._arun("put", lambda: self.inner.aput(entry, vector), _as_is)

    async def atouch(self, entry: CacheEntry) -> None:
        """See `Store.atouch`."""
        await self._arun("touch", lambda: self.inner.atouch(entry), _as_is)

    async def adelete(self, selector: Selector) -> int:
        """See `Store.adelete`."""
        return await self._arun("delete", lambda: self.inner.adelete(selector), _as_is)

    async def acount(self) -> int:
        """See `Store.acount`."""
        return await self._arun("count", self.inner.acount, _as_is)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        self.heal()
        await self.inner.aclose()

    def _plan(self, on: tuple[Operation, ...], fault: _Fault) -> None:
        self._faults.update({operation: replace(fault) for operation in on or _ALL})

    def _run(self, operation: Operation, call: Callable[[], T], garble: Callable[[T], T]) -> T:
        fault, healed = self._next_fault(operation), self._healed
        if fault is not None and fault.kind == "hang":
            healed.wait(fault.seconds)
        answer = call()
        return garble(answer) if fault is not None and fault.kind == "garble" else answer

    async def _arun(
        self, operation: Operation, call: Callable[[], Awaitable[T]], garble: Callable[[T], T]
    ) -> T:
        fault, healed = self._next_fault(operation), self._healed
        if fault is not None and fault.kind == "hang":
            await _awaited(healed, fault.seconds)
        answer = await call()
        return garble(answer) if fault is not None and fault.kind == "garble" else answer

    def _next_fault(self, operation: Operation) -> _Fault | None:
        self.calls.append(operation)
        fault = self._faults.get(operation)
        if fault is None or fault.left <= 0:
            return None
        fault.left -= 1
        if fault.kind == "raise":
            raise fault.error
        return fault


async def _awaited(event: threading.Event, seconds: float) -> None:
    """Wait for a thread's event without a thread: a cancelled wait then leaves nothing behind."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not event.is_set() and loop.time() < deadline:  # noqa: ASYNC110 - heal() comes from any thread
        await asyncio.sleep(_POLL_S)


def _as_is(answer: T) -> T:
    return answer


def _garbled_entry(entry: CacheEntry | None) -> CacheEntry | None:
    return None if entry is None else replace(entry, payload=_GARBAGE)


def _garbled_candidates(candidates: Sequence[Candidate]) -> Sequence[Candidate]:
    return [Candidate(replace(found.entry, payload=_GARBAGE), math.nan) for found in candidates]
