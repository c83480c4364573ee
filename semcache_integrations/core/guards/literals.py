"""LITERALS: what is written exactly (identifiers, quotes, code, operators) must be met exactly.

An identifier is anything that is neither a word nor a number: URL, e-mail, path, file, snake_case, camelCase,
P1102w, 2FA, C++. A letter with a number behind it (GPT-4, D-7781) is left to the numbers veto: people write it in
three ways.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, feature, stems, words
from semcache_integrations.core.guards.things import things

_RUN = re.compile(r"[A-Za-z0-9_#@.:/+\\~%?=&-]+")
_TELLTALE = re.compile(r"[_@#\\]|://|\.\w|\+\+|\d[A-Za-z]|[a-z][A-Z]|(?:^|\s)[~/]\w")
_CAMEL = re.compile(r"[a-z][A-Z]")
_COUNTED = re.compile(r"\d[\d,.:]*(?:st|nd|rd|th|k|m|bn|mn|x|s)?(?:-[a-z]+)*")
_WORD = re.compile(r"[^\W_]+")
_LINKS = re.compile(r"[-_./#:\\]")
_SEGMENTS = re.compile(r"[a-z]+|\d+")
_PLAIN_SEGMENTS = 2  # "gpt4", "v2": a word and its number
_MOST_SEARCHED = 64  # quotes or spans; with more they must be the same, so that the search stays linear
_FENCE = "```"
_INLINE = re.compile(r"`([^`\n]{1,400})`")
_QUOTE = re.compile(r"\"([^\"\n]{1,300})\"|(?<!\w)'([^'\n]{2,120})'(?!\w)")
_OPERATOR = re.compile(r"[-+*/^%<>=!&|]")
_OPERATION = re.compile(r"(?<=[\w)\]])(\s*)([+*^%<>=!&|]{1,3})\1(?=[\w(\[])|(?<=\d)(\s*)([-/])\3(?=\d)")


def differ_in_identifiers(a: Reading, b: Reading) -> bool:
    """Whether an identifier of one text is nowhere in the other, however it is cased or hyphenated."""
    mine, yours = identifiers(a), identifiers(b)
    if mine == yours:
        return False
    return not (mine - yours <= _compounds(b) and yours - mine <= _compounds(a))


def differ_in_quotes(a: Reading, b: Reading) -> bool:
    """Whether one text quotes words that the other does not hold, quoted or not."""
    return quotes(a) != quotes(b) and not (_are_in(quotes(a), _spaced(b)) and _are_in(quotes(b), _spaced(a)))


def differ_in_code(a: Reading, b: Reading) -> bool:
    """Whether fenced blocks differ in more than white space, or a `span` is not in the other text."""
    if not (has_code(a) or has_code(b)):
        return False
    if _blocks(a) != _blocks(b):
        return True
    return _spans(a) != _spans(b) and not (_are_in(_spans(a), _dense(b)) and _are_in(_spans(b), _dense(a)))


def _are_in(pieces: frozenset[str], text: str) -> bool:
    return len(pieces) <= _MOST_SEARCHED and all(piece in text for piece in pieces)


def differ_in_operators(a: Reading, b: Reading) -> bool:
    """Whether both texts compute or compare, with different operators: i < n against i <= n, 2 + 2 against 2 - 2."""
    mine, yours = operators(a), operators(b)
    return mine != yours and bool(mine) and bool(yours)


@feature
def identifiers(reading: Reading) -> frozenset[str]:
    """Everything in a text that is neither a word nor a number, in one spelling."""
    if not _TELLTALE.search(reading.plain):
        return frozenset()
    runs = {run.lstrip("-.:?=&%#").rstrip("-.:?=&%/") for run in _RUN.findall(reading.plain)}
    return frozenset(_canonical(run.lower()) for run in runs if run and _is_identifier(run))


def _canonical(run: str) -> str:
    if "://" in run or "@" in run or run[-1] in "#+":
        return run
    return lexicon.stem(_LINKS.sub("", run)) or run


def _is_identifier(run: str) -> bool:
    folded = run.lower()
    if folded.isalpha():
        return bool(_CAMEL.search(run))
    if "://" in folded or folded.startswith(("www.", "/", "~/")) or "\\" in folded:
        return len(folded) > 1
    if "@" in folded[1:] or "_" in folded.strip("_"):
        return True
    return _is_name(folded) or _is_serial(folded)


def _is_name(folded: str) -> bool:
    """C++, C#, main.py, example.com."""
    _, dot, ending = folded.rpartition(".")
    return folded[0].isalpha() and (folded.endswith(("++", "#")) or (dot == "." and ending in _endings()))


def _is_serial(folded: str) -> bool:
    """Letters and digits mixed in a way that is not counting: P1102w, 2fa, a1b2c3; but not 5km, 4-day, gpt-4."""
    segments = _SEGMENTS.findall(folded)
    letters = [segment for segment in segments if segment.isalpha()]
    if not letters or len(letters) == len(segments) or "/" in folded or _COUNTED.fullmatch(folded):
        return False
    if segments[0].isalpha() and len(segments) <= _PLAIN_SEGMENTS + (letters[-1] == "s"):
        return False
    return _unit_spellings().isdisjoint(letters)


@cache
def _endings() -> frozenset[str]:
    return lexicon.words("extensions")


@cache
def _unit_spellings() -> frozenset[str]:
    spellings = {
        word for kind in lexicon.named("units").values() for entry in kind for word in entry.split("/")
    }
    return frozenset(spellings | {word + "s" for word in spellings})


@feature
def _compounds(reading: Reading) -> frozenset[str]:
    """Every word and every two or three neighbours written as one: "java script" and "2 fa" are found."""
    found = words(reading)
    pairs = {one + two for one, two in pairwise(found)}
    triples = {one + two + three for one, two, three in zip(found, found[1:], found[2:], strict=False)}
    known = {lexicon.stem(thing.name) for thing in things(reading)}  # "js" is "JavaScript"
    return frozenset({*found, *pairs, *triples, *known}) | stems(reading) | identifiers(reading)


@feature
def quotes(reading: Reading) -> frozenset[str]:
    """Everything that a text quotes."""
    if '"' not in reading.plain and "'" not in reading.plain:
        return frozenset()
    found = ("".join(pair) for pair in _QUOTE.findall(reading.folded))
    return frozenset(quote for quote in map(_word_line, found) if quote.strip())


@feature
def _spaced(reading: Reading) -> str:
    return _word_line(reading.folded)


def _word_line(text: str) -> str:
    return f" {' '.join(_WORD.findall(text))} "


@feature
def has_code(reading: Reading) -> bool:
    """Whether anything is marked as code."""
    return "`" in reading.plain


@feature
def _blocks(reading: Reading) -> tuple[str, ...]:
    parts = reading.folded.split(_FENCE)
    return tuple("".join(part.split()) for part in parts[1::2])


@feature
def _spans(reading: Reading) -> frozenset[str]:
    outside = " ".join(reading.folded.split(_FENCE)[::2])
    return frozenset("".join(span.split()) for span in _INLINE.findall(outside))


@feature
def _dense(reading: Reading) -> str:
    return "".join(reading.folded.split())


@feature
def operators(reading: Reading) -> tuple[str, ...]:
    """Every operator between two operands, sorted."""
    if not _OPERATOR.search(reading.folded):
        return ()
    return tuple(sorted(either or other for _, either, _, other in _OPERATION.findall(reading.folded)))
