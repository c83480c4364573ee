"""A Qdrant server for tests: qdrant-client's local mode behind the REST API, and faults on demand.

It exercises the real remote client: its serialisation, exceptions, timeouts and retries. It records every
request, so that bodies which only a real server would act on (strict mode, indexes) can be read in a test.
Strict mode is enforced where our design relies on it. REST only.
"""

from __future__ import annotations

import json
import socket
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel
from qdrant_client import models as m
from qdrant_client.local.qdrant_local import QdrantLocal
from typing_extensions import Self


class RefusalError(Exception):
    """The server says no, with a status."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    headers: dict[str, str]


@dataclass
class Fault:
    """What `FakeQdrant.fail` planned.

    `kind` is a status ("429", "503", ...), or "hang", "reset", "garbage", "html" or "shape".
    """

    kind: str
    matching: str = ""
    times: float = 1
    retry_after: str | None = None


@dataclass
class FakeQdrant:
    """One server on a free port of the loopback interface; use it in a `with` statement."""

    api_key: str | None = None
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = QdrantLocal(":memory:")
        self.created: dict[str, Any] = {}  # bodies of the creations, by collection
        self.indexes: dict[str, dict[str, Any]] = {}
        self._lock = threading.RLock()
        self._faults: list[Fault] = []
        self._released = threading.Event()
        self._http: _Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = _Server(("127.0.0.1", port), handler)
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._released.set()
        if self._http is not None:
            self._http.shutdown()
            self._http.hang_up()
            self._http.server_close()
            self._http = None

    @property
    def port(self) -> int:
        assert self._http is not None
        return self._http.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fail(self, kind: str, matching: str = "", times: float = 1, retry_after: str | None = None) -> None:
        """Answer the next `times` requests whose path contains `matching` with a fault."""
        self._faults.append(Fault(kind, matching, times, retry_after))

    def heal(self) -> None:
        self._faults.clear()
        self._released.set()
        self._released = threading.Event()

    def asked(self, matching: str, method: str = "") -> list[Request]:
        """Return the requests so far whose path contains `matching`."""
        return [one for one in self.requests if matching in one.path and method in ("", one.method)]

    def next_fault(self, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.matching in path and fault.times > 0:
                    fault.times -= 1
                    return fault
        return None

    def wait_for_release(self, seconds: float) -> None:
        self._released.wait(seconds)

    def answer(self, request: Request) -> Any:
        parts = [unquote(part) for part in request.path.strip("/").split("/") if part]
        with self._lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # local mode warns that it has no indexes
            return self._route(request, parts)

    def _route(self, request: Request, parts: list[str]) -> Any:
        if parts == ["collections"]:
            return self.database.get_collections()
        if parts[:1] != ["collections"]:
            raise RefusalError(404, f"no route {request.path}")
        name, rest = parts[1], tuple(parts[2:])
        if (request.method, rest) == ("PUT", ()):
            return self._create(name, request.body)
        if not self.database.collection_exists(name):
            raise RefusalError(404, f"Not found: Collection `{name}` doesn't exist!")
        route = _ROUTES.get((request.method, rest))
        if route is None:
            raise RefusalError(404, f"no route {request.method} {request.path}")
        return route(self, name, request.body)

    def _create(self, name: str, body: Any) -> bool:
        if self.database.collection_exists(name):
            raise RefusalError(409, f"Wrong input: Collection `{name}` already exists!")
        wanted = m.CreateCollection(**body)
        self.created[name], self.indexes[name] = body, {}
        return self.database.create_collection(name, vectors_config=wanted.vectors, metadata=wanted.metadata)

    def _info(self, name: str, _: Any) -> Any:
        info = _plain(self.database.get_collection(name))
        info["payload_schema"] = {
            name: {"data_type": schema["type"], "params": schema, "points": 0}
            for name, schema in self.indexes[name].items()
        }
        return info

    def _drop(self, name: str, _: Any) -> bool:
        return self.database.delete_collection(name)

    def _index(self, name: str, body: Any) -> Any:
        if self.database.count(name).count and body["field_name"] not in self.indexes[name]:
            raise RefusalError(400, "this double wants the indexes before the first point")
        self.indexes[name][body["field_name"]] = body["field_schema"]
        return _DONE

    def _upsert(self, name: str, body: Any) -> Any:
        self.database.upsert(name, m.PointsList(**body).points)
        return _DONE

    def _retrieve(self, name: str, body: Any) -> Any:
        wanted = m.PointRequest(**body)
        return self.database.retrieve(name, wanted.ids, with_payload=True)

    def _query(self, name: str, body: Any) -> Any:
        wanted = m.QueryRequest(**body)
        self._check_tenant(name, wanted.filter)
        return self.database.query_points(
            name,
            query=wanted.query,
            using=wanted.using,
            query_filter=wanted.filter,
            limit=wanted.limit or 10,
            with_payload=True,
        )

    def _check_tenant(self, name: str, wanted: m.Filter | None) -> None:
        """Refuse what a server with `m=0`, strict mode and no exact search refuses."""
        keys = [getattr(one, "key", "") for one in (wanted.must if wanted else None) or []]
        if not any(self.indexes[name].get(key, {}).get("is_tenant") for key in keys):
            raise RefusalError(400, "Request is forbidden because global vector indexing is disabled")

    def _check_indexed(self, name: str, wanted: m.Filter | None) -> None:
        for one in (wanted.must if wanted else None) or []:
            key = getattr(one, "key", None)
            if key is not None and key not in self.indexes[name]:
                raise RefusalError(400, f'Index required but not found for "{key}"')

    def _count(self, name: str, body: Any) -> Any:
        wanted = m.CountRequest(**body)
        if wanted.exact:
            raise RefusalError(400, "Exact search disabled!")
        self._check_indexed(name, wanted.filter)
        return self.database.count(name, count_filter=wanted.filter)

    def _scroll(self, name: str, body: Any) -> Any:
        wanted = m.ScrollRequest(**body)
        self._check_indexed(name, wanted.filter)
        limit = self.created[name]["strict_mode_config"]["max_query_limit"]
        if (wanted.limit or 10) > limit:
            raise RefusalError(400, f"Limit exceeded {wanted.limit} > {limit}")
        points, offset = self.database.scroll(
            name, scroll_filter=wanted.filter, limit=wanted.limit, offset=wanted.offset, with_payload=False
        )
        return {"points": _plain(points), "next_page_offset": offset}

    def _delete(self, name: str, body: Any) -> Any:
        self.database.delete(name, m.PointIdsList(**body))
        return _DONE

    def _set_payload(self, name: str, body: Any) -> Any:
        wanted = m.SetPayload(**body)
        self._check_indexed(name, wanted.filter)
        self.database.set_payload(name, payload=wanted.payload, points=wanted.filter)
        return _DONE


_DONE = {"operation_id": 0, "status": "completed"}
_ROUTES: dict[tuple[str, tuple[str, ...]], Callable[[FakeQdrant, str, Any], Any]] = {
    ("GET", ()): FakeQdrant._info,
    ("DELETE", ()): FakeQdrant._drop,
    ("PUT", ("index",)): FakeQdrant._index,
    ("PUT", ("points",)): FakeQdrant._upsert,
    ("POST", ("points",)): FakeQdrant._retrieve,
    ("POST", ("points", "query")): FakeQdrant._query,
    ("POST", ("points", "count")): FakeQdrant._count,
    ("POST", ("points", "scroll")): FakeQdrant._scroll,
    ("POST", ("points", "delete")): FakeQdrant._delete,
    ("POST", ("points", "payload")): FakeQdrant._set_payload,
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._connections: set[socket.socket] = set()

    def get_request(self) -> Any:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """Close what clients keep alive, as a server that dies does."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet when a client that lost its patience hangs up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    fake: FakeQdrant

    def log_message(self, *_: Any) -> None:
        """Write no access log."""

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.loads(raw) if raw else None
        request = Request(self.command, url.path, parse_qs(url.query), body, dict(self.headers))
        self.fake.requests.append(request)
        if self.fake.api_key and self.headers.get("api-key") != self.fake.api_key:
            self._send(401, b"Must provide an API key or an Authorization bearer token")
            return
        fault = self.fake.next_fault(url.path)
        if fault is not None:
            self._misbehave(fault)
            return
        try:
            answer = _plain(self.fake.answer(request))
        except RefusalError as refusal:
            self._send_json(refusal.status, {"status": {"error": str(refusal)}, "time": 0.0})
        except Exception as error:  # noqa: BLE001 - local mode raises anything; a server says 400
            self._send_json(400, {"status": {"error": f"Wrong input: {error}"}, "time": 0.0})
        else:
            self._send_json(200, {"result": answer, "status": "ok", "time": 0.0})

    do_GET = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815 - http.server calls them by these names

    def _misbehave(self, fault: Fault) -> None:
        if fault.kind == "hang":
            self.fake.wait_for_release(30.0)
            self.close_connection = True
        elif fault.kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
            self.close_connection = True
        elif fault.kind == "garbage":
            self._send(200, b'{"result": 5')
        elif fault.kind == "html":
            self._send(200, b"<html>a proxy's page</html>")
        elif fault.kind == "shape":
            self._send_json(200, {"result": {"nope": 1}, "status": "ok", "time": 0.0})
        else:
            error = {"status": {"error": f"fault {fault.kind}"}, "time": 0.0}
            self._send_json(int(fault.kind), error, retry_after=fault.retry_after)

    def _send_json(self, status: int, body: Any, retry_after: str | None = None) -> None:
        self._send(status, json.dumps(body).encode(), retry_after)

    def _send(self, status: int, body: bytes, retry_after: str | None = None) -> None:
        with suppress(OSError):  # the client may have gone
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()
            self.wfile.write(body)


def _plain(answer: Any) -> Any:
    if isinstance(answer, BaseModel):
        return answer.model_dump(mode="json")
    if isinstance(answer, list):
        return [_plain(one) for one in answer]
    return answer
