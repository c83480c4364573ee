"""The engine: look-up and store, sync and async. What the world does wrong becomes a miss with its reason.

The in-process tier answers first, by a plain call; only then does a flow start. The twins differ by
`await` alone: every decision is in a flow, or in a function that both call.
"""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from semcache_integrations.amending import Amender
from semcache_integrations.assembly import assemble, keyring_of, local_ttl_s
from semcache_integrations.comparers import ComparerLike
from semcache_integrations.config import CacheConfig, load_config
from semcache_integrations.context import surroundings
from semcache_integrations.core import flow
from semcache_integrations.core.acceptance import EPSILON
from semcache_integrations.core.errors import BackendError, ConfigurationError, UnkeyableError
from semcache_integrations.core.keys import canonical_text, encodable
from semcache_integrations.core.models import (
    DEFAULT_CONTROLS,
    CacheEntry,
    CacheRequest,
    Controls,
    Hit,
    Lookup,
    Miss,
    Namespace,
    Selector,
)
from semcache_integrations.core.policy import storable_time
from semcache_integrations.hash_tier import HashKey, HashTier, Slot
from semcache_integrations.journal import Journal
from semcache_integrations.learning import Learning, comparer_for
from semcache_integrations.lifetimes import Lifetimes
from semcache_integrations.protocols import EventHook, Store, TTLPolicy, Verifier
from semcache_integrations.writing import Writer

if TYPE_CHECKING:
    from semcache_integrations.backends.embedders import EmbedderLike


_WRITE_BUDGET_S = 5.0  # for one write: nobody waits for it, but a dead store must not hold the queue


class Asked(NamedTuple):
    """A request that the in-process tier could not answer, with what is needed to go on."""

    ask: flow.Ask
    key: HashKey
    generation: int


class Engine:
    """Looks up and stores; see `SemanticCache` for the arguments."""

    def __init__(
        self,
        config: CacheConfig | None = None,
        *,
        embedder: EmbedderLike | None = None,
        store: Store | None = None,
        verifier: Verifier | None = None,
        comparer: ComparerLike | None = None,
        ttl_policy: TTLPolicy | None = None,
        hooks: Sequence[EventHook] = (),
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        **settings: Any,  # CacheConfig checks them
    ) -> None:
        self.config = load_config(config, **settings)
        if not isinstance(hooks, Sequence) or not all(map(callable, hooks)):
            raise ConfigurationError("hooks= is a list of event hooks: [hook]")
        self._clock = clock
        self._tenant = self.config.tenant
        self._journal = Journal(hooks, self._tenant)
        self._hash = HashTier(self.config.max_entries, self.config.max_bytes)
        self._backends = assemble(
            self.config,
            embedder=embedder,
            store=store,
            verifier=verifier,
            comparer=comparer_for(comparer),
            ttl_policy=ttl_policy,
            on_change=self._journal.breaker_changed,
        )
        self._driver = self._backends.driver
        self._keyring = keyring_of(self.config, self._backends.embedder)
        self._policy = self._backends.policy
        self._learning = Learning(
            self.config,
            self._backends,
            keyring=self._keyring,
            journal=self._journal,
            memory=self._hash,
            clock=clock,
            verifies=verifier is not None,
            rng=rng,
        )
        self._lifetimes = Lifetimes(self.config, self._policy, local_ttl_s=local_ttl_s(self.config))
        self._amender = Amender(
            self._backends, self._lifetimes, memory=self._hash, keyring=self._keyring, journal=self._journal
        )
        self._writer = Writer(self._backends, self._journal, clock)
        self._finalizer = weakref.finalize(self, self._backends.close)

    def lookup(self, request: CacheRequest) -> Lookup:
        """Find a stored answer: in process, in the store by id, then by similarity.

        Never raises for what backends do: such a look-up is a `Miss` with its reason.
        """
        started, now = perf_counter(), self._clock()
        found = self._recall(request, now)
        if isinstance(found, Asked):
            steps = flow.lookup(found.ask, self._learning.rules, now)
            found = self._settle(found, self._driver.run(steps), now)
        self._journal.looked_up(found, request, perf_counter() - started)
        return found

    async def alookup(self, request: CacheRequest) -> Lookup:
        """Async twin of `lookup`."""
        started, now = perf_counter(), self._clock()
        found = self._recall(request, now)
        if isinstance(found, Asked):
            steps = flow.lookup(found.ask, self._learning.rules, now)
            found = self._settle(found, await self._driver.arun(steps), now)
        self._journal.looked_up(found, request, perf_counter() - started)
        return found

    def _recall(self, request: CacheRequest, now: float) -> Lookup | Asked:
        """Answer from memory, or say what to ask the backends. This is the hot path."""
        said = surroundings.get()
        if said.mode != "use":
            return Miss("bypassed")
        tenant = request.tenant or self._tenant
        try:
            scope = self._keyring.scope(request, (tenant, said.tenant) if said.tenant else tenant)
            key = (scope, canonical_text(request.text))
            generation = self._hash.generation  # before the slot is read
            slot = self._hash.get(key, now)
            if slot is not None and (
                request.controls is DEFAULT_CONTROLS or self._serves(slot, key[1], request.controls, now)
            ):
                if now >= slot.renew_at:
                    until = self._lifetimes.kept_on_until(request, slot, now)
                    self._keep_again(key, slot.hit, now, until, generation)
                return slot.hit
            if self._lifetimes.refuses(request):
                return Miss("time_sensitive")
            return Asked(self._ask(request, key, said.readable(tenant)), key, generation)
        except UnkeyableError as error:
            return Miss("unkeyable", detail=str(error))

    def _key(self, request: CacheRequest) -> tuple[HashKey, str]:
        """Return the request's in-process key and the tenant it belongs to, readable."""
        said, tenant = surroundings.get(), request.tenant or self._tenant
        scope = self._keyring.scope(request, (tenant, said.tenant) if said.tenant else tenant)
        return (scope, canonical_text(request.text)), said.readable(tenant)

    def identity(self, request: CacheRequest) -> HashKey | None:
        """Return what equal requests share, or None where a call must not be confused with another one."""
        try:
            said = surroundings.get()
            return self._key(request)[0] if said.mode == "use" and not said.without_vetoes else None
        except UnkeyableError:
            return None

    def _ask(self, request: CacheRequest, key: HashKey, tenant: str) -> flow.Ask:
        namespace = Namespace(self._keyring.namespace(key[0]), request.model, tenant, request.dialect)
        entry_id = self._keyring.entry_id(namespace.id, key[1])
        return flow.Ask(request, key[1], namespace, entry_id, surroundings.get().without_vetoes)

    def _serves(self, slot: Slot, text: str, controls: Controls, now: float) -> bool:
        """Whether a kept hit is good enough for a call that may be stricter than the one that kept it."""
        hit = slot.hit
        if now - hit.entry.created_at > controls.max_age_s:
            return False
        if not controls.semantic:
            return hit.entry.text == text
        return hit.similarity >= min(self._learning.rules.policy.threshold(controls), 1.0) - EPSILON

    def _settle(self, asked: Asked, found: Lookup, now: float) -> Lookup:
        """Promote what the backends found into memory."""
        if isinstance(found, Hit):
            request, entry = asked.ask.request, found.entry
            if self._lifetimes.is_outlived(request, entry, now):
                return Miss("time_sensitive", found.similarity)
            if found.tier == "exact" or not self._passes_by_memory(asked.ask):
                until = self._lifetimes.kept_until(request, entry, now)
                self._keep_again(asked.key, found, now, until, asked.generation)
        return found

    def _passes_by_memory(self, ask: flow.Ask) -> bool:
        """Whether a semantic hit is for this call alone: others have more vetoes, or chances of their own."""
        return bool(ask.without_vetoes) or self._policy.learns == "observations"

    def _keep_again(self, key: HashKey, hit: Hit, now: float, until: float, generation: int) -> None:
        """Keep a hit in memory `until` then, renewed, unless it was invalidated or overwritten meanwhile."""
        entry = self._renewed(hit.entry, now)
        kept = Hit(entry, hit.similarity, "hash", hit.score)
        deadline = min(entry.expires_at, until)
        self._hash.put_again(key, kept, deadline, self._policy.renew_at(entry), generation)

    def _renewed(self, entry: CacheEntry, now: float) -> CacheEntry:
        """Renew a sliding TTL once half of it is used up: here, and off the caller's path in the store."""
        if now < self._policy.renew_at(entry):
            return entry
        expires_at = storable_time(self._policy.expires_at(entry.created_at, now, entry.ttl_s))
        entry = replace(entry, expires_at=expires_at)
        self._writer.later(self._learning.renew, entry)
        return entry

    def store(self, request: CacheRequest, payload: str) -> CacheEntry | None:
        """Keep `payload` as the answer to `request`.

        Args:
            request: What was asked.
            payload: The answer, in the caller's own versioned form.

        Returns:
            The entry, or None if nothing was stored: bypassed, without a key, or refused by the store. With
            background writes it is accepted, and durable after `flush()`.
        """
        prepared = self._prepare(request, payload)
        if prepared is None:
            return None
        ask, entry = prepared
        if self._backends.in_background:
            return entry if self._writer.later(self._write, ask, entry) else None
        return self._write(ask, entry)

    async def astore(self, request: CacheRequest, payload: str) -> CacheEntry | None:
        """Async twin of `store`."""
        prepared = self._prepare(request, payload)
        if prepared is None:
            return None
        ask, entry = prepared
        if self._backends.in_background:
            return entry if self._writer.later(self._write, ask, entry) else None
        return await self._awrite(ask, entry)

    def _prepare(self, request: CacheRequest, payload: str) -> tuple[flow.Ask, CacheEntry] | None:
        """Make the entry and keep it in memory, where it can be read at once."""
        said, now = surroundings.get(), storable_time(self._clock())
        ttl_s, renewable = self._lifetimes.ttl_s(request)
        if said.mode == "bypass" or not (ttl_s is None or ttl_s > 0):  # NaN is no time to live either
            return None
        try:
            key, tenant = self._key(request)
            ask = self._ask(request, key, tenant)
            entry = self._keyring.seal(
                CacheEntry(
                    id=ask.entry_id,
                    namespace=ask.namespace,
                    text=ask.text,
                    payload=encodable(payload),
                    created_at=now,
                    expires_at=storable_time(self._policy.expires_at(now, now, ttl_s)),
                    ttl_s=storable_time(ttl_s) if renewable and ttl_s is not None else None,
                    tags=tuple(encodable(tag) for tag in dict.fromkeys((*request.controls.tags, *said.tags))),
                )
            )
        except UnkeyableError:
            self._journal.unkeyable()
            return None
        deadline = min(entry.expires_at, self._lifetimes.kept_until(request, entry, now))
        self._hash.put(key, Hit(entry, 1.0, "hash"), deadline, self._policy.renew_at(entry))
        return ask, entry

    def _write(self, ask: flow.Ask, entry: CacheEntry) -> CacheEntry | None:
        try:
            self._driver.run(flow.store(ask, entry, self._learning.rules), _WRITE_BUDGET_S)
        except BackendError as error:
            self._journal.not_stored(entry, str(error))
            return None
        return self._written(ask, entry)

    async def _awrite(self, ask: flow.Ask, entry: CacheEntry) -> CacheEntry | None:
        try:
            await self._driver.arun(flow.store(ask, entry, self._learning.rules), _WRITE_BUDGET_S)
        except BackendError as error:
            self._journal.not_stored(entry, str(error))
            return None
        return self._written(ask, entry)

    def _written(self, ask: flow.Ask, entry: CacheEntry) -> CacheEntry:
        self._journal.stored(entry)
        self._learning.settle_later(ask, entry)
        self._amender.consider(ask.request, entry)
        return entry

    def _forget(self, selector: Selector) -> int:
        """Drop entries from memory, and keep look-ups that are under way from bringing them back."""
        return self._hash.remove(selector)
