"""A VETO: what it refuses, and which texts it has anything to say about. Holds no rule about words.

Most questions hold no number, quote, date or code, so most vetoes have nothing to say about most pairs. What a text
concerns is noted once, as bits; two numbers then tell which vetoes a pair has to be put to. That is what keeps a
decision among ten neighbours below 300 microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from semcache_integrations.core.guards.reading import Reading

Refuses: TypeAlias = Callable[[Reading, Reading], bool]
Concerns: TypeAlias = Callable[[Reading], object]


class Veto(NamedTuple):
    """One reason to refuse.

    Attributes:
        refuses: True if the two texts must not share an answer.
        concerns: True of a text that it may refuse something for; None if it may for any text.
        both: Whether it can refuse only where it concerns both texts; one of them is enough otherwise.
    """

    refuses: Refuses
    concerns: Concerns | None = None
    both: bool = False

    def __call__(self, a: Reading, b: Reading) -> bool:
        """Return whether the two texts must not share an answer."""
        return self.refuses(a, b)
