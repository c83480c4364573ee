"""ORDER: the same things in the opposite roles, whatever else is reworded: from A to B, missed by the gun.

Most reordering is innocent ("July weather in Paris"), so each rule asks for evidence that the order carries the
meaning: a word like "to" between two things, or a passive. What differs in nothing but order is `swaps`' matter.
"""

from __future__ import annotations

from functools import cache
from itertools import islice, takewhile

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, content, english, feature, words
from semcache_integrations.core.guards.things import kinds_of, things

Direction = tuple[
    str, tuple[str, ...], tuple[str, ...]
]  # the word, the stems before and behind it, nearest first

_REACH = 2  # content words on each side of "to": "New York to Florida"
_STEPS = 4  # words on each side that are searched for them
_MOST_DIRECTIONS = 32  # of one text; all pairs are compared
_AUXILIARIES = frozenset({"did", "doe", "do", "had", "have", "has", "will", "would", "was", "were"})
_BE = frozenset({"is", "are", "was", "were", "be", "been", "being", "get", "got"})


def differ_in_direction(a: Reading, b: Reading) -> bool:
    """Whether two things stand on the other sides of a word of direction, whatever else is reworded."""
    mine, yours = directions(a), directions(b)
    if not mine or not yours or mine == yours:
        return False
    return any(_opposed(one, other) for one in mine for other in yours)


def _opposed(one: Direction, other: Direction) -> bool:
    """Whether each side's nearest word is on the other side there: "allowed to eat" opposes nothing."""
    return one[0] == other[0] and _crosses(one, other) and _crosses(other, one)


def _crosses(one: Direction, other: Direction) -> bool:
    _, before, behind = one
    return before[0] in other[2] and behind[0] in other[1] and before[0] not in other[1]


def differ_in_voice(a: Reading, b: Reading) -> bool:
    """Whether one text says "X did Y" and the other "X was done by Y"."""
    mine, yours = passive(a), passive(b)
    if bool(mine) == bool(yours) or not english(a, b):
        return False
    subject, deed, agent = mine or yours or ("", "", "")
    told = tuple(map(lexicon.stem, words(b if mine else a)))
    if subject not in told or agent not in told:
        return False
    between = told[told.index(subject) + 1 : told.index(agent)]
    return any(
        stem[0] == deed[0] for stem in between if stem not in _AUXILIARIES
    )  # "missed" and "miss", "bought" and "buy"


@feature
def directions(reading: Reading) -> frozenset[Direction]:
    """Every word of direction with what stands on its two sides."""
    found = words(reading)
    markers = _markers() if things(reading) else lexicon.words("directions", "strong")
    if markers.isdisjoint(found):
        return frozenset()
    if not lexicon.words("order", "together").isdisjoint(found):
        markers -= {"with"}  # "take X with Y" is "take Y with X"
    topics = frozenset(content(reading))
    sides = ((found[at], *_sides(found, at, topics)) for at in range(len(found)) if found[at] in markers)
    pointing = (
        (_marker(word), before, behind) for word, before, behind in sides if _directs(word, before, behind)
    )
    return frozenset(islice(pointing, _MOST_DIRECTIONS))


def _sides(
    found: tuple[str, ...], at: int, topics: frozenset[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands before and behind; before "than" also stands what is compared, as in "X is faster than Y"."""
    end = at - (found[at] == "than")
    before = found[max(end - _STEPS, 0) : max(end, 0)][::-1]
    return _near(before, topics), _near(found[at + 1 : at + 1 + _STEPS], topics)


def _near(neighbours: tuple[str, ...], topics: frozenset[str]) -> tuple[str, ...]:
    """The nearest content words, up to the next word of direction."""
    inside = takewhile(lambda word: word not in _markers() and word != "from", neighbours)
    return tuple(stem for word in inside if (stem := lexicon.stem(word)) in topics)[:_REACH]


def _directs(word: str, before: tuple[str, ...], behind: tuple[str, ...]) -> bool:
    if not before or not behind:
        return False
    if word in lexicon.words("directions", "strong"):
        return True
    return not kinds_of(before).isdisjoint(kinds_of(behind))


def _marker(word: str) -> str:
    return "to" if word in lexicon.words("directions", "weak") or word in ("into", "onto") else word


@cache
def _markers() -> frozenset[str]:
    return (lexicon.words("directions", "strong") | lexicon.words("directions", "weak")) - lexicon.words(
        "symmetric"
    )


@feature
def passive(reading: Reading) -> tuple[str, str, str] | None:
    """Subject, deed and agent of "X was done by Y"."""
    found = words(reading)
    at = found.index("by") if "by" in found else 0
    if not at or _BE.isdisjoint(found[:at]) or not _is_participle(found[at - 1]):
        return None
    topics = frozenset(content(reading))
    before = [stem for word in found[: at - 1] if (stem := lexicon.stem(word)) in topics]
    behind = [stem for word in found[at + 1 : at + 3] if (stem := lexicon.stem(word)) in topics]
    return (before[-1], found[at - 1], behind[0]) if before and behind else None


def _is_participle(word: str) -> bool:
    return word.endswith(("d", "n", "t", "ade", "one", "ung")) and not word.endswith(("ion", "ment"))
