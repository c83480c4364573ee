"""Counts and latencies of one cache, and how they look in a terminal and in a notebook.

Recording is a few dictionary and deque operations, because it sits on the hot path; everything that
costs anything happens in `snapshot()`.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from semcache_integrations.core.models import Hit, Lookup, MissReason
from semcache_integrations.tables import html_table, text_table

if TYPE_CHECKING:
    from rich.table import Table

TIERS = ("hash", "exact", "semantic")
_RECENT = 2_048  # latencies kept per tier: enough for a p99, small enough to forget


@dataclass(frozen=True, slots=True)
class TierStats:
    """One tier's hits.

    Attributes:
        hits: How many.
        share: Hits per look-up, 0-1.
        p50_us: Median of the latest 2,048 look-ups that ended here, in microseconds.
        p99_us: Their 99th percentile, in microseconds.
    """

    hits: int = 0
    share: float = 0.0
    p50_us: float = 0.0
    p99_us: float = 0.0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What one cache has done since it was made.

    Attributes:
        tiers: By tier name, and `miss` for the look-ups that found nothing.
        misses: Count by reason.
        counts: Everything else that was counted: `stored`, `store_failed`, `dropped`, `evicted`…
        entries: Hits kept in the in-process tier.
        size_bytes: What they count for.
    """

    tiers: Mapping[str, TierStats]
    misses: Mapping[str, int]
    counts: Mapping[str, int] = field(default_factory=dict)
    entries: int = 0
    size_bytes: int = 0

    @property
    def hits(self) -> int:
        """Look-ups that were answered, by any tier."""
        return sum(self.tiers[tier].hits for tier in TIERS)

    @property
    def lookups(self) -> int:
        """All look-ups."""
        return self.hits + sum(self.misses.values())

    @property
    def hit_rate(self) -> float:
        """Answered look-ups per look-up, 0-1."""
        return self.hits / self.lookups if self.lookups else 0.0

    def rows(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield the table's rows: name, count, share, p50, p99."""
        for name in (*TIERS, "miss"):
            tier = self.tiers[name]
            latency = (_micros(tier.p50_us), _micros(tier.p99_us)) if tier.hits else ("", "")
            yield (name, f"{tier.hits:,}", f"{tier.share:.1%}", *latency)
        for reason, count in sorted(self.misses.items()):
            yield f"  {reason}", f"{count:,}", f"{count / self.lookups:.1%}", "", ""
        for name, count in sorted(self.counts.items()):
            yield name, f"{count:,}", "", "", ""

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(title=f"semantic cache: {self._title()}")
        for column in _COLUMNS:
            table.add_column(column, justify="left" if column == _COLUMNS[0] else "right")
        for row in self.rows():
            table.add_row(*row)
        return table

    def __str__(self) -> str:
        return text_table(self._title(), _COLUMNS, self.rows())

    def _repr_html_(self) -> str:
        return html_table(self._title(), _COLUMNS, self.rows())

    def _title(self) -> str:
        return f"{self.hit_rate:.1%} of {self.lookups:,} look-ups answered"


_MILLISECOND_US = 1_000
_COLUMNS = ("tier", "look-ups", "share", "p50", "p99")


def _micros(value: float) -> str:
    return f"{value:,.1f} µs" if value < _MILLISECOND_US else f"{value / _MILLISECOND_US:,.1f} ms"


class _Tally:
    """Counts and times one outcome, with operations that are atomic by themselves: a lock would cost more."""

    __slots__ = ("_next", "_read", "seconds")

    def __init__(self, seconds: deque[float]) -> None:
        self._next = itertools.count().__next__
        self._read = 0
        self.seconds = seconds

    def add(self, seconds: float) -> None:
        self._next()
        self.seconds.append(seconds)

    def count(self) -> int:
        """Return how often `add` was called; for one reader at a time, because reading counts too."""
        found = self._next() - self._read
        self._read += 1
        return found


class Recorder:
    """Collects what happened, from all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Start from zero."""
        missed: deque[float] = deque(maxlen=_RECENT)
        self._counts: Counter[str] = Counter()
        self._tallies = {tier: _Tally(deque(maxlen=_RECENT)) for tier in TIERS}
        self._tallies |= {reason: _Tally(missed) for reason in get_args(MissReason)}

    def looked_up(self, found: Lookup, seconds: float) -> None:
        """Take note of a look-up that took `seconds`."""
        self._tallies[found.tier if isinstance(found, Hit) else found.reason].add(seconds)

    def counted(self, name: str, by: int = 1) -> None:
        """Count something else."""
        with self._lock:
            self._counts[name] += by

    def snapshot(
        self, *, entries: int, size_bytes: int, evicted: int, learned: Mapping[str, int]
    ) -> CacheStats:
        """Return the counts and percentiles of this moment."""
        with self._lock:
            counts = {**self._counts, **learned}
            tallied = {name: (tally.count(), sorted(tally.seconds)) for name, tally in self._tallies.items()}
        misses = {name: count for name, (count, _) in tallied.items() if name not in TIERS and count}
        hits = {tier: tallied[tier][0] for tier in TIERS} | {"miss": sum(misses.values())}
        seconds = {tier: tallied[tier][1] for tier in TIERS} | {"miss": tallied["not_found"][1]}
        lookups = sum(hits.values())
        tiers = {
            name: TierStats(
                hits=hits[name],
                share=hits[name] / lookups if lookups else 0.0,
                p50_us=_percentile(kept, 0.50),
                p99_us=_percentile(kept, 0.99),
            )
            for name, kept in seconds.items()
        }
        if evicted:
            counts["evicted"] = evicted
        return CacheStats(tiers, misses, counts, entries, size_bytes)


def _percentile(ascending: list[float], share: float) -> float:
    """Return the nearest-rank percentile of sorted seconds, in microseconds."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))] * 1e6 if ascending else 0.0
