"""How often the cache answered, and how long everything took, over the last hour in steps of ten seconds.

The law: a step keeps its counts and the percentiles of the minute that ends with it; times older than that minute
are let go.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any  # JSON

STEP_S = 10
STEPS = 360
OUTCOMES = ("hash", "exact", "semantic", "flight", "miss", "bypass", "error", "other")
"""What may have become of a request: the tier that answered it, or why none did."""

TIMED = ("hit", "miss")
_OVER_S = 60
_TIMES = 512  # per kind and minute: enough for a p95
_MS = 1_000
_SHARES = {"p50_ms": 0.50, "p95_ms": 0.95}


def percentiles(seconds: Iterable[float]) -> dict[str, float | None]:
    """Return the nearest-rank percentiles in milliseconds, None where there is nothing to rank."""
    ascending = sorted(seconds)
    return {name: _ranked(ascending, share) for name, share in _SHARES.items()}


def _ranked(ascending: Sequence[float], share: float) -> float | None:
    if not ascending:
        return None
    return round(ascending[min(len(ascending) - 1, int(share * len(ascending)))] * _MS, 3)


@dataclass(slots=True)
class _Step:
    at: float
    counts: Counter[str] = field(default_factory=Counter)
    latency: dict[str, dict[str, float | None]] = field(default_factory=dict)


class Series:
    """A ring of steps; those in which nothing happened take no room. Not thread-safe: its owner locks.

    Args:
        steps: How many there are at most.
    """

    def __init__(self, steps: int = STEPS) -> None:
        self._steps = steps
        self._kept: deque[_Step] = deque(maxlen=steps)
        self._times: dict[str, deque[tuple[float, float]]] = {name: deque(maxlen=_TIMES) for name in TIMED}

    def note(self, now: float, outcome: str, kind: str, seconds: float) -> None:
        """Take note of a request that has just ended."""
        self._current(now).counts[outcome] += 1
        if kind in self._times:
            self._times[kind].append((now, seconds))

    def snapshot(self, now: float) -> dict[str, Any]:
        """Return the last hour in columns, oldest first; steps in which nothing happened are left out."""
        if self._kept:
            self._close(self._kept[-1])
        steps = [step for step in self._kept if step.at > now - self._steps * STEP_S]
        return {
            "step_s": STEP_S,
            "at": [step.at for step in steps],
            "counts": {name: [step.counts[name] for step in steps] for name in OUTCOMES},
            "latency": {
                name: {share: [step.latency[name][share] for step in steps] for share in _SHARES}
                for name in TIMED
            },
        }

    def _current(self, now: float) -> _Step:
        at = now // STEP_S * STEP_S
        if self._kept and at <= self._kept[-1].at:  # a clock that was set back goes on in the step it was in
            return self._kept[-1]
        if self._kept:
            self._close(self._kept[-1])
        self._kept.append(_Step(at))
        return self._kept[-1]

    def _close(self, step: _Step) -> None:
        oldest = step.at + STEP_S - _OVER_S
        for name, times in self._times.items():
            while times and times[0][0] < oldest:
                times.popleft()
            step.latency[name] = percentiles(seconds for _, seconds in times)
