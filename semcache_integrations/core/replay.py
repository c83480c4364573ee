"""How a stored answer is cut when it is replayed as a stream, and nothing else: no sleeping, no format.

The law: `"".join(split(text, replay)) == text`, to the last space of a code block; no chunk is empty and
none begins inside a grapheme (an accent, an emoji of several code points, CR LF). Linear in the text.
A sentence that is not recognised makes a longer chunk, never a wrong one.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, TypeAlias, get_args

from semcache_integrations.core.errors import ConfigurationError

Strategy: TypeAlias = Literal["words", "sentences", "paragraphs", "characters", "none"]
"""The unit of a chunk; "none" replays the whole answer as one chunk."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How an answer is replayed.

    Attributes:
        strategy: The unit that is counted. A Chinese or Japanese character counts as a word; a character
            is a code point, and a chunk takes as many more as complete its last grapheme.
        size: Units a chunk.
        delay_s: Seconds that the adapter waits between two chunks.

    Raises:
        ConfigurationError: the strategy is unknown, or a number is out of bounds.
    """

    strategy: Strategy = "words"
    size: int = 8
    delay_s: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if self.strategy not in get_args(Strategy):
            raise ConfigurationError(
                f"unknown replay strategy {self.strategy!r}: take one of {get_args(Strategy)}"
            )
        if not isinstance(self.size, int) or self.size < 1:
            raise ConfigurationError(
                f"replay size is {self.size!r}: it is a whole number of units, at least 1"
            )
        if not (math.isfinite(self.delay_s) and self.delay_s >= 0):
            raise ConfigurationError(
                f"replay delay_s is {self.delay_s!r}: it is a number of seconds, at least 0"
            )


def checked(replay: object) -> Replay:
    """Return the replay.

    Raises:
        ConfigurationError: it is something else, such as the name of a strategy.
    """
    if not isinstance(replay, Replay):
        raise ConfigurationError(
            f"replay= is a ReplayConfig, such as ReplayConfig('words', 3), not {replay!r}"
        )
    return replay


def split(text: str, replay: Replay) -> Iterator[str]:
    """Cut `text` into chunks that join to `text`; an empty text has none."""
    start = 0
    for end in _cuts(text, replay):
        yield text[start:end]
        start = end
    if start < len(text):
        yield text[start:]


def _cuts(text: str, replay: Replay) -> Iterator[int]:
    if replay.strategy == "none":
        return iter(())
    if replay.strategy == "characters":
        return _every_characters(text, replay.size)
    whole = (end for end in _UNIT_ENDS[replay.strategy](text) if not _inside_grapheme(text, end))
    return islice(whole, replay.size - 1, None, replay.size)


def _every_characters(text: str, size: int) -> Iterator[int]:
    start, cut = 0, size
    while cut < len(text):
        if _inside_grapheme(text, cut, start):
            cut += 1
        else:
            yield cut
            start, cut = cut, cut + size


# ---- words

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # no spaces between words
_WORD = re.compile(rf"\s*(?:[{_CJK}]|[^\s{_CJK}]+)\s*|\s+")


def _word_ends(text: str) -> Iterable[int]:
    return (word.end() for word in _WORD.finditer(text))


# ---- sentences

# Each alternative matches whatever follows, so a long run of full stops or blanks is read once only.
_STOP = re.compile(r"(?P<mark>[.!?…。！？]+)[\"'”’»)\]*_`」』]*(?P<space>[^\S\r\n]*[\r\n]*)|[\r\n]+")  # noqa: RUF001 - full-width marks are what is looked for
_FULL_WIDTH = frozenset("。！？")  # noqa: RUF001 - as above
_LONGEST_ABBREVIATION = 12
_INITIALS = re.compile(r"(?:.*\.)?[^\W\d_]")  # "U.S", "e.g", "Ph.D", "J": one letter before the full stop
_LIST_NUMBER = re.compile(r"(?:^|[\r\n])[ \t]*\d{1,3}\Z")
_ABBREVIATED = (
    "mr mrs ms dr prof sr jr st vs etc cf al fig no nos vol pp ch sec eq approx inc ltd co corp dept est "
    "gen col sgt lt rev hon gov sen rep ave blvd rd mt "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun"
)
_ABBREVIATIONS = frozenset(_ABBREVIATED.split())


def _sentence_ends(text: str) -> Iterable[int]:
    return (stop.end() for stop in _STOP.finditer(text) if _ends_sentence(text, stop))


def _ends_sentence(text: str, stop: re.Match[str]) -> bool:
    mark = stop["mark"]
    if mark is None or "\n" in stop["space"] or not _FULL_WIDTH.isdisjoint(mark):
        return True
    if not stop["space"]:  # "3.14", "main.py", "a != b"
        return False
    following = text[stop.end() : stop.end() + 1]
    return mark.strip(".…") != "" or not (following.islower() or _abbreviates(text, stop.start()))


def _abbreviates(text: str, end: int) -> bool:
    """Whether the full stop at `end` belongs to the word or the list number before it."""
    before = text[max(0, end - _LONGEST_ABBREVIATION) : end]
    word = re.split(r"[\s(\[\"'“‘]", before)[-1]  # noqa: RUF001 - opening quotes are what is looked for
    return (
        word.lower() in _ABBREVIATIONS
        or _INITIALS.fullmatch(word) is not None
        or _LIST_NUMBER.search(before) is not None
    )


# ---- paragraphs

_BLANK_LINE = re.compile(r"\r?\n(?:[ \t]*\r?\n)+")


def _paragraph_ends(text: str) -> Iterable[int]:
    return (blank.end() for blank in _BLANK_LINE.finditer(text))


_UNIT_ENDS = {"words": _word_ends, "sentences": _sentence_ends, "paragraphs": _paragraph_ends}

# ---- graphemes: the rules of Unicode's UAX #29 that chat answers meet, without its tables

_ZERO_WIDTH_JOINER = "\u200d"
_EXTENDS = re.compile("[\u200c\u200d\u1160-\u11ff\ud7b0-\ud7ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")
_FLAG_HALF = re.compile("[\U0001f1e6-\U0001f1ff]")


def _inside_grapheme(text: str, cut: int, start: int = 0) -> bool:
    """Whether a cut before `text[cut]` would part what is shown as one character.

    `start` is a known border at or before which nobody needs to look: flags are pairs counted from there.
    """
    if cut >= len(text):
        return False
    before, after = text[cut - 1], text[cut]
    if before.isascii() and after.isascii():
        return before == "\r" and after == "\n"
    return (
        before == _ZERO_WIDTH_JOINER
        or _EXTENDS.match(after) is not None
        or unicodedata.category(after).startswith("M")
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
        or (_FLAG_HALF.match(after) is not None and _flag_halves(text, start, cut) % 2 == 1)
    )


def _flag_halves(text: str, start: int, end: int) -> int:
    """Count the flag halves that end at `end`."""
    first = end
    while first > start and _FLAG_HALF.match(text[first - 1]):
        first -= 1
    return end - first
