"""VETOES: say from two question texts alone that the answer to the one must not be given to the other.

Encoders see "safe" and "not safe", order 12345 and 12346, A to B and B to A as the same; no threshold on the
similarity tells them apart (0.95 and more). A veto is a small pure function with one reason. It may only refuse:
what passes has still to be similar enough. When in doubt it refuses, except for a language that it does not know.

All vetoes are symmetric, and a text passes against itself, however it is cased, spaced or ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType

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
from semcache_integrations.core.guards.reading import Reading, essence, feature, read
from semcache_integrations.core.guards.veto import Refuses, Veto

__all__ = ["ALL", "VETOES", "Reading", "Veto", "known", "read", "vetoes"]

VETOES: Mapping[str, Veto] = MappingProxyType(
    {
        "script": Veto(scope.differ_in_script, scope.is_in_other_script),
        "number": Veto(numbers.differ_in_numbers, numbers.quantities),
        "antonym": Veto(polarity.differ_by_antonym, polarity.opposites_of, both=True),
        "alternative": Veto(things.differ_by_alternative, things.names_things, both=True),
        "negation": Veto(polarity.differ_in_negation, polarity.negations),
        "date": Veto(moments.differ_in_moment, moments.moments),
        "question": Veto(scope.differ_in_question, scope.asked_for, both=True),
        "language": Veto(scope.differ_in_language, scope.is_in_other_language),
        "entity": Veto(subjects.differ_in_entities, subjects.names),
        "prefix": Veto(polarity.differ_by_prefix, polarity.unprefixed),
        "identifier": Veto(literals.differ_in_identifiers, literals.identifiers),
        "quote": Veto(literals.differ_in_quotes, literals.quotes),
        "code": Veto(literals.differ_in_code, literals.has_code),
        "operator": Veto(literals.differ_in_operators, literals.operators, both=True),
        "act": Veto(acts.differ_in_act, acts.ordered),
        "material": Veto(tasks.differ_in_material, tasks.material),
        "direction": Veto(order.differ_in_direction, order.directions, both=True),
        "word": Veto(minimal.differ_by_one_word),
        "addition": Veto(minimal.differ_by_addition),
        "order": Veto(swaps.differ_in_order),
        "voice": Veto(order.differ_in_voice, order.passive),
        "containment": Veto(scope.one_contains_the_other),
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
    mine, yours = _concerns(asked), _concerns(cached)
    for name, refuses in _open((mine & yours) | ((mine | yours) & _EITHER)):
        if name in names and refuses(asked, cached):
            return name
    return ""


_BITS = tuple((1 << at, name, veto) for at, (name, veto) in enumerate(VETOES.items()))
_EITHER = sum(bit for bit, _, veto in _BITS if not veto.both)


@feature
def _concerns(reading: Reading) -> int:
    """One bit for each veto that may refuse something for this text."""
    return sum([bit for bit, _, veto in _BITS if veto.concerns is None or veto.concerns(reading)])


@lru_cache(maxsize=1_024)
def _open(bits: int) -> tuple[tuple[str, Refuses], ...]:
    """Return the vetoes that these bits stand for."""
    return tuple((name, veto.refuses) for bit, name, veto in _BITS if bit & bits)
