"""READING a text once: normal form, tokens, language, content words. Holds no rule about two texts.

A `Reading` is a value; what a veto compares is a *feature* of it, computed when first asked for and kept, so that
a question is read once for all its candidates. Every step is linear in the text's length.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from semcache_integrations.core.guards import lexicon

_T = TypeVar("_T")

_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ‛＇"), "'")  # noqa: RUF001 - look-alikes are the point
_QUOTES = dict.fromkeys(map(ord, "“”„‟«»「」『』＂"), '"')  # noqa: RUF001 - look-alikes are the point
_RAISED = {ord(raised): f"^{digit}" for raised, digit in zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)}
_SAME_MARK: dict[int, str] = {**_APOSTROPHES, **_QUOTES, **_RAISED}  # NFKC alone would read 10² as 102

_TOKEN = re.compile(
    r"[^\W\d_]+(?:'[^\W\d_]+)*"  # words: don't
    r"|(?:(?<![^\s(\[=])-)?\d+(?:[.,:/]\d+)*|(?<![\w.])\.\d+"  # numbers: -40, 3.11, 9:30, 3/4/2024, .5
    r"|[^\w\s]|\n|_"
)
_ASIDE = re.compile(r"(?<=\d)\(([a-z])\)")  # 401(k) is 401k
_CLITIC = frozenset({"s", "re", "m", "ll", "ve", "d"})
_WITHOUT_APOSTROPHE = {
    f"{verb}nt": (verb, "not")
    for verb in (
        "do",
        "does",
        "did",
        "is",
        "are",
        "was",
        "were",
        "would",
        "should",
        "could",
        "have",
        "has",
        "had",
    )
} | {"cant": ("can", "not"), "wont": ("will", "not")}
_IRREGULAR = {"can't": ("can", "not"), "won't": ("will", "not"), "shan't": ("shall", "not")}
_OPENING = " ¿¡"
_CLOSING = " .!?…。！？;:,"  # noqa: RUF001 - the full-width marks are meant


@dataclass(frozen=True, slots=True)
class Reading:
    """One text as the vetoes see it; make it with `read`.

    Attributes:
        plain: The text in NFKC with plain apostrophes and quotes, in its own case.
        folded: `plain`, case-folded.
        tokens: Words, numbers and punctuation of `folded`, contractions expanded.
    """

    plain: str
    folded: str
    tokens: tuple[str, ...]
    _features: dict[str, object] = field(default_factory=dict, compare=False, repr=False)


def read(text: str) -> Reading:
    """Read one text; keep the result as long as it is compared with others."""
    if text.isascii():
        plain, folded = text, text.lower()
    else:
        plain = unicodedata.normalize("NFKC", text.translate(_SAME_MARK))
        folded = _caseless(text)
    if "(" in folded:
        folded = _ASIDE.sub(r"\1", folded)
    return Reading(plain, folded, _expanded(_TOKEN.findall(folded)))


def feature(compute: Callable[[Reading], _T]) -> Callable[[Reading], _T]:
    """Keep what `compute` says about a reading inside that reading."""
    name = f"{compute.__module__}.{compute.__qualname__}"

    def kept(reading: Reading) -> _T:
        features = reading._features  # noqa: SLF001 - the reading's own memory
        if name not in features:
            features[name] = compute(reading)
        return features[name]  # type: ignore[return-value] # this name only ever holds compute's result

    kept.__doc__, kept.__name__ = compute.__doc__, compute.__name__
    return kept


def _caseless(text: str) -> str:
    """Unicode's compatibility caseless form (D146), with one form for look-alike marks."""
    once = unicodedata.normalize("NFD", text).casefold().translate(_SAME_MARK)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", once).casefold())


def _expanded(tokens: list[str]) -> tuple[str, ...]:
    if not any("'" in token or token in _WITHOUT_APOSTROPHE for token in tokens):
        return tuple(tokens)
    return tuple(part for token in tokens for part in _parts(token))


def _parts(word: str) -> tuple[str, ...]:
    if word in _WITHOUT_APOSTROPHE:
        return _WITHOUT_APOSTROPHE[word]
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("n't") and word != "n't":
        return (word[:-3], "not")
    head, *tail = word.split("'")
    return (head, *(part for part in tail if part not in _CLITIC)) if head else (word,)


@feature
def essence(reading: Reading) -> str:
    """What is left of a text when case, white space and the punctuation at its edges are taken away."""
    return " ".join(reading.folded.split()).lstrip(_OPENING).rstrip(_CLOSING)


@feature
def words(reading: Reading) -> tuple[str, ...]:
    """Words and numbers in order, folded, without punctuation."""
    return tuple(token for token in reading.tokens if token[-1].isalnum())


@feature
def stems(reading: Reading) -> frozenset[str]:
    """The stems of all words."""
    return frozenset(map(lexicon.stem, words(reading)))


@feature
def content(reading: Reading) -> tuple[str, ...]:
    """Stems of the words that carry the topic, in order: no function words, no courtesies."""
    empty = _empty_words(language(reading))
    return tuple(lexicon.stem(word) for word in words(reading) if word not in empty)


@feature
def language(reading: Reading) -> str:
    """The language of two or more function words, if they outnumber any other's twice over; else "".

    Texts of a few words have none: that is no proof of English, nor of anything else.
    """
    counts = spoken(reading)
    if not counts:
        return ""
    best = max(counts, key=counts.__getitem__)
    second = max((count for name, count in counts.items() if name != best), default=0)
    return best if counts[best] > 1 and counts[best] >= 2 * second else ""


@feature
def foreign(reading: Reading) -> bool:
    """Whether English rules would be at fault here: more function words of another language, or no ASCII."""
    counts = spoken(reading)
    in_english = counts.get("en", 0)
    elsewhere = max((count for name, count in counts.items() if name != "en"), default=0)
    if elsewhere > max(in_english, 1):
        return True
    return (
        elsewhere >= in_english and not reading.folded.isascii() and any(map(_beyond_ascii, reading.folded))
    )


def english(a: Reading, b: Reading) -> bool:
    """Whether the rules for English words may be applied to these two."""
    return not foreign(a) and not foreign(b)


@feature
def sounds_english(reading: Reading) -> bool:
    """Whether the text itself shows that it is English: no other language has more function words in it."""
    if foreign(reading):
        return False
    found = words(reading)
    counts = {
        name: len(lexicon.words("function_words", name).intersection(found))
        for name in lexicon.named("function_words")
    }
    if not any(counts.values()):
        return 2 * sum(lexicon.stem(word) in lexicon.stems("synonyms") for word in found) > len(found)
    return counts["en"] == max(counts.values())


def _beyond_ascii(character: str) -> bool:
    return not character.isascii() and character.isalpha()


@feature
def spoken(reading: Reading) -> dict[str, int]:
    """How many different function words of each language a text holds."""
    languages = _languages_of()
    counts: dict[str, int] = {}
    for word in set(words(reading)):
        if word in languages:
            for name in languages[word]:
                counts[name] = counts.get(name, 0) + 1
    return counts


@cache
def _languages_of() -> dict[str, tuple[str, ...]]:
    """The languages of each function word; one that English shares ("in", "no", "me") tells nothing."""
    found: dict[str, tuple[str, ...]] = {}
    for name, spoken in lexicon.named("function_words").items():
        for word in set(spoken):
            found[word] = (*found.get(word, ()), name)
    return {word: names for word, names in found.items() if "en" not in names or len(names) == 1}


@cache
def _empty_words(language: str) -> frozenset[str]:
    own = lexicon.words("function_words", language) if language else frozenset()
    return own | lexicon.words("function_words", "en") | lexicon.words("courtesies")
