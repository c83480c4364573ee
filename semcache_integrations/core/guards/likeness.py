"""LIKENESS of two words: one spelling or another, one form or another, one thing by two names. Holds no veto."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.things import NOTHING, things_by_stem

_SHORTEST_TYPO = 4
_SHORTEST_CHANGED = 6  # letters; "Maria" and "Mario" are two, "licence" and "license" are one
_SHORTEST_ROOT = 4
_LONGEST_ENDING = 2  # letters beyond the common root in the shorter word: "verif|y", "verif|ication"


def are_forms(one: str, other: str) -> bool:
    """Whether two words share their stem, or their root ("activate", "activation"), or are a slip apart."""
    one, other = _unaccented(one), _unaccented(other)
    mine, yours = lexicon.stem(one), lexicon.stem(other)
    if mine == yours or is_variant(one, other) or is_variant(other, one):
        return True
    root = common_start(mine, yours)
    return (
        root >= _SHORTEST_ROOT
        and min(len(mine), len(yours)) - root <= _LONGEST_ENDING
        and root >= min(len(mine), len(yours)) - _LONGEST_ENDING
    )


def _unaccented(word: str) -> str:
    if word.isascii():
        return word
    return "".join(
        letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter)
    )


def are_one_thing(one: str, other: str) -> bool:
    """Whether two words may name one known thing: "js", "JavaScript"."""
    known = things_by_stem()
    mine = known.get(lexicon.stem(one), NOTHING)
    return not mine.isdisjoint(known.get(lexicon.stem(other), NOTHING))


def is_variant(name: str, word: str) -> bool:
    """Whether a word is the name less its ending ("Europe", "European"), or one slip of the pen away from it.

    A slip is one letter added, dropped or swapped with its neighbour; in longer words also one letter changed.
    """
    if name.startswith(word) and len(word) >= _SHORTEST_TYPO:
        return True
    if abs(len(name) - len(word)) > 1 or min(len(name), len(word)) < _SHORTEST_TYPO:
        return False
    same = common_start(name, word)
    rest, other = name[same:], word[same:]
    if rest[1:] == other or rest == other[1:] or (rest[2:] == other[2:] and rest[:2] == other[:2][::-1]):
        return True
    return rest[1:] == other[1:] and len(name) >= _SHORTEST_CHANGED


def common_start(one: Sequence[str], two: Sequence[str]) -> int:
    """How many items two sequences have in common from the start."""
    count = 0
    for mine, yours in zip(one, two, strict=False):
        if mine != yours:
            break
        count += 1
    return count
