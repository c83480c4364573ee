"""SUBJECTS: who or what a text is about. Two names, two animals, two currencies: two answers.

Names are told by their capitals, which says something in English only, and only where small letters are the rule;
known things of one kind are told by a list, in any case and language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import takewhile

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

_NAME = re.compile(r"[^\W\d_]+(?:['&-][^\W\d_]+)*|[.!?:;\"\n]")
_SHORTEST_TYPO = 4
_LONGEST_SWAP = 3
_LONGEST_INITIALS = 5


def differ_by_alternative(a: Reading, b: Reading) -> bool:
    """Whether each text names a thing of one kind that the other does not: a cat and a dog, Java and Python."""
    mine, yours = _things(a), _things(b)
    if not mine or not yours or mine == yours:
        return False
    return not {kind for kind, _ in mine - yours}.isdisjoint(kind for kind, _ in yours - mine)


def differ_in_entities(a: Reading, b: Reading) -> bool:
    """Whether each text names something that the other does not, or a name takes another word's place."""
    mine, yours = _names(a), _names(b)
    if mine == yours or not english(a, b):
        return False
    unmatched, unmet = _unmatched(mine, b), _unmatched(yours, a)
    if unmatched and unmet:
        return True
    return bool(unmatched or unmet) and _replaced(a, b, unmatched or unmet)


def _unmatched(names: frozenset[str], other: Reading) -> frozenset[str]:
    """The names that the other text does not hold, whole, in parts, as initials or with a slip of the pen."""
    found = words(other)
    joined, initials = "".join(found), "".join(word[0] for word in found)
    missing = {name for name in names if lexicon.stem(name) not in stems(other) and name not in joined}
    missing -= {name for name in missing if len(name) <= _LONGEST_INITIALS and name in initials}
    return frozenset(name for name in missing if not any(_is_variant(name, word) for word in found))


def _replaced(a: Reading, b: Reading, names: frozenset[str]) -> bool:
    """Whether the texts are alike but for one short span on each side, and the name is in it."""
    one, two = content(a), content(b)
    front = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, two, strict=False)))
    rest_one, rest_two = one[front:], two[front:]
    back = sum(
        1
        for _ in takewhile(lambda pair: pair[0] == pair[1], zip(rest_one[::-1], rest_two[::-1], strict=False))
    )
    left, right = rest_one[: len(rest_one) - back], rest_two[: len(rest_two) - back]
    if not front + back or not 0 < len(left) <= _LONGEST_SWAP or not 0 < len(right) <= _LONGEST_SWAP:
        return False
    return not {lexicon.stem(name) for name in names}.isdisjoint((*left, *right))


def kinds_of(found: Iterable[str]) -> frozenset[str]:
    """The kinds of things that these stems name."""
    kinds = _kinds()
    return frozenset(kind for stem in found for kind, _ in kinds.get(stem, ()))


@feature
def _things(reading: Reading) -> frozenset[tuple[str, str]]:
    kinds = _kinds()
    return frozenset(thing for stem in stems(reading) if stem in kinds for thing in kinds[stem])


@feature
def _names(reading: Reading) -> frozenset[str]:
    """Capitalised words inside a sentence, folded; none where capitals say nothing or the language is not English."""
    if reading.plain[1:] == reading.folded[1:] or language(reading) not in ("", "en"):
        return frozenset()
    tokens = _NAME.findall(reading.plain)
    inner = [token for before, token in zip(tokens, tokens[1:], strict=False) if before[0].isalpha()]
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
    return _function_words() | lexicon.words("courtesies")


def _is_variant(name: str, word: str) -> bool:
    """Whether a word is the name less its ending ("Europe", "European"), or one slip of the pen away from it.

    A slip is one letter added, dropped, changed or swapped with its neighbour.
    """
    if name.startswith(word) and len(word) >= _SHORTEST_TYPO:
        return True
    if abs(len(name) - len(word)) > 1 or min(len(name), len(word)) < _SHORTEST_TYPO:
        return False
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, word, strict=False)))
    rest, other = name[same:], word[same:]
    swapped = rest[2:] == other[2:] and rest[:2] == other[:2][::-1]
    return rest[1:] == other or rest == other[1:] or rest[1:] == other[1:] or swapped


@cache
def _kinds() -> dict[str, frozenset[tuple[str, str]]]:
    """For the stem of each known thing: its kinds, each with the thing's first name."""
    found: dict[str, set[tuple[str, str]]] = {}
    for source in ("alternatives", "units"):
        for kind, things in lexicon.named(source).items():
            for first, *others in (thing.split("/") for thing in things):
                for word in (first, *others):
                    found.setdefault(lexicon.stem(word), set()).add((f"{source}.{kind}", first))
    return {stem: frozenset(pairs) for stem, pairs in found.items()}
