"""What a load test found, as numbers. No terminal here.

The law: what was not measured is None, never zero; a run that was stopped reports what it had measured by then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any  # Any: a report's fields, by name

from semcache_integrations.loadtest.judge import Claim
from semcache_integrations.loadtest.tally import HIT_TIERS, TIERS, Tally

if TYPE_CHECKING:
    from rich.console import Group

_BUSY = 0.85  # from here on the load generator itself is part of what is measured


@dataclass(frozen=True, slots=True)
class TierReport:
    """The answers of one tier, without the first request.

    Attributes:
        calls: How many.
        wrong: How many were another question's answer; None for a tier that cannot be wrong.
        p50_s: Seconds to the last byte: the median; None without calls.
        p95_s: 95 % took no longer.
        p99_s: 99 % took no longer.
        most_s: The slowest one.
    """

    calls: int
    wrong: int | None
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    most_s: float | None


@dataclass(frozen=True, slots=True)
class Cold:
    """The first request, which found everything cold.

    Attributes:
        tier: Who answered it.
        seconds: How long that took.
    """

    tier: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a load test found.

    Attributes:
        target: The proxy that was asked.
        own: Whether the load test had started it.
        run: The run's tag.
        users: How many users came.
        planned_users: How many were to come.
        seconds: How long they asked.
        requests: How many requests were answered or failed, the first one among them.
        hits: How many the cache answered.
        wrong: How many of these were another question's answer.
        unjudged: How many of these nobody can judge: no fresh answer of this run was the same.
        cold: The first request; None if nobody waited for it.
        tiers: The others, by tier.
        became: How many requests of a kind were answered by a tier, by `kind/tier`.
        reasons: How many the cache did not answer, by the reason that it gave.
        errors: How many failed, by kind.
        messages: What the first error of a kind said.
        examples: Some of the wrong hits.
        cut_off: How many were still under way when the run ended.
        upstream_calls: How many reached the provider; None where that is somebody else's.
        deleted: How many entries were deleted afterwards; None where the proxy does not offer that.
        ttl_s: Seconds after which entries that were not deleted are forgotten.
        interrupted: Whether somebody stopped the run.
        busy: Share of the time in which the load generator was computing.
    """

    target: str
    own: bool
    run: str
    users: int
    planned_users: int
    seconds: float
    requests: int
    hits: int
    wrong: int
    unjudged: int
    cold: Cold | None
    tiers: Mapping[str, TierReport]
    became: Mapping[str, int]
    reasons: Mapping[str, int]
    errors: Mapping[str, int]
    messages: Mapping[str, str]
    examples: Sequence[Claim]
    cut_off: int
    upstream_calls: int | None
    deleted: int | None
    ttl_s: int
    interrupted: bool
    busy: float

    @property
    def per_second(self) -> float:
        """Answers a second, without the first one and without errors."""
        return sum(tier.calls for tier in self.tiers.values()) / self.seconds if self.seconds else 0.0

    @property
    def wrong_share(self) -> float:
        """Wrong hits per hit."""
        return self.wrong / self.hits if self.hits else 0.0

    @property
    def is_busy(self) -> bool:
        """Whether the load generator was computing nearly all the time, and its own speed is what was measured."""
        return self.busy > _BUSY

    def complaints(self, max_wrong: float) -> list[str]:
        """Return why the test failed; nothing if it did not.

        Args:
            max_wrong: Most wrong hits per hit.
        """
        said = [f"{sum(self.errors.values())} of {self.requests} requests failed"] if self.errors else []
        if self.wrong_share > max_wrong:
            share = f"{self.wrong_share:.1%} of the hits were wrong, more than {max_wrong:.1%}"
            said.append(f"{share} (--max-wrong)")
        return said

    def to_json(self) -> str:
        """Return all of it as JSON."""
        shares = {"per_second": self.per_second, "wrong_share": self.wrong_share}
        return json.dumps({**asdict(self), **shares}, indent=2, ensure_ascii=False)

    def __rich__(self) -> Group:
        from semcache_integrations.loadtest.shown import shown

        return shown(self)


def counted(tally: Tally) -> dict[str, Any]:
    """Return the fields of a report that a tally knows."""
    return {
        "requests": tally.requests,
        "hits": tally.hits,
        "wrong": tally.wrong,
        "unjudged": tally.judge.unjudged,
        "tiers": {tier: _tier(tally, tier) for tier in TIERS},
        "became": {f"{kind}/{tier}": count for (kind, tier), count in sorted(tally.became.items())},
        "reasons": dict(tally.reasons.most_common()),
        "errors": dict(tally.errors),
        "messages": dict(tally.messages),
        "examples": tuple(tally.judge.examples),
    }


def _tier(tally: Tally, tier: str) -> TierReport:
    latencies = tally.latencies[tier]
    return TierReport(
        calls=latencies.count,
        wrong=tally.judge.wrong[tier] if tier in HIT_TIERS else None,
        p50_s=latencies.percentile(50),
        p95_s=latencies.percentile(95),
        p99_s=latencies.percentile(99),
        most_s=latencies.percentile(100),
    )
