"""SCOPE: what kind of answer is wanted, in which language, and how much more one text asks than the other."""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, content, english, feature, language, words

_LATIN = "latin"
_CJK = frozenset({"cjk", "hiragana", "katakana"})
_SAMPLE = 400  # characters that tell a text's script
_LONGER = 1.5  # times the words
_MORE = 3  # content words that the longer text adds
_AUXILIARIES = frozenset(
    {"is", "are", "was", "were", "am", "be", "do", "does", "did", "has", "have", "had"}
    | {"can", "could", "will", "would", "should", "shall", "may", "might", "must"}
)
_ASKING = frozenset({"tell", "know", "me", "explain", "say", "and", "since", "find", "out", "show"})


def differ_in_script(a: Reading, b: Reading) -> bool:
    """Whether most letters are of two scripts."""
    mine, yours = _script(a), _script(b)
    return mine != yours and bool(mine) and bool(yours)


def differ_in_language(a: Reading, b: Reading) -> bool:
    """Whether both texts are clearly in a language, and not in the same one: the answer is written in it."""
    mine, yours = language(a), language(b)
    return mine != yours and bool(mine) and bool(yours)


def differ_in_question(a: Reading, b: Reading) -> bool:
    """Whether one text asks when, where, who, why or how many, and the other asks another of these."""
    mine, yours = asked_for(a), asked_for(b)
    return bool(mine) and bool(yours) and mine.isdisjoint(yours) and english(a, b)


def one_contains_the_other(a: Reading, b: Reading) -> bool:
    """Whether one text is the other with more around it: an instruction appended to a known question.

    Word for word, three more content words are enough; where only the topic's words are kept in order, the text
    must also be half as long again, as rewordings often are a little longer.
    """
    mine, yours = content(a), content(b)
    if abs(len(mine) - len(yours)) < _MORE or not _holds(*sorted((mine, yours), key=len)):
        return False
    short, long = (a, b) if len(mine) < len(yours) else (b, a)
    return len(words(long)) > _LONGER * len(words(short)) or _holds(words(short), words(long))


def _holds(inner: tuple[str, ...], outer: tuple[str, ...]) -> bool:
    """Whether the inner words stand in the outer ones, in order and unbroken."""
    return bool(inner) and f" {' '.join(inner)} " in f" {' '.join(outer)} "


@feature
def is_in_other_script(reading: Reading) -> bool:
    """Whether most letters are not Latin."""
    return _script(reading) not in ("", _LATIN)


@feature
def is_in_other_language(reading: Reading) -> bool:
    """Whether the text is clearly in another language than English."""
    return language(reading) not in ("", "en")


@feature
def _script(reading: Reading) -> str:
    if reading.folded.isascii():
        return _LATIN if any(map(str.isalpha, reading.folded)) else ""
    counts: dict[str, int] = {}
    for letter in filter(str.isalpha, reading.folded[:_SAMPLE]):
        script = _script_of(letter)
        counts[script] = counts.get(script, 0) + 1
    return max(counts, key=counts.__getitem__) if counts else ""


@lru_cache(maxsize=4096)
def _script_of(letter: str) -> str:
    """The first word of a letter's Unicode name is its script; Japanese writes three, which count as one."""
    script = unicodedata.name(letter, "").partition(" ")[0].lower()
    return "cjk" if script in _CJK else script


@feature
def asked_for(reading: Reading) -> frozenset[str]:
    """What kinds of answer a text asks for: a time, a place, a person."""
    openings, found = _openings(), words(reading)
    if openings.keys().isdisjoint(found):
        return frozenset()
    kinds, at = set(), 0
    while at < len(found):
        if found[at] not in openings:
            at += 1
            continue
        length, kind = next(
            ((len(opening), kind) for opening, kind in openings[found[at]] if _opens(found, at, opening)),
            (1, ""),
        )
        kinds.add(kind)
        at += length
    return frozenset(kinds - {""})


def _opens(found: tuple[str, ...], at: int, opening: tuple[str, ...]) -> bool:
    return found[at : at + len(opening)] == opening and _is_asked(found, at, len(opening))


def _is_asked(found: tuple[str, ...], at: int, length: int) -> bool:
    """Whether it opens a question, and is no conjunction: "when is it", "tell me where …", not "when I feel lost"."""
    behind = found[at + length] if at + length < len(found) else ""
    return (
        length > 1
        or found[at] in ("who", "whom", "whose")
        or behind in _AUXILIARIES
        or found[at - 1] in _ASKING
    )


@cache
def _openings() -> dict[str, tuple[tuple[tuple[str, ...], str], ...]]:
    """For the first word of each opening: the openings that it begins, with what they ask for."""
    found: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {}
    for line in lexicon.lines("wh_words"):
        kind, _, openings = line.partition(": ")
        for opening in (tuple(spelled.split()) for spelled in openings.split("|")):
            found[opening[0]] = (*found.get(opening[0], ()), (opening, kind))
    return found
