"""A Qdrant server over gRPC for tests: local mode behind the client's own service classes. No faults but absence."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from qdrant_client import grpc as g
from qdrant_client import models as m
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.local.qdrant_local import QdrantLocal
from typing_extensions import Self

_DONE = g.UpdateResult(operation_id=0, status=g.UpdateStatus.Completed)


class FakeQdrantGrpc:
    """One server on a free port of the loopback interface; use it in a `with` statement."""

    def __init__(self) -> None:
        self.database = QdrantLocal(":memory:")
        self.calls: list[tuple[str, Any]] = []
        self._lock = threading.RLock()
        self._server = grpc.server(ThreadPoolExecutor(8))
        g.add_PointsServicer_to_server(_served(g.PointsServicer, self, _POINTS), self._server)
        g.add_CollectionsServicer_to_server(_served(g.CollectionsServicer, self, _COLLECTIONS), self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def answer(self, name: str, request: Any, context: grpc.ServicerContext, work: Callable[..., Any]) -> Any:
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # local mode warns that it has no indexes
            self.calls.append((name, request))
            collection = getattr(request, "collection_name", "")
            exists = not collection or self.database.collection_exists(collection)
            if name != "Create" and not exists:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Collection `{collection}` doesn't exist!")
            if name == "Create" and exists:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"Collection `{collection}` already exists!")
            return work(self.database, request)


def _served(base: type, fake: FakeQdrantGrpc, works: dict[str, Callable[..., Any]]) -> Any:
    def method(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        return lambda _self, request, context: fake.answer(name, request, context, work)

    return type("Served", (base,), {name: method(name, work) for name, work in works.items()})()


def _filter(request: Any) -> m.Filter | None:
    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None


def _upsert(database: QdrantLocal, request: Any) -> Any:
    points = [GrpcToRest.convert_point_struct(point) for point in request.points]
    for point in points:
        point.vector = point.vector or {}
    database.upsert(request.collection_name, points)
    return g.PointsOperationResponse(result=_DONE)


def _get(database: QdrantLocal, request: Any) -> Any:
    ids = [GrpcToRest.convert_point_id(one) for one in request.ids]
    records = database.retrieve(request.collection_name, ids, with_payload=True)
    return g.GetResponse(result=[RestToGrpc.convert_record(record) for record in records])


def _query(database: QdrantLocal, request: Any) -> Any:
    found = database.query_points(
        request.collection_name,
        query=GrpcToRest.convert_query(request.query),
        using=request.using,
        query_filter=_filter(request),
        limit=request.limit,
        with_payload=True,
    )
    return g.QueryResponse(result=[RestToGrpc.convert_scored_point(point) for point in found.points])


def _set_payload(database: QdrantLocal, request: Any) -> Any:
    payload = GrpcToRest.convert_payload(request.payload)
    chosen = GrpcToRest.convert_points_selector(request.points_selector)
    database.set_payload(request.collection_name, payload=payload, points=chosen)
    return g.PointsOperationResponse(result=_DONE)


def _scroll(database: QdrantLocal, request: Any) -> Any:
    offset = GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None
    records, following = database.scroll(
        request.collection_name, scroll_filter=_filter(request), limit=request.limit, offset=offset
    )
    page = g.ScrollResponse(result=[RestToGrpc.convert_record(record) for record in records])
    if following is not None:
        page.next_page_offset.CopyFrom(g.PointId(uuid=str(following)))
    return page


def _delete(database: QdrantLocal, request: Any) -> Any:
    database.delete(request.collection_name, GrpcToRest.convert_points_selector(request.points))
    return g.PointsOperationResponse(result=_DONE)


def _count(database: QdrantLocal, request: Any) -> Any:
    number = database.count(request.collection_name, count_filter=_filter(request)).count
    return g.CountResponse(result=g.CountResult(count=number))


def _index(_: QdrantLocal, __: Any) -> Any:
    return g.PointsOperationResponse(result=_DONE)


def _create(database: QdrantLocal, request: Any) -> Any:
    database.create_collection(
        request.collection_name,
        vectors_config=GrpcToRest.convert_vectors_config(request.vectors_config),
        metadata=GrpcToRest.convert_payload(request.metadata),
    )
    return g.CollectionOperationResponse(result=True)


def _info(database: QdrantLocal, request: Any) -> Any:
    info = database.get_collection(request.collection_name)
    return g.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))


def _list(database: QdrantLocal, _: Any) -> Any:
    names = [found.name for found in database.get_collections().collections]
    return g.ListCollectionsResponse(collections=[g.CollectionDescription(name=name) for name in names])


_POINTS = {
    "Upsert": _upsert,
    "Get": _get,
    "Query": _query,
    "SetPayload": _set_payload,
    "Scroll": _scroll,
    "Delete": _delete,
    "Count": _count,
    "CreateFieldIndex": _index,
}
_COLLECTIONS = {"Create": _create, "Get": _info, "List": _list}
