"""TASKS: a text that is to be worked on must be met exactly; only the order to do so may be reworded.

"Summarize this: the meeting moved to the morning" is one order with any text behind it, and to an encoder
nearly the same question.
"""

from __future__ import annotations

from semcache_integrations.core.guards import lexicon
from semcache_integrations.core.guards.reading import Reading, feature, read, words

_LONGEST_ORDER = 20  # words before the colon; more of them are a text themselves


def differ_in_material(a: Reading, b: Reading) -> bool:
    """Whether one text orders work on something that the other does not give."""
    return material(a) != material(b)


@feature
def material(reading: Reading) -> tuple[str, ...]:
    """The words behind the colon of an order, none if it is no order."""
    order, colon, text = reading.plain.partition(":")
    given = words(read(order)) if colon and text.strip() else ()
    if not 0 < len(given) <= _LONGEST_ORDER or lexicon.stems("tasks").isdisjoint(map(lexicon.stem, given)):
        return ()
    return words(read(text))
