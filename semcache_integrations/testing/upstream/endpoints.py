"""The routes: record the call, wait, let the planned fault happen, else answer in the route's format."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Send

from semcache_integrations.testing.upstream import (
    anthropic_messages,
    openai_chat,
    openai_completions,
    openai_embeddings,
    openai_responses,
)
from semcache_integrations.testing.upstream.answers import decide
from semcache_integrations.testing.upstream.frames import Dialect
from semcache_integrations.testing.upstream.ledger import Call, Fault, Ledger

MODELS = ("gpt-4o-mini", "gpt-4o", "claude-fake", "text-embedding-3-small")
_RETRY_AT_ONCE = {"retry-after-ms": "1"}  # both SDKs heed it, so that tests of retries need not wait
_OK, _BAD_REQUEST, _GONE = 200, 400, 499
_LOOK_S = 0.02

_DIALECTS: dict[str, Dialect] = {
    "/chat/completions": openai_chat,
    "/completions": openai_completions,
    "/responses": openai_responses,
    "/messages": anthropic_messages,
}


class Endpoints:
    """What is behind the routes.

    Args:
        ledger: Notes the calls and knows the faults.
        answer: Gives the text for a question, None for the default text.
        latency: Gives the seconds before an answer begins.
        token_s: Seconds between two events of a stream.
    """

    def __init__(
        self,
        ledger: Ledger,
        answer: Callable[[str], str] | None,
        *,
        latency: Callable[[], float],
        token_s: float,
    ) -> None:
        self.closing = asyncio.Event()
        self._ledger = ledger
        self._answer = answer
        self._latency = latency
        self._token_s = token_s

    def app(self) -> Starlette:
        """Return the ASGI application; every route is there with and without /v1."""
        routes: list[BaseRoute] = [
            Route("/models", self._models),
            Route("/embeddings", self._embeddings, methods=["POST"]),
            *(Route(path, self._endpoint(dialect), methods=["POST"]) for path, dialect in _DIALECTS.items()),
        ]
        return Starlette(routes=[Mount("/v1", routes=routes), *routes])

    def _endpoint(self, dialect: Dialect) -> Callable[[Request], object]:
        async def endpoint(request: Request) -> Response:
            return await self._serve(request, dialect)

        return endpoint

    async def _serve(self, request: Request, dialect: Dialect) -> Response:
        serial, fault, call, failed = await self._receive(request, dialect)
        if failed is not None:
            return failed
        try:
            ask = dialect.read(call.body)
            answers = decide(ask, fault, self._answer)
        except Exception as exc:  # noqa: BLE001 - the test's own `answer` may raise anything, and must be told
            return _failure(dialect, _BAD_REQUEST, f"no answer to this request: {exc!r}")
        if ask.stream:
            return self._stream(list(dialect.frames(ask, answers, serial)), fault)
        return _whole(dialect.body(ask, answers, serial), fault)

    async def _embeddings(self, request: Request) -> Response:
        _, fault, call, failed = await self._receive(request, openai_chat)
        return failed or _whole(openai_embeddings.body(call.body), fault)

    async def _models(self, _: Request) -> Response:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in MODELS]
        return JSONResponse({"object": "list", "data": data})

    async def _receive(self, request: Request, dialect: Dialect) -> tuple[int, Fault, Call, Response | None]:
        """Record the call and wait; the response is given if the fault leaves nothing to answer."""
        raw = await request.body()
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        call = Call(request.url.path, body if isinstance(body, dict) else {}, dict(request.headers))
        serial, fault = self._ledger.record(call)
        if fault.hang:
            await self._hang(request)
            return serial, fault, call, Response(status_code=_GONE)
        await self._pause(self._latency())
        if fault.status != _OK:
            return serial, fault, call, _failure(dialect, fault.status, f"planned fault {fault.status}")
        if not isinstance(body, dict):
            return serial, fault, call, _failure(dialect, _BAD_REQUEST, "the body is no JSON object")
        return serial, fault, call, None

    async def _hang(self, request: Request) -> None:
        while not self.closing.is_set() and not await request.is_disconnected():
            await self._pause(_LOOK_S)

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not longer than the upstream lives."""
        if seconds > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.closing.wait(), seconds)

    def _stream(self, frames: Sequence[bytes], fault: Fault) -> Response:
        half = (len(frames) + 1) // 2
        if fault.garbled:
            frames = [*frames[:half], b'data: {"id": \n\n', *frames[half:]]
        if fault.cut:
            return _Cut(self._paced(frames[:half]), media_type="text/event-stream")
        return StreamingResponse(self._paced(frames), media_type="text/event-stream")

    async def _paced(self, frames: Sequence[bytes]) -> AsyncIterator[bytes]:
        for number, frame in enumerate(frames):
            if number:
                await self._pause(self._token_s)
            yield frame


class _Cut(StreamingResponse):
    """Sends what it has and never the end: the server then closes the connection under the client."""

    async def stream_response(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self.body_iterator:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


def _whole(body: dict[str, object], fault: Fault) -> Response:
    encoded = json.dumps(body, ensure_ascii=False).encode()
    half = encoded[: len(encoded) // 2]
    if fault.cut:
        return _Cut(_once(half), headers={"content-length": str(len(encoded))}, media_type="application/json")
    return Response(half if fault.garbled else encoded, media_type="application/json")


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _failure(dialect: Dialect, status: int, message: str) -> Response:
    return JSONResponse(dialect.error(status, message), status, _RETRY_AT_ONCE)
