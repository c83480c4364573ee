"""The way out: a transport that asks allowed upstreams, with time limits, careful retries and a circuit breaker.

The law: before the first byte of an answer whatever goes wrong is a `ProblemError`, and only what cannot have reached
the upstream, or what it declined, is sent again; from then on the answer is the upstream's own, and a failure breaks it
off with httpx's error. Redirects are answers like others, and no proxy or certificate is read from the environment.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

import anyio
import httpcore
import httpx

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.addresses import Allowed, Upstream
from semcache_integrations.http.calls import Call
from semcache_integrations.http.credentials import credential_of
from semcache_integrations.http.dialing import Dialer, Resolver, resolve
from semcache_integrations.http.failures import in_httpx_terms, is_our_own, problem_with
from semcache_integrations.http.pools import Place, Pools
from semcache_integrations.http.resending import Resending, Retries
from semcache_integrations.http.retry_after import retry_after_s
from semcache_integrations.http.upstream_breaker import State, UpstreamBreaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that an upstream may take.

    Attributes:
        connect_s: To be found and connected to, and as much again for TLS.
        read_s: Between two pieces of an answer, and before the first.
        write_s: To take a piece of the request.
        pool_s: Until one of our own connections is free.
        total_s: From the request to the last byte of the answer, waits and retries included.
    """

    connect_s: float = 5.0
    read_s: float = 600.0
    write_s: float = 60.0
    pool_s: float = 10.0
    total_s: float = 1800.0

    def __post_init__(self) -> None:
        if min(self.connect_s, self.read_s, self.write_s, self.pool_s, self.total_s) <= 0:
            raise ConfigurationError("a time limit must be above 0 seconds")

    def for_httpcore(self) -> dict[str, float]:
        """Return the request extension `timeout`."""
        return {
            "connect": self.connect_s,
            "read": self.read_s,
            "write": self.write_s,
            "pool": self.pool_s,
        }


ONCE: Final = "semcache_once"
"""What a request has among its extensions whose body is sent as it comes, and so cannot be sent again."""

_TOO_MANY = 429
_WORSE: Final[tuple[State, ...]] = ("closed", "half-open", "open")
_TIMEOUTS: Final = Timeouts()
_RETRIES: Final = Retries()
_MOST_CONNECTIONS: Final = 1000
_LIMITS: Final = httpx.Limits(
    max_connections=_MOST_CONNECTIONS, max_keepalive_connections=100, keepalive_expiry=30.0
)


class Upstreams(httpx.AsyncBaseTransport):
    """Asks upstreams over HTTP/1.1; close it when done.

    Args:
        allowed: Which ones.
        timeouts: How long they may take.
        retries: What is sent again.
        breaker: Which ones rest; None for one with the usual settings.
        resolver: Finds the addresses of a host.
        tls: What certificates to trust; None for those that come with httpx.
        limits: Connections at the same time.
    """

    def __init__(
        self,
        allowed: Allowed,
        *,
        timeouts: Timeouts = _TIMEOUTS,
        retries: Retries = _RETRIES,
        breaker: UpstreamBreaker | None = None,
        resolver: Resolver = resolve,
        tls: ssl.SSLContext | None = None,
        limits: httpx.Limits = _LIMITS,
    ) -> None:
        self.breaker = breaker or UpstreamBreaker()
        self.quotas = self.breaker.another()  # by caller: one who has used up his quota stops nobody else
        self._allowed, self._timeouts, self._retries = allowed, timeouts, retries
        context, dialer = tls or httpx.create_ssl_context(trust_env=False), Dialer(allowed, resolver)
        most = limits.max_connections or _MOST_CONNECTIONS

        def pool(size: int) -> httpcore.AsyncConnectionPool:
            return httpcore.AsyncConnectionPool(
                ssl_context=context,
                max_connections=size,
                max_keepalive_connections=min(size, limits.max_keepalive_connections or size),
                keepalive_expiry=limits.keepalive_expiry,
                network_backend=dialer,
            )

        self._pools = Pools(pool, most)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask the upstream of the request's URL; what its `Host` header says does not count.

        Raises:
            ProblemError: 400 or 403 if it must not be asked, 502, 503 or 504 if it gave no answer.
        """
        upstream = Upstream.of(request.url)
        self._allowed.check(upstream)
        if ONCE not in request.extensions:
            await request.aread()  # into bytes, which can be sent twice
        whose = f"{upstream} {_credential(request)}"
        with self.breaker.permit(str(upstream)) as permit, self.quotas.permit(whose) as quota:
            try:
                answer = await self._in_time(request, upstream)
            except (TimeoutError, httpx.TransportError) as error:
                if not is_our_own(error):
                    permit.failed()
                raise problem_with(upstream, error) from error
            failing = quota if answer.status_code == _TOO_MANY else permit
            failing.answered(answer.status_code, retry_after_s(answer.headers))
            return answer

    def states(self) -> Mapping[str, State]:
        """Return how each upstream stands: the worst, where it stands differently for one of its callers."""
        told = dict(self.breaker.states())
        for whose, state in self.quotas.states().items():
            upstream = whose.partition(" ")[0]
            told[upstream] = max(told.get(upstream, "closed"), state, key=_WORSE.index)
        return told

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pools.aclose()

    async def _in_time(self, request: httpx.Request, upstream: Upstream) -> httpx.Response:
        ends = anyio.current_time() + self._timeouts.total_s

        async def send() -> httpx.Response:
            return await self._send(_on_the_wire(request, upstream, self._timeouts), ends)

        with anyio.fail_after(self._timeouts.total_s):
            return await (send() if ONCE in request.extensions else Resending(self._retries, send).run())

    async def _send(self, request: httpcore.Request, ends: float) -> httpx.Response:
        place = self._pools.place()
        with in_httpx_terms():
            answer = await place.send(request)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_Answer(answer, ends, place),
            extensions=answer.extensions,
        )


class _Answer(httpx.AsyncByteStream):
    """The body of an answer, as long as there is time."""

    def __init__(self, answer: httpcore.Response, ends: float, place: Place) -> None:
        self._answer, self._ends, self._place = answer, ends, place

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._answer.aiter_stream()
        while (piece := await self._next(pieces)) is not None:
            yield piece

    async def aclose(self) -> None:
        try:
            await self._answer.aclose()
        finally:
            self._place.leave()

    async def _next(self, pieces: AsyncIterator[bytes]) -> bytes | None:
        try:
            with in_httpx_terms(), anyio.fail_after(self._ends - anyio.current_time()):
                return await anext(pieces, None)
        except TimeoutError as error:
            raise httpx.ReadTimeout("the answer took longer than its time limit") from error


def _credential(request: httpx.Request) -> str:
    return credential_of(Call(request.method, str(request.url), tuple(request.headers.raw), b""))


def _on_the_wire(request: httpx.Request, upstream: Upstream, timeouts: Timeouts) -> httpcore.Request:
    """Return what is sent: to the upstream as it was judged, whatever else the request calls it."""
    headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"host"]
    extensions = {key: value for key, value in request.extensions.items() if key in ("target", "trace")}
    return httpcore.Request(
        request.method,
        httpcore.URL(
            scheme=upstream.scheme.encode(),
            host=upstream.host.encode(),
            port=upstream.port,
            target=request.url.raw_path,
        ),
        headers=[(b"Host", upstream.authority.encode()), *headers],
        content=request.stream if ONCE in request.extensions else request.content,
        extensions={**extensions, "timeout": timeouts.for_httpcore()},
    )
