"""The proxy's way through: a request in, routed, answered from the cache or by its upstream.

The law: where a request goes, and whether it may go there, is decided before any look-up, so that a hit and a miss
agree; an error of ours is in the provider's own shape; no request fails because the cache does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from semcache_integrations import labels
from semcache_integrations.http import bodies
from semcache_integrations.http.calls import Call, Head, Headers, Part
from semcache_integrations.http.egress import ONCE
from semcache_integrations.http.exchange import Exchange
from semcache_integrations.http.happenings import Watch, Watcher
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.providers import DEFAULT, Providers, dialect_of
from semcache_integrations.http.recording import acceptable
from semcache_integrations.http.requests import is_json
from semcache_integrations.http.routing import Route, route

_FOR_ONE_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""What is passed on."""

_NOT_ALLOWED = 405


class Gateway:
    """Answers whatever is asked of the proxy and is not the proxy's own.

    Args:
        exchange: Answers calls.
        upstreams: Reaches the upstreams; raises `ProblemError` for those that it must not or cannot reach.
        check: Raises `ProblemError` for a URL that must not be asked, before anything is looked up.
        providers: Which paths belong to whom.
        watchers: Are told what became of each request.
        largest: Bytes of a request's body.
    """

    def __init__(
        self,
        exchange: Exchange,
        upstreams: httpx.AsyncBaseTransport,
        *,
        check: Callable[[str], None] = lambda _url: None,
        providers: Providers = DEFAULT,
        watchers: Sequence[Watcher] = (),
        largest: int = bodies.LARGEST_REQUEST,
    ) -> None:
        self._exchange = exchange
        self._watch = Watch(tuple(watchers), exchange.troubles)
        self._upstreams = upstreams
        self._check = check
        self._providers = providers
        self._largest = largest

    async def answer(self, request: Request) -> Response:
        """Return the response to a request."""
        call = Call(request.method, str(request.url), tuple(request.headers.raw), b"")
        try:
            routed = self._routed(request)
            call = replace(call, url=routed.url, dialect=routed.dialect, prompt=routed.prompt)
            self._check(routed.url)
            sent = replace(call, headers=_encoded(routed.headers))
            if routed.dialect is None or not is_json(call):
                return await self._passed(call, sent, request)
            body = await bodies.read(request, self._largest)
        except ProblemError as problem:
            self._watch.refused(call, None, problem.status, problem.message)
            return refusal(problem, anthropic=_is_anthropic(request))
        return await self._answered(replace(call, body=body), replace(sent, body=body))

    async def _passed(self, call: Call, sent: Call, request: Request) -> Response:
        """Pass on what is no question, its body as it comes."""
        upload = None
        if "content-length" in request.headers or "transfer-encoding" in request.headers:
            upload = bodies.pieces(request)
            length = tuple(field for field in call.headers if field[0].lower() == b"content-length")
            sent = replace(sent, headers=sent.headers + length)
        return await _response(
            self._watch.follow(call, None, self._fetched(sent, upload), labels.other("bypass"))
        )

    async def _answered(self, call: Call, sent: Call) -> Response:
        """Answer a call, of which `sent` goes upstream."""
        asked = None
        try:
            asked = self._exchange.read(call)
            if asked is None:
                parts = self._watch.follow(call, None, self._fetched(sent), labels.other("bypass"))
            else:
                answer = self._exchange.aanswer(asked, partial(self._fetched, _readable(sent)))
                parts = self._watch.follow(call, asked, answer, {})
            return await _response(parts)
        except ProblemError as problem:
            self._watch.refused(call, asked, problem.status, problem.message)
            return refusal(problem, anthropic=call.dialect == "messages")

    def _routed(self, request: Request) -> Route:
        if request.method not in METHODS:
            raise ProblemError(_NOT_ALLOWED, f"{request.method} cannot be passed on")
        path = request.scope.get("raw_path", request.url.path.encode()).decode("latin-1")
        fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        query = request.scope["query_string"].decode("latin-1")
        return route(request.method, path, query, fields, self._providers)

    async def _fetched(
        self, call: Call, upload: AsyncIterator[bytes] | None = None
    ) -> AsyncGenerator[Part, None]:
        """Ask the upstream, and yield what it says."""
        content, once = (call.body, {}) if upload is None else (upload, {ONCE: True})
        request = httpx.Request(
            call.method, call.url, headers=list(call.headers), content=content, extensions=once
        )
        response = await self._upstreams.handle_async_request(request)
        try:
            yield Head(response.status_code, _passed_on(tuple(response.headers.raw)))
            async for piece in response.aiter_raw():
                yield piece
        finally:
            await response.aclose()


def refusal(problem: ProblemError, *, anthropic: bool) -> Response:
    """Return the response that says what is wrong."""
    headers = {**labels.other("error"), **problem.headers()}
    return JSONResponse(problem.body(anthropic=anthropic), problem.status, headers)


async def _response(parts: AsyncGenerator[Part, None]) -> Response:
    head = await anext(parts)
    if isinstance(head, bytes):
        raise TypeError("an answer begins with its head")
    response = StreamingResponse(_pieces(parts), head.status)
    response.raw_headers = list(head.headers)
    return response


async def _pieces(parts: AsyncGenerator[Part, None]) -> AsyncIterator[bytes]:
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, bytes):
                yield part


def _readable(call: Call) -> Call:
    """Return the call for an answer that can be read while it passes."""
    understood = acceptable(call.header("accept-encoding"))
    kept = tuple(field for field in call.headers if field[0].lower() != b"accept-encoding")
    return replace(call, headers=(*kept, (b"accept-encoding", understood.encode())))


def _encoded(headers: tuple[tuple[str, str], ...]) -> Headers:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def _passed_on(headers: Headers) -> Headers:
    """Return what of an upstream's headers goes on to the caller: none that is for one hop only."""
    named = {
        part.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for part in value.split(b",")
    }
    told = tuple((name.lower(), value) for name, value in headers)
    if any(name == b"transfer-encoding" for name, _ in told):
        named.add(b"content-length")  # which it overrules
    return tuple(field for field in told if field[0] not in _FOR_ONE_HOP | named)


def _is_anthropic(request: Request) -> bool:
    return "anthropic-version" in request.headers or dialect_of(request.url.path) == "messages"
