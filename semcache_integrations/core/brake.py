"""THE BRAKE: when hits that were checked turn out wrong too often beyond doubt, be stricter. Pure arithmetic.

Labels come from answers that were asked anew although they could have been served. Nothing in here knows
what a step means: the policy does. The law: no change without evidence at 95 % confidence, and after each
change the evidence is collected anew, because it was about another policy.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

from semcache_integrations.core.wilson import interval

LEAST_LABELS = 20
"""Fewer say nothing: two mistakes of the comparer in a row would pull the brake."""

WINDOW = 1_000
"""Labels that count; older traffic may have been another one."""

MOST_STEPS = 4

Change: TypeAlias = Literal["", "tightened", "loosened"]


class Brake:
    """Counts labels and decides about steps; for one thread at a time.

    It tightens when the wrong share is above the target beyond doubt. It loosens when it is below *half* of
    the target beyond doubt: one step halves what is tolerated, so one step back may double what is wrong.
    For a target of 2 % that takes 381 right labels in a row, for 0.5 % it never happens in this window.

    Args:
        target: Wrong hits per hit, 0-1.
    """

    def __init__(self, target: float) -> None:
        self.target = target
        self.step = 0
        self._labels: deque[bool] = deque(maxlen=WINDOW)

    @property
    def wrong(self) -> int:
        """Wrong ones among the labels that count."""
        return self._labels.count(False)

    @property
    def labels(self) -> int:
        """Labels that count: those since the last step, the latest of them."""
        return len(self._labels)

    def take(self, *, right: bool) -> Change:
        """Take a label; return what it changed, "" if nothing."""
        self._labels.append(right)
        if self.labels < LEAST_LABELS:
            return ""
        low, high = interval(self.wrong, self.labels)
        if low > self.target and self.step < MOST_STEPS:
            return self._move(1)
        if high < self.target / 2 and self.step > 0:
            return self._move(-1)
        return ""

    def _move(self, by: Literal[1, -1]) -> Change:
        self.step += by
        self._labels.clear()
        return "tightened" if by > 0 else "loosened"
