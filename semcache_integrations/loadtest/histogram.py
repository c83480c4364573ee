"""Latencies in a bounded number of buckets: percentiles of any number of them, each within one per cent.

The law: a percentile is at most 1 % off the value of that rank, and never beyond what was seen; adding costs no memory
but that of a bucket, of which there are fewer than a thousand.
"""

from __future__ import annotations

import math
from collections import Counter

_RATIO = 1.02  # of a bucket's bounds; its middle is within 1 % of all that is in it
_LEAST_S, _MOST_S = 1e-6, 1e4
_LOG = math.log(_RATIO)


class Histogram:
    """Counts seconds in buckets that grow geometrically."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.least = math.inf
        self.most = 0.0

    def add(self, seconds: float) -> None:
        """Count a latency; what no clock can measure counts as the nearest that one can."""
        kept = min(max(seconds, _LEAST_S), _MOST_S)
        self._buckets[math.floor(math.log(kept) / _LOG)] += 1
        self.count += 1
        self.least, self.most = min(self.least, kept), max(self.most, kept)

    def percentile(self, percent: float) -> float | None:
        """Return the seconds that so many per cent do not exceed; None where nothing was counted."""
        rank, seen = max(1, math.ceil(self.count * percent / 100)), 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= rank:
                middle = math.exp((bucket + 0.5) * _LOG)
                return min(max(middle, self.least), self.most)
        return None
