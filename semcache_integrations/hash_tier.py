"""The in-process exact tier: a locked LRU bounded by entries and by bytes, with deadlines. Plain calls, O(1).

It is the hot path (an `OrderedDict` under a lock; cachetools bounds one of the two only and costs
several times as much). It keeps hits, not entries: a promoted semantic hit keeps its similarity.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from semcache_integrations.core.models import Hit, Selector

HashKey: TypeAlias = tuple[str, str]
"""Canonical scope and canonical text of a request: compared whole, so two keys cannot collide."""

_SLOT_BYTES = 1_000  # what a slot, its hit and its entry cost beside their text (measured with tracemalloc)


class Slot(NamedTuple):
    """One kept hit.

    Attributes:
        deadline: Seconds since the epoch from which it is no longer served.
        renew_at: Seconds since the epoch from which an access should renew a sliding TTL.
        size: Bytes that it counts for.
    """

    hit: Hit
    deadline: float
    renew_at: float
    size: int


class HashTier:
    """Keeps the most recently used hits.

    Args:
        max_entries: Most slots.
        max_bytes: Most bytes of keys, texts and payloads together; a larger single hit is not kept.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._slots: OrderedDict[HashKey, Slot] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self.evicted = 0

    def get(self, key: HashKey, now: float) -> Slot | None:
        """Return the slot, now the most recently used; an expired one is dropped."""
        self._lock.acquire()  # a with statement costs twice as much, and this is the hot path
        try:
            slot = self._slots.get(key)
            if slot is None:
                return None
            if now >= slot.deadline:
                self._drop(key)
                return None
            self._slots.move_to_end(key)
            return slot
        finally:
            self._lock.release()

    def put(self, key: HashKey, hit: Hit, deadline: float, renew_at: float) -> None:
        """Keep a hit until `deadline`, evicting the least recently used ones for it."""
        entry = hit.entry
        size = _SLOT_BYTES + len(key[0]) + 2 * len(key[1]) + len(entry.payload)
        with self._lock:
            self._drop(key)
            if size > self._max_bytes:
                return
            self._slots[key] = Slot(hit, deadline, renew_at, size)
            self._bytes += size
            while self._bytes > self._max_bytes or len(self._slots) > self._max_entries:
                self._bytes -= self._slots.popitem(last=False)[1].size
                self.evicted += 1

    def remove(self, selector: Selector) -> int:
        """Drop every slot whose entry is selected, promoted ones included; return how many entries that were."""
        return self._remove_where(lambda slot: selector.selects(slot.hit.entry))

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._slots.clear()
            self._bytes = 0

    def _remove_where(self, selected: Callable[[Slot], bool]) -> int:
        with self._lock:
            doomed = [key for key, slot in self._slots.items() if selected(slot)]
            ids = {self._slots[key].hit.entry.id for key in doomed}
            for key in doomed:
                self._drop(key)
        return len(ids)

    def _drop(self, key: HashKey) -> None:
        slot = self._slots.pop(key, None)
        if slot is not None:
            self._bytes -= slot.size

    @property
    def size_bytes(self) -> int:
        """Bytes that the kept hits count for."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._slots)
