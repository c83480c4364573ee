"""WORD LISTS: reads `core/data/*.txt` once each and hands out their lines; knows no rule and no text.

A list is data, so that adding a word is no change of code. `#` starts a comment line, `name: words` a named
line, and `/` joins the spellings of one thing.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import resources

_VOWELS = frozenset("aeiouy")
_KEPT_DOUBLES = frozenset("lsz")


@cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of one list without comments, read on first use."""
    text = (
        resources.files("semcache_integrations.core")
        .joinpath("data")
        .joinpath(f"{name}.txt")
        .read_text("utf-8")
    )
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


@cache
def named(name: str) -> dict[str, tuple[str, ...]]:
    """The words of each named line of one list."""
    pairs = (line.split(":", 1) for line in lines(name))
    return {key: tuple(words.split()) for key, words in pairs}


@cache
def words(name: str, line: str = "") -> frozenset[str]:
    """The words of one named line, or of the whole list if it has no names."""
    return frozenset(named(name).get(line, ()) if line else " ".join(lines(name)).split())


@cache
def stems(name: str, line: str = "") -> frozenset[str]:
    """The stems of `words`."""
    return frozenset(map(stem, words(name, line)))


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The word without its English inflection: a cheap equality class, not a linguist's stem.

    "buys", "buying" and "buy" share one; so do "city" and "cities", "stop" and "stopped".
    """
    if len(word) < 4 or not word.isalpha():  # noqa: PLR2004 - three letters hold no ending
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) > 2 and not _VOWELS.isdisjoint(base):  # noqa: PLR2004 - "bed", "ring"
            doubled = base[-1] == base[-2] and base[-1] not in _KEPT_DOUBLES
            word = base[:-1] if doubled else base
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word  # noqa: PLR2004 - "use", "age"
