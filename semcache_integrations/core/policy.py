"""The settings by which answers are served, and for how long they live. Pure: `now` is an argument.

What a neighbour must meet is `acceptance`'s business; a refusal's name says which rule it was, and quotes no prompt.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from semcache_integrations.core.acceptance import NEAREST, Case, Rule, reading_of
from semcache_integrations.core.guards import ALL as ALL_VETOES
from semcache_integrations.core.models import NEVER, CacheEntry, Candidate, Controls
from semcache_integrations.core.recalibration import Shift
from semcache_integrations.core.scoring import FLOOR

Learns: TypeAlias = Literal["nothing", "groups", "observations"]
"""What is learned from a fresh answer: who shares it; or whether the nearest neighbour's would have been right."""


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
        rule: What a neighbour must meet beyond the thresholds and the vetoes.
        learns: What is learned from each fresh answer.
        compare_floor: Least cosine of two questions whose answers are compared.
    """

    similarity_threshold: float
    rejection_threshold: float = 0.0
    top_k: int = 10
    vetoes: Collection[str] = ALL_VETOES
    ttl_s: float | None = None
    ttl_sliding: bool = False
    ttl_cap_s: float = math.inf
    rule: Rule = NEAREST
    learns: Learns = "nothing"
    compare_floor: float = FLOOR

    def threshold(self, controls: Controls) -> float:
        """Least cosine for a call with these controls: they may tighten, never loosen."""
        return max(self.similarity_threshold, self.rejection_threshold, controls.similarity_threshold)

    def case(
        self,
        text: str,
        candidates: Sequence[Candidate],
        controls: Controls,
        now: float,
        without_vetoes: frozenset[str] = frozenset(),
    ) -> Case:
        """Return the question with its neighbours, for a rule to judge."""
        return Case(
            asked=reading_of(text),
            candidates=candidates,
            controls=controls,
            now=now,
            threshold=max(self.similarity_threshold, controls.similarity_threshold),
            second_bar=self.rejection_threshold,
            vetoes=frozenset(self.vetoes) - without_vetoes if without_vetoes else self.vetoes,
            limit=self.top_k,
        )

    def adjusted(self, step: int, shift: Shift) -> Policy:
        """Return the policy after so many steps of the brake, for questions of which so much is known."""
        rule, threshold = self.rule.tightened(self.similarity_threshold, step)
        return replace(self, rule=rule.recalibrated(shift), similarity_threshold=threshold)

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


def storable_time(seconds: float) -> float:
    """Return microseconds: Qdrant's JSON reader (serde_json) is off by one bit beyond sixteen digits.

    Times are signed, and tell one answer from the next.
    """
    return round(float(seconds), 6)
