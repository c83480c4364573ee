"""The proxy as an ASGI application: its own routes, and the gateway for everything else.

The law: what is about the proxy (metrics, administration) is for this machine, or for who has the token; what is for
callers is scoped by what they authenticate with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from semcache_integrations.cache import SemanticCache
from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.core.replay import Replay
from semcache_integrations.http import bodies
from semcache_integrations.http.addresses import DEFAULT_HOSTS, Allowed, Upstream
from semcache_integrations.http.aside import CacheAside
from semcache_integrations.http.dashboard import Admin, Guard, Recent
from semcache_integrations.http.egress import Timeouts, Upstreams
from semcache_integrations.http.gateway import METHODS, Gateway
from semcache_integrations.http.happenings import Happening, Watcher
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.providers import DEFAULT, Providers
from semcache_integrations.http.requests import Reader
from semcache_integrations.http.resending import Retries
from semcache_integrations.http.stale import StaleExchange, Staleness

_NOT_FOUND, _UNAVAILABLE = 404, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How a proxy behaves.

    Attributes:
        hosts: Upstreams that callers may name by header, as `Allowed` reads them, beside the providers' own.
        providers: Which paths belong to whom, and where they go by default.
        share: Whether entries are everybody's, whatever their credential.
        replay: How kept answers are streamed.
        timeouts: How long upstreams may take.
        staleness: When answers are stale, and may be served all the same.
        retries: What is sent again.
        admin_token: What who wants to see `/admin` and `/metrics` has to show; "" for who is at this machine.
        largest: Bytes of a request's body.
    """

    hosts: tuple[str, ...] = DEFAULT_HOSTS
    providers: Providers = DEFAULT
    share: bool = False
    replay: Replay = field(default_factory=Replay)
    timeouts: Timeouts = field(default_factory=Timeouts)
    staleness: Staleness = field(default_factory=Staleness)
    retries: Retries = field(default_factory=Retries)
    admin_token: str = ""
    largest: int = bodies.LARGEST_REQUEST


class Metrics(Protocol):
    """What `/metrics` needs; `semcache_integrations.observability.prometheus` has it."""

    def happening(self, happening: Happening, /) -> None:
        """Take note of a request."""

    def watch_breakers(self, states: Callable[[], Mapping[str, str]], /) -> None:
        """Show the states of the upstreams' breakers."""

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """Return a page of metrics, and its content type."""


def create_proxy_app(
    cache: SemanticCache,
    settings: ProxySettings | None = None,
    *,
    metrics: Metrics | None = None,
    watchers: Sequence[Watcher] = (),
) -> Starlette:
    """Return the proxy.

    Args:
        cache: Where answers are kept; whoever made it closes it.
        settings: How it behaves.
        metrics: What `/metrics` shows.
        watchers: Are told what became of each request.

    Raises:
        ConfigurationError: a provider's base is no URL, an allowed host is none, or answers are gone before they are
            stale.
    """
    chosen = settings or ProxySettings()
    fresh_s, ttl_s = chosen.staleness.fresh_s, cache.config.ttl_s
    if fresh_s is not None and ttl_s is not None and ttl_s <= fresh_s:
        raise ConfigurationError(
            f"an answer that is kept for {ttl_s:g} s (--ttl, ttl_s) and fresh for {fresh_s:g} s (--fresh) is gone "
            "before it is stale: keep it for longer, or leave --fresh out"
        )
    allowed = Allowed((*chosen.hosts, *_homes(chosen.providers)))
    network = Upstreams(allowed, timeouts=chosen.timeouts, retries=chosen.retries)
    recent, guard = Recent(), Guard(chosen.admin_token)
    told: list[Watcher] = [recent, *watchers]
    if metrics is not None:
        metrics.watch_breakers(network.states)
        told.append(metrics.happening)
    reader = Reader(chosen.replay, cache.config.secret_bytes, chosen.share, longest_ttl_s=cache.config.ttl_s)
    gateway = Gateway(
        StaleExchange(cache, reader, chosen.replay, staleness=chosen.staleness),
        network,
        check=lambda url: allowed.check(Upstream.of(url)),
        providers=chosen.providers,
        watchers=told,
        largest=chosen.largest,
    )
    aside = CacheAside(cache, secret=cache.config.secret_bytes, share=chosen.share, largest=chosen.largest)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.ready = True
        yield
        app.state.ready = False
        await network.aclose()

    routes: list[BaseRoute] = [
        Route("/", _alive),
        Route("/healthz", _alive),
        Route("/readyz", _ready),
        Route("/semcache/v1/put", aside.put, methods=METHODS),
        Route("/semcache/v1/get", aside.get, methods=METHODS),
        Route("/metrics", _exposed(metrics, guard)),
        *Admin(cache, recent, guard).routes(),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.router.default = _all_else(gateway)
    return app


def _exposed(metrics: Metrics | None, guard: Guard) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint that shows metrics to whom the guard lets see them."""

    async def expose(request: Request) -> Response:
        try:
            guard.check(request)
        except ProblemError as problem:
            return PlainTextResponse(f"{problem.message}\n", problem.status)
        if metrics is None:
            return PlainTextResponse("this proxy counts nothing: create_proxy_app(metrics=…)\n", _NOT_FOUND)
        page, kind = metrics.exposition(request.headers.get("accept", ""))
        return Response(page, headers={"content-type": kind})

    return expose


def _all_else(gateway: Gateway) -> ASGIApp:
    """Return what answers whatever no route does, however odd its path or method."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await gateway.answer(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await send({"type": "websocket.close"})

    return answer


async def _alive(_request: Request) -> Response:
    return PlainTextResponse("semcache is running\n")


async def _ready(request: Request) -> Response:
    ready = getattr(request.app.state, "ready", False)
    return JSONResponse({"ready": ready}, 200 if ready else _UNAVAILABLE)


def _homes(providers: Providers) -> Iterable[str]:
    """Return where the providers live: whoever configured them may reach them."""
    for provider in providers:
        if provider.base:
            try:
                yield Upstream.of(provider.base).authority
            except ProblemError as problem:
                raise ConfigurationError(
                    f"provider {provider.name}: {provider.base!r} is no base URL ({problem.message}): "
                    "write it like http://localhost:8000"
                ) from problem
