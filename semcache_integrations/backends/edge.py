"""The embedded store: Qdrant Edge, the server's own engine in this process. One shard for all namespaces.

The law: whatever the engine does, a `StoreError` comes out; whatever would hurt the process stays out: NaN
(accepted in silence), a full disk (a bus error), use after a fork (two writers on one file). The engine never
releases the GIL while it works, so its two long calls (`flush`, `optimize`) are kept rare.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import qdrant_edge as qe

from semcache_integrations.backends.edge_directory import Space, expanded, free_bytes, open_shard
from semcache_integrations.backends.edge_engine import ENGINE, filter_of
from semcache_integrations.backends.points import (
    NAMESPACE_FIELD,
    VECTOR_NAME,
    Match,
    Payload,
    candidates_in,
    conditions_of,
    entry_in,
    entry_of,
    is_point_id,
    payload_of,
    renewal_of,
    unit_list,
)
from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import CacheEntry, Candidate, Namespace, Selector, Vector
from semcache_integrations.protocols import Store

_log = logging.getLogger(__name__)

MIN_FREE_BYTES: Final = 256 * 2**20
"""Below this nothing is stored: the engine writes through mmap, and a full disk kills the process."""

_LEAST_TO_DELETE: Final = 64 * 2**20  # two segments of the write-ahead log: freeing space needs some, too
_SPACE_CHECK_EVERY_S: Final = 1.0
_CLOSE_TRIES: Final = 500
_CLOSE_PAUSE_S: Final = 0.002
_FLUSH_AFTER_WRITES: Final = 1_000  # the write-ahead log shrinks at a flush only


class _Handle:
    """The open shard, shared by the store, its housekeeper and its finalizer; `shard` is None once closed."""

    __slots__ = ("pid", "shard", "temporary", "wake")

    def __init__(self, shard: qe.EdgeShard, temporary: Path | None) -> None:
        self.shard: qe.EdgeShard | None = shard
        self.temporary = temporary
        self.pid = os.getpid()
        self.wake = threading.Event()


class EdgeStore(Store):
    """A `Store` in this process, on disk; calls take microseconds. Safe with threads, for one process.

    Args:
        path: Directory that survives restarts, `~` allowed; None for a temporary one.
        embedder: `Embedder.name`; together with `dimension` it chooses the shard under `path`.
        dimension: Floats per vector.
        flush_every_s: Seconds between flushes. Killing the process loses nothing; losing power loses these.
        expire_every_s: Seconds between deletions of expired entries.
        probe_free_bytes: Tells how much disk is left.
        clock: Seconds since the epoch.

    Raises:
        ConfigurationError: The path cannot be used, or is in use.
    """

    in_process = True

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        *,
        embedder: str,
        dimension: int,
        flush_every_s: float = 3.0,
        expire_every_s: float = 60.0,
        probe_free_bytes: Callable[[Path], int] = free_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        temporary = Path(tempfile.mkdtemp(prefix="semcache-")) if path is None else None
        self.root = temporary or expanded(path or "")
        try:
            shard = open_shard(self.root, Space(embedder, dimension))
        except BaseException:
            if temporary:
                shutil.rmtree(temporary, ignore_errors=True)
            raise
        self._dimension = dimension
        self._probe, self._clock = probe_free_bytes, clock
        self._free, self._free_checked_at = math.inf, -math.inf
        self._expire_every_s, self._expire_at = expire_every_s, time.monotonic() + expire_every_s
        self._unflushed = 0
        self._lock = threading.RLock()  # writes and close; reads need none
        self._handle = _Handle(shard, temporary)
        self._finalizer = weakref.finalize(self, _release, self._handle)
        threading.Thread(
            target=_keep_house,
            args=(weakref.ref(self), self._handle, flush_every_s),
            name="semcache-edge",
            daemon=True,
        ).start()

    def get(self, namespace: Namespace, entry_id: str) -> CacheEntry | None:
        """See `Store.get`."""
        return entry_in(namespace, entry_id, self._payload(entry_id))

    def find(self, entry_id: str) -> CacheEntry | None:
        """See `Store.find`."""
        return entry_of(entry_id, self._payload(entry_id))

    def _payload(self, entry_id: str) -> Payload | None:
        shard = self._live()
        if not is_point_id(entry_id):
            return None
        with ENGINE:
            records = shard.retrieve([entry_id], True, False)  # noqa: FBT003 - the stub lies: all three are positional
        return records[0].payload if records else None

    def search(self, namespace: Namespace, vector: Vector, limit: int) -> Sequence[Candidate]:
        """See `Store.search`."""
        shard = self._live()
        nearest = qe.Query.Nearest(unit_list(vector, self._dimension), using=VECTOR_NAME)
        with ENGINE:
            within = filter_of([Match(NAMESPACE_FIELD, namespace.id)])
            points = shard.query(
                qe.QueryRequest(limit=limit, query=nearest, filter=within, with_payload=True)
            )
        return candidates_in(namespace, points)

    def put(self, entry: CacheEntry, vector: Vector | None) -> None:
        """See `Store.put`."""
        vectors: dict[str, qe.NamedVector] = (
            {} if vector is None else {VECTOR_NAME: unit_list(vector, self._dimension)}
        )
        payload = payload_of(entry)
        with ENGINE:
            point = qe.Point(entry.id, vectors, payload)
            self._write(qe.UpdateOperation.upsert_points([point]), MIN_FREE_BYTES)

    def touch(self, entry: CacheEntry) -> None:
        """See `Store.touch`."""
        renewal = renewal_of(entry)
        with self._lock:
            known = self.get(entry.namespace, entry.id)
            if known is None or known.created_at != entry.created_at:
                return
            with ENGINE:
                self._write(qe.UpdateOperation.set_payload([entry.id], renewal), MIN_FREE_BYTES)

    def delete(self, selector: Selector) -> int:
        """See `Store.delete`."""
        self._live()
        conditions = conditions_of(selector)
        if conditions is None:
            return 0
        with self._lock, ENGINE:
            chosen = filter_of(conditions)
            number = self._live().count(qe.CountRequest(filter=chosen, exact=True))
            if number:  # a deletion that matches nothing would only grow the log
                self._write(qe.UpdateOperation.delete_points_by_filter(chosen), _LEAST_TO_DELETE)
        return number

    def count(self) -> int:
        """See `Store.count`."""
        shard = self._live()
        with ENGINE:
            return shard.count(qe.CountRequest(exact=True))

    def flush(self) -> None:
        """See `Store.flush`. Holds the GIL for some milliseconds."""
        with self._lock, ENGINE:
            self._live().flush()
            self._unflushed = 0

    def compact(self) -> None:
        """Give the space of deleted entries back. Holds the GIL for about 20 us per entry."""
        with self._lock, ENGINE:
            shard = self._live()
            self._require_space(MIN_FREE_BYTES)
            shard.optimize()

    def close(self) -> None:
        """See `Store.close`. Also compacts a store that stays on disk; in a forked child it does nothing."""
        handle = self._handle
        if os.getpid() != handle.pid:
            return
        with self._lock:
            if handle.shard is None:
                return
            try:
                if handle.temporary is None and self._has_space(MIN_FREE_BYTES):
                    self.compact()
            finally:
                self._finalizer()

    def _live(self) -> qe.EdgeShard:
        handle = self._handle
        if os.getpid() != handle.pid:
            raise StoreError(
                "this embedded store was opened before a fork and belongs to the parent process: open one after the "
                "fork with a path= of its own, or run a Qdrant server and pass url="
            )
        if handle.shard is None:
            raise StoreError("this store is closed: make a new cache")
        return handle.shard

    def _write(self, operation: qe.UpdateOperation, least_free: int) -> None:
        with self._lock:
            shard = self._live()
            self._require_space(least_free)
            shard.update(operation)
            self._unflushed += 1
            if self._unflushed >= _FLUSH_AFTER_WRITES:
                self._handle.wake.set()

    def _require_space(self, least: int) -> None:
        if not self._has_space(least):
            raise StoreError(
                f"only {int(self._free) >> 20} MiB of disk are left under {self.root}: nothing is written"
            )

    def _has_space(self, least: int) -> bool:
        now = time.monotonic()
        if now - self._free_checked_at >= _SPACE_CHECK_EVERY_S:
            self._free, self._free_checked_at = self._probe(self.root), now
        return self._free >= least

    def _tidy(self) -> None:
        """Flush what was written and delete what has expired; called by the housekeeper."""
        if time.monotonic() >= self._expire_at:
            self._expire_at = time.monotonic() + self._expire_every_s
            self.delete(Selector(expired_at=self._clock()))
        if self._unflushed and self._has_space(_LEAST_TO_DELETE):
            self.flush()


def _keep_house(store: weakref.ref[EdgeStore], handle: _Handle, every_s: float) -> None:
    """Tidy until the store is closed or forgotten; holds it only while tidying."""
    while True:
        handle.wake.wait(every_s)
        handle.wake.clear()
        here = store()
        if here is None or handle.shard is None:
            return
        try:
            here._tidy()  # noqa: SLF001 - the housekeeper is a part of the store
        except StoreError as error:
            if handle.shard is not None:  # else the store was closed meanwhile
                _log.warning("semcache: the embedded store could not be tidied: %s", error)
        del here


def _release(handle: _Handle) -> None:
    """Close the shard; runs once: at close(), when the store is forgotten, or when the interpreter ends."""
    shard, handle.shard = handle.shard, None
    handle.wake.set()
    if shard is None or handle.pid != os.getpid():  # a forked child must not touch its parent's files
        return
    try:
        with ENGINE:
            shard.flush()
            _close(shard)
    finally:
        if handle.temporary is not None:
            shutil.rmtree(handle.temporary, ignore_errors=True)


def _close(shard: qe.EdgeShard) -> None:
    """Close the shard once no thread is inside a call of it any more: closing under a call fails."""
    for _ in range(_CLOSE_TRIES):
        try:
            return shard.close()
        except RuntimeError as error:
            if "borrowed" not in str(error):
                raise
            # Another thread is inside a call of the shard, for microseconds; the engine has no event that ends with it.
            time.sleep(_CLOSE_PAUSE_S)
    return shard.close()
