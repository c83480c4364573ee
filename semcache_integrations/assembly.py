"""Makes the backends that a configuration asks for, and closes them. Heavy modules are imported when needed.

Whatever cannot work is a `ConfigurationError` now, not a miss later.
"""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semcache_integrations.backends.nothing import NoEmbedder, NoStore
from semcache_integrations.breaker import Breaker, State
from semcache_integrations.config import CacheConfig
from semcache_integrations.core.errors import BackendError, ConfigurationError, EmbeddingError, StoreError
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import NEVER, Selector
from semcache_integrations.core.policy import Policy
from semcache_integrations.driver import Driver
from semcache_integrations.lanes import Lane
from semcache_integrations.policies import policy_of
from semcache_integrations.protocols import AnswerComparer, Embedder, Store, TTLPolicy, Verifier
from semcache_integrations.side import Side

if TYPE_CHECKING:
    from semcache_integrations.backends.embedders import EmbedderLike

log = logging.getLogger("semcache_integrations")

_EMBEDDING_THREADS = 4  # for embedders that ask somebody else
_STORE_THREADS = 8
_VERIFIER_THREADS = 4
_COMPARER_THREADS = 4  # one works; the others replace those that hang
_ASKING_THREADS = 4
_ADMIN_S = 30.0  # for deleting and flushing, which people wait for
_LAST_WRITES_S = 5.0
_SERVER_LOCAL_TTL_S = 300.0
_SETTLINGS_PER_WRITE = 10  # a comparison takes longer than a write, and a cache may be filled at once

OnChange = Callable[[str, State], None]
"""Told which backend's breaker changed, and to what."""


@dataclass(frozen=True, slots=True)
class Backends:
    """What a cache keeps outside its own memory.

    Attributes:
        policy: The rules that the configuration asks for, with this embedder.
        driver: Performs flows against them.
        writes: One thread, so that writes and deletes keep their order.
        settles: One thread that compares fresh answers, so that their groups are found in order.
        asking: Threads for whoever may take seconds to say something about what was stored.
        in_background: Whether stores go through `writes`.
        ours: What this cache opened itself, and so closes.
        ttl_policy: Is asked how long an entry lives, once it was written.
    """

    embedder: Embedder
    store: Store
    policy: Policy
    driver: Driver
    writes: Lane
    settles: Lane
    asking: Lane
    lanes: tuple[Lane, ...]
    in_background: bool
    ours: tuple[Embedder | Store, ...]
    ttl_policy: TTLPolicy | None

    def delete(self, selector: Selector) -> int:
        """Delete from the store, after the writes that are pending.

        Raises:
            StoreError: it could not be done.
        """
        if not self.in_background or self.writes.is_mine():  # an event hook runs on the writing thread
            return self.store.delete(selector)
        try:
            return self._queued(selector).result(_ADMIN_S)
        except FutureTimeoutError:
            raise StoreError(f"the store deleted nothing within {_ADMIN_S:.3g} s") from None

    async def adelete(self, selector: Selector) -> int:
        """Async twin of `delete`."""
        if not self.in_background:
            return await self.store.adelete(selector)
        waiting = asyncio.wrap_future(self._queued(selector))
        try:
            return await asyncio.wait_for(waiting, _ADMIN_S)
        except asyncio.TimeoutError:
            raise StoreError(f"the store deleted nothing within {_ADMIN_S:.3g} s") from None

    def _queued(self, selector: Selector) -> Future[int]:
        try:
            return self.writes.submit(self.store.delete, selector)
        except queue.Full:
            raise StoreError("the store has too many writes waiting to delete anything now") from None

    def flush(self) -> bool:
        """Finish the pending writes and make them durable; return whether that could be done in time."""
        last = self.writes.drain(_ADMIN_S) and self.settles.drain(_ADMIN_S) and self.asking.drain(_ADMIN_S)
        finished = last and self.writes.drain(_ADMIN_S)
        self.store.flush()
        return finished

    def close(self) -> None:
        """Finish the pending writes, then free everything that was opened here; closing twice is fine."""
        for lane in (self.writes, self.settles, self.asking, self.writes):  # what was learned is written, too
            lane.drain(_LAST_WRITES_S)
        for lane in (self.writes, self.settles, self.asking, *self.lanes):
            lane.close()
        endings = [backend.close for backend in self.ours]
        if self.store not in self.ours:
            endings.append(self.store.flush)
        for end in endings:
            try:
                end()
            except Exception as error:  # noqa: BLE001 - the end of a cache must not break its user's program
                log.warning("the cache could not be closed tidily: %s", type(error).__name__)


def assemble(
    config: CacheConfig,
    *,
    embedder: EmbedderLike | None = None,
    store: Store | None = None,
    verifier: Verifier | None = None,
    comparer: Callable[[Embedder], AnswerComparer] | None = None,
    ttl_policy: TTLPolicy | None = None,
    on_change: OnChange = lambda _name, _state: None,
) -> Backends:
    """Open the backends and wire the driver to them.

    Raises:
        ConfigurationError: something cannot work as configured.
    """
    if config.hash_only and (embedder is not None or store is not None):
        raise ConfigurationError(
            "hash_only uses no embedder and no store: drop embedder=/store=, or hash_only"
        )
    if verifier is not None and not (hasattr(verifier, "verify") and hasattr(verifier, "averify")):
        raise ConfigurationError("verifier= must be a Verifier: see semcache_integrations.protocols.Verifier")
    _check_ttl_policy(ttl_policy, config)
    encoder = open_embedder(config, embedder)
    policy = policy_of(config, encoder.name)  # before there is a store that a mistake would leave open
    keeper = open_store(config, encoder, store)

    def side(name: str, error: type[BackendError], threads: int, timeout_s: float) -> Side:
        breaker = Breaker(lambda state: on_change(name, state))
        return Side(name, error, breaker, Lane(name, threads) if threads else None, timeout_s)

    embedding = side(
        "embedder", EmbeddingError, 0 if encoder.in_process else _EMBEDDING_THREADS, config.embed_timeout_s
    )
    storing = side("store", StoreError, 0 if keeper.in_process else _STORE_THREADS, config.lookup_budget_s)
    verifying = side("verifier", BackendError, _VERIFIER_THREADS, config.verify_timeout_s)
    comparing = side("comparer", BackendError, _COMPARER_THREADS, config.compare_timeout_s)
    judge = None if verifier is None else (verifier, verifying)
    reader = None
    if comparer is not None and policy.learns != "nothing":
        reader = (comparer(encoder), comparing)
    # An entry that gets its vector later is written twice: all writes must then be on the one thread.
    wanted = True if config.policy_name == "verified" else config.background_writes
    background = not keeper.in_process if wanted is None else wanted
    return Backends(
        embedder=encoder,
        store=keeper,
        policy=policy,
        driver=Driver((encoder, embedding), (keeper, storing), judge, reader),
        writes=Lane("writes", 1, config.max_pending_writes),
        settles=Lane("settles", 1, _SETTLINGS_PER_WRITE * config.max_pending_writes),
        asking=Lane("asking", _ASKING_THREADS, config.max_pending_writes),
        lanes=tuple(one.lane for one in (embedding, storing, verifying, comparing) if one.lane is not None),
        in_background=background,
        ours=tuple(opened for opened, given in ((keeper, store), (encoder, embedder)) if opened is not given),
        ttl_policy=ttl_policy,
    )


def _check_ttl_policy(policy: TTLPolicy | None, config: CacheConfig) -> None:
    if policy is None:
        return
    if isinstance(policy, type) or not callable(getattr(policy, "ttl_s", None)):
        raise ConfigurationError(
            "ttl_policy= must be a TTLPolicy: see semcache_integrations.protocols.TTLPolicy"
        )
    if config.ttl_sliding:
        raise ConfigurationError("ttl_sliding would renew what ttl_policy= has decided: use one of the two")


def open_embedder(config: CacheConfig, given: EmbedderLike | None = None) -> Embedder:
    """Return the embedder to use.

    Args:
        config: Names the embedding model if none is given.
        given: An `Embedder`, a LangChain `Embeddings`, a callable, or the name of a model.

    Raises:
        ConfigurationError: the model is not installed, or `given` is none of these.
    """
    if config.hash_only:
        return NoEmbedder()
    from semcache_integrations.backends.embedders import as_embedder

    return as_embedder(config.embedding_model if given is None else given)


def open_store(config: CacheConfig, embedder: Embedder, given: Store | None = None) -> Store:
    """Return the store to use: the one given, a Qdrant server's, or the embedded one.

    Raises:
        ConfigurationError: the path cannot be used, the server refuses us, or `given` is not a store.
    """
    if config.hash_only:
        return NoStore()
    if given is not None:
        if isinstance(given, type) or not isinstance(getattr(given, "in_process", None), bool):
            raise ConfigurationError("store= must be a Store: see semcache_integrations.protocols.Store")
        return given
    if config.url is not None:
        return _open_server(config.url, config, embedder)
    from semcache_integrations.backends.edge import EdgeStore

    path = None if config.path is None else str(config.path)
    return EdgeStore(path, embedder=embedder.name, dimension=embedder.dimension)


def _open_server(url: str, config: CacheConfig, embedder: Embedder) -> Store:
    from semcache_integrations.backends.qdrant import QdrantStore

    store = QdrantStore(
        url,
        embedder=embedder.name,
        dimension=embedder.dimension,
        api_key=config.api_key.get_secret_value() if config.api_key else None,
        prefer_grpc=config.prefer_grpc,
        collections=config.collections,
        prefix=config.collection_prefix,
        budget_s=config.lookup_budget_s,
    )
    store.check()
    return store


def keyring_of(config: CacheConfig, embedder: Embedder) -> Keyring:
    """Return the keys of a cache: another secret or another vector space means other namespaces."""
    return Keyring(config.secret_bytes, space=f"{embedder.name}|{embedder.dimension}")


def local_ttl_s(config: CacheConfig) -> float:
    """How long memory may answer without asking the store again, which others may have changed, in seconds."""
    if config.local_ttl_s is not None:
        return config.local_ttl_s
    return NEVER if config.url is None else _SERVER_LOCAL_TTL_S
