"""`MemoryStore`: the smallest `Store` that keeps every promise of the protocol. A dictionary and a dot product.

The law: it is what the other stores are compared with, so it has no optimisation and no third party.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import replace

from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import CacheEntry, Candidate, Namespace, Selector, Vector
from semcache_integrations.protocols import Store


class MemoryStore(Store):
    """A `Store` in a dictionary; thread-safe, forgotten with the process.

    Args:
        dimension: Floats per vector; None accepts what the first vector has.
    """

    in_process = True

    def __init__(self, dimension: int | None = None) -> None:
        self._dimension = dimension
        self._points: dict[str, tuple[CacheEntry, list[float] | None]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def get(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """See `Store.get`."""
        entry, _ = self._open().get(entry_id, (None, None))
        return entry if entry is not None and entry.namespace.id == namespace.id else None

    def find(self, entry_id: str) -> CacheEntry | None:
        """See `Store.find`."""
        return self._open().get(entry_id, (None, None))[0]

    def search(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """See `Store.search`."""
        query = self._unit(vector)
        with self._lock:
            points = list(self._open().values())
        found = [
            Candidate(entry, sum(map(float.__mul__, known, query)))
            for entry, known in points
            if known is not None and entry.namespace.id == namespace.id
        ]
        return sorted(found, key=lambda candidate: -candidate.similarity)[:limit]

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """See `Store.put`."""
        unit = None if vector is None else self._unit(vector)
        with self._lock:
            self._open()[entry.id] = (entry, unit)

    def touch(self, entry: CacheEntry) -> None:
        """See `Store.touch`."""
        with self._lock:
            known, vector = self._open().get(entry.id, (None, None))
            same = (entry.namespace.id, entry.created_at)
            if known is not None and (known.namespace.id, known.created_at) == same:
                renewed = replace(
                    known, expires_at=entry.expires_at, standing=entry.standing, signature=entry.signature
                )
                self._points[entry.id] = (renewed, vector)

    def delete(self, selector: Selector) -> int:
        """See `Store.delete`."""
        with self._lock:
            points = self._open()
            chosen = [entry_id for entry_id, (entry, _) in points.items() if selector.selects(entry)]
            for entry_id in chosen:
                del points[entry_id]
        return len(chosen)

    def count(self) -> int:
        """See `Store.count`."""
        return len(self._open())

    def close(self) -> None:
        """See `Store.close`."""
        self._closed = True
        self._points.clear()

    def _open(self) -> dict[str, tuple[CacheEntry, list[float] | None]]:
        if self._closed:
            raise StoreError("this store is closed: make a new cache")
        return self._points

    def _unit(self, vector: Vector) -> list[float]:
        self._dimension = self._dimension or len(vector)
        norm = math.hypot(*vector)
        if len(vector) != self._dimension or not 0.0 < norm < math.inf:
            raise StoreError(f"not a vector of {self._dimension} dimensions with a direction: length {norm}")
        return [float(value) / norm for value in vector]
