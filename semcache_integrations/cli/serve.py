"""`semcache serve`: the cache as an HTTP proxy. The work is done in `http`."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any  # Any: settings, which CacheConfig checks

import click
from rich.console import Console
from rich.table import Table

from semcache_integrations.core.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from semcache_integrations.http.happenings import Watcher
    from semcache_integrations.http.proxy import ProxySettings
    from semcache_integrations.observability.otel import Spans

_MEGABYTE = 2**20
SECONDS = click.FloatRange(min=0, min_open=True)


@click.command(short_help="Serve the cache as an HTTP proxy.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    envvar="SEMCACHE_PORT",
    help="Port to listen on; 0 for any that is free.",
)
@click.option(
    "--upstream",
    "upstreams",
    multiple=True,
    metavar="HOST[:PORT]",
    help="An upstream that callers may name by header; repeat it. Known providers are allowed anyway.",
)
@click.option(
    "--provider",
    "providers",
    multiple=True,
    metavar="NAME=URL",
    help="Where the calls of a provider go by default: openai=http://localhost:8000; repeat it.",
)
@click.option("--path", type=click.Path(file_okay=False), help="Directory that keeps the entries.")
@click.option("--url", help="A Qdrant server that keeps them instead.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="Least similarity of a hit; learned by default."
)
@click.option("--ttl", type=click.FloatRange(min=0, min_open=True), help="Seconds that an answer is kept.")
@click.option("--share", is_flag=True, help="One cache for all callers, whatever their API keys.")
@click.option("--fresh", type=click.FloatRange(min=0), help="Seconds after which an answer is stale.")
@click.option(
    "--stale-if-error", type=click.FloatRange(min=0), default=0, help="Seconds more where the upstream fails."
)
@click.option(
    "--stale-while-revalidate",
    type=click.FloatRange(min=0),
    default=0,
    help="Seconds more while a new answer is fetched.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 5),
    default=0,
    show_default=True,
    help="Times that a call is sent again which the upstream declined (429, 502, 503, 504).",
)
@click.option(
    "--admin-token",
    envvar="SEMCACHE_ADMIN_TOKEN",
    default="",
    help="For /admin and /metrics; without one they are for this machine only.",
)
@click.option("--connect-timeout", type=SECONDS, default=5, show_default=True, help="Seconds to connect in.")
@click.option(
    "--read-timeout",
    type=SECONDS,
    default=600,
    show_default=True,
    help="Seconds between two pieces of an answer.",
)
@click.option(
    "--total-timeout", type=SECONDS, default=1800, show_default=True, help="Seconds for a whole answer."
)
@click.option("--access-log", is_flag=True, help="Log a line for each request, without its question.")
@click.option(
    "--otel", is_flag=True, help="Record OpenTelemetry spans: opentelemetry-instrument semcache serve --otel"
)
@click.option(
    "--max-body",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Megabytes of a request that may be cached.",
)
@click.option(
    "--drain",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="Seconds to finish in when told to end.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    envvar="SEMCACHE_LOG_LEVEL",
    help="What is told on stderr.",
)
def serve(host: str, port: int, log_level: str, drain: float, **options: Any) -> None:  # Any: click's
    """Serve the cache as an HTTP proxy: point any SDK's base_url at it."""
    settings = _settings(options)
    from semcache_integrations.http import access_log

    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    sockets = _bound(host, port)
    # When it has finished, uvicorn raises the signal again that ended it: the cache must be closed before we go.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    watchers = [access_log.write] if options["access_log"] else []
    with _proxy(settings, _cache_settings(options), watchers, traced=options["otel"]) as app:
        _greet(host, sockets[0].getsockname()[1], settings)
        _listen(app, sockets, log_level=log_level, drain_s=drain)


@contextmanager
def _proxy(
    settings: ProxySettings, cache_settings: dict[str, Any], watchers: Sequence[Watcher], *, traced: bool
) -> Iterator[Starlette]:
    """Make the application, and close its cache in the end."""
    from semcache_integrations import SemanticCache
    from semcache_integrations.asgi import create_proxy_app
    from semcache_integrations.observability.prometheus import PrometheusMetrics

    metrics, spans = PrometheusMetrics(), _spans() if traced else None
    hooks = [metrics.event, spans.event] if spans else [metrics.event]
    with SemanticCache(**cache_settings, hooks=hooks) as cache:
        metrics.watch(cache)
        told = [*watchers, spans.happening] if spans else watchers
        yield create_proxy_app(cache, settings, metrics=metrics, watchers=told)


def _bound(host: str, port: int) -> list[socket.socket]:
    """Take the port, at each address of the host, before anything else is done; 0 is whichever is free."""
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            one = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address[0], sockets[0].getsockname()[1] or port, *address[2:]))
    except OSError as error:
        for one in sockets:
            one.close()
        said, mending = (
            (error.strerror or str(error)).lower(),
            "choose an address of this machine with --host",
        )
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            mending = "choose another one with --port"
        raise ConfigurationError(f"cannot listen on {host}, port {port}: {said}; {mending}") from error
    return sockets


def _listen(app: Starlette, sockets: list[socket.socket], *, log_level: str, drain_s: float) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,  # its lines look like all others
        log_level="warning" if log_level == "info" else log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who is at this machine is told by the connection alone
        date_header=False,
        timeout_graceful_shutdown=int(drain_s),
    )
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=sockets)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's log is more than the traceback of an answer that was cut off after --drain."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _spans() -> Spans:
    try:
        from semcache_integrations.observability.otel import Spans
    except ImportError as error:
        raise ConfigurationError(str(error)) from error
    from opentelemetry import trace

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        raise ConfigurationError(
            "--otel has nobody to give its spans to: opentelemetry-instrument semcache serve --otel "
            "(pip install opentelemetry-distro opentelemetry-exporter-otlp)"
        )
    return Spans()


def _cache_settings(options: dict[str, Any]) -> dict[str, Any]:
    stated = {
        "path": options["path"],
        "url": options["url"],
        "similarity_threshold": options["threshold"],
        "ttl_s": options["ttl"],
    }
    return {name: value for name, value in stated.items() if value is not None}


def _settings(options: dict[str, Any]) -> ProxySettings:
    try:
        from semcache_integrations.asgi import ProxySettings, Retries, Staleness, Timeouts
    except ImportError as error:
        raise ConfigurationError(str(error)) from error
    from semcache_integrations.http.addresses import DEFAULT_HOSTS

    return ProxySettings(
        hosts=(*DEFAULT_HOSTS, *options["upstreams"]),
        providers=_providers(options["providers"]),
        share=options["share"],
        staleness=Staleness(
            fresh_s=options["fresh"],
            if_error_s=options["stale_if_error"],
            while_revalidate_s=options["stale_while_revalidate"],
        ),
        retries=Retries(answers=options["retries"]),
        timeouts=Timeouts(
            connect_s=options["connect_timeout"],
            read_s=options["read_timeout"],
            total_s=options["total_timeout"],
        ),
        admin_token=options["admin_token"],
        largest=options["max_body"] * _MEGABYTE,
    )


def _providers(stated: tuple[str, ...]) -> Any:  # Any: imported late
    from dataclasses import replace

    from semcache_integrations.http.providers import DEFAULT

    known = DEFAULT
    for pair in stated:
        name, equals, base = pair.partition("=")
        provider = known.named(name)
        if not equals or not base or provider is None or not provider.base:
            raise ConfigurationError(f"--provider is openai=URL or anthropic=URL, not {pair!r}")
        known = known.with_provider(replace(provider, base=base))
    return known


def _is_everywhere(host: str) -> bool:
    """Whether a host is no place to ask, but all addresses at once."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _greet(host: str, port: int, settings: ProxySettings) -> None:
    table = Table("SDK", "base_url", "goes to", title="semcache serve", title_justify="left")
    here = "localhost" if _is_everywhere(host) else host
    shown = f"[{here}]" if ":" in here else here
    for name, path in (("openai", "/v1"), ("anthropic", "")):
        provider = settings.providers.named(name)
        table.add_row(name, f"http://{shown}:{port}{path}", provider.base if provider else "")
    console = Console()
    console.print(table)
    console.print(
        f"dashboard: http://{shown}:{port}/admin   metrics: http://{shown}:{port}/metrics",
        style="dim",
        soft_wrap=True,
    )
