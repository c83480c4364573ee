"""RECALIBRATION: how much surer, or less sure, one may be of a score here than where it was fitted. Pure.

Questions of one trade are more alike than those of another, and a score that was fitted to the one is too bold or too
shy for the other. Every answer that had to be asked for tells whether the nearest one would have been right; an
offset of all scores of a cache, on their logits, is learned from that, and what is demanded of them moves with it.

The law: it starts at nothing, no label moves it far, and it never exceeds a bound, whatever the comparer says. Bad
news is believed as it is. Of good news a third is, and it loosens no demand for more than `SURE`: what scores so much
is served by most policies, so no label ever tells whether it was right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from semcache_integrations.core.scoring import logistic, logit

SURE: Final = 0.95
"""Score above which good news says nothing."""

_PRIOR = 10.0  # what "no offset" weighs at first: as much as 40 labels at a score of one half
_MEMORY = 0.998  # of what was learned, per label: about the latest 500 count
_MOST = 1.2  # largest offset that is believed, in logits
_TRUST = 0.3  # share of good news that is believed
_LEAST_TELLING, _MOST_TELLING = 0.3, 0.985  # beyond, a label that surprises is the comparer's own error


@dataclass(frozen=True, slots=True)
class Shift:
    """What was learned so far: the intercept of a logistic regression with everything else held.

    The update is one Newton step per label, with the curvature kept and slowly forgotten (Laplace's approximation of
    the posterior, as in an extended Kalman filter).

    Attributes:
        offset: By how much scores are too low here, in logits; within ±1.2.
        curvature: Weight of the prior and of all labels so far.
    """

    offset: float = 0.0
    curvature: float = _PRIOR

    def demanded(self, least: float) -> float:
        """Return which score is to be demanded here, where elsewhere `least` would be, both in 0-1."""
        if self.offset < 0.0:
            return logistic(logit(least) - self.offset)
        return least if least > SURE else logistic(logit(least) - _TRUST * self.offset)

    def learned(self, score: float, *, right: bool) -> Shift:
        """Return what is known after one more label.

        Args:
            score: Of the nearest entry, in 0-1.
            right: Whether its answer was the same as the fresh one.
        """
        if not _LEAST_TELLING <= score <= _MOST_TELLING:
            return self
        expected = logistic(logit(score) + self.offset)
        curvature = _PRIOR + _MEMORY * (self.curvature - _PRIOR) + expected * (1.0 - expected)
        offset = self.offset + (right - expected) / curvature
        return Shift(min(max(offset, -_MOST), _MOST), curvature)


UNMOVED: Final = Shift()
"""What is known before the first label."""
