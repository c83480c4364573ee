"""A request's path and headers -> where it goes, in which dialect it speaks, and where its question is.

The law: decided before any look-up, so that a hit and a miss agree; upstream beats host beats the provider's default,
and a header that names the question beats the table, each independently of the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from semcache_integrations.http.calls import Dialect
from semcache_integrations.http.problems import ProblemError
from semcache_integrations.http.providers import (
    ANTHROPIC,
    DEFAULT,
    GENERIC,
    OPENAI,
    OWN_PATHS,
    PROMPTS,
    Place,
    Provider,
    Providers,
    dialect_of,
)
from semcache_integrations.http.targets import Target, printable, quoted, target

Headers: TypeAlias = Sequence[tuple[str, str]]
"""A multi-map: names in any case, and any name any number of times."""

HOST, UPSTREAM = "x-llm-proxy-host", "x-llm-proxy-upstream"
PROMPT, PROMPT_ALIAS = "x-llm-prompt", "x-llm-proxy-prompt"

_OWN = ("x-llm-", "x-semcache-")
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",  # the body has been read
        "content-length",  # of a body that may be framed anew
        "host",
        "http2-settings",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    Args:
        provider: Whose error shape and defaults it has.
        dialect: The form of its body; None for what passes through uncached.
        url: The upstream URL, in ASCII.
        prompt: The JSONPath of the question; empty where the dialect itself knows, or nothing is asked.
        headers: What is sent upstream.
    """

    provider: Provider
    dialect: Dialect | None
    url: str
    prompt: str
    headers: tuple[tuple[str, str], ...]


def route(method: str, path: str, query: str, headers: Headers, providers: Providers = DEFAULT) -> Route:
    """Return where a request goes.

    Args:
        method: Only a POST asks a model.
        path: As it was sent, percent-encoded, without the query.
        query: As it was sent, without the question mark.
        headers: All of the request's.
        providers: The table.

    Raises:
        ProblemError: 400, the headers or the path say what cannot be done; 404, nobody has the path.
    """
    path, query = _path(path), _query(query)
    host, upstream = _said(headers, HOST), _said(headers, UPSTREAM)
    prompt = _said(headers, PROMPT, PROMPT_ALIAS)
    place = providers.at(path)
    provider = place.provider if place else _nobody(path, headers, providers)
    aimed = _aimed(provider, place.path if place else path, host, upstream)
    dialect = None
    if method.upper() == "POST":
        dialect = _dialect(place, aimed, overruled=bool(upstream)) or ("generic" if prompt else None)
    prompt = prompt or provider.prompt or (PROMPTS[dialect] if dialect else "")
    if dialect == "generic" and not prompt:
        raise ProblemError(400, f"this path needs the header {PROMPT}, a JSONPath such as $.query")
    return Route(provider, dialect, str(aimed.asked(query)), prompt, tuple(forwarded_headers(headers)))


def forwarded_headers(headers: Headers) -> list[tuple[str, str]]:
    """Return the headers that go upstream: none that is for one hop only, none that is for this cache."""
    named = _listed_in_connection(headers)
    return [(name, value) for name, value in headers if not _stays(name.strip().lower(), named)]


def _listed_in_connection(headers: Headers) -> frozenset[str]:
    listed = [value for name, value in headers if name.strip().lower() == "connection"]
    return frozenset(name.strip().lower() for value in listed for name in value.split(","))


def _stays(name: str, named: frozenset[str]) -> bool:
    return name in _HOP_BY_HOP or name in named or name.startswith(("proxy-", *_OWN))


def _said(headers: Headers, *names: str) -> str:
    """Return what a header says under any of its names; empty if it is absent."""
    said = {value.strip(" \t") for name, value in headers if name.strip().lower() in names}
    if len(said) > 1:
        raise ProblemError(400, f"{names[0]} is given twice, with different values")
    if said == {""}:
        raise ProblemError(400, f"{names[0]} is empty: leave it out, or give it a value")
    return next(iter(said), "")


def _path(path: str) -> str:
    path = printable(path, said_by="the request's path")
    if not path.startswith("/") or "?" in path or "#" in path:
        raise ProblemError(400, "the request's path must begin with '/', and its query comes after it")
    return quoted(path, "the request's path")


def _query(query: str) -> str:
    query = printable(query, said_by="the request's query")
    if "#" in query:
        raise ProblemError(400, "the request's query must not contain a fragment")
    return quoted(query, "the request's query")


def _nobody(path: str, headers: Headers, providers: Providers) -> Provider:
    """Return the provider to whom a path goes that is in nobody's table."""
    if path in OWN_PATHS:
        raise ProblemError(404, "this path is the cache's own and has no upstream")
    anthropic = any(name.strip().lower() == "anthropic-version" for name, _ in headers)
    provider = providers.named((ANTHROPIC if anthropic else OPENAI).name)
    if provider is None:
        raise ProblemError(404, "no provider has this path")
    return provider


def _aimed(provider: Provider, path: str, host: str, upstream: str) -> Target:
    if upstream:
        return target(upstream, said_by=UPSTREAM)
    if host:
        return target(host, said_by=HOST).joined(path)
    if not provider.base:
        raise ProblemError(400, f"this path has no default: it needs the header {UPSTREAM} or {HOST}")
    return target(provider.base, said_by=f"the base URL of {provider.name}").joined(path)


def _dialect(place: Place | None, aimed: Target, *, overruled: bool) -> Dialect | None:
    if place is None:
        return dialect_of(aimed.path)
    if overruled and place.provider.name == GENERIC.name:
        return dialect_of(aimed.path) or place.dialect
    return place.dialect
