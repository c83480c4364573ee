"""LIFETIMES: how long one entry may be served, before anybody was asked: the caller's word, then the rules, then the TTL.

The law: who says nothing gets no answer to a time-sensitive question that is older than `time_sensitive_ttl_s`,
however it was asked when it was stored; who names a TTL or an age has said what is fresh enough.
"""

from __future__ import annotations

import math
from dataclasses import replace

from semcache_integrations.config import CacheConfig
from semcache_integrations.core.models import NEVER, CacheEntry, CacheRequest
from semcache_integrations.core.policy import Policy, storable_time
from semcache_integrations.core.staleness import Sensitivity, time_sensitivity
from semcache_integrations.hash_tier import Slot

_ENDLESS_TTL_S = 1e12  # thirty thousand years: no store needs to add up infinities
_NO_TIME = -math.inf


class Lifetimes:
    """Decides for one cache.

    Args:
        config: Says what becomes of time-sensitive questions.
        policy: Says how TTLs add up.
        local_ttl_s: Seconds that memory may answer without asking the store.
    """

    def __init__(self, config: CacheConfig, policy: Policy, *, local_ttl_s: float) -> None:
        self._mode = config.time_sensitive
        self._short_s = config.time_sensitive_ttl_s
        self._policy = policy
        self._local_ttl_s = local_ttl_s
        self._unsaid = (None, None if policy.ttl_s is None else storable_time(policy.ttl_s))

    def refuses(self, request: CacheRequest) -> bool:
        """Whether the cache stays out of it: neither looked up nor stored."""
        return (
            self._mode == "bypass"
            and request.controls.ttl_s is None
            and request.controls.max_age_s == NEVER
            and _is_sensitive(request)
        )

    def note(self, request: CacheRequest) -> str:
        """Return what becomes of a time-sensitive question, for people; "" of any other."""
        found = "" if self._mode == "ignore" else _sensitivity(request)
        if not found:
            return ""
        kept = "passed by" if self._mode == "bypass" else f"served for {self._short_s:g} s at most"
        return f"time-sensitive ({found}): {kept} unless the call names a TTL or an age"

    def ttl_s(self, request: CacheRequest) -> tuple[float | None, bool]:
        """Return the seconds that a new entry lives, and whether an access may renew them.

        None is for ever, and what is not above 0 is no time: nothing is stored.
        """
        if self.refuses(request):
            return 0.0, False
        asked = request.controls.ttl_s
        ttl_s = self._policy.ttl_s if asked is None else asked
        if ttl_s is not None and ttl_s >= _ENDLESS_TTL_S:
            ttl_s = None
        if asked is None and self._mode == "short_ttl" and _is_sensitive(request):
            return (self._short_s if ttl_s is None else min(ttl_s, self._short_s)), False
        return ttl_s, True

    def is_outlived(self, request: CacheRequest, entry: CacheEntry, now: float) -> bool:
        """Whether a fresh entry is too old for this question: it was stored under other words or settings."""
        return now >= entry.created_at + self._short_s and self._is_limited(request, entry)

    def kept_until(self, request: CacheRequest, entry: CacheEntry, now: float) -> float:
        """Seconds since the epoch until which memory, which looks at no words, may answer this question."""
        if self._mode == "bypass" and _is_sensitive(request):
            return _NO_TIME  # others who ask the same said nothing
        until = now + self._local_ttl_s
        return min(until, entry.created_at + self._short_s) if self._is_limited(request, entry) else until

    def kept_on_until(self, request: CacheRequest, slot: Slot, now: float) -> float:
        """Seconds since the epoch until which memory may go on with a hit whose entry was renewed."""
        if self._local_ttl_s < NEVER:
            return slot.deadline  # no longer than before: others may have deleted it
        return self.kept_until(request, slot.hit.entry, now)

    def _is_limited(self, request: CacheRequest, entry: CacheEntry) -> bool:
        """Whether nobody said how long this entry is fresh enough, for a question where that matters."""
        controls = request.controls
        return (
            self._mode == "short_ttl"
            and controls.ttl_s is None
            and controls.max_age_s == NEVER
            and entry.ttl_s in self._unsaid  # else whoever stored it said so
            and _is_sensitive(request)
        )

    def amended(self, request: CacheRequest, entry: CacheEntry, ttl_s: float | None) -> CacheEntry:
        """Return the entry as a `TTLPolicy` dates it, counted from when it was stored; the rules stay its bound.

        Args:
            request: What was asked.
            entry: The answer as it was stored.
            ttl_s: What the policy said; what is no number of seconds says nothing.
        """
        if isinstance(ttl_s, bool) or not isinstance(ttl_s, (int, float)) or not ttl_s >= 0:
            return entry
        created = entry.created_at
        expires_at = self._policy.expires_at(created, created, None if ttl_s >= _ENDLESS_TTL_S else ttl_s)
        if self._mode == "short_ttl" and _is_sensitive(request):
            expires_at = min(expires_at, created + self._short_s)
        return replace(entry, expires_at=storable_time(expires_at))


def _is_sensitive(request: CacheRequest) -> bool:
    """Whether the answer may be wrong soon."""
    return bool(_sensitivity(request))


def _sensitivity(request: CacheRequest) -> Sensitivity:
    """How soon the answer may be wrong; an embedding of the same words never is."""
    return "" if request.dialect.startswith("litellm.embedding") else time_sensitivity(request.text)
