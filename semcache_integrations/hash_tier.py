"""The in-process exact tier: a locked LRU bounded by entries and by bytes, with deadlines. Plain calls, O(1).

It is the hot path (an `OrderedDict`; cachetools bounds one of the two only and costs several times as
much). It keeps hits, not entries: a promoted semantic hit keeps its similarity. Such an alias never
outlives its entry: what overwrites or removes the one removes the other.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from sys import getsizeof
from typing import NamedTuple, TypeAlias

from semcache_integrations.core.models import CacheEntry, Hit, Selector

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
        self._aliases: dict[HashKey, set[HashKey]] = {}
        self._bytes = 0
        self._lock = threading.Lock()
        self.evicted = 0
        self.generation = 0
        """Grows with every removal; a hit read before one must not be kept after it."""

    def get(self, key: HashKey, now: float) -> Slot | None:
        """Return the slot, now the most recently used; an expired one is dropped.

        Takes no lock unless it drops: each call of an `OrderedDict` is atomic by itself, and an interrupt
        between taking a lock and the `try` would leave it held for ever.
        """
        slot = self._slots.get(key)
        if slot is None:
            return None
        if now >= slot.deadline:
            self._expire(key, slot)
            return None
        try:
            self._slots.move_to_end(key)
        except KeyError:  # another thread removed it since
            return None
        return slot

    def put(self, key: HashKey, hit: Hit, deadline: float, renew_at: float) -> None:
        """Keep a hit until `deadline`, evicting the least recently used ones for it."""
        with self._lock:
            for alias in tuple(self._aliases.get(key, ())):  # they hold the answer that is replaced
                self._drop(alias)
            self._put(key, hit, deadline, renew_at)

    def put_again(self, key: HashKey, hit: Hit, deadline: float, renew_at: float, generation: int) -> bool:
        """Keep a hit that was read at `generation`, unless it was removed or overwritten since."""
        with self._lock:
            if generation != self.generation or self._is_outdated(key, hit.entry):
                return False
            self._put(key, hit, deadline, renew_at)
            return True

    def _is_outdated(self, key: HashKey, entry: CacheEntry) -> bool:
        """Whether another answer is kept that is as new; a clock may stand still for a while."""
        for slot in (self._slots.get(key), self._slots.get((key[0], entry.text))):
            if slot is None:
                continue
            known = slot.hit.entry
            if known.created_at >= entry.created_at and known.payload != entry.payload:
                return True
        return False

    def _put(self, key: HashKey, hit: Hit, deadline: float, renew_at: float) -> None:
        entry, own = hit.entry, (key[0], hit.entry.text)
        size = _SLOT_BYTES + len(key[0]) + 2 * _width(key[1]) + _width(entry.payload)
        self._drop(key)
        for alias in tuple(self._aliases.get(own, ())):
            if self._slots[alias].hit.entry.created_at != entry.created_at:
                self._drop(alias)
        if size > self._max_bytes:
            return
        if own != key:
            self._aliases.setdefault(own, set()).add(key)
        self._slots[key] = Slot(hit, deadline, renew_at, size)
        self._bytes += size
        while self._bytes > self._max_bytes or len(self._slots) > self._max_entries:
            self._drop(next(iter(self._slots)))
            self.evicted += 1

    def remove(self, selector: Selector) -> int:
        """Drop every slot whose entry is selected, promoted ones included; return how many entries that were."""
        return self._remove_where(lambda slot: selector.selects(slot.hit.entry))

    def forget_rewordings(self) -> None:
        """Drop every hit that was kept for another question than its own."""
        with self._lock:
            self.generation += 1
            for key in [alias for aliases in self._aliases.values() for alias in aliases]:
                self._drop(key)

    def entry(self, entry_id: str) -> CacheEntry | None:
        """Return the entry with this id, if a hit on it is kept; it looks at every slot."""
        with self._lock:
            kept = (slot.hit.entry for slot in self._slots.values())
            return next((entry for entry in kept if entry.id == entry_id), None)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self.generation += 1
            self._slots.clear()
            self._aliases.clear()
            self._bytes = 0

    def _remove_where(self, selected: Callable[[Slot], bool]) -> int:
        with self._lock:
            self.generation += 1
            doomed = [key for key, slot in self._slots.items() if selected(slot)]
            ids = {self._slots[key].hit.entry.id for key in doomed}
            for key in doomed:
                self._drop(key)
        return len(ids)

    def _expire(self, key: HashKey, slot: Slot) -> None:
        with self._lock:
            if self._slots.get(key) is slot:
                self._drop(key)

    def _drop(self, key: HashKey) -> None:
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        self._bytes -= slot.size
        own = (key[0], slot.hit.entry.text)
        aliases = self._aliases.get(own)
        if aliases is not None:
            aliases.discard(key)
            if not aliases:
                del self._aliases[own]

    @property
    def size_bytes(self) -> int:
        """Bytes that the kept hits count for."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._slots)


def _width(text: str) -> int:
    """Return the bytes that a text's characters take: one each, or two or four where it is not Latin-1."""
    return len(text) if text.isascii() else getsizeof(text)
