"""Which neighbour's answer may be served: the rules in which the policies differ. Pure.

The law: what has expired, what a veto refuses, what was said to be wrong and what is too far is served under no
rule; a rule can only refuse more. A neighbour that may not be served can still say something about the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

from semcache_integrations.core.calibration import Calibration
from semcache_integrations.core.guards import Reading, read, vetoes
from semcache_integrations.core.models import CacheEntry, Candidate, Controls, Verdict
from semcache_integrations.core.recalibration import UNMOVED, Shift
from semcache_integrations.core.scoring import FLOOR, Neighbour, evidence
from semcache_integrations.core.verified import explore_probability

reading_of = lru_cache(maxsize=2_048)(read)
"""Popular entries are candidates again and again, and reading one costs ten times as much as comparing it."""

EPSILON = 1e-6
"""Slack in every comparison of cosines: float32 engines return 0.9999999 for a vector with itself."""

NOT_THE_NEAREST = "not the nearest"


def _neighbour(candidate: Candidate) -> Neighbour:
    entry = candidate.entry
    group = f"not {entry.id}" if entry.standing.quarantined else group_of(entry)
    return Neighbour(reading_of(entry.text), candidate.similarity, group)


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
        limit: How many neighbours were asked for.
    """

    asked: Reading
    candidates: Sequence[Candidate]
    controls: Controls
    now: float
    threshold: float
    second_bar: float
    vetoes: Collection[str]
    limit: int
    _vetoes: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        """Ask the vetoes once for each neighbour: they are what judging costs."""
        entry = candidate.entry
        if entry.id not in self._vetoes:
            refusal = vetoes(self.asked, reading_of(entry.text), self.vetoes) if self.vetoes else ""
            self._vetoes[entry.id] = refusal
        return self._vetoes[entry.id]


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

    def recalibrated(self, shift: Shift) -> Rule:
        """Return the rule for questions of which so much is known; one without scores is itself."""
        ...

    def demand(self) -> str:
        """Return what the rule demands beyond a threshold, for people; "" if nothing."""
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

    def recalibrated(self, shift: Shift) -> Rule:
        """See `Rule.recalibrated`."""
        del shift
        return self

    def demand(self) -> str:
        """See `Rule.demand`."""
        return ""


NEAREST = Nearest()


@dataclass(frozen=True, slots=True)
class Scored:
    """The nearest neighbour, if all of them together make it likely enough that its answer is right.

    Attributes:
        calibration: Of the embedder.
        target: Wrong hits per hit, 0-1.
        shift: What was learned about the questions at hand.
    """

    calibration: Calibration
    target: float
    shift: Shift = UNMOVED

    def judge(self, case: Case) -> Iterator[Verdict]:
        """See `Rule.judge`."""
        near = [each for each in case.candidates if each.similarity + EPSILON >= FLOOR]
        related = [candidate for candidate in near if not case.unrelated(candidate)]
        best = next((candidate for candidate in related if not case.barred(candidate)), None)
        for candidate in case.candidates:
            if candidate is best:
                score = self._score(case, best, related, len(near))
                enough = score >= self._least()
                yield Verdict(candidate, "" if enough else "below score", score)
            else:
                yield Verdict(candidate, case.refusal(candidate) or NOT_THE_NEAREST)

    def _least(self) -> float:
        return self.shift.demanded(self.calibration.threshold(self.target))

    def _score(self, case: Case, best: Candidate, related: Sequence[Candidate], found: int) -> float:
        """Score `best` among all that are related; one that was called wrong speaks for nobody, and against its group."""
        others = [candidate for candidate in related if candidate is not best]
        neighbours = [_neighbour(candidate) for candidate in (best, *others)]
        return self.calibration.score(evidence(case.asked, neighbours, found, case.limit))

    def explored_share(self, candidate: Candidate) -> float:
        """See `Rule.explored_share`."""
        del candidate
        return 0.0

    def tightened(self, threshold: float, step: int) -> tuple[Rule, float]:
        """Halve the target at each step."""
        return replace(self, target=self.target / 2**step), threshold

    def recalibrated(self, shift: Shift) -> Rule:
        """See `Rule.recalibrated`."""
        return replace(self, shift=shift)

    def demand(self) -> str:
        """See `Rule.demand`."""
        usual, least = self.calibration.threshold(self.target), self._least()
        moved = "" if usual == least else f" ({usual:.3f} before the first answers were compared)"
        return f"score at least {least:.3f}{moved}, for at most {self.target:.1%} wrong hits"


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
            refusal = NOT_THE_NEAREST if nearest else case.refusal(candidate)
            nearest = nearest or not refusal
            yield Verdict(candidate, refusal)

    def explored_share(self, candidate: Candidate) -> float:
        """See `Rule.explored_share`."""
        return explore_probability(candidate.entry.standing.seen, candidate.similarity, delta=self.delta)

    def tightened(self, threshold: float, step: int) -> tuple[Rule, float]:
        """Halve the share of wrong answers at each step."""
        return replace(self, delta=self.delta / 2**step), threshold

    def recalibrated(self, shift: Shift) -> Rule:
        """See `Rule.recalibrated`."""
        del shift
        return self

    def demand(self) -> str:
        """See `Rule.demand`."""
        return f"asked anew often enough for at most {self.delta:.1%} wrong answers per request"
