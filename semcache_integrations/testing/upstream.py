"""A local upstream that speaks OpenAI's API over real HTTP and counts what reaches it: for tests and the demo.

It stands where the paid provider stands, and nowhere else. An answer is a function of the last user message
alone, so a wrong hit shows in its text.
"""

from __future__ import annotations

import asyncio
import math
import random
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import orjson

from semcache_integrations.testing.completions import chunks, completion, embedding, last_user_text

try:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route
except ImportError as error:
    raise ImportError(
        f"the local upstream needs {error.name}: pip install 'semcache-integrations[server]'"
    ) from error

if TYPE_CHECKING:
    from typing_extensions import Self

_START_S = 10.0
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Latency:
    """How long the upstream takes: log-normal, as providers do.

    Attributes:
        median_s: Half of the calls take longer, in seconds.
        sigma: Spread of the logarithm; 0.35 puts one call in a hundred at 2.3 times the median.
        seed: The same seed gives the same sequence.
    """

    median_s: float = 0.8
    sigma: float = 0.35
    seed: int = 0

    def sampler(self) -> Callable[[], float]:
        """Return a function that draws one latency after the other, in seconds."""
        draw = random.Random(self.seed)  # noqa: S311 - latencies are no secret
        return lambda: draw.lognormvariate(math.log(self.median_s), self.sigma)


@dataclass(frozen=True, slots=True)
class Call:
    """One request that reached the upstream."""

    path: str
    body: dict[str, Any]  # Any: JSON
    headers: dict[str, str]


class FakeUpstream:
    """An OpenAI-compatible upstream on this machine.

    ```python
    from openai import OpenAI
    from semcache_integrations.testing import FakeUpstream

    with FakeUpstream() as upstream:
        client = OpenAI(base_url=upstream.url, api_key="none-needed")
        ask = [{"role": "user", "content": "How are you?"}]
        reply = client.chat.completions.create(model="gpt-4o-mini", messages=ask)
        assert reply.choices[0].message.content == "Answer to: How are you?"
        assert upstream.count == 1
        client.close()
    ```

    Args:
        answer: Makes the answer to the last user message.
        latency: How long it takes; None for no time at all.
    """

    def __init__(
        self,
        *,
        answer: Callable[[str], str] = lambda text: f"Answer to: {text}",
        latency: Latency | None = None,
    ) -> None:
        self._answer = answer
        self._latency = latency.sampler() if latency else lambda: 0.0
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._failures: list[int] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/v1"
        config = uvicorn.Config(_app(self), log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="fake-upstream", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not self._server.started:
            if time.monotonic() > deadline:
                raise RuntimeError("the local upstream did not start")
            time.sleep(0.002)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(_START_S)
        self._socket.close()

    @property
    def calls(self) -> list[Call]:
        """The requests that reached it, in order."""
        with self._lock:
            return list(self._calls)

    @property
    def count(self) -> int:
        """How many requests reached it."""
        return len(self._calls)

    def reset(self) -> None:
        """Forget the calls and the failures to come."""
        with self._lock:
            self._calls.clear()
            self._failures.clear()

    def fail(self, status: int, times: int = 1) -> None:
        """Answer the next `times` requests with this HTTP status."""
        with self._lock:
            self._failures += [status] * times

    def _serve(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def _receive(self, request: Request, body: dict[str, Any]) -> int:
        with self._lock:
            self._calls.append(Call(request.url.path, body, dict(request.headers)))
            return self._failures.pop(0) if self._failures else 200

    async def chat(self, request: Request) -> Response:
        """Answer a chat completion, as JSON or as a stream."""
        body = orjson.loads(await request.body())
        status = self._receive(request, body)
        await asyncio.sleep(self._latency())
        if status != 200:  # noqa: PLR2004 - HTTP's OK
            return _error(status)
        whole = completion(body, self._answer(last_user_text(body)))
        if not body.get("stream"):
            return Response(orjson.dumps(whole), media_type=_JSON)
        return StreamingResponse(_events(whole, body), media_type="text/event-stream")

    async def embeddings(self, request: Request) -> Response:
        """Answer with vectors that depend on the inputs alone."""
        body = orjson.loads(await request.body())
        status = self._receive(request, body)
        return _error(status) if status != 200 else Response(orjson.dumps(embedding(body)), media_type=_JSON)  # noqa: PLR2004 - as above


def _app(upstream: FakeUpstream) -> Starlette:
    return Starlette(
        routes=[
            Route("/v1/chat/completions", upstream.chat, methods=["POST"]),
            Route("/v1/embeddings", upstream.embeddings, methods=["POST"]),
        ]
    )


def _error(status: int) -> Response:
    body = {"error": {"message": f"made to fail with {status}", "type": "fake", "code": status}}
    return Response(orjson.dumps(body), status_code=status, media_type=_JSON)


async def _events(whole: dict[str, Any], body: dict[str, Any]) -> AsyncIterator[bytes]:
    for chunk in chunks(whole, usage=bool((body.get("stream_options") or {}).get("include_usage"))):
        yield b"data: " + orjson.dumps(chunk) + b"\n\n"
        await asyncio.sleep(0)
    yield b"data: [DONE]\n\n"
