"""What stands in for the world in `semcache bench quality`: an LLM, a comparer that errs, an embedder that remembers.

The law: all of it is determined by its seed and its arguments, never by the order or the thread of a call.
"""

from __future__ import annotations

from random import Random
from typing import Final

from semcache_integrations.core.models import CacheRequest, Vector
from semcache_integrations.protocols import AnswerComparer, Embedder

_OPENINGS: Final = ("", "Sure! ", "Of course. ", "Happy to help: ", "In short: ", "Good question. ")
_CLOSINGS: Final = ("", " Anything else?", " I hope this helps.", " Let me know if not.", " Have a nice day!")


class LabelledLLM:
    """Answers with what the request's class needs, each time in other words, and knows whose answer one is."""

    def __init__(self) -> None:
        self._label_of: dict[str, str] = {}

    def answer(self, text: str, label: str) -> str:
        """Return an answer of this class."""
        draw = Random(f"{label}|{text}")  # noqa: S311 - wording to repeat, not a secret
        matter = label.replace("|", ", ").replace("_", " ").strip()
        answer = f"{draw.choice(_OPENINGS)}This is what to know about {matter}.{draw.choice(_CLOSINGS)}"
        self._label_of[answer] = label
        return answer

    def label_of(self, answer: str) -> str:
        """Return the class that an answer of mine is of."""
        return self._label_of[answer]


class NoisyComparer(AnswerComparer):
    """Compares the classes of two answers, and errs in a share of cases, each for good.

    Args:
        llm: Whose answers these are.
        noise: Share of comparisons that are wrong, 0-1.
        seed: Which ones.
    """

    def __init__(self, llm: LabelledLLM, *, noise: float, seed: int) -> None:
        self._llm = llm
        self._noise = noise
        self._seed = seed

    def same(self, request: CacheRequest, fresh: str, cached: str) -> bool:
        """Return whether both answers are of one class, or the opposite in the share of errors."""
        right = self._llm.label_of(fresh) == self._llm.label_of(cached)
        draw = Random(f"{self._seed}|{request.text}|{cached}")  # noqa: S311 - errors to repeat
        return right != (draw.random() < self._noise)


class Remembering(Embedder):
    """Embeds every text once, however many caches ask.

    Args:
        embedder: Is asked for what is new.
    """

    in_process = True

    def __init__(self, embedder: Embedder) -> None:
        self.name = embedder.name
        self.dimension = embedder.dimension
        self._embedder = embedder
        self._kept: dict[str, Vector | None] = {}

    def embed(self, text: str) -> Vector | None:
        """Return the vector of `text`, kept for ever."""
        if text not in self._kept:
            self._kept[text] = self._embedder.embed(text)
        return self._kept[text]

    def recall(self, text: str) -> Vector | None:
        """Return the vector if `text` was embedded before."""
        return self._kept.get(text)
