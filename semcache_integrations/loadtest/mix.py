"""What the users ask: repeats, rewordings and new questions, drawn from labelled questions in the shares that are wanted.

The law: equal seeds ask the same. A question is called new, reworded or repeated only within its round, which has a
namespace of its own; where a kind has run out, a new round begins, and nothing of the earlier ones answers in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Literal, TypeAlias

from semcache_integrations.demo.traffic import Question, load_traffic
from semcache_integrations.loadtest.plan import Shares

Kind: TypeAlias = Literal["new", "reword", "repeat"]
KINDS: tuple[Kind, ...] = ("new", "reword", "repeat")
_REMEMBERED = 1_000  # questions that may be repeated: popular ones stand in it several times


@dataclass(frozen=True, slots=True)
class Turn:
    """One request.

    Attributes:
        question: With the label that says which answer it needs.
        kind: What the question is to those before it.
        namespace: Of its round.
        stream: Whether the answer is to be streamed.
    """

    question: Question
    kind: Kind
    namespace: str
    stream: bool


@cache
def shipped_shares() -> Shares:
    """Return the shares of the questions that come with the package, in the order in which they come."""
    texts: set[str] = set()
    labels: set[str] = set()
    repeats = rewordings = 0
    for question in load_traffic():
        repeats += question.text in texts
        rewordings += question.text not in texts and question.label in labels
        texts.add(question.text)
        labels.add(question.label)
    total = len(load_traffic())
    return Shares(repeat=repeats / total, reword=rewordings / total)


class Mix:
    """Draws one turn after another; popular questions are repeated more often.

    Args:
        traffic: Labelled questions; how often one stands in it does not matter.
        shares: How the turns divide.
        namespace: Of its rounds, which are numbered.
        stream_share: Share of turns that want a stream.
        seed: Of the draws.
    """

    def __init__(
        self,
        traffic: Sequence[Question],
        shares: Shares,
        *,
        namespace: str,
        stream_share: float = 0.0,
        seed: str = "",
    ) -> None:
        self._wordings: dict[str, dict[str, Question]] = {}
        for question in traffic:
            self._wordings.setdefault(question.label, {})[question.text] = question
        self._shares = shares
        self._namespace = namespace
        self._stream_share = stream_share
        self._random = Random(seed)
        self._round = 0
        self._begin()

    def next(self) -> Turn:
        """Return the next turn."""
        kind = self._kind()
        if not self._has(kind):
            self._begin()
            kind = "new"
        question = self._drawn(kind)
        self._remember(question)
        stream = self._random.random() < self._stream_share
        return Turn(question, kind, f"{self._namespace}-{self._round}", stream)

    def _kind(self) -> Kind:
        if not self._asked:
            return "new"
        drawn = self._random.random()
        if drawn < self._shares.repeat:
            return "repeat"
        return "reword" if drawn < self._shares.repeat + self._shares.reword else "new"

    def _has(self, kind: Kind) -> bool:
        return bool({"new": self._fresh, "reword": self._open, "repeat": self._asked}[kind])

    def _begin(self) -> None:
        """Begin a round, in which nothing was asked yet."""
        self._round += 1
        self._fresh = list(self._wordings)
        self._random.shuffle(self._fresh)
        self._open: list[list[Question]] = []
        self._asked: list[Question] = []

    def _drawn(self, kind: Kind) -> Question:
        if kind == "repeat":
            return self._random.choice(self._asked)
        if kind == "new":
            left = list(self._wordings[self._fresh.pop()].values())
            self._random.shuffle(left)
            place = len(self._open)
            self._open.append(left)
        else:
            place = self._random.randrange(len(self._open))
            left = self._open[place]
        question = left.pop()
        if not left:
            self._open[place] = self._open[-1]
            self._open.pop()
        return question

    def _remember(self, question: Question) -> None:
        if len(self._asked) < _REMEMBERED:
            self._asked.append(question)
        else:
            self._asked[self._random.randrange(_REMEMBERED)] = question
