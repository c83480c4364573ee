"""What the cache holds, and what the process takes.

The law: asking costs little, however often it is asked, and a store that does not answer hides only its own number.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any  # JSON

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import StoreError

_COUNT_EVERY_S = 1.0
_COUNT_SHARE = (
    200  # a count of a million entries takes the embedded store 70 ms: it is worth so many times the wait
)
_COUNT_WITHIN_S = 2.0
_KILOBYTE = 1_024
_STATUS = Path("/proc/self/status")


class Contents:
    """What a cache holds.

    Args:
        cache: The cache.
        timer: Monotonic seconds.
    """

    def __init__(self, cache: SemanticCache, *, timer: Callable[[], float] = time.monotonic) -> None:
        self._cache = cache
        self._timer = timer
        self._stored: int | None = None
        self._count_at = float("-inf")

    async def snapshot(self) -> dict[str, Any]:
        """Return counts, sizes and the look-up times of the tiers, as JSON."""
        stats = self._cache.stats()
        return {
            "stored": await self._count(),
            "in_memory": stats.entries,
            "in_memory_bytes": stats.size_bytes,
            "evicted": stats.counts.get("evicted", 0),
            "hit_rate": stats.hit_rate,
            "lookups": stats.lookups,
            "tiers": {name: asdict(tier) for name, tier in stats.tiers.items()},
            "misses": dict(stats.misses),
            "counts": dict(stats.counts),
        }

    def changed(self) -> None:
        """Count anew next time."""
        self._count_at = float("-inf")

    async def _count(self) -> int | None:
        now = self._timer()
        if now >= self._count_at:
            self._count_at = now + _COUNT_EVERY_S  # whoever asks meanwhile does not count as well
            try:
                self._stored = await asyncio.wait_for(self._cache.acount(), _COUNT_WITHIN_S)
            except (StoreError, asyncio.TimeoutError):
                self._stored = None
            took = self._timer() - now
            self._count_at = now + max(_COUNT_EVERY_S, _COUNT_SHARE * took)
        return self._stored


def memory() -> dict[str, int | None]:
    """Return the bytes of memory that this process takes now and took at most, None where nobody tells."""
    now, most = _resident(), _peak()
    if now is not None and most is not None:
        most = max(now, most)  # the kernel notes the peak a little later
    return {"rss_bytes": now, "peak_bytes": most}


def _resident() -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    told = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return int(told[0]) * _KILOBYTE if told else None


def _peak() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * _KILOBYTE
