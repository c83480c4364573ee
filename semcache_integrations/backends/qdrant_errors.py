"""What went wrong at a Qdrant server, in our words: one kind per remedy. No I/O, no retry loop.

The law: whatever the client raises (it has no common base class, and lets `json.JSONDecodeError` through)
becomes a `QdrantError`, and its message repeats no payload.

    kind         meaning                                          worth another try
    transient    unreachable, reset, timed out, 502-504           yes
    throttled    429                                              yes, after the time that it names
    internal     500                                              once
    missing      the collection is not there                      after creating it
    conflict     the collection is there already                  no, that is fine
    refused      401, 403                                         no, a wrong key stays wrong
    permanent    all the rest: a bad request, an unreadable page  no
"""

from __future__ import annotations

import asyncio
import json
from typing import Final, Literal, TypeAlias

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import httpx
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from semcache_integrations.core.errors import StoreError

Kind: TypeAlias = Literal["transient", "throttled", "internal", "missing", "conflict", "refused", "permanent"]

_BY_STATUS: Final[dict[int, Kind]] = {
    401: "refused",
    403: "refused",
    404: "missing",
    408: "transient",
    409: "conflict",
    429: "throttled",
    500: "internal",
    502: "transient",
    503: "transient",
    504: "transient",
}
_BY_CODE: Final[dict[grpc.StatusCode, Kind]] = {
    grpc.StatusCode.UNAVAILABLE: "transient",
    grpc.StatusCode.DEADLINE_EXCEEDED: "transient",
    grpc.StatusCode.ABORTED: "transient",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "throttled",
    grpc.StatusCode.INTERNAL: "internal",
    grpc.StatusCode.NOT_FOUND: "missing",
    grpc.StatusCode.ALREADY_EXISTS: "conflict",
    grpc.StatusCode.UNAUTHENTICATED: "refused",
    grpc.StatusCode.PERMISSION_DENIED: "refused",
}
_ALREADY_THERE: Final = "already exists"
_LONGEST: Final = 200


class QdrantError(StoreError):
    """A call to the server failed.

    Attributes:
        kind: What to do about it.
        retry_after_s: Seconds that the server asks to wait.
    """

    def __init__(self, message: str, *, kind: Kind, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.retry_after_s = retry_after_s


def qdrant_error(error: Exception, doing: str) -> QdrantError:
    """Return our error for one of the client's.

    Args:
        error: What the client raised.
        doing: The client's method, for the message.
    """
    kind, why = _classified(error)
    pause = float(error.retry_after_s) if isinstance(error, ResourceExhaustedResponse) else 0.0
    return QdrantError(f"Qdrant failed at {doing}: {why}", kind=kind, retry_after_s=pause)


def _classified(error: Exception) -> tuple[Kind, str]:
    if isinstance(error, ResourceExhaustedResponse):
        return "throttled", f"it asks to wait {error.retry_after_s} s"
    if isinstance(error, UnexpectedResponse):
        return _by_status(error)
    if isinstance(error, ResponseHandlingException):
        kind: Kind = "transient" if isinstance(error.source, httpx.TransportError) else "permanent"
        return kind, type(error.source).__name__  # a ValidationError's text would repeat the payload
    if isinstance(error, TimeoutError | asyncio.TimeoutError):  # two classes before Python 3.11
        return "transient", "no answer within the budget"
    if isinstance(error, grpc.RpcError):
        return _by_code(error)
    return _by_words(error)


def _by_status(error: UnexpectedResponse) -> tuple[Kind, str]:
    words = _words_of(error)
    kind = _BY_STATUS.get(error.status_code or 0, "permanent")
    if kind == "permanent" and _ALREADY_THERE in words:  # 400 before Qdrant 1.9
        kind = "conflict"
    return kind, f"{error.status_code} {words}"


def _words_of(error: UnexpectedResponse) -> str:
    try:
        return str(json.loads(error.content)["status"]["error"])[:_LONGEST]
    except (ValueError, KeyError, TypeError):
        return error.reason_phrase


def _by_code(error: grpc.RpcError) -> tuple[Kind, str]:
    if not isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        return "permanent", type(error).__name__
    words = str(error.details() or "")[:_LONGEST]
    kind = _BY_CODE.get(error.code(), "permanent")
    if kind == "permanent" and _ALREADY_THERE in words:
        kind = "conflict"
    return kind, f"{error.code().name} {words}"


def _by_words(error: Exception) -> tuple[Kind, str]:
    """Classify what qdrant-client's local mode says, which raises ValueError for everything."""
    words = str(error) if isinstance(error, ValueError) else ""
    if words.startswith("Collection ") and words.endswith("not found"):
        return "missing", words[:_LONGEST]
    if words.startswith("Collection ") and words.endswith(_ALREADY_THERE):
        return "conflict", words[:_LONGEST]
    return "permanent", type(error).__name__
