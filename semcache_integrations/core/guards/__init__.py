"""VETOES: say from two question texts alone that the answer to the one must not be given to the other.

Encoders see "safe" and "not safe", order 12345 and 12346, A to B and B to A as the same; no threshold on the
similarity tells them apart (0.95 and more). A veto is a small pure function with one reason. It may only refuse:
what passes has still to be similar enough. When in doubt it refuses, except for a language that it does not know.

All vetoes are symmetric, and a text passes against itself, however it is cased, spaced or ended.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeAlias

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.guards import (
    acts,
    literals,
    minimal,
    moments,
    numbers,
    order,
    polarity,
    scope,
    subjects,
    swaps,
    tasks,
    things,
)
from semcache_integrations.core.guards.reading import Reading, essence, read

__all__ = ["ALL", "VETOES", "Reading", "Veto", "known", "read", "vetoes"]

Veto: TypeAlias = Callable[[Reading, Reading], bool]
"""True if the two texts must not share an answer."""

VETOES: Mapping[str, Veto] = MappingProxyType(
    {
        "script": scope.differ_in_script,
        "number": numbers.differ_in_numbers,
        "antonym": polarity.differ_by_antonym,
        "alternative": things.differ_by_alternative,
        "negation": polarity.differ_in_negation,
        "date": moments.differ_in_moment,
        "question": scope.differ_in_question,
        "language": scope.differ_in_language,
        "entity": subjects.differ_in_entities,
        "prefix": polarity.differ_by_prefix,
        "identifier": literals.differ_in_identifiers,
        "quote": literals.differ_in_quotes,
        "code": literals.differ_in_code,
        "operator": literals.differ_in_operators,
        "act": acts.differ_in_act,
        "material": tasks.differ_in_material,
        "direction": order.differ_in_direction,
        "word": minimal.differ_by_one_word,
        "addition": minimal.differ_by_addition,
        "order": swaps.differ_in_order,
        "voice": order.differ_in_voice,
        "containment": scope.one_contains_the_other,
    }
)
"""Every veto by name, those first that are cheap or refuse most."""

ALL: Collection[str] = frozenset(VETOES)


def known(names: Iterable[str]) -> frozenset[str]:
    """Return the names as a set.

    Raises:
        ConfigurationError: There is no such veto; the message suggests one.
    """
    chosen = frozenset({names} if isinstance(names, str) else names)
    for name in sorted(chosen - VETOES.keys(), key=str):
        meant = get_close_matches(str(name), VETOES, 1)
        hint = f" (is {meant[0]} meant?)" if meant else ""
        raise ConfigurationError(f"no such veto: {name!r}{hint}; there are: {', '.join(sorted(VETOES))}")
    return chosen


def vetoes(asked: Reading, cached: Reading, names: Collection[str] = ALL) -> str:
    """Return the name of the first veto that refuses the cached answer, or "" if none does.

    Args:
        asked: The question that is asked now; read it once for all its candidates.
        cached: The question whose answer is in the cache.
        names: The vetoes that are asked, in the order of `VETOES`; a name that does not exist is ignored.
    """
    if essence(asked) == essence(cached):
        return ""
    for name, refuses in VETOES.items():
        if name in names and refuses(asked, cached):
            return name
    return ""
