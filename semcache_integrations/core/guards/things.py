"""THINGS of one kind: a list of what excludes what, in any case and language. A cat is no dog, Java no Python.

A list knows the common kinds only; what it does not know is left to names (`subjects`) and to the similarity.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import NamedTuple

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, feature, stems, words


class Thing(NamedTuple):
    """A kind and the first name of one thing of it."""

    kind: str
    name: str


NOTHING: frozenset[Thing] = frozenset()


def differ_by_alternative(a: Reading, b: Reading) -> bool:
    """Whether each text names a thing of one kind that the other does not: a cat and a dog, Java and Python."""
    return _are_of_other_tiers(a, b) or _are_other_things(things(a), things(b))


def _are_other_things(mine: frozenset[Thing], yours: frozenset[Thing]) -> bool:
    if not mine or not yours or mine == yours:
        return False
    return not {thing.kind for thing in mine - yours}.isdisjoint(thing.kind for thing in yours - mine)


def _are_of_other_tiers(a: Reading, b: Reading) -> bool:
    """Whether a word is told apart by another tier in each text: "free plan", "premium plan"."""
    mine, yours = _tiers(a), _tiers(b)
    return any(mine[word].isdisjoint(yours[word]) for word in mine.keys() & yours.keys())


@feature
def names_things(reading: Reading) -> bool:
    """Whether a text names a known thing or a tier of one."""
    return bool(things(reading) or _tiers(reading))


@feature
def _tiers(reading: Reading) -> dict[str, set[str]]:
    """The words that stand behind a tier, with the tiers before them."""
    tiers, found = lexicon.words("tiers"), dict[str, set[str]]()
    others = tiers | lexicon.words("function_words", "en")
    if tiers.isdisjoint(words(reading)):
        return found
    for tier, word in pairwise(words(reading)):
        if tier in tiers and word not in others:
            found.setdefault(lexicon.stem(word), set()).add(tier)
    return found


@feature
def things(reading: Reading) -> frozenset[Thing]:
    """Every known thing that a text names."""
    known = things_by_stem()
    return frozenset(thing for stem in stems(reading) if stem in known for thing in known[stem])


def kinds_of(found: Iterable[str]) -> frozenset[str]:
    """The kinds of things that these stems name."""
    known = things_by_stem()
    return frozenset(thing.kind for stem in found for thing in known.get(stem, NOTHING))


@cache
def things_by_stem() -> dict[str, frozenset[Thing]]:
    """What the stem of each known name may stand for."""
    found: dict[str, frozenset[Thing]] = {}
    for source in ("alternatives", "units"):
        for kind, entries in lexicon.named(source).items():
            for name, *aliases in (entry.split("/") for entry in entries):
                for stem in map(lexicon.stem, (name, *aliases)):
                    found[stem] = found.get(stem, NOTHING) | {Thing(f"{source}.{kind}", name)}
    return found
