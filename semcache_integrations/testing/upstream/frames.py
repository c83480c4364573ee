"""Server-sent events, and the interface that the wire formats share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from semcache_integrations.testing.upstream.answers import Answer, Ask

DONE = b"data: [DONE]\n\n"
CREATED = 1_700_000_000
"""Every answer's time of creation: answers are a function of the request."""


class Dialect(Protocol):
    """A wire format; the modules of this package are its implementations. Bodies are JSON, hence `Any`."""

    def read(self, body: Mapping[str, Any]) -> Ask:
        """Understand a request."""
        ...

    def body(self, ask: Ask, answers: Sequence[Answer], serial: int) -> dict[str, Any]:
        """Write the answers as one JSON body."""
        ...

    def frames(self, ask: Ask, answers: Sequence[Answer], serial: int) -> Iterator[bytes]:
        """Write the answers as server-sent events."""
        ...

    def error(self, status: int, message: str) -> dict[str, Any]:
        """Write an error as a JSON body."""
        ...


def frame(data: Mapping[str, Any], event: str = "") -> bytes:
    """Encode one event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def pieces(text: str, size: int = 7) -> Iterator[str]:
    """Cut the JSON of a tool's arguments as providers do: anywhere."""
    return (text[start : start + size] for start in range(0, len(text), size))
