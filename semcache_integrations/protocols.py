"""PLUG-INS: what an embedder, a store, a verifier, a comparer, a TTL policy and a hook must do. No implementation, no third party.

Implement the sync half and you have both: the async half runs it in a thread until you override it.
A forgotten method fails at construction, with its name.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from semcache_integrations.core.models import (
    CacheEntry,
    CacheEvent,
    CacheRequest,
    Candidate,
    Namespace,
    Selector,
    Vector,
)


class Embedder(Protocol):
    """Turns a text into a vector."""

    name: str
    """Identity of the vector space, variant included: another name never meets these vectors."""
    dimension: int
    in_process: bool = False
    """True if `embed` computes here and never waits for anybody: it then runs on the caller's thread."""

    @abstractmethod
    def embed(self, text: str) -> Vector | None:
        """Return the unit vector of `text`, or None where the encoder is blind.

        Blind means: the text is blank, longer than the window, or mostly unknown tokens. The engine then
        stays in the exact tiers. Blocks; called on a worker thread.

        Raises:
            EmbeddingError: the encoder failed.
        """
        ...

    def recall(self, text: str) -> Vector | None:
        """Return the vector of a text that was embedded lately, at once, or None; asked before `embed`.

        It must not block: it runs on the caller's thread, so that look-up and store embed once.
        """
        del text
        return None

    async def aembed(self, text: str) -> Vector | None:
        """Async twin of `embed`."""
        return await asyncio.to_thread(self.embed, text)

    def close(self) -> None:
        """Free what the embedder holds."""
        return


class Store(Protocol):
    """Keeps entries with their vectors, each in its namespace.

    Isolation is a filter inside every call, never a check afterwards. Every method may raise
    `StoreError` and nothing else.
    """

    in_process: bool
    """True if calls take microseconds and never wait for I/O: they then run on the caller's thread."""

    @abstractmethod
    def get(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """Return the entry with this id in this namespace, expired or not; an unreadable one is None."""
        ...

    @abstractmethod
    def find(self, entry_id: str) -> CacheEntry | None:
        """Return the entry with this id, whatever its namespace, for those who administrate; never for a look-up."""
        ...

    @abstractmethod
    def search(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """Return up to `limit` nearest entries of this namespace, best first."""
        ...

    @abstractmethod
    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Write or overwrite an entry; without a vector it can be found by id only."""
        ...

    @abstractmethod
    def touch(self, entry: CacheEntry) -> None:
        """Write what changes in an entry: `expires_at`, `standing` and the signature over them.

        Do nothing if the entry is gone or was overwritten (another `created_at`).
        """
        ...

    @abstractmethod
    def delete(self, selector: Selector) -> int:
        """Delete what is selected; return how many entries that were."""
        ...

    @abstractmethod
    def count(self) -> int:
        """Return how many entries there are."""
        ...

    def flush(self) -> None:
        """Make all that was written durable."""
        return

    def close(self) -> None:
        """Flush, and free what the store holds; closing twice is fine."""
        return

    async def aget(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """Async twin of `get`."""
        return await asyncio.to_thread(self.get, namespace, entry_id)

    async def afind(self, entry_id: str) -> CacheEntry | None:
        """Async twin of `find`."""
        return await asyncio.to_thread(self.find, entry_id)

    async def asearch(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """Async twin of `search`."""
        return await asyncio.to_thread(self.search, namespace, vector, limit)

    async def aput(self, entry: CacheEntry, vector: Vector | None) -> None:
        """Async twin of `put`."""
        await asyncio.to_thread(self.put, entry, vector)

    async def atouch(self, entry: CacheEntry) -> None:
        """Async twin of `touch`."""
        await asyncio.to_thread(self.touch, entry)

    async def adelete(self, selector: Selector) -> int:
        """Async twin of `delete`."""
        return await asyncio.to_thread(self.delete, selector)

    async def acount(self) -> int:
        """Async twin of `count`."""
        return await asyncio.to_thread(self.count)

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await asyncio.to_thread(self.close)


class Verifier(Protocol):
    """Has the last word on a semantic candidate: a cross-encoder, a judge LLM, a rule of yours."""

    @abstractmethod
    def verify(self, request: CacheRequest, candidate: Candidate) -> bool:
        """Return whether the candidate's answer may be served for this request."""
        ...

    async def averify(self, request: CacheRequest, candidate: Candidate) -> bool:
        """Async twin of `verify`."""
        return await asyncio.to_thread(self.verify, request, candidate)


class AnswerComparer(Protocol):
    """Says whether two answers say the same. Never called on the caller's path.

    Every miss is followed by a fresh answer; compared with the cached answers of its neighbours, it tells
    for nothing which questions share an answer.
    """

    @abstractmethod
    def same(self, request: CacheRequest, fresh: str, cached: str) -> bool:
        """Return whether the two answers may stand for each other.

        Args:
            request: What was asked.
            fresh: The text of the answer that the LLM has just given.
            cached: The text of the answer to a similar question.
        """
        ...


class TTLPolicy(Protocol):
    """Says how long an answer stays true. Never called on the caller's path."""

    @abstractmethod
    def ttl_s(self, request: CacheRequest, answer: str) -> float | None:
        """Return how many seconds the answer may live, 0 to drop it, None for the cache's own TTL."""
        ...


class EventHook(Protocol):
    """Is told what happened. Called on the caller's path: keep it short. What it raises is logged."""

    @abstractmethod
    def __call__(self, event: CacheEvent) -> None:
        """Take note of one event."""
        ...
