"""The server store: a Qdrant server or cluster, over REST or gRPC, natively sync and async.

The law: a look-up ends within its budget and tries again at most once; a write is idempotent, so it may be
tried more often; what comes out of a failure is a `StoreError`. What is asked stands in `qdrant_steps`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from qdrant_client import AsyncQdrantClient, QdrantClient
from tenacity import AsyncRetrying, RetryCallState, Retrying, stop_after_attempt
from tenacity.wait import wait_random_exponential

from semcache_integrations.backends.qdrant_clients import Clients, deadline, seconds_left
from semcache_integrations.backends.qdrant_errors import QdrantError, qdrant_error
from semcache_integrations.backends.qdrant_layout import Collections, Layout
from semcache_integrations.backends.qdrant_steps import Call, Operations, Steps
from semcache_integrations.core.errors import ConfigurationError, StoreError
from semcache_integrations.core.models import CacheEntry, Candidate, Namespace, Selector, Vector
from semcache_integrations.protocols import Store

_log = logging.getLogger(__name__)
T = TypeVar("T")

_CALL_S: Final = 5.0  # creating a collection takes a server up to a second or two
_CHECK_S: Final = 2.0
_LEAST_S: Final = 0.01  # with less time left, another attempt could only fail
_backoff = wait_random_exponential(multiplier=0.05, max=0.5)


@dataclass(frozen=True, slots=True)
class _Patience:
    """How often to try a call, and for how long: `seconds` for each, or for `all` of an operation together."""

    attempts: int
    seconds: float
    together: bool = False


_WRITING: Final = _Patience(attempts=3, seconds=_CALL_S)


class QdrantStore(Store):
    """A `Store` on a Qdrant server. Safe with threads, forks and event loops; connects at the first call.

    Args:
        url: Address with scheme and port, like `http://localhost:6333`.
        embedder: `Embedder.name`.
        dimension: Floats per vector.
        api_key: The server's key.
        prefer_grpc: Talk gRPC (port 6334) instead of REST.
        collections: One collection per LLM model, or one `shared` by all.
        prefix: First word of every collection's name.
        budget_s: Seconds that one look-up may take, its second attempt included.
        wait_for_writes: Return from a write only when it can be read back. Deletions always do.
        client: A ready client, used as it is and left open; its timeouts are its owner's business.
        async_client: The same for the async half; without it that half runs `client` in threads.
            Used together with `client` only.
        **client_options: More arguments for qdrant-client, like `grpc_port` or `verify`.

    Raises:
        ConfigurationError: The address, the key or an option cannot be right.
    """

    in_process = False

    def __init__(  # noqa: PLR0913 - settings, all keyword-only but the address
        self,
        url: str | None = None,
        *,
        embedder: str,
        dimension: int,
        api_key: str | None = None,
        prefer_grpc: bool = False,
        collections: Collections = "per_model",
        prefix: str = "semcache",
        budget_s: float = 0.25,
        wait_for_writes: bool = False,
        client: QdrantClient | None = None,
        async_client: AsyncQdrantClient | None = None,
        **client_options: Any,  # Any: whatever qdrant-client takes
    ) -> None:
        self._operations = Operations(Layout(prefix, embedder, dimension, collections), wait=wait_for_writes)
        self._client, self._async_client = client, async_client
        self._looking_up = _Patience(attempts=2, seconds=budget_s, together=True)
        if client is None and async_client is not None:
            raise ConfigurationError("async_client= serves the async half only: give client= as well")
        self._clients: Clients | None = None
        self._closed = False
        if client is None:
            self._clients = _connected(
                url,
                api_key=api_key,
                prefer_grpc=prefer_grpc,
                lookup_s=budget_s,
                call_s=_CALL_S,
                options=client_options,
            )

    def check(self) -> None:
        """Find out at construction what will never work; a server that is merely down is only logged.

        Raises:
            ConfigurationError: The server refuses the key, or holds another thing under one of our names.
        """
        try:
            self._run(self._operations.check(), _Patience(attempts=1, seconds=_CHECK_S))
        except QdrantError as error:
            if error.kind == "refused":
                raise ConfigurationError(f"{error}: give an api_key that may read and write") from error
            _log.warning(
                "semcache: the Qdrant server does not answer, the cache misses until it does: %s", error
            )
        except StoreError as error:
            raise ConfigurationError(str(error)) from error

    def get(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """See `Store.get`."""
        return self._run(self._operations.get(namespace, entry_id), self._looking_up)

    def find(self, entry_id: str) -> CacheEntry | None:
        """See `Store.find`; it asks every collection."""
        return self._run(self._operations.find(entry_id), _WRITING)

    def search(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """See `Store.search`."""
        return self._run(self._operations.search(namespace, vector, limit), self._looking_up)

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """See `Store.put`."""
        self._run(self._operations.put(entry, vector), _WRITING)

    def touch(self, entry: CacheEntry) -> None:
        """See `Store.touch`."""
        self._run(self._operations.touch(entry), _WRITING)

    def delete(self, selector: Selector) -> int:
        """See `Store.delete`."""
        return self._run(self._operations.delete(selector), _WRITING)

    def count(self) -> int:
        """See `Store.count`; a server that is optimising may be a little off."""
        return self._run(self._operations.count(), _WRITING)

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        if self._clients is not None:
            self._clients.close()

    async def aget(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """See `Store.aget`."""
        return await self._arun(self._operations.get(namespace, entry_id), self._looking_up)

    async def afind(self, entry_id: str) -> CacheEntry | None:
        """See `Store.afind`."""
        return await self._arun(self._operations.find(entry_id), _WRITING)

    async def asearch(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """See `Store.asearch`."""
        return await self._arun(self._operations.search(namespace, vector, limit), self._looking_up)

    async def aput(self, entry: CacheEntry, vector: Vector | None) -> None:
        """See `Store.aput`."""
        await self._arun(self._operations.put(entry, vector), _WRITING)

    async def atouch(self, entry: CacheEntry) -> None:
        """See `Store.atouch`."""
        await self._arun(self._operations.touch(entry), _WRITING)

    async def adelete(self, selector: Selector) -> int:
        """See `Store.adelete`."""
        return await self._arun(self._operations.delete(selector), _WRITING)

    async def acount(self) -> int:
        """See `Store.acount`."""
        return await self._arun(self._operations.count(), _WRITING)

    async def aclose(self) -> None:
        """See `Store.aclose`."""
        self._closed = True
        if self._clients is not None:
            await self._clients.aclose()

    def _run(self, steps: Steps[T], patience: _Patience) -> T:
        client = self._client_for_sync()
        with deadline(patience.seconds) if patience.together else nullcontext():
            try:
                call = next(steps)
                while True:
                    try:
                        answer = _attempt(client, call, patience)
                    except QdrantError as error:
                        call = steps.throw(error)
                    else:
                        call = steps.send(answer)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # it is the generator's T

    async def _arun(self, steps: Steps[T], patience: _Patience) -> T:
        client = await self._client_for_async()
        if client is None:
            return await asyncio.to_thread(self._run, steps, patience)
        with deadline(patience.seconds) if patience.together else nullcontext():
            try:
                call = next(steps)
                while True:
                    try:
                        answer = await _aattempt(client, call, patience)
                    except QdrantError as error:
                        call = steps.throw(error)
                    else:
                        call = steps.send(answer)
            except StopIteration as done:
                return done.value  # type: ignore[no-any-return]  # it is the generator's T

    def _client_for_sync(self) -> QdrantClient:
        if self._closed:
            raise StoreError("this store is closed: make a new cache")
        return self._client or self._connections().sync()

    async def _client_for_async(self) -> AsyncQdrantClient | None:
        if self._closed:
            raise StoreError("this store is closed: make a new cache")
        if self._client is not None:
            return self._async_client
        return await self._connections().of_this_loop()

    def _connections(self) -> Clients:
        assert self._clients is not None  # noqa: S101 - there is one unless a client was given
        return self._clients


def _attempt(client: QdrantClient, call: Call, patience: _Patience) -> object:
    def once() -> object:
        try:
            return getattr(client, call.method)(**call.arguments)
        except Exception as error:  # the client has no common base class, and lets JSONDecodeError through
            raise qdrant_error(error, call.method) from error

    with nullcontext() if patience.together else deadline(patience.seconds):
        return Retrying(**_policy(patience))(once)


async def _aattempt(client: AsyncQdrantClient, call: Call, patience: _Patience) -> object:
    async def once() -> object:
        try:
            answer = getattr(client, call.method)(**call.arguments)
            return await asyncio.wait_for(answer, seconds_left())  # a server may drip for ever
        except Exception as error:  # the client has no common base class, and lets JSONDecodeError through
            raise qdrant_error(error, call.method) from error

    with nullcontext() if patience.together else deadline(patience.seconds):
        return await AsyncRetrying(**_policy(patience))(once)


def _policy(patience: _Patience) -> dict[str, Any]:  # Any: tenacity's keyword arguments
    return {
        "stop": stop_after_attempt(patience.attempts),
        "retry": _worth_another_try,
        "wait": _pause,
        "reraise": True,
    }


def _worth_another_try(state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, QdrantError):
        return False
    again = error.kind in ("transient", "throttled") or (
        error.kind == "internal" and state.attempt_number == 1
    )
    return again and error.retry_after_s + _LEAST_S < seconds_left()


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, QdrantError) else 0.0
    return max(asked, min(_backoff(state), seconds_left() / 4))


def _connected(url: str | None, **settings: Any) -> Clients:  # Any: as declared by Clients
    try:
        clients = Clients(url or "", **settings)
        clients.sync()
    except ConfigurationError:
        raise
    except Exception as error:  # qdrant-client, httpx and grpc each have their own words for a bad option
        raise ConfigurationError(f"no Qdrant client can be made for url={url!r}: {error}") from error
    return clients
