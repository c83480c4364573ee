"""The cache around any ASGI application, such as one of FastAPI, Starlette or Litestar.

The law: a request that the cache has nothing to do with reaches the application as it came, and its response goes out
as it is; what is streamed is streamed live. After the body has been read, an application that listens for its client's
leaving hears nothing but that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias  # Any: ASGI's messages, and settings that CacheConfig checks
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from semcache_integrations.cache import SemanticCache, shared_or_new
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay, checked
from semcache_integrations.http.bodies import LARGEST_REQUEST
from semcache_integrations.http.calls import Call, Head, Headers, Part
from semcache_integrations.http.exchange import Exchange
from semcache_integrations.http.gateway import refusal
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.questions import Extract, QuestionReader
from semcache_integrations.http.recording import IN_PROCESS
from semcache_integrations.http.requests import is_json

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_WAITING = 4  # messages of the application that nobody has taken yet


class SemanticCacheMiddleware:
    """Answers an application's requests from a semantic cache.

    Entries belong to the credentials of the request (`Authorization`, cookies, API keys); nothing is kept that has
    errors, sets cookies, or says `Cache-Control: no-store` or `private`. Response headers tell what the cache did.

    Args:
        app: The application.
        cache: A ready cache; without one, one is made of the settings.
        extract_query: Finds the question in the body's JSON; None for a request that is not cached. By default the
            text of `query`, `question`, `prompt`, `input` or `message`.
        extract_model: Finds the model there, for `invalidate(model=…)`; `model` by default.
        path_prefix: How the paths of the cached endpoints begin; one or several. "/ask" is "/asking", too.
        methods: Of requests that may be cached; one or several.
        replay: How kept texts are streamed.
        share: Whether entries are everybody's, whoever asks.
        tenant_of: Says whose a request is, instead of its credentials.
        largest: Bytes of a body; a larger one is not cached.
        **settings: Fields of `CacheConfig`.

    Raises:
        ConfigurationError: a setting cannot work; the message says what to do.
    """

    def __init__(
        self,
        app: App,
        *,
        cache: SemanticCache | None = None,
        extract_query: Extract | None = None,
        extract_model: Extract | None = None,
        path_prefix: str | Iterable[str] = "/",
        methods: str | Iterable[str] = ("POST",),
        replay: Replay | None = None,
        share: bool = False,
        tenant_of: Callable[[Call], str] | None = None,
        largest: int = LARGEST_REQUEST,
        **settings: Any,
    ) -> None:
        self.app = app
        self._prefixes = (path_prefix,) if isinstance(path_prefix, str) else tuple(path_prefix)
        for prefix in self._prefixes:
            if not prefix.startswith("/"):
                raise ConfigurationError(f"path_prefix= begins with a slash: '/{prefix}', not {prefix!r}")
        named = (methods,) if isinstance(methods, str) else methods
        self._methods = frozenset(method.upper() for method in named)
        self.cache = shared_or_new(cache, settings, type(self))
        self._largest = largest
        reader = QuestionReader.of(
            self.cache,
            extract_query=extract_query,
            extract_model=extract_model,
            share=share,
            tenant_of=tenant_of,
        )
        self._running: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references
        self._exchange = Exchange(self.cache, reader, Replay() if replay is None else checked(replay))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if not self._concerns(scope):
            await self.app(scope, receive, send)
            return
        scope = _without_shortcuts(scope)
        messages, body = await _read(receive, self._largest)
        asked = None if body is None else self._asked(scope, body)
        if asked is None:
            await self.app(scope, _replayed(messages, receive), send)
            return
        going_on: set[asyncio.Task[None]] = set()
        answer = self._exchange.aanswer(asked, partial(self._parts, scope, messages, going_on))
        try:
            async with aclosing(answer) as parts:
                await (await _response(parts))(scope, receive, send)
        finally:
            # What the application does after its answer, it does before its server ends.
            for running in going_on:
                await running

    def _concerns(self, scope: Message) -> bool:
        """Whether to read a request's body: of anything but JSON nothing is read before the application asks for it."""
        return (
            scope["type"] == "http"
            and scope["method"] in self._methods
            and any(scope["path"].startswith(prefix) for prefix in self._prefixes)
            and is_json(_call(scope, b""))
        )

    def _asked(self, scope: Message, body: bytes) -> Any:
        try:
            return self._exchange.read(_call(scope, body))
        except ProblemError as problem:
            self._exchange.troubles.complain("reading", problem, problem.message)
            return None

    async def _parts(
        self, scope: Message, messages: list[Message], going_on: set[asyncio.Task[None]]
    ) -> AsyncGenerator[Part, None]:
        """Let the application answer, and yield what it sends; it may go on after that."""
        sent: asyncio.Queue[Part | None] = asyncio.Queue(_WAITING)
        whole = False

        async def send(message: Message) -> None:
            nonlocal whole
            if whole:
                return
            if message["type"] == "http.response.start":
                headers = tuple((bytes(name), bytes(value)) for name, value in message.get("headers", ()))
                await sent.put(Head(message["status"], headers, {IN_PROCESS: True}))
            elif message["type"] == "http.response.body" and message.get("body"):
                await sent.put(message["body"])
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                whole = True
                await sent.put(None)

        async def run() -> None:
            await self.app(scope, _replayed(messages, _forever), send)
            if not whole:
                await sent.put(None)

        running = asyncio.create_task(run())
        try:
            while (part := await _next(sent, running)) is not None:
                yield part
        finally:
            if whole:
                _let_go(sent)
                going_on.add(running)
                self._running.add(running)
                running.add_done_callback(self._running.discard)
            else:
                running.cancel()
                await asyncio.wait([running])


def _let_go(sent: asyncio.Queue[Part | None]) -> None:
    """Take what nobody will read: the application must not wait for a reader who has left."""
    while not sent.empty():
        sent.get_nowait()


async def _next(sent: asyncio.Queue[Part | None], running: asyncio.Task[None]) -> Part | None:
    """Return what is sent next, or None at the end; raise what the application raises."""
    while sent.empty() and not running.done():
        coming = asyncio.ensure_future(sent.get())
        await asyncio.wait([coming, running], return_when=asyncio.FIRST_COMPLETED)
        if coming.done():
            return coming.result()
        coming.cancel()
    if sent.empty():
        running.result()
        return None
    return sent.get_nowait()


async def _read(receive: Receive, most: int) -> tuple[list[Message], bytes | None]:
    """Return the messages of a request's body, and the body; None if it is too large, or was cut short."""
    messages, body = [], bytearray()
    while True:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or len(body) > most:
            return messages, None
        if not message.get("more_body", False):
            return messages, bytes(body)


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """Return what gives these messages once more, and then waits for what really comes."""
    waiting = iter(messages)

    async def again() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return again


async def _forever() -> Message:
    """Wait: a client that leaves must not take the answer from those who read it with him; it ends with its task."""
    await asyncio.Event().wait()
    return {"type": "http.disconnect"}


async def _response(parts: AsyncGenerator[Part, None]) -> Response:
    try:
        head = await anext(parts)
    except ProblemError as problem:
        return refusal(problem, anthropic=False)
    response = StreamingResponse(_bytes(parts), getattr(head, "status", 200))
    response.raw_headers = list(getattr(head, "headers", ()))
    return response


async def _bytes(parts: AsyncGenerator[Part, None]) -> AsyncGenerator[bytes, None]:
    async for part in parts:
        if isinstance(part, bytes):
            yield part


def _without_shortcuts(scope: Message) -> Message:
    """Return the scope of a server that takes an answer by no other way than its messages: no file by its path."""
    extensions = scope.get("extensions") or {}
    kept = {name: value for name, value in extensions.items() if not name.startswith("http.response.")}
    return scope if len(kept) == len(extensions) else {**scope, "extensions": kept}


def _call(scope: Message, body: bytes) -> Call:
    headers: Headers = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
    query = scope.get("query_string", b"").decode("latin-1")
    # As it was sent, where the server tells: in a decoded one, a "#" may have been said, or have been written as %23.
    raw: bytes | None = scope.get("raw_path")
    path = scope.get("root_path", "") + (quote(scope["path"]) if raw is None else raw.decode("latin-1"))
    return Call(scope["method"], f"{path}?{query}" if query else path, headers, body, "generic")
