"""What the transports of all HTTP libraries have in common: an HTTP request in, from the cache or on to the network.

The law: a request that the cache has nothing to do with goes to the network as it is, and its response comes back as
it is. Of the others only `accept-encoding` is changed, to what can be read while it passes.

httpx and httpx2 are two libraries with one interface; `library` is either module, and `body` its kind of byte stream.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, NoReturn  # Any: objects of either library

import orjson

from semcache_integrations import labels
from semcache_integrations.cache import SemanticCache, shared_or_new
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay, checked
from semcache_integrations.http.calls import Asked, Call, Head, Headers, Part
from semcache_integrations.http.exchange import Exchange
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.providers import dialect_of
from semcache_integrations.http.recording import acceptable
from semcache_integrations.http.requests import Reader, naming_tenants
from semcache_integrations.http.routing import PROMPT, PROMPT_ALIAS

_OWN = (b"x-llm-", b"x-semcache-")
_LIBRARIES = frozenset({"httpx", "httpx2"})


class Caching:
    """A transport with a cache.

    Hits are what the API would have sent, as JSON or as server-sent events, whichever was asked for. Response headers
    tell what the cache did: `semcache_integrations.labels`. Entries belong to the API key of the call.

    Args:
        cache: A ready cache; without one, one is made of the settings, and closed with the transport.
        transport: What reaches the network; the library's `HTTPTransport()` by default, which ignores proxy variables.
        replay: How kept answers are streamed.
        share: Whether entries are everybody's who uses this transport, whatever their API key.
        tenant_of: Says whose a call is, instead of its credentials.
        **settings: Fields of `CacheConfig`.

    Raises:
        ConfigurationError: a setting cannot work; the message says what to do.
    """

    library: ClassVar[Any]
    body: ClassVar[type[Any]]
    carries: ClassVar[str]  # what its clients, and the transport inside it, call
    network: ClassVar[str]  # what the library calls the transport inside it, if none is given

    def __init__(
        self,
        cache: SemanticCache | None = None,
        *,
        transport: Any = None,
        replay: Replay | None = None,
        share: bool = False,
        tenant_of: Callable[[Call], str] | None = None,
        **settings: Any,  # CacheConfig checks them
    ) -> None:
        self._check_inner(transport)
        naming_tenants(tenant_of)
        usual = Replay() if replay is None else checked(replay)
        self._owns_cache = cache is None
        self.cache = shared_or_new(cache, settings, type(self))
        reader = Reader(usual, self.cache.config.secret_bytes, share, tenant_of)
        self._exchange = Exchange(self.cache, reader, usual)
        self._inner = getattr(self.library, self.network)() if transport is None else transport

    def _check_inner(self, transport: Any) -> None:
        """Refuse what cannot reach the network for this one."""
        if transport is None:
            return
        ours = self.library.__name__
        libraries = {kind.__module__.partition(".")[0] for kind in type(transport).__mro__} & _LIBRARIES
        if not hasattr(transport, self.carries) or (libraries and ours not in libraries):
            raise ConfigurationError(
                f"transport= is what reaches the network, such as {ours}.{self.network}(), not "
                f"{type(transport).__module__.partition('.')[0]}.{type(transport).__name__}"
            )

    def _refuse_client(self, client: str, name: str) -> NoReturn:
        raise ConfigurationError(
            f"{type(self).__name__} is not for {client}, which takes {name}: import that one from "
            "semcache_integrations.httpx or .httpx2, whichever library the client is of"
        )

    def _check(self, request: Any) -> None:
        """Refuse a request of the other library, whose clients look the same."""
        if not isinstance(request, self.library.Request):
            ours, theirs = self.library.__name__, type(request).__module__.partition(".")[0]
            raise ConfigurationError(
                f"this transport is for clients of {ours}, and this client is one of {theirs}: "
                f"import the transport from semcache_integrations.{theirs}"
            )

    def _asked(self, request: Any) -> Asked | None:
        """Return what the cache may answer, if the request's body is worth reading and has been read."""
        prompt = request.headers.get(PROMPT) or request.headers.get(PROMPT_ALIAS, "")
        dialect = dialect_of(request.url.path) or ("generic" if prompt else None)
        headers: Headers = tuple(request.headers.raw)
        call = Call(request.method, str(request.url), headers, request.content, dialect, prompt)
        try:
            asked = self._exchange.read(call)
        except ProblemError as problem:
            self._exchange.troubles.complain("reading", problem, problem.message)
            return None
        limits = request.extensions.get("timeout")  # nobody waits by the time limits of another one
        return None if asked is None else replace(asked, carriage=f"{asked.carriage} {limits}")

    def _plain(self, request: Any) -> Any:
        """Return the request without what was said to the cache alone."""
        said = [field for field in request.headers.raw if not field[0].lower().startswith(_OWN)]
        return request if len(said) == len(request.headers.raw) else self._with_headers(request, said)

    def _readable(self, request: Any) -> Any:
        """Return the request for an answer that can be read while it passes."""
        understood = acceptable(request.headers.get("accept-encoding", ""))
        fields = (field for field in request.headers.raw if not field[0].lower().startswith(_OWN))
        said = [field for field in fields if field[0].lower() != b"accept-encoding"]
        return self._with_headers(request, [*said, (b"accept-encoding", understood.encode())])

    def _with_headers(self, request: Any, headers: list[tuple[bytes, bytes]]) -> Any:
        return self.library.Request(
            request.method, request.url, headers=headers, stream=request.stream, extensions=request.extensions
        )

    def _response(self, head: Head, parts: object) -> Any:
        return self.library.Response(
            head.status, headers=list(head.headers), stream=self.body(parts), extensions=dict(head.extensions)
        )

    def _refusal(self, problem: ProblemError, asked: Asked) -> Any:
        said = orjson.dumps(problem.body(anthropic=asked.dialect == "messages"))
        headers = {"content-type": "application/json", **labels.other("error"), **problem.headers()}
        return self.library.Response(problem.status, headers=headers, content=said)


class SyncCaching(Caching):
    """Carries sync requests."""

    carries: ClassVar[str] = "handle_request"
    network: ClassVar[str] = "HTTPTransport"

    async def __aenter__(self) -> NoReturn:
        """Refuse an async client."""
        self._refuse_client("an AsyncClient", "an AsyncSemanticCacheTransport")

    async def handle_async_request(self, _request: Any) -> NoReturn:
        """Refuse an async client."""
        self._refuse_client("an AsyncClient", "an AsyncSemanticCacheTransport")

    def carry(self, request: Any) -> Any:
        """Return the response, from the cache or from the network."""
        self._check(request)
        if worth_reading(request):
            request.read()
            asked = self._asked(request)
            if asked is not None:
                return self._answered(asked, request)
        return self._inner.handle_request(self._plain(request))

    def _answered(self, asked: Asked, request: Any) -> Any:
        parts = self._exchange.answer(asked, partial(self._fetched, request))
        try:
            head = next(parts)
        except ProblemError as problem:
            return self._refusal(problem, asked)
        return self._response(_head(head), parts)

    def _fetched(self, request: Any) -> Generator[Part, None, None]:
        response = self._inner.handle_request(self._readable(request))
        try:
            yield Head(response.status_code, _raw(response), response.extensions)
            yield from response.stream
        finally:
            response.close()

    def close(self) -> None:
        """Close the network's transport, and the cache if it was made here."""
        self._inner.close()
        if self._owns_cache:
            self.cache.close()


class AsyncCaching(Caching):
    """Carries async requests; the twin of `SyncCaching`."""

    carries: ClassVar[str] = "handle_async_request"
    network: ClassVar[str] = "AsyncHTTPTransport"

    def __enter__(self) -> NoReturn:
        """Refuse a sync client."""
        self._refuse_client("a sync Client", "a SemanticCacheTransport")

    def handle_request(self, _request: Any) -> NoReturn:
        """Refuse a sync client."""
        self._refuse_client("a sync Client", "a SemanticCacheTransport")

    async def acarry(self, request: Any) -> Any:
        """Return the response, from the cache or from the network."""
        self._check(request)
        if worth_reading(request):
            await request.aread()
            asked = self._asked(request)
            if asked is not None:
                return await self._answered(asked, request)
        return await self._inner.handle_async_request(self._plain(request))

    async def _answered(self, asked: Asked, request: Any) -> Any:
        parts = self._exchange.aanswer(asked, partial(self._fetched, request))
        try:
            head = await anext(parts)
        except ProblemError as problem:
            return self._refusal(problem, asked)
        return self._response(_head(head), parts)

    async def _fetched(self, request: Any) -> AsyncGenerator[Part, None]:
        response = await self._inner.handle_async_request(self._readable(request))
        try:
            yield Head(response.status_code, _raw(response), response.extensions)
            async for piece in response.stream:
                yield piece
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the network's transport, and the cache if it was made here."""
        await self._inner.aclose()
        if self._owns_cache:
            await self.cache.aclose()


class Pieces:
    """The body of a response, read from the pieces that an exchange yields."""

    def __init__(self, parts: Generator[bytes, None, None]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts

    def close(self) -> None:
        """Leave the rest."""
        self._parts.close()


class AsyncPieces:
    """Async twin of `Pieces`."""

    def __init__(self, parts: AsyncGenerator[bytes, None]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._parts:
            yield piece

    async def aclose(self) -> None:
        """Leave the rest."""
        await self._parts.aclose()


def worth_reading(request: Any) -> bool:
    """Whether the cache may have to do with a request, as far as its head tells."""
    kind = request.headers.get("content-type", "").lower()
    return bool(request.method == "POST" and "json" in kind)


def _head(part: Part) -> Head:
    if isinstance(part, bytes):
        raise TypeError("an answer begins with its head")
    return part


def _raw(response: Any) -> Headers:
    return tuple(response.headers.raw)
