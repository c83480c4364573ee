"""Server-sent events <-> JSON: what the formats of this package travel in.

The law: `decoded(encoded(event))` is the event, however the bytes are cut, and what is no event raises.

`httpx-sse` reads the lines. It keeps WHATWG's rules (CR, LF and CRLF, comments, data of several lines,
nothing of an event that the stream's end cut; U+2028 ends no line).
Its decoder of single lines is private and its public `EventSource` takes an `httpx.Response`, so the bytes
come in one that no network ever saw; httpx itself, which it needs and does not declare, comes with
qdrant-client. Two rules it leaves to others and they are kept here: a byte order mark is dropped, and an
event without data is none. `sseclient-py` was the other candidate: it invents an end for a cut event, and
joins two events when line ends are mixed.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any  # JSON, whose values are whatever the wire brought

import httpx
import orjson
from httpx_sse import EventSource

_DONE = "[DONE]"
DONE = f"data: {_DONE}\n\n".encode()
"""The frame that ends a stream of OpenAI's Chat Completions, and no other."""

_HEADERS = {"content-type": "text/event-stream; charset=utf-8"}
_SHOWN = 80  # of the data in an error's message


def encoded(event: Mapping[str, Any]) -> bytes:
    """Return the event as the frame in which its provider sends it.

    Its `type` is the frame's event; without one, as the chunks of Chat Completions are, it is data alone.

    Raises:
        ValueError: its `type` is no name of an event: no text, or one of several lines.
    """
    if "type" not in event:
        return b"data: %b\n\n" % _json(event)
    name = event["type"]
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ValueError(f"an event's type is a name on one line, not {name!r}")
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _json(event))


def decoded(data: bytes | str | Iterable[bytes | str]) -> Iterator[dict[str, Any]]:
    """Yield the data of the events in `data`, until it ends or `data: [DONE]`.

    Args:
        data: A body, or its pieces, cut anywhere. An event that lacks its closing blank line was cut by
            the stream's end and is left out, as the standard demands.

    Raises:
        ValueError: it is not UTF-8, or an event's data is not a JSON object.
    """
    response = httpx.Response(200, headers=_HEADERS, content=_utf8(data))
    for event in EventSource(response).iter_sse():
        if event.data == _DONE:
            return
        if event.data:
            yield _object(event.data)


def _json(event: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event)
    except TypeError:  # integers of more than 64 bits, and halves of surrogate pairs
        return json.dumps(event).encode()


def _utf8(data: bytes | str | Iterable[bytes | str]) -> Iterator[bytes]:
    """Yield `data` without a byte order mark; strictly, where httpx would put a mark for what it cannot read."""
    chunks = [data] if isinstance(data, bytes | str) else data
    raw = (chunk.encode() if isinstance(chunk, str) else chunk for chunk in chunks)
    return (piece.encode() for piece in codecs.iterdecode(raw, "utf-8-sig"))


def _object(data: str) -> dict[str, Any]:
    try:
        loaded = orjson.loads(data)
    except ValueError as error:
        raise ValueError(f"the data of an event is not JSON ({error}): {data[:_SHOWN]!r}") from error
    if isinstance(loaded, dict):
        return loaded
    raise ValueError(f"the data of an event is a JSON object, not {data[:_SHOWN]!r}")
