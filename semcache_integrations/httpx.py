"""The cache below any SDK that speaks through httpx: `httpx.Client(transport=SemanticCacheTransport())`."""

from __future__ import annotations

from typing import Any, ClassVar

try:
    import httpx
    import httpx_sse as _httpx_sse
    import jsonpath_rfc9535 as _jsonpath
except ImportError as error:
    raise ImportError(
        f"caching below httpx needs {error.name}: pip install 'semcache-integrations[httpx]'"
    ) from error

from semcache_integrations.http.transport import AsyncCaching, AsyncPieces, Pieces, SyncCaching

__all__ = ["AsyncSemanticCacheTransport", "SemanticCacheTransport"]


class _Body(Pieces, httpx.SyncByteStream):
    """A body that is read by `for`."""


class _AsyncBody(AsyncPieces, httpx.AsyncByteStream):
    """A body that is read by `async for`."""


class SemanticCacheTransport(SyncCaching, httpx.BaseTransport):
    """Answers the calls of LLM SDKs from a semantic cache; everything else passes through untouched.

    `semcache_integrations.http.transport.Caching` tells its arguments.
    """

    library: ClassVar[Any] = httpx  # Any: a module
    body: ClassVar[type[Any]] = _Body  # Any: as above

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response, from the cache or from the network."""
        response: httpx.Response = self.carry(request)
        return response


class AsyncSemanticCacheTransport(AsyncCaching, httpx.AsyncBaseTransport):
    """Async twin of `SemanticCacheTransport`."""

    library: ClassVar[Any] = httpx  # Any: a module
    body: ClassVar[type[Any]] = _AsyncBody  # Any: as above

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the response, from the cache or from the network."""
        response: httpx.Response = await self.acarry(request)
        return response


del _httpx_sse, _jsonpath
