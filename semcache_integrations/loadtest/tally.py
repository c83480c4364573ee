"""What came back, counted: latencies by tier, errors by kind, and what became of repeats, rewordings and new questions.

The law: every request is counted once, as an answer of one tier or as an error; the first one, which finds everything
cold, is counted apart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from semcache_integrations.loadtest.histogram import Histogram
from semcache_integrations.loadtest.judge import Claim, Judge
from semcache_integrations.loadtest.mix import Turn

HIT_TIERS = ("hash", "exact", "semantic", "flight")
TIERS = (*HIT_TIERS, "miss", "bypass")
_LONGEST = 200  # characters of an error's message


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request.

    Attributes:
        tier: Which tier answered; `miss` or `bypass` if the upstream did; "" for an error.
        seconds: From the first byte of the request to the last of the answer.
        text: The answer.
        error: Its kind; "" if there was none.
        message: What was said of it.
        reason: Why the cache did not answer.
    """

    tier: str
    seconds: float
    text: str = ""
    error: str = ""
    message: str = ""
    reason: str = ""


class Tally:
    """Counts.

    Attributes:
        judge: Knows which hits were wrong.
        latencies: By tier.
        errors: By kind.
        messages: The first message of each kind of error.
        reasons: How many requests the cache did not answer, by the reason it gave.
        became: How many requests of a kind were answered by a tier.
    """

    def __init__(self) -> None:
        self.judge = Judge()
        self.cold: Outcome | None = None
        self.latencies = {tier: Histogram() for tier in TIERS}
        self.errors: Counter[str] = Counter()
        self.messages: dict[str, str] = {}
        self.reasons: Counter[str] = Counter()
        self.became: Counter[tuple[str, str]] = Counter()

    @property
    def requests(self) -> int:
        """How many there were, the cold one among them."""
        answered = sum(histogram.count for histogram in self.latencies.values())
        return answered + self.errors.total() + (self.cold is not None and not self.cold.error)

    @property
    def hits(self) -> int:
        """How many the cache answered."""
        return sum(self.latencies[tier].count for tier in HIT_TIERS)

    @property
    def wrong(self) -> int:
        """How many of these were wrong."""
        return self.judge.wrong.total()

    def first(self, turn: Turn, outcome: Outcome) -> None:
        """Count the first request."""
        self.cold = outcome
        self._count(turn, outcome)

    def add(self, turn: Turn, outcome: Outcome) -> None:
        """Count a later one."""
        if not outcome.error:
            self.latencies[outcome.tier].add(outcome.seconds)
        self._count(turn, outcome)

    def _count(self, turn: Turn, outcome: Outcome) -> None:
        if outcome.error:
            self.errors[outcome.error] += 1
            self.messages.setdefault(outcome.error, outcome.message[:_LONGEST])
            return
        self.became[turn.kind, outcome.tier] += 1
        question = turn.question
        if outcome.tier in HIT_TIERS:
            self.judge.hit(Claim(question.text, question.label, outcome.tier, outcome.text))
        else:
            self.reasons[outcome.reason or outcome.tier] += 1
            self.judge.fresh(question.label, outcome.text)
