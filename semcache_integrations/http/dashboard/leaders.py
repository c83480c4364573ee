"""Which entries answered most.

The law: bounded by forgetting what has answered nothing for longest, so what answers often stays.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any  # JSON

MOST = 1_000


@dataclass(slots=True)
class Leader:
    """An entry that has answered.

    Attributes:
        entry_id: By which it can be deleted.
        question: The one, of those that it answered, that is nearest to its own.
        nearness: Of that question, as a cosine.
        model: That answered.
        tenant: Whose it is.
        hits: How often it answered.
        tokens: That it saved.
        last_at: When it answered last, in seconds since the epoch.
    """

    entry_id: str
    question: str
    nearness: float
    model: str
    tenant: str
    hits: int = 0
    tokens: int = 0
    last_at: float = 0.0

    def shown(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    def has(self, text: str) -> bool:
        """Whether a text, in lower case, stands in what people would look for."""
        return any(text in one.casefold() for one in (self.question, self.model, self.tenant, self.entry_id))


class Leaders:
    """The entries that answered lately, with their counts. Not thread-safe: its owner locks.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[str, Leader] = OrderedDict()

    def note(self, seen: Leader) -> None:
        """Take note of one answer, told as an entry that has answered this one question."""
        known = self._kept.setdefault(seen.entry_id, seen)
        self._kept.move_to_end(seen.entry_id)
        if seen.nearness > known.nearness:
            known.question, known.nearness = seen.question, seen.nearness
        if seen is not known:
            known.hits += seen.hits
            known.tokens += seen.tokens
            known.last_at = seen.last_at
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def top(self, most: int) -> list[dict[str, Any]]:
        """Return those that answered most, best first."""
        best = heapq.nlargest(most, self._kept.values(), key=lambda one: (one.hits, one.last_at))
        return [one.shown() for one in best]

    def search(self, text: str) -> Iterator[dict[str, Any]]:
        """Yield those that have a text, in lower case, those that answered last first."""
        return (one.shown() for one in reversed(self._kept.values()) if one.has(text))

    def forget(self, *, entry_id: str = "", model: str = "", tenant: str = "") -> None:
        """Drop those that were deleted."""
        for one in list(self._kept.values()):
            if (
                one.entry_id == entry_id
                or (model and one.model == model)
                or (tenant and one.tenant == tenant)
            ):
                del self._kept[one.entry_id]
