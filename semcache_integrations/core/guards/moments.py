"""MOMENTS: dates by name and relative days. Another Monday, another month, another answer.

Numbers inside dates are the numbers veto's business. A vague moment ("today") counts only against another one: who
asks without a date means today.
"""

from __future__ import annotations

from functools import cache

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, feature, words

_BEFORE_MONTH = frozenset(
    {"in", "of", "since", "until", "till", "by", "this", "next", "last", "on", "early", "late", "mid"}
)
_USED_TO_BE = ("used", "use")


def differ_in_moment(a: Reading, b: Reading) -> bool:
    """Whether a month, weekday, season, feast or relative day of one text is not the other's."""
    mine, yours = _moments(a), _moments(b)
    if mine == yours:
        return False
    left, right = mine - yours, yours - mine
    if left and right:
        return True
    return not (left or right) <= _vague()


@feature
def _moments(reading: Reading) -> frozenset[str]:
    names, found = _names(), words(reading)
    if names.keys().isdisjoint(found) and "be" not in found:
        return frozenset()
    moments = {
        names[word]
        for before, word, behind in zip(("", *found), found, (*found[1:], ""), strict=False)
        if word in names and (word not in _ambiguous() or _is_dated(before, behind))
    }
    return frozenset(moments | {"formerly"} if _tells_of_the_past(found) else moments)


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
    return {
        word: entry.split("/")[0]
        for kind, entries in lexicon.named("dates").items()
        if kind != "ambiguous"
        for entry in entries
        for word in entry.split("/")
    }


@cache
def _ambiguous() -> frozenset[str]:
    return lexicon.words("dates", "ambiguous")


@cache
def _vague() -> frozenset[str]:
    return frozenset(entry.split("/")[0] for entry in lexicon.named("dates")["vague"])
