"""SCORE: how likely it is that the nearest answer is right, judged by its whole neighbourhood. Pure arithmetic.

A cosine alone cannot tell: 0.88 is a sure thing where nothing else is near, and a coin toss where two answers
are. So the nearest entry is seen among its neighbours: how far away the nearest *different* answer is, how many
say the same, how much of the wording is shared. A logistic regression of a dozen coefficients turns that into
a probability; they come from `calibration.py`, none is in here. No name of a text, a model or a store either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from semcache_integrations.core.guards.reading import Reading, content, feature, words

FEATURES = (
    "similarity",  # of the nearest entry
    "second",  # similarity of the second nearest
    "margin",  # similarity minus that of the nearest entry with a different answer
    "share",  # of the votes for the nearest entry's answer, in 0-1; a neighbour 0.05 further off has e times less
    "agreeing",  # how many neighbours share the nearest entry's answer
    "density",  # mean similarity
    "answers",  # how many different answers there are
    "shared_words",  # Jaccard index of the content words, in 0-1
    "contained",  # 1 if the content words of one question are all in the other
    "shared_letters",  # Jaccard index of the letter trigrams, in 0-1
    "length",  # log of the shorter question's words + 1
    "neighbours",  # entries above the floor, refused ones too, out of ten
    "alone",  # similarity, weighed with how empty the neighbourhood is
)
"""What the score looks at, in the order of the coefficients."""

FLOOR = 0.55
"""Least similarity of a neighbour: below it, questions of one topic and of two look the same to a sentence encoder."""

_NOWHERE = 0.5  # similarity of a different answer that was not even among the neighbours of a sparse space
_BEYOND = 0.05  # how much further off it is at least, where all the neighbours share one answer
_SHARPNESS = 20.0  # of the vote: quality research found 1/20 as temperature; 10 to 40 do as well
_NEIGHBOURHOOD = 10.0


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry near the question.

    Attributes:
        reading: Its question.
        similarity: Cosine.
        group: Name of its answer group; equal names, equal answers.
    """

    reading: Reading
    similarity: float
    group: str


def evidence(asked: Reading, neighbours: Sequence[Neighbour], found: int, limit: int) -> tuple[float, ...]:
    """Return the `FEATURES` of the nearest neighbour's answer.

    Args:
        asked: The question.
        neighbours: The one in question first, then the others near, in any order.
        found: How many entries were above the floor, refused ones included.
        limit: How many entries the store was asked for.
    """
    nearest = neighbours[0]
    similarities = [each.similarity for each in neighbours]
    best = nearest.similarity
    votes = [math.exp(_SHARPNESS * (similarity - best)) for similarity in similarities]
    agreeing = [each.group == nearest.group for each in neighbours]
    full = found >= limit
    filled = found / limit
    return (
        best,
        max(similarities[1:], default=_NOWHERE),
        best - _rival(similarities, agreeing, full=full),
        sum(vote for vote, agrees in zip(votes, agreeing, strict=True) if agrees) / sum(votes),
        float(sum(agreeing)),
        sum(similarities) / len(similarities),
        float(len({each.group for each in neighbours})),
        *_wording(asked, nearest.reading),
        filled * _NEIGHBOURHOOD,
        best * (1.0 - filled),
    )


def _rival(similarities: Sequence[float], agreeing: Sequence[bool], *, full: bool) -> float:
    """Return the similarity of the nearest different answer, as far as it is known."""
    different = [similarity for similarity, agrees in zip(similarities, agreeing, strict=True) if not agrees]
    if different:
        return max(different)
    return min(similarities) - _BEYOND if full else _NOWHERE


def _wording(a: Reading, b: Reading) -> tuple[float, float, float, float]:
    ours, theirs = _content(a), _content(b)
    shortest = min(len(words(a)), len(words(b)))
    contained = ours <= theirs or theirs <= ours
    return (
        _jaccard(ours, theirs),
        float(contained),
        _jaccard(_trigrams(a), _trigrams(b)),
        math.log1p(shortest),
    )


def _jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    shared = len(a & b)
    return shared / max(len(a) + len(b) - shared, 1)


@feature
def _content(reading: Reading) -> frozenset[str]:
    return frozenset(content(reading))


@feature
def _trigrams(reading: Reading) -> frozenset[str]:
    text = f" {' '.join(words(reading))} "
    return frozenset(text[at : at + 3] for at in range(len(text) - 2))


def probability(coefficients: Sequence[float], bias: float, features: Sequence[float]) -> float:
    """Return the logistic function of the weighted features, in 0-1."""
    return logistic(bias + sum(weight * value for weight, value in zip(coefficients, features, strict=True)))


def logit(p: float) -> float:
    """Return the logarithm of the odds of a probability inside 0-1."""
    return math.log(p / (1.0 - p))


def logistic(x: float) -> float:
    """Return the probability that has these logarithmic odds."""
    return 1.0 / (1.0 + math.exp(-x)) if x > -_LARGEST else 0.0


_LARGEST = 700.0  # exp overflows a float beyond 709
