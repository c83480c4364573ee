"""Which neighbour's answer may be served: the rules in which the policies differ. Pure.

The law: what has expired, what a veto refuses, what was said to be wrong and what is too far is served under no
rule; a rule can only refuse more. A neighbour that may not be served can still say something about the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol

from semcache_integrations.core.guards import Reading, read, vetoes
from semcache_integrations.core.models import CacheEntry, Candidate, Controls, Verdict
from semcache_integrations.core.verified import explore_probability

reading_of = lru_cache(maxsize=2_048)(read)
"""Popular entries are candidates again and again, and reading one costs ten times as much as comparing it."""

EPSILON = 1e-6
"""Slack in every comparison of cosines: float32 engines return 0.9999999 for a vector with itself."""


def is_fresh(entry: CacheEntry, controls: Controls, now: float) -> bool:
    """Whether the entry has neither expired nor grown too old for this call."""
    return now < entry.expires_at and now - entry.created_at <= controls.max_age_s


def group_of(entry: CacheEntry) -> str:
    """Name of the entry's answer group: the one that it joined, else the one that its own answer stands for.

    The name is made of the founder's id and time: another answer to the same question founds another group,
    although the entries that shared the old answer go on naming it.
    """
    return entry.standing.group or f"{entry.id}@{entry.created_at:.6f}"


@dataclass(frozen=True, slots=True)
class Case:
    """One question and the neighbours that were found for it, best first.

    Attributes:
        asked: The question.
        threshold: Least cosine for this call.
        second_bar: Cosine that what passed `threshold` must reach as well.
        vetoes: Names of the lexical vetoes in force.
    """

    asked: Reading
    candidates: Sequence[Candidate]
    controls: Controls
    now: float
    threshold: float
    second_bar: float
    vetoes: Collection[str]

    def unrelated(self, candidate: Candidate) -> str:
        """Return why a neighbour says nothing about this question, or ""."""
        return self._aged(candidate) or self._vetoed(candidate)

    def barred(self, candidate: Candidate) -> str:
        """Return why a neighbour may not be served although it may be related, or ""."""
        if candidate.entry.standing.quarantined:
            return "quarantined"
        similarity = candidate.similarity + EPSILON
        if similarity < self.threshold:
            return "below similarity_threshold"
        return "" if similarity >= self.second_bar else "below rejection_threshold"

    def refusal(self, candidate: Candidate) -> str:
        """Return why a neighbour may be served under no rule, or ""; the cheap reasons come first."""
        return self._aged(candidate) or self.barred(candidate) or self._vetoed(candidate)

    def _aged(self, candidate: Candidate) -> str:
        return "" if is_fresh(candidate.entry, self.controls, self.now) else "expired"

    def _vetoed(self, candidate: Candidate) -> str:
        return vetoes(self.asked, reading_of(candidate.entry.text), self.vetoes) if self.vetoes else ""


class Rule(Protocol):
    """What a policy demands beyond what all of them do."""

    def judge(self, case: Case) -> Iterator[Verdict]:
        """Yield a verdict on each neighbour, best first."""
        ...

    def explored_share(self, candidate: Candidate) -> float:
        """Return which share of the hits on an accepted neighbour must be asked anew, 0-1."""
        ...

    def tightened(self, threshold: float, step: int) -> tuple[Rule, float]:
        """Return the rule and the least cosine after so many steps of the brake; 0 is the rule itself."""
        ...


class Nearest:
    """The first neighbour that nothing refuses."""

    def judge(self, case: Case) -> Iterator[Verdict]:
        """See `Rule.judge`."""
        for candidate in case.candidates:
            yield Verdict(candidate, case.refusal(candidate))

    def explored_share(self, candidate: Candidate) -> float:
        """See `Rule.explored_share`."""
        del candidate
        return 0.0

    def tightened(self, threshold: float, step: int) -> tuple[Rule, float]:
        """Move the threshold half of the way to 1 at each step."""
        return self, 1.0 - (1.0 - threshold) / 2**step


NEAREST = Nearest()


class Scorer(Protocol):
    """Estimates how likely a neighbour's answer is right; calibrated for one embedder."""

    def score(self, asked: Reading, candidates: Sequence[tuple[Reading, Candidate]]) -> float:
        """Return the probability that the first neighbour which is not quarantined has the right answer.

        Args:
            asked: The question.
            candidates: All related neighbours, best first, with their groups (`group_of`). A quarantined one
                was said to be wrong: it is evidence for another answer, and against those of its own group.
        """
        ...

    def threshold(self, target: float) -> float:
        """Return the least score at which the share of wrong hits stays below `target`, 0-1."""
        ...


@dataclass(frozen=True, slots=True)
class Scored:
    """The nearest neighbour, if all of them together make it likely enough that its answer is right.

    Attributes:
        target: Wrong hits per hit, 0-1.
    """

    scorer: Scorer
    target: float

    def judge(self, case: Case) -> Iterator[Verdict]:
        """See `Rule.judge`."""
        unrelated = [(candidate, case.unrelated(candidate)) for candidate in case.candidates]
        related = [candidate for candidate, why in unrelated if not why]
        best = next((candidate for candidate in related if not case.barred(candidate)), None)
        for candidate, why in unrelated:
            if candidate is best:
                evidence = [(reading_of(one.entry.text), one) for one in related]
                score = self.scorer.score(case.asked, evidence)
                enough = score >= self.scorer.threshold(self.target)  # of NaN, nothing is enough
                yield Verdict(candidate, "" if enough else "below score", score)
            else:
                yield Verdict(candidate, why or case.barred(candidate) or "not the nearest")

    def explored_share(self, candidate: Candidate) -> float:
        """See `Rule.explored_share`."""
        del candidate
        return 0.0

    def tightened(self, threshold: float, step: int) -> tuple[Rule, float]:
        """Halve the target at each step."""
        return replace(self, target=self.target / 2**step), threshold


@dataclass(frozen=True, slots=True)
class Verified:
    """The nearest neighbour, as often as what was seen of it allows (see `core.verified`).

    Attributes:
        delta: Wrong answers per request, 0-1.
    """

    delta: float

    def judge(self, case: Case) -> Iterator[Verdict]:
        """See `Rule.judge`."""
        nearest = False
        for candidate in case.candidates:
            refusal = "not the nearest" if nearest else case.refusal(candidate)
            nearest = nearest or not refusal
            yield Verdict(candidate, refusal)

    def explored_share(self, candidate: Candidate) -> float:
        """See `Rule.explored_share`."""
        return explore_probability(candidate.entry.standing.seen, candidate.similarity, delta=self.delta)

    def tightened(self, threshold: float, step: int) -> tuple[Rule, float]:
        """Halve the share of wrong answers at each step."""
        return replace(self, delta=self.delta / 2**step), threshold
