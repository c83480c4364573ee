"""NUMBERS: two texts that count, measure, date or version differently ask different things.

"3 tips", "three tips" and "the 3rd tip" agree; so do 1,000 and 1k, 15 % and "15 percent", $5 and "5 dollars",
0.5 and .5. A version is not a decimal: 3.10 is not 3.1, unless a unit says that it is measured.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, english, feature, foreign

_DIGIT = re.compile(r"\d")
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DOTTED_THOUSANDS = re.compile(r"-?\d{1,3}(?:\.\d{3})+(?:,\d+)?")
_BEFORE_UNIT = frozenset({"-", "°", "degree", "degrees", "st", "nd", "rd", "th"})
_JOINTS = frozenset({"-", "and", "a"})
_BEFORE_PRONOUN = frozenset(
    {"this", "that", "the", "another", "new", "old", "which", "any", "some", "every", "each", "no", "only"}
)
_CLOCK = frozenset({"am", "pm"})
_ONE, _TEN, _HUNDRED = Decimal(1), Decimal(10), Decimal(100)
_LONGEST_EXACT = 24  # digits; within the 28 of the default decimal context, so nothing is rounded


class NumberWord(NamedTuple):
    """What a word counts: its line in the list, and its value."""

    kind: str
    value: Decimal


_NOTHING: Mapping[str, NumberWord] = {}


class Quantity(NamedTuple):
    """One number of a text: its canonical value, its unit or "", and whether it may be no number at all."""

    value: str
    unit: str = ""
    weak: bool = False


def differ_in_numbers(a: Reading, b: Reading) -> bool:
    """Whether a number or its unit has no counterpart; English number words count in English only."""
    mine, yours = quantities(a), quantities(b)
    if mine == yours:
        return False
    if not english(a, b):
        mine, yours = _digits(a), _digits(b)
    return _unmatched(mine, yours)


def _unmatched(mine: tuple[Quantity, ...], yours: tuple[Quantity, ...]) -> bool:
    ours, theirs = Counter(q.value for q in mine), Counter(q.value for q in yours)
    left, right = ours - theirs, theirs - ours
    if left and right:
        return True
    strong = {q.value for q in (mine if left else yours) if not q.weak}
    return not strong.isdisjoint(left or right) or _units_clash(mine, yours)


def _units_clash(mine: tuple[Quantity, ...], yours: tuple[Quantity, ...]) -> bool:
    ours, theirs = _units_by_value(mine), _units_by_value(yours)
    return any(
        ours[value] and theirs[value] and ours[value] != theirs[value]
        for value in ours.keys() & theirs.keys()
    )


def _units_by_value(quantities: tuple[Quantity, ...]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for quantity in quantities:
        found.setdefault(quantity.value, set()).update({quantity.unit} - {""})
    return found


@feature
def quantities(reading: Reading) -> tuple[Quantity, ...]:
    """Every number of a text in order, number words included where the text is English."""
    if number_words().keys().isdisjoint(reading.tokens) and not _has_digit(reading):
        return ()
    return tuple(_parse(reading, _NOTHING if foreign(reading) else number_words()))


@feature
def _digits(reading: Reading) -> tuple[Quantity, ...]:
    return tuple(_parse(reading, _NOTHING)) if _has_digit(reading) else ()


@feature
def _has_digit(reading: Reading) -> bool:
    return bool(_DIGIT.search(reading.folded))


def _parse(reading: Reading, spelled: Mapping[str, NumberWord]) -> Iterator[Quantity]:
    tokens, at = reading.tokens, 0
    while at < len(tokens):
        start = at
        if tokens[at][-1].isdigit():
            value, at = _scaled(_number(tokens[at], continental=foreign(reading)), tokens, at + 1, spelled)
            weak = False
        elif tokens[at] in spelled and not _is_pronoun(tokens, at):
            value, at = _spelled(tokens, at, spelled)
            weak = at == start + 1 and spelled[tokens[start]].kind == "weak"
        else:
            at += 1
            continue
        unit = _unit(tokens, start, at)
        yield Quantity(_canonical(value, unit), unit, weak)


def _is_pronoun(tokens: tuple[str, ...], at: int) -> bool:
    """Whether "one" counts nothing: "this one", "one of them"."""
    if tokens[at] != "one":
        return False
    return (at > 0 and tokens[at - 1] in _BEFORE_PRONOUN) or tokens[at + 1 : at + 2] in (("of",), ("that",))


def _number(token: str, *, continental: bool) -> str:
    if _THOUSANDS.fullmatch(token):
        return token.replace(",", "")
    if continental and _DOTTED_THOUSANDS.fullmatch(token):
        return token.replace(".", "").replace(",", ".")
    if token.count(",") == 1 and token.replace(",", "").isdigit():
        return token.replace(",", ".")
    return "0" + token if token[0] == "." else token


def _scaled(
    value: str, tokens: tuple[str, ...], at: int, spelled: Mapping[str, NumberWord]
) -> tuple[str, int]:
    """Multiply by the scales that follow the digits: "5 million", "3k"."""
    while (
        at < len(tokens) and tokens[at] in spelled and spelled[tokens[at]].kind == "scale" and _exact(value)
    ):
        value, at = _plain(Decimal(value) * spelled[tokens[at]].value), at + 1
    return value, at


def _spelled(tokens: tuple[str, ...], at: int, spelled: Mapping[str, NumberWord]) -> tuple[str, int]:
    """Read one number in words: "twenty-one", "two hundred and five", "half a million"."""
    total, group = Decimal(0), Decimal(0)
    word: NumberWord | None = None
    while (here := _next_word(tokens, at, word, spelled)) is not None:
        word, at = spelled[tokens[here]], here + 1
        if word.kind != "scale":
            group += word.value
        elif word.value == _HUNDRED:
            group = (group or _ONE) * _HUNDRED
        else:
            total, group = total + (group or _ONE) * word.value, Decimal(0)
    return _plain(total + group), at


def _next_word(
    tokens: tuple[str, ...], at: int, last: NumberWord | None, spelled: Mapping[str, NumberWord]
) -> int | None:
    if last is not None and at < len(tokens) and tokens[at] in _JOINTS:
        at += 1
    if at >= len(tokens) or tokens[at] not in spelled:
        return None
    return at if last is None or _continues(last, spelled[tokens[at]]) else None


def _continues(last: NumberWord, word: NumberWord) -> bool:
    if word.kind == "scale":
        return last.kind != "ordinal" and (last.kind != "scale" or last.value < word.value)
    if last.kind == "tens":
        return _ONE <= word.value < _TEN
    return last.kind == "scale" and last.value > word.value and word.kind not in ("other", "roman")


def _unit(tokens: tuple[str, ...], start: int, end: int) -> str:
    units = _units()
    after = [token for token in tokens[end : end + 3] if token not in _BEFORE_UNIT]
    if after[:2] == ["per", "cent"]:
        return "percent"
    if after and after[0] in ("c", "f") and "°" in tokens[end : end + 2]:
        return units["°" + after[0]]
    if after and after[0] in units:
        return units[after[0]]
    return units.get(tokens[start - 1], "") if start and not tokens[start - 1].isalpha() else ""


def _canonical(value: str, unit: str) -> str:
    if unit in _CLOCK:
        value = value.removesuffix(":00")
    elif unit and _exact(value):
        value = _plain(Decimal(value))
    if len(value) == 2:  # noqa: PLR2004 - "03 May" is "3 May", yet order 007 is not order 7
        value = value.removeprefix("0")
    return value


def _exact(value: str) -> bool:
    return len(value) <= _LONGEST_EXACT and value.removeprefix("-").replace(".", "", 1).isdecimal()


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


@cache
def number_words() -> Mapping[str, NumberWord]:
    """Every word that stands for a number."""
    found: dict[str, NumberWord] = {}
    for kind, entries in lexicon.named("number_words").items():
        for word, _, value in (entry.partition("=") for entry in entries):
            found[word] = NumberWord(kind, Decimal(value))
    return found


@cache
def _units() -> Mapping[str, str]:
    """Every spelling of a unit, plural included, with the unit's first spelling."""
    units: dict[str, str] = {}
    for spellings in lexicon.named("units").values():
        for first, *others in (entry.split("/") for entry in spellings):
            units |= {form: first for word in (first, *others) for form in (word, word + "s")}
    return units
