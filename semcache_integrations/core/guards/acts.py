"""ACTS: an order to do something is not a question about it. "Cancel my order" must not be told how that is done.

Only an order at the start of a text counts, of a verb that changes something, on something that is somebody's own.
"""

from __future__ import annotations

from itertools import dropwhile

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, english, feature, words

_NEAR = 3  # words behind the verb in which its object's owner stands
_ASKING = frozenset(
    {"how", "what", "when", "where", "why", "which", "who", "do", "does", "did", "is", "are", "should"}
)
_I = frozenset({"i", "we"})


def differ_in_act(a: Reading, b: Reading) -> bool:
    """Whether one text orders an act, and the other asks about it."""
    mine, yours = ordered(a), ordered(b)
    if bool(mine) == bool(yours) or not english(a, b):
        return False
    return _asks(b if mine else a)


@feature
def ordered(reading: Reading) -> str:
    """The verb of the order that a text begins with, or ""."""
    lead = lexicon.words("acts", "lead")
    order = tuple(dropwhile(lead.__contains__, words(reading)))
    verb, rest = order[0] if order else "", order[1:]
    is_own = not lexicon.words("acts", "owner").isdisjoint(rest[:_NEAR])
    return verb if is_own and verb in lexicon.words("acts", "do") else ""


@feature
def _asks(reading: Reading) -> bool:
    """Whether a text begins as a question, or "can I"."""
    lead = lexicon.words("courtesies")
    first, second = (*dropwhile(lead.__contains__, words(reading)), "", "")[:2]
    return first in _ASKING or (first in ("can", "could", "may") and second in _I)
