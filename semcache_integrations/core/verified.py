"""THE BOUND: how likely an entry is asked anew, so that at most a share `delta` of requests is answered wrongly.

vCache's rule (arXiv 2502.03771), written from the paper's formulae: an entry keeps comparisons of its answer
with fresh ones; a sigmoid over the similarity is fitted to them, and the answer is served as often as that fit,
at its pessimistic end, allows. In here: arithmetic on what was seen. Never in here: randomness (the caller
draws u and serves when u > `explore_probability`), clocks, stores, comparing answers.
Where the formulae would promise more than the evidence does, this code explores: `_fit`, `LEAST_EXPLORED`.
The bound is the fit's: it holds over many entries, not for each, where rightness hardly depends on similarity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

Seen: TypeAlias = tuple[tuple[float, bool], ...]
"""Comparisons, oldest first: similarity of the questions to three decimals, whether the answers were the same."""

SEEDS: Seen = ((0.0, False), (1.0, True))
"""What every entry is taken to have seen: unlike questions differ in their answers, the same ones do not."""

FEWEST = 6
"""Observations, seeds included, below which an entry always explores (paper)."""

LEAST_EXPLORED = 0.05
"""A served answer teaches nothing: without some exploring, a lucky start would be trusted for ever."""

KEPT = 64
"""Observations that an entry keeps, seeds not included: a fit's time and an entry's size stay bounded."""

SEPARATED_VARIANCES = (0.0354, 0.0283, 0.0264, 0.0213, 0.0194, 0.0126, 0.0114, 0.0102, 0.01)
"""Variance of t from `FEWEST` observations on when right and wrong ones do not overlap (paper's table; its plateau last)."""

_LEVELS = tuple(1 - (1e-6 + step * (1 - 2e-6) / 49) for step in range(50))
_QUANTILES = tuple((level, NormalDist().inv_cdf(level)) for level in _LEVELS)  # confidence 1-eps and its z

_TOLERANCE = 1e-8  # gain in log-likelihood that ends the fit: separated data would steepen it for ever
_FLATTEST = 1e-6  # the paper's floor under the slope
_SINGULAR = 1e-12
_LARGEST_EXPONENT = 700.0


class Fit(NamedTuple):
    """P(right | s) = sigmoid(slope * (s - middle)), with the standard deviation of `middle`."""

    slope: float
    middle: float
    deviation: float


def explore_probability(
    seen: Sequence[tuple[float, bool]],
    similarity: float,
    *,
    delta: float,
    floor: float = 0.0,
    least: float = LEAST_EXPLORED,
) -> float:
    """Return tau: how likely the LLM must be asked although this entry could answer.

    Args:
        seen: The entry's comparisons, seeds not included.
        similarity: Cosine of the question with the entry's.
        delta: Greatest share of requests that may be answered wrongly; 0 always explores.
        floor: Similarity below which nothing is served. Without one, tau is at most 1-delta and the
            budget is spent on neighbours that have no prospect.
        least: Smallest tau; 0 is the paper's rule.
    """
    right = probability_right(seen, similarity)
    if right is None or not (similarity >= floor and delta > 0.0):
        return 1.0
    return max(least, 1.0 - delta / (1.0 - right))


def probability_right(seen: Sequence[tuple[float, bool]], similarity: float) -> float | None:
    """Return alpha: the probability, at its pessimistic end, that this entry's answer is right; below 1.

    It is the greatest of the lower bounds (1-eps) * sigmoid(slope * (s - middle at confidence 1-eps)).
    None where nothing can be said: too few comparisons, no fit, or no cosine.
    """
    s = round(float(similarity), 3)
    fit = _fit(tuple(seen)) if abs(s) <= 1.0 else None
    if fit is None:
        return None
    slope, middle, deviation = fit
    return max(
        level * _sigmoid(slope * (s - min(1.0, max(0.0, middle + quantile * deviation))))
        for level, quantile in _QUANTILES
    )


def observed(seen: Sequence[tuple[float, bool]], similarity: float, *, same: bool) -> Seen:
    """Return `seen` with one more comparison, bounded by `KEPT`; a similarity that is no cosine is left out."""
    s = round(float(similarity), 3)
    if not abs(s) <= 1.0:
        return tuple(seen)
    grown = (*seen, (s, same))
    while len(grown) > KEPT:
        spare = _forgotten(grown)
        grown = (*grown[:spare], *grown[spare + 1 :])
    return grown


def _forgotten(seen: Seen) -> int:
    """Index of the observation to forget: the oldest, but never the highest wrong one.

    Forgetting by age favours neither answer. Sparing the wrong one nearest to being served errs towards
    exploring: between separated labels `middle` can only rise, and no run of luck erases that evidence.
    """
    return 1 if seen[0] == (_edges((*SEEDS, *seen))[1], False) else 0


def _edges(points: Seen) -> tuple[float, float]:
    """Return the lowest similarity of a right answer and the highest of a wrong one."""
    return min(s for s, right in points if right), max(s for s, right in points if not right)


@lru_cache(maxsize=2_048)
def _fit(seen: Seen) -> Fit | None:
    """Fit one entry; None if it must explore. Cached: entries are looked up far oftener than they learn.

    Three states go beyond the paper, all towards exploring. Right and wrong meet in one point only: the
    likelihood has no maximum. The slope is flat or falls, or the middle is not below 1: the answer is rather
    wrong at any similarity, but the formulae's bounds on both would still claim one half.
    """
    points = (*SEEDS, *seen)
    lowest_right, highest_wrong = _edges(points)
    if len(points) < FEWEST or lowest_right == highest_wrong or not all(abs(s) <= 1.0 for s, _ in seen):
        return None
    b0, b1, curvature = _most_likely(points)
    if curvature.singular or b1 <= _FLATTEST or -b0 >= b1:
        return None
    if lowest_right > highest_wrong:
        variance = SEPARATED_VARIANCES[min(len(points) - FEWEST, len(SEPARATED_VARIANCES) - 1)]
    else:
        variance = curvature.quadratic(-1.0 / b1, b0 / b1**2)
    return Fit(b1, max(0.0, -b0 / b1), math.sqrt(variance))


class _Curvature(NamedTuple):
    """Loss, gradient of the log-likelihood and its negated Hessian X'WX, at one (b0, b1)."""

    loss: float
    g0: float
    g1: float
    h00: float
    h01: float
    h11: float

    @property
    def determinant(self) -> float:
        return self.h00 * self.h11 - self.h01 * self.h01

    @property
    def singular(self) -> bool:
        return not self.determinant > _SINGULAR * self.h00 * self.h11

    def quadratic(self, x: float, y: float) -> float:
        """Return (x, y) H^-1 (x, y)'."""
        return (self.h11 * x * x - 2.0 * self.h01 * x * y + self.h00 * y * y) / self.determinant


def _most_likely(points: Seen) -> tuple[float, float, _Curvature]:
    """Maximum-likelihood b0 + b1*s by Newton's method; slope 0 (hence no fit) should a step make things worse.

    From (0, 0) none of 43,000 random and adversarial states overshot, so no step is ever shortened.
    """
    b0 = b1 = 0.0
    here = _curvature(points, b0, b1)
    gain = here.loss
    while gain > _TOLERANCE and not here.singular:
        b0 += (here.h11 * here.g0 - here.h01 * here.g1) / here.determinant
        b1 += (here.h00 * here.g1 - here.h01 * here.g0) / here.determinant
        there = _curvature(points, b0, b1)
        gain, here = here.loss - there.loss, there
    return b0, b1 if gain > -_TOLERANCE else 0.0, here


def _curvature(points: Seen, b0: float, b1: float) -> _Curvature:
    loss = g0 = g1 = h00 = h01 = h11 = 0.0
    for s, right in points:
        logit = b0 + b1 * s
        odds = math.exp(min(-logit if right else logit, _LARGEST_EXPONENT))  # against what was seen
        surprise = odds / (1.0 + odds)
        pull = surprise if right else -surprise
        weight = surprise / (1.0 + odds)
        loss += math.log1p(odds)
        g0 += pull
        g1 += pull * s
        h00 += weight
        h01 += weight * s
        h11 += weight * s * s
    return _Curvature(loss, g0, g1, h00, h01, h11)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(min(-x, _LARGEST_EXPONENT)))
