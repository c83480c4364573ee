"""Metrics of what an engine tells its hooks: look-ups, writes, its backends' breakers.

The law: a look-up is counted once, timed once; this stands on the hot path, so each outcome's counters are looked up
in one dictionary.
"""

from __future__ import annotations

import math
from typing import NamedTuple, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from semcache_integrations.core.models import CacheEvent, MissReason, Tier
from semcache_integrations.observability.bounded import cleaned, one_of
from semcache_integrations.observability.families import LOOKUP_S, SIMILARITY, Families

BREAKER = {"closed": 0, "half-open": 1, "open": 2}
"""How a gauge tells a breaker's state."""

_TIERS = frozenset(get_args(Tier))
_REASONS = frozenset(get_args(MissReason))
_LABELS = ("result", "tier", "reason")
_LOOKUPS = frozenset({"hit", "miss"})
_WRITES = {"store": "stored", "store_failed": "failed", "dropped": "dropped"}
_BACKENDS = ("store", "embedder")
_CHANGES = {"breaker_open": "open", "breaker_closed": "closed"}


class _Outcome(NamedTuple):
    """What is counted for one kind of outcome."""

    lookups: Counter
    seconds: Histogram
    similarity: Histogram


class LookupMetrics:
    """Counts a cache's events.

    Args:
        registry: Where the metrics are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        new = Families(registry)
        self._lookups = new.counter("semcache_lookups", "Look-ups by what became of them.", *_LABELS)
        self._seconds = new.histogram("semcache_lookup_seconds", "Duration of look-ups.", LOOKUP_S, "tier")
        self._similarity = new.histogram(
            "semcache_lookup_similarity", "Cosine of hits, and of misses' nearest.", SIMILARITY, "tier"
        )
        self._writes = new.counter("semcache_writes", "Answers stored, failed to be, or dropped.", "outcome")
        self._breakers = new.gauge(
            "semcache_backend_breaker", "0: the backend is asked, 2: it is left alone.", "backend"
        )
        self._known: dict[tuple[str, str, str], _Outcome] = {}
        for outcome in _WRITES.values():  # what never happened is 0, not absent: alerts need it
            self._writes.labels(outcome)
        for backend in _BACKENDS:
            self._breakers.labels(backend).set(BREAKER["closed"])

    def takes(self, event: CacheEvent) -> None:
        """Take note of one event; those of other kinds are in `cache.stats()`."""
        if event.kind in _LOOKUPS:
            self._looked_up(event)
        elif event.kind in _WRITES:
            self._writes.labels(_WRITES[event.kind]).inc()
        elif event.kind in _CHANGES:
            self._breakers.labels(cleaned(event.reason)).set(BREAKER[_CHANGES[event.kind]])

    def _looked_up(self, event: CacheEvent) -> None:
        key = (event.kind, one_of(event.tier, _TIERS), one_of(event.reason, _REASONS))
        outcome = self._known.get(key) or self._outcome(key)
        outcome.lookups.inc()
        outcome.seconds.observe(event.seconds)
        if event.similarity is not None and math.isfinite(event.similarity):
            outcome.similarity.observe(min(1.0, event.similarity))

    def _outcome(self, key: tuple[str, str, str]) -> _Outcome:
        tier = key[1]
        outcome = _Outcome(
            self._lookups.labels(*key), self._seconds.labels(tier), self._similarity.labels(tier)
        )
        return self._known.setdefault(key, outcome)
