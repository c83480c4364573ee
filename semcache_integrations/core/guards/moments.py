"""MOMENTS: dates by name and relative days. Another Monday, another month, another answer.

Numbers inside dates are the numbers veto's business. A vague moment ("today") counts only against another one: who
asks without a date means today.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.numbers import number_words
from semcache_integrations.core.guards.reading import Reading, feature, words

_BEFORE_MONTH = frozenset(
    {"in", "of", "since", "until", "till", "by", "this", "next", "last", "on", "early", "late", "mid"}
)
_USED_TO_BE = ("used", "use")


def differ_in_moment(a: Reading, b: Reading) -> bool:
    """Whether a month, weekday, season, feast or relative day of one text is not the other's."""
    mine, yours = moments(a), moments(b)
    if mine == yours:
        return False
    left, right = mine - yours, yours - mine
    if left and right:
        return True
    return not all(moment in _vague() or moment.startswith("this ") for moment in left or right)


@feature
def moments(reading: Reading) -> frozenset[str]:
    """Every month, weekday, season, feast, relative day or period of a text, by its first spelling."""
    names, found = _names(), words(reading)
    if names.keys().isdisjoint(found) and _whens().keys().isdisjoint(found) and "be" not in found:
        return frozenset()
    periods = dict(_periods(found))
    dated = set(periods.values()) | {
        names[word]
        for at, (before, word, behind) in enumerate(zip(("", *found), found, (*found[1:], ""), strict=False))
        if at not in periods and word in names and (word not in _ambiguous() or _is_dated(before, behind))
    }
    return frozenset(dated | {"once"} if _tells_of_the_past(found) else dated)


def _periods(found: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Where "last week", "this year" and "the next 3 days" begin, and the moment that they are."""
    whens, periods = _whens(), lexicon.words("dates", "periods")
    for at, word in enumerate(found):
        if word in whens:
            behind = found[at + 1 : at + 3]
            unit = next((each.removesuffix("s") for each in behind if each.removesuffix("s") in periods), "")
            if unit and (len(behind) == 1 or behind[0].removesuffix("s") == unit or _counts(behind[0])):
                yield at, f"{whens[word]} {unit}"


def _counts(word: str) -> bool:
    return word[0].isdigit() or word in number_words() or word in ("few", "couple", "several")


def _is_dated(before: str, behind: str) -> bool:
    """Whether the neighbours of "may" or "march" make it a month: "in May", "3 May", "May 2024"."""
    return before in _BEFORE_MONTH or before[-1:].isdigit() or behind[:1].isdigit()


def _tells_of_the_past(found: tuple[str, ...]) -> bool:
    return any(
        one in _USED_TO_BE and two == "to" and three == "be"
        for one, two, three in zip(found, found[1:], found[2:], strict=False)
    )


@cache
def _names() -> dict[str, str]:
    """Every spelling of a moment, with its first spelling."""
    kinds = lexicon.named("dates").keys() - {"ambiguous", "periods", "when"}
    return {word: first for kind in kinds for word, first in _spellings(kind).items()}


@cache
def _whens() -> dict[str, str]:
    return _spellings("when")


def _spellings(kind: str) -> dict[str, str]:
    entries = (entry.split("/") for entry in lexicon.named("dates")[kind])
    return {word: first for first, *others in entries for word in (first, *others)}


@cache
def _ambiguous() -> frozenset[str]:
    return lexicon.words("dates", "ambiguous")


@cache
def _vague() -> frozenset[str]:
    return frozenset(entry.split("/")[0] for entry in lexicon.named("dates")["vague"])
