"""SUBJECTS: who or what a text is about. Two names, two answers.

Names are told by their capitals, which say something in English only, and only where small letters are the rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise, takewhile

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import (
    Reading,
    content,
    english,
    feature,
    language,
    stems,
    words,
)
from semcache_integrations.core.guards.things import NOTHING, things, things_by_stem

_NAME = re.compile(r"[^\W\d_]+(?:['&-][^\W\d_]+)*|[.!?:;\"\n]")
_SHORTEST_TYPO = 4
_LONGEST_SWAP = 3
_LONGEST_INITIALS = 5
_MOST_SEARCHED = (
    16  # names; a text with more unknown ones is about something else, and the search stays linear
)


def differ_in_entities(a: Reading, b: Reading) -> bool:
    """Whether each text names something that the other does not, or a name takes another word's place."""
    mine, yours = _names(a), _names(b)
    if mine == yours or not english(a, b):
        return False
    unmatched, unmet = _unmatched(mine, b), _unmatched(yours, a)
    if unmatched and unmet:
        return True
    return bool(unmatched or unmet) and _replaced(a, b, unmatched or unmet)


def differ_by_one_noun(a: Reading, b: Reading) -> bool:
    """Whether the texts are the same word for word, but for one noun behind an article or a preposition.

    Who rewords does not keep every other word; who asks about the next thing does. A verb or an adjective in
    that place is a synonym as often as not, so it passes.
    """
    one, two = words(a), words(b)
    if len(one) != len(two) or one == two or not english(a, b):
        return False
    at = _common_start(one, two)
    if not at or one[at + 1 :] != two[at + 1 :] or one[at - 1] not in lexicon.words("directions", "nouns"):
        return False
    return _function_words().issuperset(one[at + 1 : at + 2]) and _are_nouns(one[at], two[at])


def _are_nouns(one: str, two: str) -> bool:
    """Whether two words may be two nouns, and not two forms of one."""
    if not {one, two}.isdisjoint(_not_names()) or lexicon.stem(one) == lexicon.stem(two):
        return False
    known = things_by_stem()
    if not known.get(lexicon.stem(one), NOTHING).isdisjoint(known.get(lexicon.stem(two), NOTHING)):
        return False
    return not _is_variant(one, two) and not _is_variant(two, one)


def _unmatched(names: frozenset[str], other: Reading) -> frozenset[str]:
    """The names that the other text does not hold, in whatever form."""
    missing = frozenset(name for name in names if lexicon.stem(name) not in stems(other))
    if not missing or len(missing) > _MOST_SEARCHED:
        return missing
    joined, initials = "".join(words(other)), "".join(word[0] for word in words(other))
    return frozenset(
        name
        for name in missing
        if name not in joined
        and not (len(name) <= _LONGEST_INITIALS and name in initials)
        and things_by_stem().get(lexicon.stem(name), NOTHING).isdisjoint(things(other))
        and not any(_is_variant(name, word) for word in words(other))
    )


def _replaced(a: Reading, b: Reading, names: frozenset[str]) -> bool:
    """Whether the texts are alike but for one short span on each side, and the name is in it."""
    one, two = content(a), content(b)
    front = _common_start(one, two)
    one, two = one[front:], two[front:]
    back = _common_start(one[::-1], two[::-1])
    left, right = one[: len(one) - back], two[: len(two) - back]
    if not front + back or not 0 < len(left) <= _LONGEST_SWAP or not 0 < len(right) <= _LONGEST_SWAP:
        return False
    if _abbreviates(left, right) or _abbreviates(right, left):
        return False
    return not {lexicon.stem(name) for name in names}.isdisjoint((*left, *right))


def _abbreviates(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Whether a word is made of the other's first letters: CEO and chief executive."""
    return len(short) == 1 < len(long) and short[0].startswith("".join(word[0] for word in long))


@feature
def _names(reading: Reading) -> frozenset[str]:
    """Capitalised words inside a sentence, folded; none where capitals say nothing or the language is not English."""
    if reading.plain[1:] == reading.folded[1:] or language(reading) not in ("", "en"):
        return frozenset()
    tokens = _NAME.findall(reading.plain)
    inner = [token for before, token in pairwise(tokens) if before[0].isalpha()]
    capitalised = {_root(token) for token in inner if token[0].isupper()} - {"i"}
    if not capitalised.isdisjoint(_function_words()) or _function_words().isdisjoint(words(reading)):
        return frozenset()  # A Title Like This, SHOUTING, or key words that are no sentence
    return frozenset(capitalised - _not_names())


def _root(token: str) -> str:
    return token.lower().partition("'")[0]


@cache
def _function_words() -> frozenset[str]:
    return lexicon.words("function_words", "en")


@cache
def _not_names() -> frozenset[str]:
    moments = {
        word for entries in lexicon.named("dates").values() for entry in entries for word in entry.split("/")
    }
    return _function_words() | lexicon.words("courtesies") | moments


def _is_variant(name: str, word: str) -> bool:
    """Whether a word is the name less its ending ("Europe", "European"), or one slip of the pen away from it.

    A slip is one letter added, dropped, changed or swapped with its neighbour.
    """
    if name.startswith(word) and len(word) >= _SHORTEST_TYPO:
        return True
    if abs(len(name) - len(word)) > 1 or min(len(name), len(word)) < _SHORTEST_TYPO:
        return False
    same = _common_start(name, word)
    rest, other = name[same:], word[same:]
    swapped = rest[2:] == other[2:] and rest[:2] == other[:2][::-1]
    return rest[1:] == other or rest == other[1:] or rest[1:] == other[1:] or swapped


def _common_start(one: Sequence[str], two: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))
