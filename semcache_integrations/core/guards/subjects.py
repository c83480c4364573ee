"""SUBJECTS: who or what a text is about. Two names, two answers.

Names are told by their capitals, which say something in English only, and only where small letters are the rule.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.likeness import common_start, is_variant
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
_LONGEST_SWAP = 3
_LONGEST_INITIALS = 5
_MOST_SEARCHED = (
    16  # names; a text with more unknown ones is about something else, and the search stays linear
)


def differ_in_entities(a: Reading, b: Reading) -> bool:
    """Whether each text names something that the other does not, or a name takes another word's place."""
    mine, yours = names(a), names(b)
    if mine == yours or not english(a, b):
        return False
    unmatched, unmet = _unmatched(mine, b), _unmatched(yours, a)
    if unmatched and unmet:
        return True
    return bool(unmatched or unmet) and _replaced(a, b, unmatched or unmet)


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
        and not any(is_variant(name, word) for word in words(other))
    )


def _replaced(a: Reading, b: Reading, names: frozenset[str]) -> bool:
    """Whether the texts are alike but for one short span on each side, and the name is in it."""
    one, two = content(a), content(b)
    front = common_start(one, two)
    one, two = one[front:], two[front:]
    back = common_start(one[::-1], two[::-1])
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
def names(reading: Reading) -> frozenset[str]:
    """Capitalised words inside a sentence, folded; none where capitals say nothing or the language is not English."""
    if reading.plain[1:] == reading.folded[1:] or language(reading) not in ("", "en"):
        return frozenset()
    tokens = _NAME.findall(reading.plain)
    inner = [token for before, token in pairwise(tokens) if before[0].isalpha()]
    capitalised = {_root(token) for token in inner if token[0].isupper()} - {"i"}
    is_sentence = "'s " in reading.folded or not _function_words().isdisjoint(words(reading))
    if not capitalised.isdisjoint(_function_words()) or not is_sentence:
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
