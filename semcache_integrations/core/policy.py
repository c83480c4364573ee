"""What may be served and for how long: freshness, thresholds, vetoes. Pure: `now` is an argument.

A candidate is refused as soon as one rule refuses it, and the next one is looked at. The refusal's name
says which rule it was; none of them quotes a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from semcache_integrations.core.guards import ALL as ALL_VETOES
from semcache_integrations.core.guards import read, vetoes
from semcache_integrations.core.models import NEVER, CacheEntry, Candidate, Controls, Verdict

_read = lru_cache(maxsize=2_048)(read)
"""Popular entries are candidates again and again, and reading one costs ten times as much as comparing it."""

EPSILON = 1e-6
"""Slack in every comparison of cosines: float32 engines return 0.9999999 for a vector with itself."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one cache.

    Attributes:
        similarity_threshold: Least cosine of a semantic hit.
        rejection_threshold: Second bar on what passed the first, or 0.
        top_k: Neighbours looked at.
        vetoes: Names of the lexical vetoes in force.
        ttl_s: Seconds that an entry lives, or None.
        ttl_sliding: Whether an access renews the TTL.
        ttl_cap_s: Seconds after which even a renewed entry expires, or infinity.
    """

    similarity_threshold: float
    rejection_threshold: float = 0.0
    top_k: int = 10
    vetoes: Collection[str] = ALL_VETOES
    ttl_s: float | None = None
    ttl_sliding: bool = False
    ttl_cap_s: float = math.inf

    def threshold(self, controls: Controls) -> float:
        """Least cosine for a call with these controls: they may tighten, never loosen."""
        return max(self.similarity_threshold, self.rejection_threshold, controls.similarity_threshold)

    def judge(
        self,
        text: str,
        candidates: Sequence[Candidate],
        controls: Controls,
        now: float,
        without_vetoes: frozenset[str] = frozenset(),
    ) -> Iterator[Verdict]:
        """Yield a verdict on each candidate, best first."""
        asked = _read(text)
        names = self.vetoes if not without_vetoes else frozenset(self.vetoes) - without_vetoes
        for candidate in candidates:
            refusal = self._age_or_distance(candidate, controls, now)
            if not refusal and names:
                refusal = vetoes(asked, _read(candidate.entry.text), names)
            yield Verdict(candidate, refusal)

    def _age_or_distance(self, candidate: Candidate, controls: Controls, now: float) -> str:
        if not is_fresh(candidate.entry, controls, now):
            return "expired"
        similarity = candidate.similarity + EPSILON
        if similarity >= self.threshold(controls):
            return ""
        passed_first = similarity >= max(self.similarity_threshold, controls.similarity_threshold)
        return "below rejection_threshold" if passed_first else "below similarity_threshold"

    def expires_at(self, created_at: float, now: float, ttl_s: float | None) -> float:
        """When an entry touched `now` expires, in seconds since the epoch."""
        if ttl_s is None:
            return NEVER
        return min(now + ttl_s, created_at + self.ttl_cap_s)

    def renew_at(self, entry: CacheEntry) -> float:
        """When an access should renew the entry's TTL: once half of it is used up, unless it is capped."""
        if (
            not self.ttl_sliding
            or entry.ttl_s is None
            or entry.expires_at >= entry.created_at + self.ttl_cap_s
        ):
            return NEVER
        return entry.expires_at - entry.ttl_s / 2


def is_fresh(entry: CacheEntry, controls: Controls, now: float) -> bool:
    """Whether the entry has neither expired nor grown too old for this call."""
    return now < entry.expires_at and now - entry.created_at <= controls.max_age_s


def storable_time(seconds: float) -> float:
    """Return microseconds: Qdrant's JSON reader (serde_json) is off by one bit beyond sixteen digits.

    Times are signed, and tell one answer from the next.
    """
    return round(float(seconds), 6)
