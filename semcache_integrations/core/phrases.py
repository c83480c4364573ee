"""PHRASES: patterns over whole words, written in data files; says where one stands, never what that means.

One phrase is steps with blanks between them, each step taking words of a clause:

    word        this word                     a/b/c   one of these words
    <office>    one word of a named class     (x)     x or nothing
    ..          up to three words             ~       up to two words that carry a topic: no function words
    ^           the clause begins here        $       the clause ends here

`<year>` is any number from 1000 to 2099. A phrase is looked for only where its rarest step has a word, so that
most questions cost no more than a look at each of their words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from semcache_integrations.core.guards import lexicon

Clause: TypeAlias = tuple[str, ...]
"""Words in order, made by `clause_of`; an empty string stands for a word that no phrase may use."""

_WIDEST = 3  # words that ".." passes over
_ADJECTIVES = 2  # words that "~" passes over
_YEAR = re.compile(r"1\d{3}|20\d{2}")
_ANY_YEAR = "<year>"
_IN_QUESTIONS = frozenset(
    {"what", "how", "is", "are", "do", "does", "i", "my", "the", "this", "will", "to", "in"}
)
_ALTERNATIVES = re.compile(r"(<\w+>)|([^/()<>]+)")


class Step(NamedTuple):
    """One step of a phrase: a word, or what stands between words.

    Attributes:
        words: One of these is taken; a gap and an edge have none.
        optional: Whether it may be left out.
        gap: Words that may be passed over instead.
        topical: Whether the words passed over must not be function words.
        edge: `^` or `$` if it takes nothing but must stand at that end.
    """

    words: frozenset[str] = frozenset()
    optional: bool = False
    gap: int = 0
    topical: bool = False
    edge: str = ""


_SIGNS: Mapping[str, Step] = {
    "..": Step(gap=_WIDEST),
    "~": Step(gap=_ADJECTIVES, topical=True),
    "^": Step(edge="^"),
    "$": Step(edge="$"),
}


def clause_of(words: Iterable[str]) -> Clause:
    """Return folded words as phrases see them: every year is one word."""
    return tuple(_ANY_YEAR if word[0] in "12" and _YEAR.fullmatch(word) else word for word in words)


class Phrases:
    """Phrases of one kind.

    Args:
        written: The phrases as they stand in the data file.
        classes: The words of each named class.
    """

    def __init__(self, written: Iterable[str], classes: Mapping[str, Iterable[str]]) -> None:
        self._by_rarest: dict[str, list[tuple[Step, ...]]] = {}
        for phrase in written:
            steps = tuple(_SIGNS.get(step) or _step(step, classes) for step in phrase.split())
            for word in _rarest(steps):
                self._by_rarest.setdefault(word, []).append(steps)

    @property
    def rarest(self) -> frozenset[str]:
        """Words without which none of them can stand anywhere."""
        return frozenset(self._by_rarest)

    def stand_in(self, clause: Clause) -> bool:
        """Whether one of them stands in the clause."""
        return self.find(clause) is not None

    def find(self, clause: Clause) -> tuple[int, int] | None:
        """Return the first and the one-past-last word of a phrase that stands in the clause, or None."""
        for word in clause:
            for steps in self._by_rarest.get(word, ()):
                found = _first(clause, steps)
                if found is not None:
                    return found
        return None


def _step(written: str, classes: Mapping[str, Iterable[str]]) -> Step:
    words: set[str] = set()
    for name, word in _ALTERNATIVES.findall(written):
        words.update(classes[name[1:-1]] if name and name != _ANY_YEAR else (name or word,))
    return Step(frozenset(words), optional=written.startswith("("))


def _rarest(steps: Sequence[Step]) -> frozenset[str]:
    """The words of the step that is needed and has the fewest words of every day, those of questions before all."""
    everyday = lexicon.words("function_words", "en") | lexicon.words("courtesies")
    needed = [step.words for step in steps if step.words and not step.optional]
    return min(needed, key=lambda words: (len(words & _IN_QUESTIONS), len(words & everyday)))


def _first(clause: Clause, steps: Sequence[Step]) -> tuple[int, int] | None:
    """Return where the steps can be taken for the first time, and where they end."""
    first = steps[0]
    for at in range(1 if first.edge else len(clause)):
        if first.edge or first.optional or clause[at] in first.words:
            end = _end(clause, at, steps)
            if end >= 0:
                return at, end
    return None


def _end(clause: Clause, at: int, steps: Sequence[Step]) -> int:
    """Return the position behind the steps taken from `at` on, or -1 where they cannot be taken."""
    if not steps:
        return at
    step, rest = steps[0], steps[1:]
    if step.edge:
        return _end(clause, at, rest) if at == (0 if step.edge == "^" else len(clause)) else -1
    if step.gap:
        ends = (_end(clause, at + passed, rest) for passed in range(_passable(clause, at, step) + 1))
        return next((end for end in ends if end >= 0), -1)
    end = _end(clause, at + 1, rest) if at < len(clause) and clause[at] in step.words else -1
    return _end(clause, at, rest) if end < 0 and step.optional else end


def _passable(clause: Clause, at: int, step: Step) -> int:
    """How many words from `at` on a gap may pass over."""
    ahead = clause[at : at + step.gap]
    if not step.topical:
        return len(ahead)
    function_words = lexicon.words("function_words", "en")
    return next((n for n, word in enumerate(ahead) if not word or word in function_words), len(ahead))
