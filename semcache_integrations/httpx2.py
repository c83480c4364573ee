"""The cache below any SDK that speaks through httpx2: `httpx2.Client(transport=SemanticCacheTransport())`."""

from __future__ import annotations

from typing import Any, ClassVar

try:
    import httpx2
    import httpx_sse as _httpx_sse
    import jsonpath_rfc9535 as _jsonpath
except ImportError as error:
    raise ImportError(
        f"caching below httpx2 needs {error.name}: pip install 'semcache-integrations[httpx2]'"
    ) from error

from semcache_integrations.http.transport import AsyncCaching, AsyncPieces, Pieces, SyncCaching

__all__ = ["AsyncSemanticCacheTransport", "SemanticCacheTransport"]


class _Body(Pieces, httpx2.SyncByteStream):
    """A body that is read by `for`."""


class _AsyncBody(AsyncPieces, httpx2.AsyncByteStream):
    """A body that is read by `async for`."""


class SemanticCacheTransport(SyncCaching, httpx2.BaseTransport):
    """Answers the calls of LLM SDKs from a semantic cache; everything else passes through untouched.

    `semcache_integrations.http.transport.Caching` tells its arguments.
    """

    library: ClassVar[Any] = httpx2  # Any: a module
    body: ClassVar[type[Any]] = _Body  # Any: as above

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response, from the cache or from the network."""
        response: httpx2.Response = self.carry(request)
        return response


class AsyncSemanticCacheTransport(AsyncCaching, httpx2.AsyncBaseTransport):
    """Async twin of `SemanticCacheTransport`."""

    library: ClassVar[Any] = httpx2  # Any: a module
    body: ClassVar[type[Any]] = _AsyncBody  # Any: as above

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response, from the cache or from the network."""
        response: httpx2.Response = await self.acarry(request)
        return response


del _httpx_sse, _jsonpath
