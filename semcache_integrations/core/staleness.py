"""STALENESS: whether an answer may be wrong soon, from the words of the question alone. No clock, no answer.

    ""           nothing says so: the capital of France, how weather forms, the price of Bitcoin in 2019
    volatile     the words say that now matters: "right now", "current price", "latest", "today", "what time is it"
    perishable   no word says so, but what is asked for changes: "price of Bitcoin", "who is the president of France"

Rules see whole words only: "now" is not in "know", nor "current" an adjective in "alternating current". They are
English, with a few words of other languages; a question in a language without words here is not time-sensitive.
What is quoted is talked about, not asked. When in doubt a question is time-sensitive: a stale answer costs more
than a fresh one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import Literal, TypeAlias

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import read
from semcache_integrations.core.phrases import Clause, Phrases, clause_of

Sensitivity: TypeAlias = Literal["", "volatile", "perishable"]
"""How soon an answer may be wrong: not to be expected, at any moment, some day."""

_EDGE = 64  # words at each end of a long text that are read: there the question stands, between them material
_LONGEST_WORD = 48  # letters; what is longer is data, or a script without spaces
_CLAUSE_ENDS = frozenset(".,;!?:…。！？，、；：()[]{}")  # noqa: RUF001 - Chinese and Japanese clauses end in full-width marks
_QUOTED = re.compile(
    r"```.{0,2000}?(?:```|$)|`[^`]{1,400}`|\"[^\"]{1,300}\"|(?<!\w)'[^']{2,120}'(?!\w)", re.DOTALL
)
_MARKED = re.compile(r"[“”„«»「」『』]|[‘’](?!\w)|(?<!\w)[‘’]")  # noqa: RUF001 - curly quotes are what word processors write


def time_sensitivity(text: str) -> Sensitivity:
    """Return how soon an answer to this question may be wrong.

    Case, white space and the punctuation at its end make no difference. The time it takes does not grow with the
    length of the text.
    """
    return _sensitivity(_ends(text))


def _ends(text: str) -> str:
    """The first and the last words, one blank between them, without monsters."""
    head = text.split(maxsplit=_EDGE)
    tail = head[_EDGE].rsplit(maxsplit=_EDGE)[-_EDGE:] if len(head) > _EDGE else []
    return " ".join(word for word in (*head[:_EDGE], *tail) if len(word) <= _LONGEST_WORD)


@lru_cache(maxsize=2_048)
def _sensitivity(text: str) -> Sensitivity:
    if _telltales().isdisjoint(read(text).tokens):
        return ""
    clauses = [_masked(clause) for clause in _clauses(text)]
    if any(_kind("now").stand_in(clause) or _asks_about_a_moment(clause) for clause in clauses):
        return "" if _says("about_words", clauses) else "volatile"
    if not _says("changing", clauses) or _says("settled", clauses) or _says("about_words", clauses):
        return ""
    return "perishable"


def _says(kind: str, clauses: Iterable[Clause]) -> bool:
    return any(map(_kind(kind).stand_in, clauses))


def _clauses(text: str) -> Iterator[Clause]:
    """The words between two punctuation marks, quotes taken out."""
    clause: list[str] = []
    for token in read(_QUOTED.sub(" , ", _MARKED.sub('"', text))).tokens:
        if token[-1].isalnum():
            clause.append(token)
        elif token in _CLAUSE_ENDS and clause:
            yield clause_of(clause)
            clause = []
    if clause:
        yield clause_of(clause)


def _masked(clause: Clause) -> Clause:
    """The clause without the phrases that only look like time: "now that", "alternating current"."""
    exceptions = _kind("except")
    while (found := exceptions.find(clause)) is not None:
        start, end = found
        clause = (*clause[:start], *[""] * (end - start), *clause[end:])
    return clause


def _asks_about_a_moment(clause: Clause) -> bool:
    """Whether a moment is asked about, not told of: "is it open today", not "I paid today and it failed"."""
    if not _kind("moment").stand_in(clause):
        return False
    return not _kind("statement").stand_in(clause) or _kind("wish").stand_in(clause)


@cache
def _telltales() -> frozenset[str]:
    """Words of which a time-sensitive question has at least one; most questions have none."""
    return frozenset().union(*(_kind(name).rarest for name in ("now", "moment", "changing")))


@cache
def _kind(name: str) -> Phrases:
    """The phrases of one kind; a kind may have several lines."""
    lines = (line.partition(":") for line in lexicon.lines("staleness"))
    written = [phrase for kind, _, phrases in lines if kind == name for phrase in phrases.split("|")]
    return Phrases(written, lexicon.named("staleness_words"))
