"""Which path belongs to which provider, in which dialect, and where its upstream is.

The law: a table and nothing else; a provider is added by adding a row. A path that no row names has no dialect, and
what has no dialect is never cached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from semcache_integrations.core.errors import ConfigurationError
from semcache_integrations.http.calls import Dialect

OWN_PATHS = frozenset({"/semcache/v1/put", "/semcache/v1/get"})
"""The cache's own endpoints, which no provider answers."""

PROMPTS: Mapping[Dialect, str] = MappingProxyType(
    {"chat": "$.messages[-1].content", "messages": "$.messages[-1].content", "responses": "", "generic": ""}
)
"""Where a dialect keeps its question; a `responses` input is a text or a list, which no single path can say."""

_ENDS: tuple[tuple[re.Pattern[str], Dialect], ...] = (
    (re.compile(r"/chat/completions\Z"), "chat"),
    (re.compile(r"/responses\Z"), "responses"),
    # Anthropic's alone: a thread has messages, too (/v1/threads/{id}/messages)
    (re.compile(r"(?:\A|/v\d+[a-z0-9]*|/anthropic)/messages\Z"), "messages"),
)


@dataclass(frozen=True)
class Provider:
    """One row of the table.

    Args:
        name: What it is called; a collection holds one provider of a name.
        base: The default base URL; empty if only the request's headers can say it.
        routes: Request path -> dialect and upstream path. A path that ends with a slash stands for every path below
            it: the remainder is appended to the upstream path, and the dialect is that of the remainder if it has one.
        prompt: The JSONPath of the question; empty for that of the dialect.

    Raises:
        ConfigurationError: a path does not begin with a slash.
    """

    name: str
    base: str
    routes: Mapping[str, tuple[Dialect, str]]
    prompt: str = ""

    def __post_init__(self) -> None:
        paths = [path for route, (_, upstream) in self.routes.items() for path in (route, upstream)]
        if not all(path.startswith("/") for path in paths):
            raise ConfigurationError(f"the paths of the provider {self.name!r} must begin with '/'")
        object.__setattr__(self, "routes", MappingProxyType(dict(self.routes)))

    def __hash__(self) -> int:
        return hash((self.name, self.base, self.prompt))

    def at(self, path: str) -> Place | None:
        """Return what the provider has at a path; the longest of several that begin it, or None."""
        if path in self.routes:
            return Place(self, *self.routes[path])
        above = [route for route in self.routes if route.endswith("/") and path.startswith(route)]
        longest = max(above, key=len, default=path)
        if longest == path:
            return None
        dialect, upstream = self.routes[longest]
        upstream += path[len(longest) :]
        return Place(self, dialect_of(upstream) or dialect, upstream)


class Place(NamedTuple):
    """What is at a path: whose it is, in which dialect it speaks, and what it is called upstream."""

    provider: Provider
    dialect: Dialect
    path: str


class Providers:
    """An immutable, ordered collection; the first provider that has a path answers it.

    Raises:
        ConfigurationError: two providers have one name.
    """

    __slots__ = ("_providers",)

    def __init__(self, *providers: Provider) -> None:
        if len({provider.name for provider in providers}) < len(providers):
            raise ConfigurationError("two providers have the same name")
        self._providers = providers

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._providers)

    def __len__(self) -> int:
        return len(self._providers)

    def with_provider(self, provider: Provider) -> Providers:
        """Return a collection in which this provider comes first, in place of one of the same name."""
        return Providers(provider, *(other for other in self if other.name != provider.name))

    def named(self, name: str) -> Provider | None:
        """Return the provider of a name."""
        return next((provider for provider in self if provider.name == name), None)

    def at(self, path: str) -> Place | None:
        """Return what is at a request path; None for what no provider knows, and for the cache's own endpoints."""
        if path in OWN_PATHS:
            return None
        places = (provider.at(path) for provider in self)
        return next((place for place in places if place is not None), None)


def dialect_of(path: str) -> Dialect | None:
    """Return the dialect of an upstream URL's path, which its end tells; None for all that is no conversation."""
    return next((dialect for end, dialect in _ENDS if end.search(path)), None)


OPENAI = Provider(
    "openai",
    "https://api.openai.com",
    {
        "/v1/chat/completions": ("chat", "/v1/chat/completions"),
        "/chat/completions": ("chat", "/v1/chat/completions"),
        "/v1/responses": ("responses", "/v1/responses"),
        "/responses": ("responses", "/v1/responses"),
    },
)
ANTHROPIC = Provider(
    "anthropic",
    "https://api.anthropic.com",
    {"/v1/messages": ("messages", "/v1/messages"), "/messages": ("messages", "/v1/messages")},
)
GENERIC = Provider("generic", "", {"/semcache/": ("generic", "/")})
DEFAULT = Providers(OPENAI, ANTHROPIC, GENERIC)
