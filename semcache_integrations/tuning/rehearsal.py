"""REHEARSAL: plays a labelled stream through the rules of the cache, offline. Vectors in, outcomes out; no store.

The cache starts empty; a request that is not served is answered and kept, as in life. Readings, vetoes, groups and
features are the package's own; only the search is numpy's, because a store would take ten times as long.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from semcache_integrations.core.calibration import Calibration
from semcache_integrations.core.guards import Reading, read, vetoes
from semcache_integrations.core.recalibration import UNMOVED
from semcache_integrations.core.scoring import FLOOR, Neighbour, evidence
from semcache_integrations.core.settling import MOST_GROUPS
from semcache_integrations.tuning.evidence import TOP_K

Vectors: TypeAlias = npt.NDArray[np.float32]
Evidence: TypeAlias = tuple[float, ...]


@dataclass(frozen=True)
class Stream:
    """Labelled questions with their vectors.

    Attributes:
        texts: The questions.
        classes: Equal classes may share an answer, different ones must not.
        vectors: One unit vector a question, shape (questions, dimension).
    """

    texts: Sequence[str]
    classes: Sequence[str]
    vectors: Vectors
    _vetoed: dict[tuple[int, int], bool] = field(default_factory=dict, repr=False)

    @cached_property
    def readings(self) -> list[Reading]:
        """The questions as the vetoes read them."""
        return [read(text) for text in self.texts]

    def vetoed(self, a: int, b: int) -> bool:
        """Whether a veto refuses the one question's answer for the other; remembered."""
        pair = (a, b) if a < b else (b, a)
        if pair not in self._vetoed:
            self._vetoed[pair] = bool(vetoes(self.readings[a], self.readings[b]))
        return self._vetoed[pair]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one rehearsal came to.

    Attributes:
        requests: How many there were.
        hits: How many were served from the cache.
        wrong: How many of these got another class's answer.
        evidence: Of every request that had an unvetoed neighbour.
        right: Whether its nearest neighbour's answer was right, one per `evidence`.
    """

    requests: int
    hits: int
    wrong: int
    evidence: list[Evidence]
    right: list[bool]

    @property
    def wrong_per_hit(self) -> float:
        """Share of the hits that were wrong, 0 without hits."""
        return self.wrong / self.hits if self.hits else 0.0


@dataclass(frozen=True, slots=True)
class Served:
    """What is served: answers that score at least so much.

    Attributes:
        model: Scores them.
        score: The least score, 0-1.
        recalibrates: Whether that moves with what the answers of misses tell.
    """

    model: Calibration
    score: float
    recalibrates: bool = True


def rehearse(
    stream: Stream,
    served: Served | None,
    *,
    seed: int = 0,
    requests: int | None = None,
    noise: float = 0.05,
) -> Outcome:
    """Play a stream in a random order.

    Args:
        stream: What is asked.
        served: Which of the nearest answers are served; None for none.
        seed: Of the order and of the noise.
        requests: How many of the stream's requests, None for all.
        noise: Share of the answer comparisons that come out wrong.
    """
    return _Cache(stream, served, random.Random(seed), noise).play(requests)  # noqa: S311 - an experiment, no secret


class _Cache:
    def __init__(self, stream: Stream, served: Served | None, chance: random.Random, noise: float) -> None:
        self._stream, self._served = stream, served
        self._chance, self._noise = chance, noise
        self._shift = UNMOVED
        self._kept: list[int] = []
        self._vectors = np.empty_like(stream.vectors)
        self._group: dict[int, int] = {}

    def play(self, requests: int | None) -> Outcome:
        order = list(range(len(self._stream.texts)))
        self._chance.shuffle(order)
        order = order[:requests]
        seen: list[Evidence] = []
        right: list[bool] = []
        hits = wrong = 0
        for asked in order:
            near, found = self._near(asked)
            score = 0.0
            if near:
                seen.append(self._evidence(asked, near, found))
                right.append(self._alike(asked, near[0][0]))
                score = self._score(seen[-1])
                if self._served and score >= self._shift.demanded(self._served.score):
                    hits += 1
                    wrong += not right[-1]
                    continue
            self._keep(asked, near, score)
        return Outcome(len(order), hits, wrong, seen, right)

    def _near(self, asked: int) -> tuple[list[tuple[int, float]], int]:
        """Return the unvetoed neighbours, best first, and how many there were above the floor."""
        count = len(self._kept)
        if not count:
            return [], 0
        similarities = self._vectors[:count] @ self._stream.vectors[asked]
        best = np.argpartition(-similarities, TOP_K)[:TOP_K] if count > TOP_K else np.arange(count)
        best = best[np.argsort(-similarities[best])]
        above = [(self._kept[at], float(similarities[at])) for at in best if similarities[at] >= FLOOR]
        return [each for each in above if not self._stream.vetoed(asked, each[0])], len(above)

    def _evidence(self, asked: int, near: Sequence[tuple[int, float]], found: int) -> Evidence:
        readings = self._stream.readings
        neighbours = [Neighbour(readings[at], similarity, str(self._group[at])) for at, similarity in near]
        return evidence(readings[asked], neighbours, found, TOP_K)

    def _score(self, evidence: Evidence) -> float:
        return self._served.model.score(evidence) if self._served else 0.0

    def _keep(self, asked: int, near: Sequence[tuple[int, float]], score: float) -> None:
        nearest: dict[int, int] = {}
        for at, _ in near:
            nearest.setdefault(self._group[at], at)
        self._group[asked] = asked
        for place, (group, at) in enumerate(list(nearest.items())[:MOST_GROUPS]):
            same = self._compared(asked, at)
            if not place and self._served and self._served.recalibrates:
                self._shift = self._shift.learned(score, right=same)
            if same:
                self._group[asked] = group
                break
        self._vectors[len(self._kept)] = self._stream.vectors[asked]
        self._kept.append(asked)

    def _alike(self, a: int, b: int) -> bool:
        return self._stream.classes[a] == self._stream.classes[b]

    def _compared(self, a: int, b: int) -> bool:
        return self._alike(a, b) != (self._chance.random() < self._noise)
