"""What is asked of a Qdrant server for each operation of a store, as generators that yield calls.

The law: no I/O, no retry, no `await`: the sync and the async half of `QdrantStore` run these very steps, so
they cannot drift apart. A missing collection is empty for a look-up and is created for a write.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from qdrant_client import models as m

from semcache_integrations.backends.points import (
    NAMESPACE_FIELD,
    VECTOR_NAME,
    Bound,
    Condition,
    HasId,
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
from semcache_integrations.backends.qdrant_errors import QdrantError
from semcache_integrations.backends.qdrant_layout import PAGE, Layout, filter_of, indexes
from semcache_integrations.core.errors import StoreError
from semcache_integrations.core.models import CacheEntry, Candidate, Namespace, Selector, Vector

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a client's method."""

    method: str
    arguments: Mapping[str, object]


Steps: TypeAlias = Generator[Call, Any, T]  # Any: the answer to a call is what the client's method returns


class Operations:
    """The operations of a store on one layout.

    Args:
        layout: Where things are.
        wait: Whether a write is answered only when it can be read back.
    """

    def __init__(self, layout: Layout, *, wait: bool) -> None:
        self.layout = layout
        self._wait = wait
        self._ready: set[str] = set()  # collections that were seen to exist, with their indexes

    def get(self, namespace: Namespace, entry_id: str) -> Steps[CacheEntry | None]:
        """Fetch one point; its namespace is checked, for an id alone is not isolation."""
        if not is_point_id(entry_id):
            return None
        payload = yield from _payload(self.layout.name_for(namespace.model), entry_id)
        return entry_in(namespace, entry_id, payload)

    def find(self, entry_id: str) -> Steps[CacheEntry | None]:
        """Fetch one point from whichever collection has it."""
        if not is_point_id(entry_id):
            return None
        for name in (yield from self._names()):
            payload = yield from _payload(name, entry_id)
            if payload is not None:
                return entry_of(entry_id, payload)
        return None

    def search(self, namespace: Namespace, vector: Vector, limit: int) -> Steps[Sequence[Candidate]]:
        """Find the nearest points of the namespace."""
        query = unit_list(vector, self.layout.dimension)
        call = _call(
            "query_points",
            self.layout.name_for(namespace.model),
            query=query,
            using=VECTOR_NAME,
            query_filter=filter_of([Match(NAMESPACE_FIELD, namespace.id)]),
            limit=limit,
            with_payload=True,
            with_vectors=False,
        )
        response = yield from _unless_missing(call, None)
        return [] if response is None else candidates_in(namespace, response.points)

    def put(self, entry: CacheEntry, vector: Vector | None) -> Steps[None]:
        """Write one point, creating the collection first if it is not there."""
        if not is_point_id(entry.id):
            raise StoreError("the id of an entry must be a UUID")
        vectors: dict[str, Any] = {}  # Any: the client's own type for vectors is a wide union
        if vector is not None:
            vectors[VECTOR_NAME] = unit_list(vector, self.layout.dimension)
        point = m.PointStruct(id=entry.id, vector=vectors, payload=payload_of(entry))
        name = self.layout.name_for(entry.namespace.model)
        call = _call("upsert", name, points=[point], wait=self._wait)
        yield from self._ensure(name)
        try:
            yield call
        except QdrantError as error:
            if error.kind != "missing":
                raise
            self._ready.discard(name)  # somebody deleted it since
            yield from self._ensure(name)
            yield call

    def touch(self, entry: CacheEntry) -> Steps[None]:
        """Renew one point if it is still there, in its namespace, with this answer."""
        if not is_point_id(entry.id):
            return
        same_answer = Bound("created_at", "lte", entry.created_at)  # another one has another signature
        where = filter_of([HasId((entry.id,)), Match(NAMESPACE_FIELD, entry.namespace.id), same_answer])
        name = self.layout.name_for(entry.namespace.model)
        renewal = renewal_of(entry)
        yield from _unless_missing(
            _call("set_payload", name, payload=renewal, points=where, wait=self._wait), None
        )

    def delete(self, selector: Selector) -> Steps[int]:
        """Delete what is selected from every collection of the space; return how many points that were."""
        conditions = conditions_of(selector)
        if conditions is None:
            return 0
        number = 0
        for name in (yield from self._names()):
            number += yield from _delete_from(name, conditions)
        return number

    def count(self) -> Steps[int]:
        """Count the points of every collection; the server may be a little off while it optimises.

        Strict mode forbids the exact count together with exact search.
        """
        number = 0
        for name in (yield from self._names()):
            answer = yield from _unless_missing(_call("count", name, exact=False), None)
            number += answer.count if answer is not None else 0
        return number

    def check(self) -> Steps[None]:
        """Look at every collection of the space and refuse what holds something else."""
        for name in (yield from self._names()):
            info = yield from _unless_missing(_call("get_collection", name), None)
            if info is not None:
                self.layout.check(name, info)

    def _names(self) -> Steps[list[str]]:
        answer = yield Call("get_collections", {})
        return [found.name for found in answer.collections if self.layout.owns(found.name)]

    def _ensure(self, name: str) -> Steps[None]:
        """Create the collection and its indexes unless they are there, whoever else is doing the same."""
        if name in self._ready:
            return
        info = yield from _unless_missing(_call("get_collection", name), None)
        if info is None:
            yield from _unless("conflict", _call("create_collection", name, **self.layout.settings()), None)
            info = yield _call("get_collection", name)
        self.layout.check(name, info)
        for field, schema in indexes().items():
            if field not in info.payload_schema:
                yield _call("create_payload_index", name, field_name=field, field_schema=schema, wait=True)
        self._ready.add(name)


def _payload(name: str, entry_id: str) -> Steps[Payload | None]:
    call = _call("retrieve", name, ids=[entry_id], with_payload=True, with_vectors=False)
    records = yield from _unless_missing(call, ())
    return records[0].payload if records else None


def _delete_from(name: str, conditions: list[Condition]) -> Steps[int]:
    """Delete page by page: the ids are counted on the way, and a deletion that matches nothing is never sent."""
    number, offset = 0, None
    while True:
        call = _call(
            "scroll",
            name,
            scroll_filter=filter_of(conditions) if conditions else None,
            limit=PAGE,
            offset=offset,
            with_payload=False,
            with_vectors=False,
        )
        records, offset = yield from _unless_missing(call, ([], None))
        if records:
            ids = m.PointIdsList(points=[record.id for record in records])
            yield from _unless_missing(_call("delete", name, points_selector=ids, wait=True), None)
            number += len(records)
        if offset is None:
            return number


def _call(method: str, collection: str, **arguments: object) -> Call:
    return Call(method, {"collection_name": collection, **arguments})


def _unless_missing(call: Call, otherwise: T) -> Steps[Any | T]:
    return _unless("missing", call, otherwise)


def _unless(kind: str, call: Call, otherwise: T) -> Steps[Any | T]:
    try:
        return (yield call)
    except QdrantError as error:
        if error.kind != kind:
            raise
        return otherwise
