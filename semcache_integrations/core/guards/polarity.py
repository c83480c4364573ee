"""POLARITY: the same words, turned around. "Safe" and "not safe" are neighbours to an encoder, and opposites to us.

Negation is judged by what it negates, in the text's own language: a word that one text negates and the other
asserts is a refusal, while "why isn't my payment showing" and "my payment hasn't arrived" may agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import (
    Reading,
    english,
    feature,
    foreign,
    language,
    stems,
    words,
)

_REACH = 7  # tokens behind a negator that it can turn around
_SCOPE = 2  # content words that it does turn around: "not part of OPEC"
_CLAUSE_ENDS = frozenset(".,;!?:\n") | {"but"}
_INABILITY = frozenset({"i", "we", "can", "could", "am", "are"})
_CLAUSE_STARTS = _CLAUSE_ENDS | {"and", "because", "as", "since", "hi", "hello", "help", "that"}
_SHORTEST_BASE = 4  # "un" + "it" is no opposite


class _Negation(NamedTuple):
    """A negator, the stems that it turns around, and whether it only tells what the asker cannot do."""

    word: str
    scope: tuple[str, ...]
    is_remark: bool


def differ_in_negation(a: Reading, b: Reading) -> bool:
    """Whether one text negates a word that the other asserts, or excludes something the other does not mention."""
    mine, yours = _negated(a), _negated(b)
    if mine == yours or mine & yours or _tongue(a) != _tongue(b):
        return False
    if _excluded(a) - yours != _excluded(b) - mine:
        return True
    if not (mine and yours) and _setbacks(a) % 2 == _setbacks(b) % 2:
        return False
    if _setbacks(a) == _setbacks(b) and _fails(a) and _fails(b):
        return False
    flipped = (_denied(a) & (stems(b) - yours)) | (_denied(b) & (stems(a) - mine))
    return bool(flipped)


def differ_by_antonym(a: Reading, b: Reading) -> bool:
    """Whether the one text holds a word and the other its opposite, neither of them negated."""
    if opposites_of(a).isdisjoint(_with_phrases(b)) or not english(a, b):
        return False
    opposites = _opposites()
    mine = [stem for stem in _with_phrases(a) - _with_phrases(b) if stem in opposites]
    yours = _with_phrases(b) - _with_phrases(a)
    return any(
        (stem in _negated(a)) == (other in _negated(b)) for stem in mine for other in opposites[stem] & yours
    )


def differ_by_prefix(a: Reading, b: Reading) -> bool:
    """Whether a word of the one text is a word of the other with un-, dis-, non- …, or -less for -ful."""
    flips = not unprefixed(a).isdisjoint(stems(b)) or not unprefixed(b).isdisjoint(stems(a))
    if not flips or not english(a, b):
        return False
    mine, yours = stems(a) - stems(b), stems(b) - stems(a)
    return _prefixed(mine, yours, _negated(b)) or _prefixed(yours, mine, _negated(a))


def _prefixed(prefixed: frozenset[str], bases: frozenset[str], negated: frozenset[str]) -> bool:
    return any(base in bases and base not in negated for stem in prefixed for base in _bases(stem))


@cache
def _affixes() -> tuple[tuple[str, ...], frozenset[tuple[str, str]]]:
    named = lexicon.named("prefixes")
    unlike = {(base, word) for base, _, word in (pair.partition("=") for pair in named["unlike"])}
    return named["prefix"], frozenset(unlike)


@lru_cache(maxsize=4096)
def _bases(stem: str) -> tuple[str, ...]:
    """The words whose opposite `stem` may be."""
    prefixes, unlike = _affixes()
    cut = (stem[len(prefix) :] for prefix in prefixes if stem.startswith(prefix))
    bases = [base for base in cut if len(base) >= _SHORTEST_BASE and (base, stem) not in unlike]
    return (*bases, stem[:-4] + "ful") if stem.endswith("less") else tuple(bases)


def _tongue(reading: Reading) -> str:
    return language(reading) if foreign(reading) else "en"


@feature
def _negated(reading: Reading) -> frozenset[str]:
    """Stems of the words that some negator turns around."""
    return frozenset(stem for negation in negations(reading) for stem in negation.scope)


@feature
def _denied(reading: Reading) -> frozenset[str]:
    """The part of it that the text says of its subject, not of what the asker cannot do."""
    return frozenset(
        stem for negation in negations(reading) if not negation.is_remark for stem in negation.scope
    )


@feature
def _excluded(reading: Reading) -> frozenset[str]:
    """The part of it that stands behind "without", "except" …: a condition of its own."""
    exclude = lexicon.words("negators", "exclude")
    return frozenset(stem for word, scope, _ in negations(reading) if word in exclude for stem in scope[:1])


@feature
def _fails(reading: Reading) -> bool:
    """Whether a negation in the text tells that something does not work: "cannot get it to work"."""
    return not lexicon.stems("negators", "working").isdisjoint(stems(reading))


@feature
def _setbacks(reading: Reading) -> int:
    """How often the text says that something is not so, or has failed."""
    trouble = lexicon.words("negators", "trouble") if _tongue(reading) == "en" else frozenset()
    return len(negations(reading)) + sum(token in trouble for token in reading.tokens)


@feature
def negations(reading: Reading) -> tuple[_Negation, ...]:
    """Every negator of a text with what it turns around."""
    negators, tokens = lexicon.words("negators", _tongue(reading)), reading.tokens
    if negators.isdisjoint(tokens):
        return ()
    return tuple(
        _Negation(token, tuple(_scope(reading, at)), _is_remark(tokens, at))
        for at, token in enumerate(tokens)
        if token in negators
    )


def _is_remark(tokens: tuple[str, ...], at: int) -> bool:
    """Whether a clause begins "I cannot": it tells why somebody asks, and rewordings leave it out."""
    subject = at - 1 if tokens[at] == "cannot" else at - 2
    if subject < 0 or tokens[subject] not in ("i", "we") or tokens[at - 1] not in _INABILITY:
        return False
    return subject == 0 or tokens[subject - 1] in _CLAUSE_STARTS


def _scope(reading: Reading, at: int) -> Iterator[str]:
    soft, idle = lexicon.stems("negators", "soft"), lexicon.words("function_words", _tongue(reading))
    taken = 0
    for token in reading.tokens[at + 1 : at + 1 + _REACH]:
        if token in _CLAUSE_ENDS or taken == _SCOPE or lexicon.stem(token) in soft:
            return
        if token not in idle and (token.isdigit() or (len(token) > 1 and token.isalnum())):
            taken += 1
            yield lexicon.stem(token)


@feature
def _with_phrases(reading: Reading) -> frozenset[str]:
    """All stems, and the phrases that have an opposite: "log in", "back up"."""
    if _phrase_heads().isdisjoint(stems(reading)):
        return stems(reading)
    found = tuple(map(lexicon.stem, words(reading)))
    return stems(reading).union(map("_".join, pairwise(found)))


@feature
def opposites_of(reading: Reading) -> frozenset[str]:
    """The opposites of all that the text says."""
    opposites = _opposites()
    said = _with_phrases(reading)
    return frozenset().union(*(opposites[stem] for stem in said if stem in opposites))


@feature
def unprefixed(reading: Reading) -> frozenset[str]:
    """The words whose opposites the text may hold."""
    return frozenset(base for stem in stems(reading) for base in _bases(stem))


@cache
def _opposites() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for line in lexicon.lines("antonyms"):
        one, other = ({lexicon.stem(word) for word in side.split("/")} for side in line.split())
        for stem in one:
            found.setdefault(stem, set()).update(other - one)
        for stem in other:
            found.setdefault(stem, set()).update(one - other)
    return {stem: frozenset(others) for stem, others in found.items()}


@cache
def _phrase_heads() -> frozenset[str]:
    return frozenset(stem.partition("_")[0] for stem in _opposites() if "_" in stem)
