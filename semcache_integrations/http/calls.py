"""The values that this package speaks in: a call, the parts of an answer, and what the cache makes of a call.

The law: a call and an answer are bytes as they came; nothing is decoded here, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from semcache_integrations.core.models import CacheRequest
from semcache_integrations.core.replay import Replay
from semcache_integrations.labels import NAMES

Dialect: TypeAlias = Literal["chat", "responses", "messages", "generic"]
"""How an API speaks: Chat Completions, Responses, Anthropic's Messages, or JSON of which only the prompt is known."""

Headers: TypeAlias = tuple[tuple[bytes, bytes], ...]
"""Header fields as they were sent: in order, repeated ones repeated."""

NO_EXTENSIONS: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Call:
    """One request, with its body read.

    Attributes:
        method: In upper case.
        url: Whole, as it is asked.
        headers: As they were sent.
        body: As it was sent.
        dialect: How its API speaks; None for one that is not cached.
        prompt: JSONPath of what may be reworded, if the caller names it.
    """

    method: str
    url: str
    headers: Headers
    body: bytes
    dialect: Dialect | None = None
    prompt: str = ""

    @property
    def place(self) -> tuple[str, str]:
        """Host and path of the URL."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2], parts.path

    def header(self, name: str) -> str:
        """Return a header's values, joined by commas as HTTP joins them; "" if there is none."""
        return self.named.get(name, "")

    @cached_property
    def named(self) -> Mapping[str, str]:
        """The headers by their names in lower case; the values of repeated ones are joined by commas."""
        named: dict[str, str] = {}
        for raw, value in self.headers:
            name, read = raw.decode("latin-1").lower(), value.decode("latin-1")
            named[name] = f"{named[name]}, {read}" if name in named else read
        return named


@dataclass(frozen=True, slots=True)
class Head:
    """What comes of an answer before its body.

    Attributes:
        status: The HTTP status.
        headers: As the upstream sent them.
        extensions: Whatever a transport tells beside them.
    """

    status: int
    headers: Headers
    extensions: Mapping[str, Any] = field(default_factory=lambda: NO_EXTENSIONS)  # Any: the transport's own

    def labelled(self, said: Mapping[str, str]) -> Head:
        """Return a head that says what the cache did, in place of whatever an upstream has said of a cache."""
        kept = tuple(field for field in self.headers if field[0].decode("latin-1").lower() not in NAMES)
        return Head(self.status, kept + fields(said), self.extensions)

    def header(self, name: str) -> str:
        """Return a header's values, joined by commas; "" if there is none."""
        wanted = name.encode("latin-1")
        return ", ".join(value.decode("latin-1") for field, value in self.headers if field.lower() == wanted)

    @property
    def length(self) -> int | None:
        """How many bytes the body has, as far as is told."""
        told = self.header("content-length")
        return int(told) if told.isascii() and told.isdecimal() else None


def fields(said: Mapping[str, str]) -> Headers:
    """Return header fields as they are sent."""
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in said.items())


Part: TypeAlias = Head | bytes
"""What an answer consists of: first its head, then pieces of its body as they come."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How one call asks to be treated.

    Attributes:
        looks: Whether it may be answered from the cache.
        keeps: Whether its answer may be kept.
        only_if_cached: Whether it wants no other answer.
        replay: How it wants streams cut; None for what others get.
    """

    looks: bool = True
    keeps: bool = True
    only_if_cached: bool = False
    replay: Replay | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that the cache may answer.

    Attributes:
        request: What is keyed.
        dialect: How the answer is written.
        stream: Whether it wants server-sent events.
        usage: Whether its stream ends with the token counts.
        wishes: How it asks to be treated.
        credential: Digest of who asks; equal calls of others are not waited for.
        carriage: How the answer is to travel; equal calls that want it otherwise are not waited for.
    """

    request: CacheRequest
    dialect: Dialect
    stream: bool = False
    usage: bool = False
    wishes: Wishes = field(default_factory=Wishes)
    credential: str = ""
    carriage: str = ""

    @property
    def wants_nothing(self) -> bool:
        """Whether the cache has nothing to do with it."""
        return not (self.wishes.looks or self.wishes.keeps)
