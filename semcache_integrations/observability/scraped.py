"""Metrics that are read when Prometheus asks: what caches hold and count, which upstreams are left alone.

The law: reading changes nothing, and what cannot be read is missing from one scrape, while the rest of it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.observability.bounded import Names, cleaned
from semcache_integrations.observability.lookups import BREAKER
from semcache_integrations.stats import CacheStats
from semcache_integrations.troubles import Troubles

if TYPE_CHECKING:
    from semcache_integrations.cache import SemanticCache

States = Callable[[], Mapping[str, str]]
_EVICTED = "evicted"
_ALWAYS = ("braked", "checked_right", "checked_wrong", "dropped", "quarantined", "store_failed", "stored")


class Scraped(Collector):
    """Reads what it was told to watch.

    Args:
        troubles: Where failures to read are counted.
        upstreams: The labels that upstreams get.
    """

    def __init__(self, troubles: Troubles, upstreams: Names) -> None:
        self._troubles = troubles
        self._upstreams = upstreams
        self._caches: dict[str, SemanticCache] = {}
        self._states: list[States] = []

    def watch(self, cache: SemanticCache, name: str) -> None:
        """Read a cache's statistics from now on.

        Raises:
            ConfigurationError: another cache has this name.
        """
        if self._caches.setdefault(cleaned(name), cache) is not cache:
            raise ConfigurationError(f"another cache is watched as {name!r}: give this one a name of its own")

    def watch_breakers(self, states: States) -> None:
        """Read the states of upstreams' breakers from now on."""
        self._states.append(states)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of this moment."""
        read = {name: self._stats(cache) for name, cache in tuple(self._caches.items())}
        found = {name: stats for name, stats in read.items() if stats is not None}
        yield from _gauges(found)
        yield from _counters(found)
        yield self._breakers()

    def _stats(self, cache: SemanticCache) -> CacheStats | None:
        with self._troubles.going_on("reading a cache's statistics"):
            return cache.stats()
        return None

    def _breakers(self) -> Metric:
        """Return the breakers' states: of upstreams that share a label, the worst."""
        worst: dict[str, int] = {}
        for states in self._states:
            with self._troubles.going_on("reading the breakers"):
                for upstream, state in states().items():
                    label = self._upstreams.label(upstream)
                    worst[label] = max(worst.get(label, 0), BREAKER[state])
        family = GaugeMetricFamily(
            "semcache_upstream_breaker",
            "Whether an upstream is asked (0), tried (1) or left alone (2) after repeated failures.",
            labels=("upstream",),
        )
        for label, value in worst.items():
            family.add_metric((label,), value)
        return family


def _gauges(read: Mapping[str, CacheStats]) -> Iterator[Metric]:
    entries = GaugeMetricFamily(
        "semcache_memory_entries", "Entries in the in-process tier.", labels=("cache",)
    )
    size = GaugeMetricFamily("semcache_memory_bytes", "What they count for in bytes.", labels=("cache",))
    ratio = GaugeMetricFamily(
        "semcache_hit_ratio", "Answered look-ups per look-up since the start, 0-1.", labels=("cache",)
    )
    for name, stats in read.items():
        entries.add_metric((name,), stats.entries)
        size.add_metric((name,), stats.size_bytes)
        ratio.add_metric((name,), stats.hit_rate)
    yield from (entries, size, ratio)


def _counters(read: Mapping[str, CacheStats]) -> Iterator[Metric]:
    evictions = CounterMetricFamily(
        "semcache_memory_evictions", "Entries that had to leave the in-process tier.", labels=("cache",)
    )
    counts = CounterMetricFamily(
        "semcache_counts",
        "Whatever else the cache counted, as `stats()` names it.",
        labels=("cache", "count"),
    )
    for name, stats in read.items():
        evictions.add_metric((name,), stats.counts.get(_EVICTED, 0))
        shown = {**dict.fromkeys(_ALWAYS, 0), **stats.counts}  # 0, not absent: alerts see the first one
        for count, value in shown.items():
            if count != _EVICTED:
                counts.add_metric((name, count), value)
    yield from (evictions, counts)
