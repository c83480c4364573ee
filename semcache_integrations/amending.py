"""AMENDING: asks a `TTLPolicy` about what was stored, and dates the entry anew. Nothing of it is on the caller's path.

The policy may take seconds, so it is asked on threads of its own; the entry is touched on the writing thread, where
nobody else changes it. A policy that fails, or hangs, leaves the entry as it was stored.
"""

from __future__ import annotations

import queue
from dataclasses import replace

from semcache_integrations.assembly import Backends
from semcache_integrations.context import bypass
from semcache_integrations.core.answers import text_of
from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.keys import Keyring
from semcache_integrations.core.models import CacheEntry, CacheRequest
from semcache_integrations.hash_tier import HashTier
from semcache_integrations.journal import Journal
from semcache_integrations.lifetimes import Lifetimes
from semcache_integrations.protocols import TTLPolicy


class Amender:
    """Amends the entries of one cache.

    Args:
        backends: Where the entries are kept, the policy and the threads.
        lifetimes: Bounds what the policy says.
        memory: Where they are kept, too.
        keyring: Signs them.
        journal: Is told.
    """

    def __init__(
        self,
        backends: Backends,
        lifetimes: Lifetimes,
        *,
        memory: HashTier,
        keyring: Keyring,
        journal: Journal,
    ) -> None:
        self._backends = backends
        self._lifetimes = lifetimes
        self._memory = memory
        self._keyring = keyring
        self._journal = journal

    def consider(self, request: CacheRequest, entry: CacheEntry) -> None:
        """Ask about an entry that was just written, unless its caller has said how long it lives."""
        policy = self._backends.ttl_policy
        if policy is None or request.controls.ttl_s is not None:
            return
        try:
            self._backends.asking.submit(self._judge, policy, request, entry)
        except queue.Full:
            self._journal.counted("ttl_dropped")

    def _judge(self, policy: TTLPolicy, request: CacheRequest, entry: CacheEntry) -> None:
        request = replace(request, tenant=entry.namespace.tenant)  # the surrounding scope's, too
        try:
            with bypass():  # the policy's own model may be cached by this very cache
                ttl_s = policy.ttl_s(request, text_of(entry.namespace.dialect, entry.payload))
        except Exception:  # noqa: BLE001 - the user's policy may raise anything: counted, and the entry keeps its date
            self._journal.counted("ttl_failed")
            return
        amended = self._lifetimes.amended(request, entry, ttl_s)
        if amended.expires_at == entry.expires_at:
            return
        try:
            self._backends.writes.submit(self._date, request, amended)
        except queue.Full:
            self._journal.counted("ttl_dropped")

    def _date(self, request: CacheRequest, amended: CacheEntry) -> None:
        try:
            entry = self._keyring.seal(self._with_what_was_learned(amended))
            self._backends.store.touch(entry)
        except StoreError:
            entry = self._keyring.seal(amended)
            self._journal.counted("ttl_failed")
        else:
            self._journal.counted("ttl_amended")
        self._memory.amend(entry, self._lifetimes.kept_until(request, entry, entry.created_at))

    def _with_what_was_learned(self, amended: CacheEntry) -> CacheEntry:
        """The entry as it stands now: meanwhile others may have learned about it, and a touch writes that too."""
        known = self._backends.store.get(amended.namespace, amended.id)
        if known is None or known.created_at != amended.created_at or not self._keyring.genuine(known):
            return amended
        return replace(known, expires_at=amended.expires_at)
