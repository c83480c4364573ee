"""The connections to a Qdrant server: made when first needed, one sync client per process, one async per loop.

The law: every request ends by the deadline that its caller set, to the millisecond (the client itself rounds
timeouts up to whole seconds); and no connection crosses a fork or an event loop. Knows no entry and no filter.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import httpx
from qdrant_client import AsyncQdrantClient, QdrantClient

from semcache_integrations.core.errors import ConfigurationError

_log = logging.getLogger(__name__)

_ends_at: ContextVar[float] = ContextVar("semcache_qdrant_ends_at", default=math.inf)
_SHORTEST_S: Final = 0.001  # zero would mean something else to httpx
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_LOOKUPS: Final = [{"service": "qdrant.Points", "method": name} for name in ("Get", "Query")]


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let every request inside end within `seconds`."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def seconds_left() -> float:
    """Return the seconds until the deadline: negative after it, infinite without one."""
    return _ends_at.get() - time.monotonic()


class Clients:
    """Hands out the client for this process, or for the running event loop.

    Args:
        url: `http://` or `https://`, host, port (6333 if left out).
        api_key: The server's key.
        prefer_grpc: Talk gRPC where the client can.
        lookup_s: Seconds per gRPC look-up.
        call_s: Seconds per other gRPC call.
        options: More arguments for the clients.

    Raises:
        ConfigurationError: The address or the key cannot be right.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        prefer_grpc: bool,
        lookup_s: float,
        call_s: float,
        options: Mapping[str, Any],  # Any: they are the client's business
    ) -> None:
        check_address(url, api_key)
        self._options: dict[str, Any] = {
            "url": url,
            "prefer_grpc": prefer_grpc,
            "check_compatibility": False,  # a thread that warns about a server it cannot reach
            "limits": httpx.Limits(
                max_connections=100, max_keepalive_connections=20
            ),  # else none on localhost
            "grpc_options": {"grpc.service_config": _service_config(lookup_s, call_s)},
            "headers": {"api-key": api_key} if api_key else None,  # api_key= would warn about plain http
            "verify": httpx.create_ssl_context(),  # made once: it is what a new client costs most
            **options,
        }
        self._lock = threading.Lock()
        self._pid = -1
        self._sync: QdrantClient | None = None
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lease] = WeakKeyDictionary()

    def sync(self) -> QdrantClient:
        """Return this process's client."""
        if self._sync is None or self._pid != os.getpid():
            with self._lock:
                if self._sync is None or self._pid != os.getpid():
                    self._sync = QdrantClient(**self._fresh_options())
                    if not self._options["prefer_grpc"]:
                        self._sync.http.client.add_middleware(_limited)
                    self._pid = os.getpid()
        return self._sync

    async def of_this_loop(self) -> AsyncQdrantClient:
        """Return the running loop's client; it is closed when the loop ends."""
        loop = asyncio.get_running_loop()
        with self._lock:
            lease = self._of_loops.get(loop)
            if lease is None:
                for ended in [other for other in self._of_loops if other.is_closed()]:
                    del self._of_loops[ended]
                lease = self._of_loops[loop] = _Lease(self._make_async())
        await lease.begin()
        return lease.client

    def _make_async(self) -> AsyncQdrantClient:
        client = AsyncQdrantClient(**self._fresh_options())
        if not self._options["prefer_grpc"]:
            client.http.client.add_middleware(_alimited)
        return client

    def _fresh_options(self) -> dict[str, Any]:
        """Return a copy: the client writes into the dictionaries that it is given."""
        return {
            key: dict(value) if isinstance(value, dict) else value for key, value in self._options.items()
        }

    def close(self) -> None:
        """Close the sync client; those of event loops close when their loops end."""
        with self._lock:
            client, self._sync = self._sync, None
        if client is not None and self._pid == os.getpid():
            client.close()

    async def aclose(self) -> None:
        """Close the sync client and the running loop's."""
        self.close()
        with self._lock:
            lease = self._of_loops.pop(asyncio.get_running_loop(), None)
        if lease is not None:
            await lease.end()


class _Lease:
    """A client for as long as its event loop runs.

    A loop closes the asynchronous generators that it has seen before it ends (`asyncio.run` does so), and it
    is the only moment at which connections can still be closed: ours waits inside such a generator.
    """

    def __init__(self, client: AsyncQdrantClient) -> None:
        self.client = client
        self._life = self._live()
        self._begun = False

    async def begin(self) -> None:
        """Make the loop aware of the lease."""
        if not self._begun:
            self._begun = True
            await anext(self._life)

    async def end(self) -> None:
        """Close the client now."""
        await self._life.aclose()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.client.close()


def check_address(url: str, api_key: str | None) -> None:
    """Refuse what can never work, before the first call.

    Raises:
        ConfigurationError: The address has no scheme, no host or an impossible port, or the key is empty.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ConfigurationError(f"url={url!r} is not an address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"url={url!r} is not an address: write it like http://localhost:6333")
    if api_key == "":
        raise ConfigurationError("api_key is empty: leave it out, or give the server's key")
    if api_key and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        _log.warning("semcache: the api_key travels to %s in clear text: use https", parts.hostname)


def _limit(request: httpx.Request) -> None:
    left = seconds_left()
    if left < math.inf:
        phases = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = dict.fromkeys(phases, max(_SHORTEST_S, left))


def _limited(request: httpx.Request, send: Callable[[httpx.Request], httpx.Response]) -> httpx.Response:
    _limit(request)
    return send(request)


async def _alimited(
    request: httpx.Request, send: Callable[[httpx.Request], Awaitable[httpx.Response]]
) -> httpx.Response:
    _limit(request)
    return await send(request)


def _service_config(lookup_s: float, call_s: float) -> str:
    """Return gRPC's own per-method timeouts: the client's arguments know whole seconds only."""
    timeouts = [(_LOOKUPS, lookup_s), ([{}], call_s)]
    return json.dumps({"methodConfig": [{"name": name, "timeout": f"{s:.3f}s"} for name, s in timeouts]})
