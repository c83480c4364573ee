"""Which hits were wrong: those whose answer the upstream gave to a question with another label, and to none with theirs.

The law: a hit is judged by fresh answers of the same run alone, whatever answers there; one whose answer no fresh one
matches (yet) is neither right nor wrong. What is remembered is bounded.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

_REMEMBERED = 50_000  # answers, as digests
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Claim:
    """A hit.

    Attributes:
        question: What was asked.
        label: Which answer it needs.
        tier: The tier that answered.
        answer: What it said.
    """

    question: str
    label: str
    tier: str
    answer: str


class Judge:
    """Judges hits as soon as it knows whose answer they are.

    Attributes:
        right: Hits with an answer that their label needs, by tier.
        wrong: Hits with another one, by tier.
        examples: Some of the wrong ones.
    """

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self.right: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.examples: list[Claim] = []
        self._labels: OrderedDict[bytes, set[str]] = OrderedDict()
        self._open: OrderedDict[bytes, Counter[Claim]] = OrderedDict()
        self._forgotten = 0
        self._remembered = remembered

    @property
    def unjudged(self) -> int:
        """Hits whose answer no fresh one matches."""
        return self._forgotten + sum(claims.total() for claims in self._open.values())

    def fresh(self, label: str, answer: str) -> None:
        """Learn that the upstream gave this answer to a question with this label."""
        key = _digest(answer)
        self._labels.setdefault(key, set()).add(label)
        self._labels.move_to_end(key)
        for claim, times in self._open.pop(key, Counter[Claim]()).items():
            self._decide(claim, self._labels[key], times)
        if len(self._labels) > self._remembered:
            self._labels.popitem(last=False)

    def hit(self, claim: Claim) -> None:
        """Judge a hit, now or when its answer's first receiver has told of it."""
        key = _digest(claim.answer)
        if key in self._labels:
            self._labels.move_to_end(key)
            self._decide(claim, self._labels[key], 1)
            return
        self._open.setdefault(key, Counter())[claim] += 1
        if len(self._open) > self._remembered:
            self._forgotten += self._open.popitem(last=False)[1].total()

    def _decide(self, claim: Claim, labels: set[str], times: int) -> None:
        if claim.label in labels:
            self.right[claim.tier] += times
            return
        self.wrong[claim.tier] += times
        if len(self.examples) < _EXAMPLES and claim not in self.examples:
            self.examples.append(claim)


def _digest(answer: str) -> bytes:
    return blake2b(answer.encode("utf-8", "replace"), digest_size=16).digest()
