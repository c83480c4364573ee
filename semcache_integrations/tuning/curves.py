"""Hit rate against wrong hits, and the threshold to recommend for a wanted share of wrong hits.

The law: a recommendation is made only if the *upper* end of the 95 % interval keeps the target; otherwise it says how
many hits it would take, or that no number would be enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from semcache_integrations.tuning.evidence import Count
from semcache_integrations.tuning.wilson import Rate, trials_needed

THRESHOLDS: Final = tuple(round(0.60 + step / 100, 2) for step in range(40))
"""0.60 to 0.99: below, unrelated questions meet; at 1.00 only equal ones do."""

Outcome: TypeAlias = Literal["certified", "too_few", "too_wrong", "unlabelled"]


@dataclass(frozen=True, slots=True)
class Point:
    """One threshold.

    Attributes:
        threshold: Least cosine of a hit.
        requests: How many requests, or pairs, were asked.
        hits: How many of them were answered from the cache, or accepted.
        wrong: How many of these hits were of another class; None where no label says.
    """

    threshold: float
    requests: int
    hits: int
    wrong: int | None

    @property
    def hit_rate(self) -> Rate:
        """Hits per request."""
        return Rate(self.hits, self.requests)

    @property
    def wrong_per_hit(self) -> Rate | None:
        """How often an answer from the cache is wrong: what its reader feels."""
        return None if self.wrong is None else Rate(self.wrong, self.hits)

    @property
    def wrong_per_request(self) -> Rate | None:
        """How often any answer is wrong because of the cache: what the service as a whole gets wrong."""
        return None if self.wrong is None else Rate(self.wrong, self.requests)


@dataclass(frozen=True, slots=True)
class Curve:
    """All thresholds, with vetoes or without.

    Attributes:
        vetoes: Whether the vetoes were on.
        points: By rising threshold.
    """

    vetoes: bool
    points: tuple[Point, ...]

    def at(self, threshold: float) -> Point:
        """Return the point nearest to a threshold."""
        return min(self.points, key=lambda point: abs(point.threshold - threshold))


def curve_of(
    counts: Iterable[Count], thresholds: Iterable[float], *, requests: int, vetoes: bool, labelled: bool
) -> Curve:
    """Return the curve of what was counted, one count a threshold."""
    return Curve(
        vetoes,
        tuple(
            Point(threshold, requests, count.hits, count.wrong if labelled else None)
            for threshold, count in zip(thresholds, counts, strict=True)
        ),
    )


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What the data say about a wanted share of wrong hits.

    Attributes:
        target: Most wrong hits per hit, 0-1.
        vetoes: Whether the vetoes are on.
        outcome: `certified`: the point keeps the target; `too_few`: it may, but there are too few hits to say so;
            `too_wrong`: every threshold has more wrong hits than that; `unlabelled`: nobody said what is wrong.
        point: The recommended threshold; else the nearest to it; None if nothing was ever hit.
        hits_needed: Hits that would certify `point` if its rate of wrong hits stays as it is.
    """

    target: float
    vetoes: bool
    outcome: Outcome
    point: Point | None = None
    hits_needed: int | None = None

    @property
    def threshold(self) -> float | None:
        """The certified threshold, if there is one."""
        return self.point.threshold if self.point is not None and self.outcome == "certified" else None

    def __str__(self) -> str:
        return f"{'with' if self.vetoes else 'without'} vetoes: {_SAYINGS[self.outcome](self)}"


def recommend(curve: Curve, target: float) -> Recommendation:
    """Return the lowest threshold whose upper bound of wrong hits per hit keeps the target.

    Args:
        curve: With labels, or there is nothing to recommend.
        target: Most wrong hits per hit, between 0 and 1.
    """
    rates = [(point, point.wrong_per_hit) for point in curve.points if point.hits]
    labelled = [(point, rate) for point, rate in rates if rate is not None]
    if not labelled:
        outcome: Outcome = (
            "too_few" if any(point.wrong is not None for point in curve.points) else "unlabelled"
        )
        needed = trials_needed(0.0, target) if outcome == "too_few" else None
        return Recommendation(target, curve.vetoes, outcome, hits_needed=needed)
    for point, rate in labelled:
        if rate.high <= target:
            return Recommendation(target, curve.vetoes, "certified", point)
    return _nearest(labelled, target, vetoes=curve.vetoes)


def _nearest(labelled: Sequence[tuple[Point, Rate]], target: float, *, vetoes: bool) -> Recommendation:
    """Return the point that lacks the smallest multiple of its hits, or else the one with the fewest wrong hits."""
    lacking = [
        (needed / point.hits, needed, point)
        for point, rate in labelled
        if (needed := trials_needed(rate.value, target)) is not None
    ]
    if not lacking:
        best = min(labelled, key=lambda each: each[1].value)[0]
        return Recommendation(target, vetoes, "too_wrong", best)
    _, needed, point = min(lacking, key=lambda each: each[0])
    return Recommendation(target, vetoes, "too_few", point, needed)


def best_of(recommendations: Sequence[Recommendation]) -> Recommendation:
    """Return the certified one with the most hits; if there is none, the one that is nearest to it."""
    order: dict[Outcome, int] = {"certified": 3, "too_few": 2, "too_wrong": 1, "unlabelled": 0}

    def rank(each: Recommendation) -> tuple[int, float]:
        hits = each.point.hits if each.point else 0
        return order[each.outcome], hits if each.outcome == "certified" else -(each.hits_needed or 0)

    return max(recommendations, key=rank)


def _certified(it: Recommendation) -> str:
    point = it.point
    if point is None or point.wrong_per_hit is None:  # pragma: no cover - a certified point has labels
        return ""
    rate = point.wrong_per_hit
    return (
        f"similarity_threshold={point.threshold:.2f} answers {point.hit_rate.value:.1%} of the requests; "
        f"{rate.value:.1%} of these hits are wrong, at most {rate.high:.1%} with 95 % confidence "
        f"(target {it.target:.1%})"
    )


def _too_few(it: Recommendation) -> str:
    if it.point is None:
        return f"too few data: not one hit, and a target of {it.target:.1%} takes {it.hits_needed:,} hits to certify"
    rate = it.point.wrong_per_hit
    high = rate.high if rate else 1.0
    return (
        f"too few data to certify {it.target:.1%}: at {it.point.threshold:.2f}, {it.point.wrong} of "
        f"{it.point.hits:,} hits are wrong, which may mean up to {high:.1%}; it takes about {it.hits_needed:,} hits "
        "at this rate"
    )


def _too_wrong(it: Recommendation) -> str:
    rate = it.point.wrong_per_hit if it.point else None
    if it.point is None or rate is None:  # pragma: no cover - too wrong means that there were hits
        return ""
    return (
        f"no threshold keeps {it.target:.1%}: the fewest wrong hits are {rate.value:.1%}, at {it.point.threshold:.2f}; "
        "more data of this kind will not change that"
    )


def _unlabelled(it: Recommendation) -> str:
    del it
    return "no labels, so nobody can say which hits are wrong; add a column class or response"


_SAYINGS = {
    "certified": _certified,
    "too_few": _too_few,
    "too_wrong": _too_wrong,
    "unlabelled": _unlabelled,
}
